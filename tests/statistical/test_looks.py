"""Error rates and coverage of pilots with looks: exact where one pair per task allows it, else 2,000 pilots each."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

import reference_looks as slow
import simulated_looks as many
from forbear import DecisionRule, Looks, Recommendation, decide, decide_arms
from forbear.stats import boundary_constant, sequential_outcomes
from forbear.stats.looks.betting import bets_on, confidence_sequence
from forbear.stats.looks.watch import watch_threshold

PILOTS = 2000
RULE = DecisionRule()
LOOKS = Looks()
SMALL = Looks(tasks=(20, 40), gain=0.15, discordance=0.3)
NAMES = {
    Recommendation.INTERVENE: "intervene",
    Recommendation.FORBEAR: "forbear",
    Recommendation.UNDECIDED: "undecided",
}


def at_most(level):
    """The level and three binomial standard errors."""
    return level + 3 * (level * (1 - level) / PILOTS) ** 0.5


# --- The simulation is what a user gets ---------------------------------------------------------------------


def run_by_hand(effects, looks, rule):
    """One pilot (arms × tasks × seeds), decided after every task at which an arm could stop, until all have."""
    arms, tasks, _ = effects.shape
    stops = {}
    data = {}
    for after in range(2, tasks + 1):  # one task with several seeds says nothing about others and is refused
        for arm in range(arms):
            if arm not in stops:
                baseline, treated = many.outcomes(effects[arm, :after])
                data[arm], _ = sequential_outcomes(baseline=baseline, treated=treated, looks=looks, arms=arms)
        verdicts = (
            decide_arms({str(arm): data[arm] for arm in data}, rule) if arms > 1 else {"0": decide(data[0], rule)}
        )
        for arm in range(arms):
            verdict = verdicts[str(arm)]
            if arm not in stops and verdict.look.stopped:
                what = "futile" if verdict.futile else NAMES[verdict.recommendation]
                stops[arm] = (after, what, verdict.harmful)
        if len(stops) == arms:
            break
    return [stops[arm] for arm in range(arms)]


def as_simulated(course, pilot):
    rows = zip(course.stopped[pilot], course.verdict[pilot], course.harmful[pilot], strict=True)
    return [(int(after), what, bool(harmful)) for after, what, harmful in rows]


@pytest.mark.statistical
@pytest.mark.parametrize("seeds", [1, 3])
def test_the_simulation_is_decide_after_every_task(seeds):
    rng, met = np.random.default_rng(31 + seeds), set()
    for gain, discordance in ((0.3, 0.35), (-0.25, 0.35), (0.02, 0.3)):
        effects = many.draw_effects(
            rng, pilots=6, tasks=40, seeds=seeds, gain=gain, discordance=discordance, agreement=0.4
        )
        course = many.run(effects, SMALL, RULE)
        for pilot in range(len(effects)):
            by_hand = run_by_hand(effects[pilot], SMALL, RULE)
            assert as_simulated(course, pilot) == by_hand
            met.add(by_hand[0][1])
    assert {"intervene", "forbear"} <= met


@pytest.mark.statistical
def test_the_simulation_is_decide_arms_at_every_look():
    rng = np.random.default_rng(37)
    looks = Looks(tasks=(20, 40), gain=0.15, discordance=0.3, futility=0.01)
    effects = many.draw_arms(rng, pilots=4, tasks=40, arms=[(0.35, 0.4), (0.2, 0.3), (0.0, 0.3), (-0.25, 0.3)])
    course = many.run(effects, looks, RULE)
    for pilot in range(len(effects)):
        simulated, by_hand = as_simulated(course, pilot), run_by_hand(effects[pilot], looks, RULE)
        assert [arm[:2] for arm in simulated] == [arm[:2] for arm in by_hand]
        # Simulated arm by arm; `decide_arms` has Holm's step on top, which only ever takes "harmful" away.
        assert all(harmful <= alone for (*_, harmful), (*_, alone) in zip(by_hand, simulated, strict=True))
    assert (course.verdict == "intervene").any()


# --- False verdicts, stopped for good -----------------------------------------------------------------------


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("seeds", "discordance", "agreement"),
    [(1, 0.1, 0.0), (1, 0.3, 0.0), (3, 0.1, 0.0), (3, 0.3, 0.7), (3, 0.2, 1.0)],
)
def test_false_verdicts_run_task_by_task(seeds, discordance, agreement):
    rng = np.random.default_rng([41, seeds, int(100 * discordance), int(10 * agreement)])
    keywords = {"pilots": PILOTS, "tasks": 200, "seeds": seeds, "discordance": discordance, "agreement": agreement}
    useless = many.run(many.draw_effects(rng, gain=0.0, **keywords), LOOKS, RULE)
    assert (useless.verdict == "intervene").mean() <= at_most(RULE.alpha)
    assert useless.harmful.mean() <= at_most(RULE.harm_alpha)
    paying = many.run(many.draw_effects(rng, gain=0.02, **keywords), LOOKS, RULE)
    assert (paying.verdict == "forbear").mean() <= at_most(RULE.harm_alpha)


@pytest.mark.statistical
@pytest.mark.parametrize(("seeds", "lost"), [(3, 0.02), (5, 0.03)])
def test_looks_keep_the_level_where_rare_tasks_lose_all_their_seeds(seeds, lost):
    # No gain on average. Looks at several seeds are joined approximately.
    rng = np.random.default_rng([42, seeds])
    shape, up = (PILOTS, 1, 200), lost / (1 - lost)
    effects = np.where(rng.random((*shape, 1)) < lost, -1, (rng.random((*shape, seeds)) < up).astype(int))
    course = many.run(effects, replace(LOOKS, futility=0.0), RULE)
    assert (course.verdict == "intervene").mean() <= at_most(RULE.alpha)


@pytest.mark.statistical
@pytest.mark.parametrize(
    "arms",
    [
        [(0.0, 0.1)] * 4,
        [(0.0, 0.3)] * 4,
        [(0.12, 0.2), (0.0, 0.2), (0.0, 0.1), (-0.15, 0.3)],  # one helps, one is dropped early, two do nothing
    ],
)
def test_family_wise_error_of_four_arms_that_share_a_baseline(arms):
    rng = np.random.default_rng([43, len({arm for arm in arms}), int(100 * arms[0][1])])
    course = many.run(many.draw_arms(rng, pilots=PILOTS, tasks=200, arms=arms), LOOKS, RULE)
    useless = [gain <= 0 for gain, _ in arms]
    assert (course.verdict[:, useless] == "intervene").any(axis=1).mean() <= at_most(RULE.alpha)
    if not all(useless):
        assert (course.verdict[:, 0] == "intervene").mean() > 0.6
        assert np.isin(course.verdict[:, 3], ["forbear", "futile"]).mean() > 0.95
        assert course.stopped[:, 3].mean() < 85  # it waits for FORBEAR where that is to be expected


# --- Coverage at the stop -----------------------------------------------------------------------------------


def missing_probabilities(looks, gain, discordances):
    """P(the interval shown at the stop leaves the gain out): the bounds only narrow, so a miss is for good."""
    upper = RULE.alpha / 2 if looks.watch else RULE.alpha
    low = boundary_constant(looks, alpha=RULE.alpha)
    high = boundary_constant(looks, alpha=upper, margin=-RULE.worthwhile)
    level = watch_threshold(looks, alpha=RULE.alpha, margin=RULE.worthwhile) if looks.watch else None
    design = slow.design(
        looks.tasks,
        helps=low,
        too_little=high,
        worthwhile=RULE.worthwhile,
        threshold=level,
        futility=looks.futility,
        planned_shares=slow.shares(RULE.worthwhile, looks.discordance),
        shape=looks.shape,
    )

    @cache
    def stops(tasks):
        found = {}
        if level is not None:
            found["missed"] = slow.log_wealths(tasks, gain, "less", slow.WATCH) >= level
        if tasks in looks.tasks:
            z, factor = slow.scores(tasks, gain), slow.factor(tasks, looks.planned, looks.shape)
            found["missed"] = found.get("missed", False) | (z >= low * factor) | (-z >= high * factor)
        return {**found, **design(tasks)}

    return [slow.chance(slow.forward(looks.planned, *slow.shares(gain, psi), stops), "missed") for psi in discordances]


@pytest.mark.slow
@pytest.mark.parametrize("looks", [LOOKS, Looks(tasks=(50, 100)), Looks(watch=False, futility=0.0)])
def test_the_interval_at_the_stop_covers(looks):
    # At worst .910 without a watch (Δ = .02, ψ = 1) and .928 with one (looks at 50 and 100, Δ = .02, ψ = .05).
    misses = [
        missed
        for gain, psis in (
            (-0.1, (0.35,)),
            (0.0, (0.02, 0.1, 0.35, 0.7)),
            (0.02, (0.02, 0.05, 0.35, 1.0)),
            (0.1, (0.14, 0.35)),
        )
        for missed in missing_probabilities(looks, gain, psis)
    ]
    assert max(misses) <= 0.10
    assert max(misses) > 0.04, "not merely wide"


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("gain", "discordance", "agreement"),
    [
        (0.0, 0.1, 0.0),
        (0.1, 0.14, 0.0),
        (0.0, 0.1, 0.6),
        (0.0, 0.3, 0.6),
        (0.02, 0.2, 0.6),
        (0.1, 0.14, 0.6),
        (-0.15, 0.35, 0.6),
    ],
)
def test_the_interval_at_the_stop_covers_with_several_seeds(gain, discordance, agreement):
    rng = np.random.default_rng([47, int(100 * discordance), int(10 * agreement)])
    effects = many.draw_effects(
        rng, pilots=PILOTS, tasks=200, seeds=3, gain=gain, discordance=discordance, agreement=agreement
    )
    course = many.run(effects, LOOKS, RULE)
    assert many.missed(effects, course, LOOKS, RULE, gain).mean() <= at_most(0.10)


@pytest.mark.statistical
@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize(("gain", "discordance"), [(0.0, 0.2), (0.1, 0.14), (-0.25, 0.35)])
def test_the_confidence_sequence_covers_all_the_way(gain, discordance, seeds):
    rng = np.random.default_rng([53, seeds, int(100 * discordance)])
    effects = many.draw_effects(
        rng, pilots=PILOTS, tasks=200, seeds=seeds, gain=gain, discordance=discordance, agreement=0.4
    )[:, 0]
    # A bound of level .90 lies beyond the gain exactly where a process against the gain has reached 20.
    missed, bets = np.zeros(PILOTS, dtype=bool), bets_on(several_seeds=seeds > 1)
    for alternative in ("greater", "less"):
        missed |= many.watched(effects, gain, alternative, bets).max(axis=1) >= np.log(20)
    assert missed.mean() <= at_most(0.10)
    for pilot in range(20):
        course = confidence_sequence(effects[pilot].mean(axis=1), several_seeds=seeds > 1)
        assert missed[pilot] == (not course.low[-1] <= gain <= course.high[-1])
