"""When arms end, whatever the order, the speed and the number of the runs."""

import asyncio
import itertools
import json
from dataclasses import replace

import pytest
from msgspec.structs import replace as changed

from forbear.analysis.evidence import evidence_of
from forbear.analysis.monitor import Monitor, monitor_of
from forbear.analysis.result import analyse
from forbear.errors import InvalidInput, ProviderError
from forbear.interventions import Append, Placebo
from forbear.policy.arm import Arm
from forbear.policy.policy import InterventionPolicy
from forbear.records.codec import ArmEnd
from forbear.records.journal import Journal, JournalContent
from forbear.records.model import Task
from forbear.runner.plan import freeze
from forbear.stats.decision import decide
from forbear.stats.looks.looks import Looks
from forbear.stats.looks.sequential import sequential_outcomes, unit_differences
from forbear.stats.rule import DecisionRule
from forbear.stats.verdict import Recommendation
from forbear.testing import CoinFlipAgent, Corridor, WordCritic
from runner.pilots import POLICY, digest, order, plan, run, tasks, with_

ALWAYS = InterventionPolicy(critic=WordCritic({}, otherwise=0.9), intervention=Append())
LOOKS = Looks(tasks=(20, 40, 60))


def warned(**weights):
    """An agent that mostly succeeds by itself, and does something else once it was told."""
    return lambda: CoinFlipAgent({"open": 5, "wait": 1, "jump": 0.5}, warned=weights)


HARMED, HELPED, DEAF = warned(jump=1), warned(open=1), warned(open=5, wait=1, jump=0.5)


def pilot(agent, *, n=60, arms=(("append", ALWAYS),), looks=LOOKS, **options):
    return plan(
        [Arm.baseline(), *(Arm(name, policy) for name, policy in arms)], n=n, agent=agent, looks=looks, **options
    )


def stops_of(result):
    return {arm: (stop.tasks, stop.reason) for arm, stop in result.monitor.ends.items()}


# Stops --------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_harm_ends_an_arm_between_looks_and_what_lies_beyond_is_listed_not_used(tmp_path):
    result = run(pilot(HARMED), tmp_path / "j", concurrency=8)
    ((tasks_used, reason),) = stops_of(result).values()
    assert reason == "watch"
    assert tasks_used < 20
    assert {key[0] for key in result.episodes} == set(order(pilot(HARMED))[:tasks_used])
    assert result.unused
    assert {key[0] for key in result.unused}.isdisjoint(key[0] for key in result.episodes)
    written = Journal(tmp_path / "j").read()
    assert written.episodes.keys() == result.episodes.keys() | result.unused.keys()
    verdict = evidence_of(result).verdicts["append"]
    assert verdict.recommendation is Recommendation.FORBEAR
    assert verdict.tasks == tasks_used
    assert verdict.look.stopped == "watch"
    assert verdict.success_gain.high < 0.02


def test_a_gain_ends_the_pilot_at_the_first_look_that_shows_it(tmp_path):
    weak = lambda: CoinFlipAgent({"open": 1, "wait": 1, "jump": 0.7}, warned={"open": 1})  # noqa: E731
    result = run(pilot(weak), tmp_path / "j", concurrency=8)
    assert stops_of(result) == {"append": (20, "decided")}
    assert not result.unused  # nothing behind a look is begun before it was taken
    assert len(result.episodes) == 40
    verdict = evidence_of(result).verdicts["append"]
    assert verdict.recommendation is Recommendation.INTERVENE
    assert verdict.look.number == 1
    assert verdict.success_gain.low > 0


def test_what_can_hardly_be_shown_any_more_ends_as_futile(tmp_path):
    result = run(pilot(DEAF, looks=replace(LOOKS, watch=False)), tmp_path / "j")
    assert stops_of(result) == {"append": (40, "futile")}
    verdict = evidence_of(result).verdicts["append"]
    assert verdict.recommendation is Recommendation.UNDECIDED
    assert verdict.futile
    assert "futile" in [remark.code for remark in verdict.reasons]
    whole = run(pilot(DEAF, looks=replace(LOOKS, futility=0.0)), tmp_path / "whole")
    assert stops_of(whole) == {"append": (60, "last look")}


