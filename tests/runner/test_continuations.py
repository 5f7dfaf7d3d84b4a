"""Several continuations of a task: one prefix, paid for once; behind the fork each is a run like any other."""

import asyncio
import dataclasses
import math
import signal
import subprocess
import sys

import pytest

from forbear.analysis.evidence import evidence_of
from forbear.cli.main import run as forbear
from forbear.contracts.draw import derived_seed
from forbear.critics.blind import blind_arm
from forbear.errors import InvalidInput, ProviderError
from forbear.interventions import Append, Rollback, Stop
from forbear.policy.arm import Arm
from forbear.records.codec import episode_key
from forbear.records.journal import Journal
from forbear.records.model import Origin
from forbear.runner.cell import Fork
from forbear.runner.episode import run_episode
from forbear.runner.memo import Memo
from forbear.runner.plan import freeze
from forbear.runner.row import first_due
from forbear.testing import Corridor, WordCritic
from runner.parts import Undoable
from runner.pilots import agent, arms_of, corridor, digest, plan, run, with_
from runner.test_coupling import behaviour

EARLY = WordCritic({"jump": 0.9, "back": 0.7})
"""Its flags end no run by themselves, so that a baseline goes on from them in more than one way."""


def arm(name, intervention, **options):
    return Arm(name, with_(intervention, critic=EARLY, **options))


ROLLBACK = arm("rollback", Rollback())
ARMS = [
    Arm.baseline(),
    ROLLBACK,
    arm("append", Append(), min_step=1),
    arm("deep", Rollback(depth=3, message="not {action}", exclude=True), min_step=2),
    arm("stop", Stop(), threshold=0.8),
    blind_arm(ROLLBACK, rates=[0.2, 0.1]),
]
FEW = [Arm.baseline(), ROLLBACK, ARMS[-1]]
K = 3
RUNS = (42, 43, 44)


def continued(n=12, arms=ARMS, **options):
    return plan(arms, n=n, continuations=K, **options)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return run(continued(), tmp_path_factory.mktemp("continued"))


def forks_of(described, result):
    """By task, the step at which its runs part; None where they do not."""
    frozen = freeze(described)
    return {task.id: first_due(frozen, result.episodes[task.id, 42, "baseline"]) for task in frozen.plan.tasks}


def test_draws_part_behind_the_fork_and_nowhere_else():
    fork = Fork(step=2, seed=7)
    before = [("reset", 0, 0), ("environment", 1, 0), ("agent", 2, 0), ("critic:x", 2, 0), ("critic:x#1", 1, 0)]
    behind = [("environment", 2, 0), ("intervention:rollback", 2, 0), ("agent", 3, 0), ("agent", 0, 1), ("agent", 2, 1)]
    for places, expected in ((before, False), (behind, True)):
        for role, step_index, attempt in places:
            assert fork.is_behind(role, step_index=step_index, attempt=attempt) is expected


def test_the_first_run_is_the_pilot_without_continuations(found, tmp_path):
    alone = run(plan(ARMS, n=12), tmp_path)
    assert alone.episodes
    for key, episode in alone.episodes.items():
        assert behaviour(found.episodes[key]) == behaviour(episode)


def test_runs_have_their_first_steps_in_common_and_part_at_the_fork(found):
    forks, parted = forks_of(continued(), found), 0
    assert None in forks.values()
    assert len({step for step in forks.values() if step is not None}) > 2
    for task, step in forks.items():
        runs = [found.episodes[task, seed, "baseline"] for seed in RUNS]
        if step is None:
            assert all((one.steps, one.success) == (runs[0].steps, runs[0].success) for one in runs)
            continue
        for one in runs[1:]:
            assert one.steps[:step] == runs[0].steps[:step]
            assert one.steps[step].proposals == runs[0].steps[step].proposals
            assert one.origin is not None
            assert one.origin.seed == 42
        parted += any(one.steps != runs[0].steps for one in runs)
    assert parted > 3


def test_a_prefix_is_paid_for_once_and_what_is_not_continued_altogether(found):
    for task, step in forks_of(continued(), found).items():
        for seed in RUNS[1:]:
            for arm, episode in arms_of(found, task, seed).items():
                usage = episode.usage
                if step is None:
                    assert (usage.agent.paid.calls, usage.critic.paid.calls) == (0, 0)
                    assert usage.agent.calls == found.episodes[task, 42, arm].usage.agent.calls
                elif arm == "baseline":
                    assert usage.agent.reused.calls == step + 1
                    assert usage.agent.paid.calls == sum(len(s.proposals) for s in episode.steps) - step - 1
    assert found.bill.calls < K * run_bill(found)


