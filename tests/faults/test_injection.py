"""Each fault at each call of each part, one at a time: nothing is lost, nothing unreadable, nothing silent."""

import asyncio
import os
import sys
from collections import Counter

import pytest

from faults.harness import CLEAN, SCENARIOS, check, clean, injections, plan_of
from faults.machine import FAULTS
from faults.parts import RAISED, faults_of
from forbear.errors import ForbearError, InvalidInput
from forbear.records.journal import Journal
from forbear.runner.pilot import run_pilot

MOST = int(os.environ.get("FORBEAR_FAULTS", "2000"))
"""How many injections the long test makes; 0: all of them."""

SHARES = 4
"""Tests that they are dealt out to, which may run at the same time."""

POINTS = [(scenario, point) for scenario in SCENARIOS for point in sorted(clean(scenario)[2])]


HARMLESS = {"failure", "tried again", "went on"}


def test_there_are_enough_faults_to_speak_of():
    assert min(len(faults_of(point)) for _, point in POINTS if point not in FAULTS) >= 20
    assert len(injections()) > 2000
    assert {point for _, point in POINTS} >= FAULTS.keys()


@pytest.mark.slow
@pytest.mark.parametrize(("scenario", "point"), POINTS)
def test_a_fault_costs_at_most_its_own_episode(scenario, point):
    calls, faults = clean(scenario)[2][point], FAULTS.get(point) or faults_of(point)
    first = len(point) * 3
    for number in range(2):
        check(scenario, point, faults[(first + 11 * number) % len(faults)], 1 + (first + number) % calls)


@pytest.mark.slow
@pytest.mark.parametrize("share", range(SHARES))
def test_no_fault_at_any_call_costs_more_than_its_own_episode(capsys, share):
    every = injections()
    chosen = (every[:MOST] if MOST else every)[share::SHARES]
    became = Counter()
    for scenario, point, fault, nth in chosen:
        became[point, check(scenario, point, fault, nth)] += 1
    lines = [f"{point:20} {what:20} {count:6}" for (point, what), count in sorted(became.items())]
    with capsys.disabled():
        sys.stdout.write("\n  ".join([f"\n{len(chosen)} of {len(every)} injections:", *lines]) + "\n")
    assert not {what for point, what in became if not point.startswith("disk.")} - HARMLESS


@pytest.mark.parametrize("what", ["agent", "environment"])
@pytest.mark.parametrize("method", ["config", "factory"])
def test_a_part_that_breaks_before_anything_runs_is_refused_in_one_line(what, method, tmp_path):
    def breaking(fault):
        def broken(*_):
            raise RAISED[fault]()

        if method == "factory":
            return broken
        kind = type(getattr(plan_of("coupled"), what)())
        return lambda: type("Broken", (kind,), {"config": broken})(CLEAN)

    for fault in RAISED:
        made = plan_of("coupled")
        object.__setattr__(made, what, breaking(fault))
        with pytest.raises(ForbearError) as raised:
            asyncio.run(run_pilot(made, Journal(tmp_path / "j")))
        assert fault in ("ProviderError", "AgentError", "NotReproducible") or isinstance(raised.value, InvalidInput)
        assert "\n" not in str(raised.value)
        assert not (tmp_path / "j").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("scenario", "point"), [(s, p) for s, p in POINTS if not p.startswith("clock.")])
def test_nor_in_other_processes(scenario, point):
    """Each worker counts its own calls, so that two episodes may break."""
    if point in FAULTS and scenario != "independent":  # files are the parent's: nothing about them is a scenario's
        pytest.skip("as in the other scenario")
    calls, faults = clean(scenario)[2][point], FAULTS.get(point) or faults_of(point)
    number = len(scenario) * len(point)
    for nth in range(1 + (MOST == 0) * 9):
        became = check(scenario, point, faults[(number + 7 * nth) % len(faults)], 1 + (number + nth) % calls, workers=2)
        assert point.startswith("disk.") or became in HARMLESS