@pytest.mark.slow
def test_an_arm_that_is_over_runs_no_more_and_stays_in_the_family(tmp_path):
    arms = (("append", ALWAYS), ("other", POLICY), ("placebo", with_(Placebo())))
    looks = replace(LOOKS, futility=0.0)
    result = run(pilot(HARMED, arms=arms, looks=looks), tmp_path / "j", concurrency=1)
    stops = stops_of(result)
    assert stops["append"][1] == "watch"
    last = stops["other"][0]
    assert last > stops["append"][0]
    assert stops["placebo"] == (last, "with the others")
    assert result.arms["append"].episodes == stops["append"][0]
    assert result.arms["baseline"].episodes == last
    found = evidence_of(result).verdicts
    assert "Holm over 2 arms" in found["other"].method
    assert found["append"].tasks == stops["append"][0]
    assert found["append"].unpaired == {"baseline": 0, "append": 0}  # compared on its own tasks


# What decides nothing -----------------------------------------------------------------------------------------------


def slow_where_it_gains(agent, *, quick):
    """Runs that gain finish first (or last): completion order would see only those."""

    class Timed(Corridor):
        def __init__(self):
            super().__init__(doors=4, slip=0.2)
            self._told = 0

        async def step(self, action, *, draw):
            answer = await super().step(action, draw=draw)
            if answer.done:
                await asyncio.sleep(0.0 if answer.success is quick else 0.02)
            return answer

    return {"agent": agent, "environment": Timed}


@pytest.mark.parametrize(
    ("agent", "quick"),
    [
        pytest.param(HARMED, True, id="harmed, gains first"),
        pytest.param(HARMED, False, id="harmed, gains last", marks=pytest.mark.slow),
        pytest.param(HELPED, True, id="helped, gains first", marks=pytest.mark.slow),
        pytest.param(HELPED, False, id="helped, gains last", marks=pytest.mark.slow),
        pytest.param(DEAF, True, id="deaf, gains first", marks=pytest.mark.slow),
        pytest.param(DEAF, False, id="deaf, gains last", marks=pytest.mark.slow),
    ],
)
def test_completion_order_changes_nothing(tmp_path, agent, quick):
    timed = slow_where_it_gains(agent, quick=quick)
    one = run(pilot(**timed), tmp_path / "one", concurrency=1)
    many = run(pilot(**timed), tmp_path / "many", concurrency=50)
    assert stops_of(one) == stops_of(many)
    verdicts = [evidence_of(result).verdicts["append"].to_dict() for result in (one, many)]
    assert verdicts[0] == verdicts[1]
    assert digest(tmp_path / "one") == digest(tmp_path / "many")


@pytest.mark.slow
def test_decisions_are_found_again_after_every_line(tmp_path):
    looks = Looks(tasks=(8, 16), gain=0.1)
    made = pilot(HARMED, n=16, looks=looks, arms=(("append", ALWAYS), ("placebo", with_(Placebo()))))
    whole = run(made, tmp_path / "whole", concurrency=1)
    assert stops_of(whole)["append"][0] < 16
    lines = (tmp_path / "whole" / "episodes.jsonl").read_bytes().splitlines(keepends=True)
    for k in range(len(lines)):
        directory = tmp_path / str(k)
        directory.mkdir()
        (directory / "plan.json").write_bytes((tmp_path / "whole" / "plan.json").read_bytes())
        (directory / "episodes.jsonl").write_bytes(b"".join(lines[:k]))
        again = run(made, directory, concurrency=3)
        assert stops_of(again) == stops_of(whole)
        assert digest(directory) == digest(tmp_path / "whole")
    announced = []
    run(made, tmp_path / "whole", on_episode=announced.append)
    assert announced == []