def run_bill(found):
    """What the first runs alone were charged with."""
    return sum(
        role.paid.calls
        for (_, seed, _), episode in found.episodes.items()
        if seed == RUNS[0]
        for role in (episode.usage.agent, episode.usage.critic, episode.usage.feedback)
    )


def test_each_continuation_is_what_it_would_have_been_alone(found):
    described = continued()
    frozen, checked = freeze(described), 0
    by_id = {task.id: task for task in frozen.plan.tasks}
    for task, step in forks_of(described, found).items():
        for number, seed in enumerate(RUNS):
            for arm in frozen.arms if step is not None else ():
                fork = Fork(step=step, seed=derived_seed(42, purpose=f"continuation:{number}"))
                cell = dataclasses.replace(frozen.cell(by_id[task], seed, arm), fork=fork if number else None)
                alone = asyncio.run(run_episode(cell, arm.policy, Memo()))
                assert behaviour(alone) == behaviour(found.episodes[task, seed, arm.name])
                checked += 1
    assert checked > 60


def test_nothing_that_is_found_depends_on_order_concurrency_or_processes(found, tmp_path):
    several = run(continued(n=4), tmp_path / "1", concurrency=5)
    others = run(continued(n=4), tmp_path / "2", workers=2)
    assert digest(tmp_path / "1") == digest(tmp_path / "2")
    assert several.bill.calls == others.bill.calls
    for key, episode in several.episodes.items():
        assert behaviour(episode) == behaviour(found.episodes[key])


def test_a_pilot_stopped_after_the_kth_line_goes_on_for_every_k(tmp_path):
    announced = []
    whole = run(continued(n=2, arms=FEW), tmp_path / "whole", on_episode=announced.append)
    lines = (tmp_path / "whole" / "episodes.jsonl").read_bytes().splitlines(keepends=True)
    assert len(lines) == len(announced) == 2 * K * len(FEW)
    for k in range(len(lines)):
        directory = tmp_path / str(k)
        directory.mkdir()
        (directory / "plan.json").write_bytes((tmp_path / "whole" / "plan.json").read_bytes())
        (directory / "episodes.jsonl").write_bytes(b"".join(lines[:k]))
        again = run(continued(n=2, arms=FEW), directory)
        assert digest(directory) == digest(tmp_path / "whole")
        assert again.bill.calls == whole.bill.calls


def test_a_damaged_journal_loses_what_went_on_from_the_damage_and_nothing_else(tmp_path):
    run(continued(n=3, arms=FEW), tmp_path / "whole")
    lines = (tmp_path / "whole" / "episodes.jsonl").read_bytes().splitlines(keepends=True)
    for k in range(0, len(lines), 4):
        directory = tmp_path / str(k)
        directory.mkdir()
        (directory / "plan.json").write_bytes((tmp_path / "whole" / "plan.json").read_bytes())
        damaged = [*lines[:k], lines[k].replace(b"termination", b"terminatiom"), *lines[k + 1 :]]
        (directory / "episodes.jsonl").write_bytes(b"".join(damaged))
        assert forbear(["journal", "repair", str(directory)]) == 0
        kept = Journal(directory).read().episodes
        assert len(lines) - len(kept) >= 1
        assert {seed for _, seed, _ in kept} == set(RUNS)
        run(continued(n=3, arms=FEW), directory)
        assert digest(directory) == digest(tmp_path / "whole")


KILLED = """
import os, signal, sys
sys.path[:0] = {path!r}
from runner.pilots import run
from runner.test_continuations import FEW, continued

announced = 0

def announce(episode):
    global announced
    announced += 1
    print(episode.task.id, episode.seed, episode.arm, flush=True)
    if announced == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)

run(continued(n=2, arms=FEW), sys.argv[1], on_episode=announce, concurrency=4)
"""


