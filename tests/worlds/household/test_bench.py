import asyncio
import dataclasses
import math
import os
from itertools import pairwise

import msgspec
import pytest

from forbear.analysis.bench import benched, selection_name
from forbear.analysis.evidence import evidence_of
from forbear.analysis.selection import best_of, runs_to_choose_from
from forbear.contracts.critic import Score
from forbear.errors import InvalidInput
from forbear.interventions.append import Append
from forbear.policy.policy import InterventionPolicy, critic_name
from forbear.records.journal import Journal
from forbear.report.sections import forks
from forbear.runner.benchmark import ARMS
from forbear.runner.pilot import run_pilot
from forbear.runner.plan import freeze
from forbear.worlds.household.bench import BLIND_RATES, bench_plan, measured_rates
from forbear.worlds.household.pilot import critic
from forbear.worlds.household.players import PLAYERS


@dataclasses.dataclass(frozen=True)
class ByLength:
    """Expects failure of long runs; `sign` −1: of short ones; 0: says the same of all."""

    sign: int

    async def score(self, trajectory, proposed, *, draw):
        return Score(1 / (1 + math.exp(-self.sign * len(trajectory.steps) / 2)))

    def config(self):
        return {"name": "by-length", "sign": self.sign}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """A bench of the restarter in which the critics of length watch as well."""
    plan = bench_plan("restarter", arms=("c-rollback", "restart", "rerun"), tasks=14)
    arms = [
        dataclasses.replace(
            plan.arms[1],
            name=f"length{sign}",
            policy=InterventionPolicy(critic=ByLength(sign), intervention=Append(), threshold=1.0),
        )
        for sign in (-1, 0, 1)
    ]
    plan = dataclasses.replace(plan, arms=[*plan.arms, *arms])
    return asyncio.run(run_pilot(plan, Journal(tmp_path_factory.mktemp("bench"))))


@pytest.mark.slow
@pytest.mark.parametrize("sign", [-1, 0, 1])
def test_the_critic_takes_the_run_that_it_likes_better_and_the_first_of_two_alike(found, sign):
    chosen = best_of(found, ByLength(sign))[2].outcomes
    plan = found.plan
    for task, first, taken in zip(plan.tasks, chosen.baseline, chosen.treated, strict=True):
        for seed, before, after in zip(plan.seeds, first, taken, strict=True):
            runs = [found.episodes[task.id, seed, arm] for arm in ("baseline", "rerun")]
            assert before is runs[0].success
            lengths = [sign * len(run.steps) for run in runs]
            assert after is runs[lengths[1] < lengths[0]].success


@pytest.mark.slow
def test_no_choice_gains_more_than_the_one_that_knows(found):
    judge = critic(player="restarter")
    selection = best_of(found, judge)[2]
    cells = [(found.episodes[k].success, found.episodes[k[0], k[1], "rerun"].success) for k in keys(found, "baseline")]
    won = [sum(cell) for cell in zip(*cells, strict=True)]
    assert selection.contested == sum(a != b for a, b in cells)
    assert selection.oracle_gain == pytest.approx((sum(a or b for a, b in cells) - won[0]) / len(cells))
    assert selection.chance_gain == pytest.approx((won[1] - won[0]) / 2 / len(cells))
    assert selection.outcomes.success_gain <= selection.oracle_gain


def keys(found, arm):
    return [key for key in found.episodes if key[2] == arm]