def test_a_stop_in_the_journal_is_final(tmp_path):
    made = pilot(HARMED)
    whole = run(made, tmp_path / "j")
    content = Journal(tmp_path / "j").read()
    assert content.ends["append"] == whole.monitor.ends["append"]
    # A later version that would not stop it still ends the arm where it was ended.
    calm = Monitor(
        changed(freeze(made).record, looks=replace(LOOKS, watch=False)),
        lambda key: content.episodes[key].success,
        ends=content.ends,
    )
    calm.advance()
    assert calm.ends["append"] == whole.monitor.ends["append"]


@pytest.mark.parametrize(
    ("arm", "count"), [("append", 0), ("append", 61), ("append", 10**9), ("baseline", 1), ("other", 1)]
)
def test_an_end_that_cannot_be_is_refused(arm, count):
    record = freeze(pilot(HARMED)).record
    end = ArmEnd(arm=arm, tasks=count, reason="watch")
    for use in (monitor_of, analyse):
        with pytest.raises(InvalidInput, match=f"arm '{arm}' ended after {count} tasks; the plan has no such"):
            use(record, JournalContent(plan=record.to_dict(), ends={arm: end}))


def test_a_task_that_an_outage_broke_holds_its_place(tmp_path):
    held = order(pilot(HARMED))[2]

    class Flaky(Corridor):
        left = 1

        def __init__(self):
            super().__init__(doors=4, slip=0.2)

        async def reset(self, task, *, draw):
            if task.id == held and Flaky.left:
                Flaky.left -= 1
                raise ProviderError("connection reset")
            return await super().reset(task, draw=draw)

    calm = run(pilot(HARMED, environment=lambda: Corridor(doors=4, slip=0.2)), tmp_path / "calm")
    stormy = run(pilot(HARMED, environment=Flaky), tmp_path / "stormy", concurrency=1)
    assert stops_of(calm) == stops_of(stormy)
    # The evidence waited for the broken task, so the whole block before the first look was run.
    assert len(stormy.unused) > len(calm.unused)
    assert digest(tmp_path / "calm") == digest(tmp_path / "stormy")


def test_a_pair_without_outcome_holds_its_place_and_is_counted(tmp_path):
    held = order(pilot(HELPED, n=20, looks=None))[4]

    class Broken(Corridor):
        def __init__(self):
            super().__init__(doors=4, slip=0.2)

        async def reset(self, task, *, draw):
            if task.id == held:
                raise ProviderError("gone")
            return await super().reset(task, draw=draw)

    looks = Looks(tasks=(10, 20), watch=False, futility=0.0)
    result = run(pilot(HELPED, n=20, looks=looks, environment=Broken), tmp_path / "j", retries=0)
    assert result.monitor.tasks == 20
    verdict = evidence_of(result).verdicts["append"]
    assert verdict.pairs == 19
    assert [code for code in (r.code for r in verdict.cautions) if code.startswith("missing_outcomes")]


class Switched(Corridor):
    """A world that is there, or is not."""

    is_down = False
    until = 10**9

    def __init__(self):
        super().__init__(doors=4, slip=0.2)

    async def reset(self, task, *, draw):
        Switched.until -= 1
        if Switched.is_down or Switched.until < 0:
            raise ProviderError("down")
        return await super().reset(task, draw=draw)


@pytest.mark.slow
@pytest.mark.parametrize("before", [0, 3, 18])
def test_an_outage_that_outlasts_several_starts_loses_nothing(tmp_path, before):
    made = pilot(DEAF, environment=Switched, looks=replace(LOOKS, futility=0.0, watch=False))
    Switched.is_down, Switched.until = False, 10**9
    run(made, tmp_path / "calm")
    Switched.until = before
    for _ in range(5):
        with pytest.raises(ProviderError, match="lost nothing"):
            run(made, tmp_path / "stormy", concurrency=4, outage_after=6)
    assert not Journal(tmp_path / "stormy").read().missing
    Switched.until = 10**9
    result = run(made, tmp_path / "stormy", concurrency=4)
    assert not result.missing
    assert digest(tmp_path / "stormy") == digest(tmp_path / "calm")