@pytest.mark.slow
def test_a_process_killed_in_the_middle_of_a_continuation_loses_nothing(tmp_path):
    run(continued(n=2, arms=FEW), tmp_path / "whole")
    total = 2 * K * len(FEW)
    for k in (len(FEW) + 2, total - 4):
        directory = tmp_path / str(k)
        killed = subprocess.run(
            [sys.executable, "-c", KILLED.format(path=sys.path), str(directory), str(k)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        before = [tuple(line.split()) for line in killed.stdout.splitlines()]
        after = []
        run(continued(n=2, arms=FEW), directory, on_episode=after.append)
        names = before + [(task, str(seed), arm) for task, seed, arm in map(episode_key, after)]
        assert len(names) == len(set(names)) == total
        assert digest(directory) == digest(tmp_path / "whole")


def flaky(task, *, breaks):
    """A world that breaks so often at a task's first step."""
    left = [breaks]

    class Flaky(Corridor):
        async def reset(self, what, *, draw):
            self.task = what.id
            return await super().reset(what, draw=draw)

        async def step(self, action, *, draw):
            if self.task == task and left[0]:
                left[0] -= 1
                raise ProviderError("connection reset")
            return await super().step(action, draw=draw)

    return lambda: Flaky(doors=4, slip=0.2)


def test_a_first_run_that_breaks_is_tried_again_and_then_continued(found, tmp_path):
    task = next(task for task, step in forks_of(continued(), found).items() if step)
    result = run(continued(environment=flaky(task, breaks=1)), tmp_path, concurrency=1)
    for key, episode in found.episodes.items():
        assert behaviour(result.episodes[key]) == behaviour(episode)


def test_what_has_no_first_run_has_no_continuations(found, tmp_path):
    result = run(continued(environment=flaky("t01", breaks=10**6)), tmp_path)
    assert {key for key in result.missing} == {("t01", seed, arm.name) for seed in RUNS for arm in ARMS}
    assert len(result.episodes) == 11 * K * len(ARMS)
    assert result.missing["t01", 43, "baseline"].reason == "the task's first run has no outcome under 'baseline'"


def test_a_verdict_is_on_task_means_and_each_task_weighs_the_same(found):
    verdict = evidence_of(found).verdicts["rollback"]
    means = []
    for task in found.plan.tasks:
        runs = [(found.episodes[task.id, s, "baseline"], found.episodes[task.id, s, "rollback"]) for s in RUNS]
        means.append(math.fsum(bool(treated.success) - bool(before.success) for before, treated in runs) / K)
    assert verdict.success_gain.value == pytest.approx(math.fsum(means) / len(means))
    assert verdict.tasks == 12
    assert verdict.pairs == 12 * K
    assert "Dirichlet weights over tasks" in verdict.method
    (said,) = (one for one in verdict.cautions if one.code == "continuations")
    forked = sum(step is not None for step in forks_of(continued(), found).values())
    assert said.values == {"continuations": K, "forked": forked, "tasks": 12}


def test_the_journal_names_the_run_that_a_continuation_goes_on_from(tmp_path):
    result = run(continued(n=3), tmp_path)
    content = Journal(tmp_path).read()
    assert content.episodes == {key: content.episodes[key] for key in result.episodes}
    origins = {
        episode.origin for (_, seed, arm), episode in content.episodes.items() if seed > 42 and arm == "baseline"
    }
    assert origins
    assert all(isinstance(origin, Origin) and (origin.arm, origin.seed) == ("baseline", 42) for origin in origins)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"design": "independent"}, "needs a coupled design"),
        ({"seeds": [1, 2]}, "got 2 seeds: give one seed"),
        ({"arms": [*ARMS, Arm.rerun()]}, "rerun arm do not go together"),
        ({"continuations": 0}, "whole number from 1 to 100, got 0"),
        ({"continuations": True}, "whole number from 1 to 100, got True"),
        ({"continuations": 101}, "whole number from 1 to 100, got 101"),
        ({"environment": lambda: Corridor(replay_safe=False)}, "neither be replayed nor restored"),
        ({"environment": Undoable}, "cannot be replayed"),
    ],
)
def test_what_cannot_be_continued_is_refused(options, message):
    with pytest.raises(InvalidInput, match=message):
        freeze(plan(**{"arms": ARMS, "continuations": K, **options}))


def test_an_agent_with_a_memory_of_its_own_is_refused():
    class Remembering(type(agent())):
        def snapshot(self):
            return None

        def restore(self, snapshot):
            return None

    with pytest.raises(InvalidInput, match="has a memory of its own"):
        freeze(continued(agent=lambda: Remembering({"open": 1})))


def test_a_plan_without_continuations_has_the_digest_that_it_always_had():
    record = freeze(plan(ARMS)).record.to_dict()
    assert "continuations" not in record["baseline"]
    assert freeze(continued()).record.to_dict()["baseline"]["continuations"] == K


@pytest.mark.statistical
def test_a_continuation_succeeds_as_often_as_any_run_under_every_arm(tmp_path):
    arms = [Arm.baseline(), ROLLBACK, arm("append", Append()), blind_arm(ROLLBACK, rates=[0.2, 0.1])]
    count = 400
    result = run(plan(arms, n=count, continuations=2, environment=corridor, looks=[count]), tmp_path)
    for one in arms:
        runs = {
            seed: [bool(result.episodes[task.id, seed, one.name].success) for task in result.plan.tasks]
            for seed in (42, 43)
        }
        differences = [second - first for first, second in zip(runs[42], runs[43], strict=True)]
        spread = math.sqrt(sum(d * d for d in differences))
        assert spread > 3
        assert abs(sum(differences)) < 3.3 * spread