@pytest.mark.slow
def test_a_row_counts_what_the_episodes_say(found):
    judge = critic(player="restarter")
    selections = {critic_name(judge): best_of(found, judge, sizes=(2, 3, 4))}
    table = benched("restarter", found, evidence_of(found), selections=selections)
    assert [row.arm for row in table.rows] == [*found.plan.treated, *map(selection_name, (2, 3, 4))]
    rows = {row.arm: row for row in table.rows}
    for arm in ("c-rollback", "restart"):
        row, episodes = rows[arm], [found.episodes[key] for key in keys(found, arm)]
        before = [found.episodes[key[0], key[1], "baseline"] for key in keys(found, arm)]
        lost = [b for a, b in zip(before, episodes, strict=True) if a.success and not b.success]
        assert row.kind == "candidate"
        assert row.verdict.disrupted == len(lost)
        early = [episode.first_intervention < 2 for episode in lost if episode.first_intervention is not None]
        assert row.early_disruptions == (pytest.approx(sum(early) / len(early)) if early else None)
        assert row.success.value == pytest.approx(sum(b.success for b in episodes) / len(episodes))
        assert row.interventions == pytest.approx(sum(e.interventions for e in episodes) / len(episodes))
        assert row.calls == pytest.approx(sum(e.usage.agent.calls for e in episodes) / len(episodes))
        for size, one in selections[row.critic].items():
            share = min(1.0, max(0.0, row.calls - table.calls) / one.calls)
            assert row.selection_gains[f"best-of-{size}"] == pytest.approx(share * one.outcomes.success_gain)
    assert rows["restart"].interventions <= 1
    assert rows["rerun"].kind == "control"
    assert rows["rerun"].auroc is None
    two, four = rows["best-of-2"], rows["best-of-4"]
    assert two.kind == four.kind == "selection"
    assert two.auroc == rows["c-rollback"].auroc
    assert two.calls == pytest.approx(table.calls + rows["rerun"].calls)
    # Of two seeds, four runs are all that there are.
    assert four.calls == pytest.approx(2 * two.calls)
    assert four.selection_gains["best-of-2"] == pytest.approx(selections[two.critic][2].outcomes.success_gain)


@pytest.mark.slow
def test_changed_runs_show_what_the_arm_s_own_critic_said(found):
    critic_of = {arm: found.plan.arms[arm].critic for arm in ("c-rollback", "restart")}
    said = {
        proposal.p_fail.get(critic)
        for arm, critic in critic_of.items()
        for key in keys(found, arm)
        for step in found.episodes[key].steps
        for proposal in step.proposals
    }
    dropped = [
        one
        for arm in critic_of
        for fork in forks.view(arm, found)[0]
        for step in fork["treated"]["steps"]
        for one in step["dropped"]
    ]
    assert dropped
    # A critic of length watches as well, and soon says more.
    assert all(one["p_fail"] in said and one["p_fail"] > 0.6 for one in dropped)


@dataclasses.dataclass(frozen=True)
class Knowing:
    """Says what a pilot's runs came to, by all that was done in them; of other prefixes it knows nothing."""

    known: dict

    async def score(self, trajectory, proposed, *, draw):
        done = (*(step.executed.text for step in trajectory.steps[:-1]), proposed.text)
        return Score(self.known.get((trajectory.task.id, done), 0.5))

    def config(self):
        return {"name": "knowing"}


def knowing(found):
    """A critic that knows the outcomes, and the pilot as it would be if it had watched."""
    known, episodes = {}, {}
    for key in [*keys(found, "baseline"), *keys(found, "rerun")]:
        episode = found.episodes[key]
        last = episode.steps[-1]
        p_fail = 0.0 if episode.success else 1.0
        known[key[0], tuple(step.executed.text for step in episode.steps)] = p_fail
        proposals = (msgspec.structs.replace(last.proposals[-1], p_fail={critic_name(Knowing(known)): p_fail}),)
        steps = (*episode.steps[:-1], msgspec.structs.replace(last, proposals=proposals))
        episodes[key] = msgspec.structs.replace(episode, steps=steps)
    return Knowing(known), dataclasses.replace(found, episodes=episodes)


@pytest.mark.slow
def test_of_more_runs_the_critic_takes_the_one_that_it_likes_best(found):
    """Against an enumeration by itself: all runs of a task, turned to begin with the seed's own baseline."""
    for sign in (-1, 0, 1):
        for size, selection in best_of(found, ByLength(sign), sizes=(3, 4)).items():
            for task, taken in zip(found.plan.tasks, selection.outcomes.treated, strict=True):
                runs = [found.episodes[task.id, s, arm] for s in found.plan.seeds for arm in ("baseline", "rerun")]
                for number, after in enumerate(taken):
                    turned = [runs[(2 * number + k) % 4] for k in range(size)]
                    assert after is min(turned, key=lambda run: sign * len(run.steps)).success