@pytest.mark.slow
def test_what_breaks_last_of_all_may_be_an_outage_and_is_tried_by_the_next_process(tmp_path):
    """Three tasks may be one; a single task whose world always breaks is none, though nothing is tried in between."""
    last = order(pilot(DEAF, n=20, looks=None))

    class Broken(Corridor):
        gone: tuple[str, ...] = ()

        def __init__(self):
            super().__init__(doors=4, slip=0.2)

        async def reset(self, task, *, draw):
            if task.id in self.gone:
                raise ProviderError("gone")
            return await super().reset(task, draw=draw)

    made = pilot(DEAF, n=20, looks=Looks(tasks=(20,), watch=False), environment=Broken)
    Broken.gone = tuple(last[-3:])
    with pytest.raises(ProviderError, match="run the same again"):
        run(made, tmp_path / "three", concurrency=1)
    assert {key[0] for key in run(made, tmp_path / "three").missing} == set(last[-3:])
    Broken.gone = (last[-1],)
    assert {key[0] for key in run(made, tmp_path / "one", concurrency=1).missing} == {last[-1]}


@pytest.mark.slow
def test_looks_without_a_single_pair_are_no_looks():
    known = [[True]] * 12
    observed, missing = sequential_outcomes(
        baseline=[[None]] * 5 + known, treated=[[None]] * 5 + [[False]] * 12, looks=Looks(tasks=(5, 50))
    )
    verdict = decide(observed, missing=missing)
    assert (verdict.recommendation, verdict.look.stopped) == (Recommendation.FORBEAR, "watch")


# Looks taken one by one ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("missing", "ended"), [("exclude", True), ("excess", False), ("worst", False)])
def test_runs_that_an_arm_lost_keep_a_look_from_ending_it(missing, ended):
    looks = Looks(tasks=(20, 40, 60), watch=False, futility=0.0)
    record = freeze(pilot(HELPED, looks=looks, rule=DecisionRule(missing=missing))).record

    def success(key):
        # Of the first twenty tasks ten are recovered, and ten treated runs are lost where the baseline succeeded.
        place = order_of[key[0]]
        if place >= 20:
            raise KeyError(key)  # not over
        if key[2] == "append":
            return True if place < 10 else None
        return place >= 10

    order_of = {task.id: place for place, task in enumerate(record.tasks)}
    monitor = Monitor(record, success)
    monitor.advance()
    assert monitor.tasks == 20
    assert ("append" in monitor.ends) == ended


@pytest.mark.slow
def test_a_pilot_can_be_paid_for_look_by_look(tmp_path):
    made = pilot(DEAF, looks=replace(LOOKS, futility=0.0))
    first = run(made, tmp_path / "j", until_look=1)
    assert (first.monitor.tasks, first.monitor.over, first.monitor.looks_taken) == (20, False, 1)
    assert evidence_of(first).verdicts["append"].look.next == 40
    assert evidence_of(first).verdicts["append"].look.stopped is None
    monitor = monitor_of(freeze(made).record, Journal(tmp_path / "j").read())
    assert (monitor.tasks, monitor.looks_taken, monitor.counted("append")) == (20, 1, 20)
    second = run(made, tmp_path / "j", until_look=2)
    assert second.monitor.tasks == 40
    run(made, tmp_path / "j")
    run(made, tmp_path / "whole")
    assert digest(tmp_path / "j") == digest(tmp_path / "whole")


def test_looks_that_do_not_exist_are_refused(tmp_path):
    for look in (0, 4):
        with pytest.raises(InvalidInput, match="declares 3 looks"):
            run(pilot(DEAF), tmp_path / "j", until_look=look)


