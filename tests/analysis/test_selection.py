"""Choosing among the baseline's own runs: what a critic would have gained, and what nobody can gain more than."""

import itertools

import pytest
from msgspec.structs import replace

from analysis.test_cautions import episode
from analysis.test_plan_record import record
from forbear.analysis.result import analyse
from forbear.analysis.selection import best_of_seeds
from forbear.records.journal import JournalContent
from forbear.records.model import EpisodeUsage, RoleUsage, Usage
from forbear.stats.looks.looks import Looks

CRITIC = "word:1"


def run_of(task, seed, *, success, score):
    """A baseline run whose last proposal the critic scored so; None: it gave no score."""
    made = replace(episode(task, "alone", success=success), seed=seed)
    *steps, last = made.steps
    *proposals, final = last.proposals
    last = replace(last, proposals=(*proposals, replace(final, p_fail={CRITIC: score})))
    usage = EpisodeUsage(agent=RoleUsage(paid=Usage(calls=5)))
    return replace(made, steps=(*steps, last), usage=usage)


def best(tasks, *, seeds=2, **options):
    """Of tasks given by their runs, each its success and last score."""
    names = [f"t{n}" for n in range(len(tasks))]
    plan = record(
        tasks=names,
        looks=Looks(tasks=(len(names),), watch=False, futility=0.0),
        seeds=list(range(seeds)),
        **options,
    )
    content = JournalContent(plan=plan.to_dict())
    for name, runs in zip(names, tasks, strict=True):
        for seed, (success, score) in enumerate(runs):
            content.add(run_of(name, seed, success=success, score=score), where="here")
            for arm in plan.treated:
                content.add(replace(episode(name, arm), seed=seed), where="here")
    return best_of_seeds(analyse(plan, content))


def test_the_run_of_which_failure_is_least_expected_is_taken():
    tasks = [
        *[((False, 0.9), (True, 0.1))] * 6,  # chosen well: a gain of a half each
        *[((False, 0.2), (True, 0.8))] * 2,  # chosen badly: a loss of a half each
        *[((True, 0.5), (True, 0.4))] * 5,
        *[((False, 0.5), (False, 0.4))] * 7,
    ]
    found = best(tasks)
    assert (found.runs, found.tasks, found.calls) == (2, 20, 5)
    assert found.gains[CRITIC].value == pytest.approx((6 * 0.5 - 2 * 0.5) / 20)
    assert found.gains[CRITIC].low < found.gains[CRITIC].value < found.gains[CRITIC].high
    assert found.oracle_gain == pytest.approx(8 * 0.5 / 20)


def test_equal_scores_leave_the_first_run_and_one_without_a_score_is_the_last_resort():
    first = best([((True, 0.4), (False, 0.4))] * 12)
    assert first.gains[CRITIC].value == pytest.approx(0.5)
    scored = best([((True, None), (False, 0.99))] * 12)
    assert scored.gains[CRITIC].value == pytest.approx(-0.5)
    nobody = best([((True, None), (False, None))] * 12)
    assert nobody.gains[CRITIC].value == pytest.approx(0.5)


def test_no_choice_gains_more_than_one_that_knows_the_outcomes():
    """By enumeration of all outcomes of three runs, whatever the scores."""
    scores = list(itertools.permutations((0.1, 0.5, 0.9)))
    tasks = [
        tuple(zip(won, scores[n % 6], strict=True))
        for n, won in enumerate(itertools.product((True, False), repeat=3))
        for _ in range(2)
    ]
    found = best(tasks, seeds=3)
    assert found.oracle_gain == pytest.approx(7 / 8 - 1 / 2)
    assert found.gains[CRITIC].value <= found.oracle_gain
    assert found.calls == 10


def test_one_seed_or_runs_with_a_common_beginning_leave_no_choice():
    assert best([((True, 0.4),)] * 12, seeds=1) is None
    assert best([((True, 0.4), (False, 0.5))] * 12, continuations=2) is None