@pytest.mark.slow
def test_a_critic_that_knows_gains_what_can_be_gained_and_more_runs_never_take_from_it(found):
    judge, watched = knowing(found)
    gains = []
    for size, selection in best_of(watched, judge, sizes=(2, 3, 4)).items():
        assert selection.size == size
        assert selection.outcomes.success_gain == pytest.approx(selection.oracle_gain)
        assert selection.oracle_gain >= selection.chance_gain
        gains.append(selection.oracle_gain)
    assert gains == sorted(gains)
    assert best_of(found, ByLength(0), sizes=(4,))[4].outcomes.success_gain == 0
    # Of all runs of a task the best one wins where any does: counted from the outcomes alone.
    any_won = [
        any(found.episodes[task.id, seed, arm].success for seed in found.plan.seeds for arm in ("baseline", "rerun"))
        for task in found.plan.tasks
    ]
    alone = [found.episodes[key].success for key in keys(found, "baseline")]
    assert gains[-1] == pytest.approx(sum(any_won) / len(any_won) - sum(alone) / len(alone))


@pytest.mark.slow
def test_without_a_rerun_the_runs_of_other_seeds_are_chosen_from(found):
    bare = dataclasses.replace(found, arms={name: arm for name, arm in found.arms.items() if name != "rerun"})
    assert (runs_to_choose_from(found), runs_to_choose_from(bare)) == (4, 2)
    selection = best_of(bare, ByLength(1))[2]
    for task, taken in zip(found.plan.tasks, selection.outcomes.treated, strict=True):
        runs = [found.episodes[task.id, seed, "baseline"] for seed in found.plan.seeds]
        assert taken == tuple(min(order, key=lambda run: len(run.steps)).success for order in (runs, runs[::-1]))
    for sizes in ((3,), (1,), ()):
        with pytest.raises(InvalidInput, match="2 of the agent's own runs"):
            best_of(bare, ByLength(1), sizes=sizes)


def test_every_player_has_every_arm_and_blind_ones_fire_as_often_as_was_measured():
    for player in PLAYERS:
        frozen = freeze(bench_plan(player, tasks=3))
        assert [arm.name for arm in frozen.arms] == ["baseline", *ARMS]
        assert frozen.looks.tasks == (3,)
        assert not frozen.looks.watch
        assert frozen.record.candidates == ["u-rollback", "c-rollback", "u-append", "c-append", "charged", "restart"]
        assert frozen.record.blind_to("c-append") == "blind-append"
        assert all(0 <= rate <= 1 for rates in BLIND_RATES[player].values() for rate in rates)


def test_more_tasks_begin_with_the_same_ones():
    short, long = (bench_plan("heed", arms=["rerun"], tasks=n).tasks for n in (4, 9))
    assert list(long[:4]) == list(short)
    assert all(a.id != b.id for a, b in pairwise(long))


@pytest.mark.slow
@pytest.mark.skipif(os.environ.get("FORBEAR_RETRAIN") != "all", reason="seconds for what changes with weights only")
def test_the_measured_rates_come_out_again():
    assert measured_rates("doubter") == BLIND_RATES["doubter"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"arms": ["append"]}, "among u-rollback"),
        ({"arms": []}, "got none"),
        ({"arms": ["blind-append"]}, "add 'c-append'"),
        ({"tasks": 0}, "at least 1 task"),
    ],
)
def test_what_cannot_be_run_is_refused(options, message):
    with pytest.raises(InvalidInput, match=message):
        bench_plan("heed", **options)
    with pytest.raises(InvalidInput, match="heed, novice"):
        bench_plan("nobody")