# The plan -----------------------------------------------------------------------------------------------------------


def test_the_default_looks_are_quarters_of_at_least_fifty_tasks():
    found = {n: freeze(plan(n=n)).looks.tasks for n in (1, 8, 50, 60, 100, 130, 200, 400)}
    assert found == {
        1: (1,),
        8: (8,),
        50: (50,),
        60: (60,),
        100: (50, 100),
        130: (50, 100, 130),
        200: (50, 100, 150, 200),
        400: (100, 200, 300, 400),
    }


def test_the_last_look_is_at_all_tasks():
    with pytest.raises(InvalidInput, match="the last look is at 50 tasks, the plan has 60"):
        plan(n=60, looks=[20, 50])
    with pytest.raises(InvalidInput, match="looks must rise"):
        plan(n=60, looks=[60, 60])


def test_the_order_is_random_planned_and_does_not_depend_on_the_file():
    given = order(plan(n=40))
    assert sorted(given) == [task.id for task in tasks(40)] != given
    assert order(plan(tasks=tasks(40)[::-1])) == given
    assert order(plan(n=40, order_seed=1)) != given
    # A task's neighbours do not depend on what else is planned.
    fewer = order(plan(n=30))
    assert fewer == [task for task in given if task in set(fewer)]


def test_clusters_stay_in_one_piece_and_looks_see_enough_of_them():
    grouped = [Task(id=f"t{i:03}", cluster=f"c{i % 20}") for i in range(200)]
    frozen = freeze(plan(tasks=grouped))
    clusters = [task.cluster for task in frozen.plan.tasks]
    assert sum(a != b for a, b in itertools.pairwise(clusters)) == 19
    assert frozen.looks.tasks == (100, 150, 200)
    with pytest.raises(InvalidInput, match="10 clusters"):
        plan(tasks=grouped, looks=[50, 200])


def test_the_plan_records_looks_and_order(tmp_path):
    made = pilot(DEAF)
    run(made, tmp_path / "j", until_look=1)
    record = json.loads((tmp_path / "j" / "plan.json").read_text())
    assert record["looks"]["tasks"] == [20, 40, 60]
    assert [task for task, _, _ in record["baseline"]["tasks"]] == order(made)


# Units of the watch -------------------------------------------------------------------------------------------------


def test_differences_of_seeds_and_clusters():
    before, after = [[True, True], [False, None], [False, False]], [[False, True], [True, True], [None, None]]
    differences, weights = unit_differences(before, after, None)
    assert differences[:2].tolist() == [-0.5, 1.0]
    assert weights.tolist() == [1.0, 0.5, 1.0]
    assert str(differences[2]) == "nan"
    one = [[True]] * 3, [[False], [True], [False]]
    differences, weights = unit_differences(*one, ["a", "a", "b", "b"])
    assert [str(x) for x in differences] == ["nan", "-0.5", "nan"]  # cluster b is not over
    assert weights.tolist() == [1.0, 1.0, 1.0]


def test_several_seeds_are_watched_too(tmp_path):
    result = run(pilot(HARMED, seeds=[1, 2, 3]), tmp_path / "j", concurrency=4)
    ((tasks_used, reason),) = stops_of(result).values()
    assert reason == "watch"
    assert tasks_used < 20
    verdict = evidence_of(result).verdicts["append"]
    assert verdict.recommendation is Recommendation.FORBEAR
    assert (verdict.tasks, verdict.pairs) == (tasks_used, 3 * tasks_used)


def test_a_rule_without_arms_to_deploy_runs_to_the_end(tmp_path):
    made = plan([Arm.baseline(), Arm("placebo", with_(Placebo()))], n=12, looks=[4, 12], rule=DecisionRule())
    result = run(made, tmp_path / "j")
    assert result.monitor.tasks == 12
    assert result.arms["placebo"].episodes == 12
