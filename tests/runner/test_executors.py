"""Rows in other processes: nothing that is found depends on where they run, and no process is left behind."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial

import pytest

from forbear.errors import InvalidInput, NotReproducible, ProviderError
from forbear.interventions import Append
from forbear.policy.arm import Arm
from forbear.records.journal import Journal
from forbear.records.model import PROCEED, REFUSED, Termination
from forbear.runner.plan import freeze
from forbear.testing import CoinCritic, CoinFlipAgent, Corridor, WordCritic
from runner.parts import (
    Blocking,
    Correct,
    Counted,
    Down,
    Dying,
    Faulty,
    Fickle,
    Rogue,
    RogueCritic,
    RogueIntervention,
    Speechless,
    Talkative,
    Undoable,
)
from runner.pilots import POLICY, WEIGHTS, digest, order, plan, run, with_

ARMS = [Arm.baseline(), Arm("rollback", POLICY), Arm("append", with_(Append())), Arm("correct", with_(Correct()))]


@pytest.fixture(autouse=True)
def no_process_is_left_behind():
    yield
    assert multiprocessing.active_children() == []


def lines_of(directory):
    return (directory / "episodes.jsonl").read_bytes()


def test_another_process_finds_what_this_one_finds(tmp_path):
    announced = []
    one = run(plan(ARMS, n=4), tmp_path / "1")
    two = run(plan(ARMS, n=4), tmp_path / "2", workers=2, on_episode=announced.append)
    assert digest(tmp_path / "2") == digest(tmp_path / "1")
    assert one.arms.keys() == two.arms.keys()
    assert one.arm("rollback").new_agent_calls == two.arm("rollback").new_agent_calls
    assert len(announced) == 4 * len(ARMS)
    assert (tmp_path / "2/plan.json").read_bytes() == (tmp_path / "1/plan.json").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("workers", [2, 3])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"design": "independent"},
        {"environment": Undoable},
        {"seeds": [1, 2]},
        {"looks": [4, 8]},
    ],
    ids=["coupled", "independent", "snapshots", "seeds", "looks"],
)
def test_no_number_of_workers_changes_what_is_found(tmp_path, workers, options):
    run(plan(**options), tmp_path / "1")
    run(plan(**options), tmp_path / "many", workers=workers)
    assert digest(tmp_path / "many") == digest(tmp_path / "1")
    before = lines_of(tmp_path / "many")
    run(plan(**options), tmp_path / "many", workers=workers)
    assert lines_of(tmp_path / "many") == before


@pytest.mark.slow
def test_what_was_begun_here_goes_on_in_other_processes(tmp_path):
    run(plan(ARMS, n=4), tmp_path / "whole")
    lines = lines_of(tmp_path / "whole").splitlines(keepends=True)
    for k in range(1, len(lines), 5):
        directory = tmp_path / f"{k}"
        directory.mkdir()
        (directory / "plan.json").write_bytes((tmp_path / "whole/plan.json").read_bytes())
        (directory / "episodes.jsonl").write_bytes(b"".join(lines[:k]))
        run(plan(ARMS, n=4), directory, workers=2)
        assert digest(directory) == digest(tmp_path / "whole")


# Workers that die -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("killed", [False, True])
def test_a_worker_that_dies_costs_a_retry_of_its_row_and_nothing_else(tmp_path, killed):
    task = order(plan(n=4))[1]
    run(plan(ARMS, n=4), tmp_path / "calm")
    dying = Dying(tmp_path / "marks", task, times=2, killed=killed)
    announced = []
    result = run(plan(ARMS, n=4, environment=dying), tmp_path / "j", workers=2, on_episode=announced.append)
    assert (tmp_path / "marks").read_bytes() == b".."
    assert not result.missing
    assert len(announced) == 4 * len(ARMS)
    assert digest(tmp_path / "j") == digest(tmp_path / "calm")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("killed", "said"),
    [
        (False, "the environment ended its worker process with exit code 3"),
        (True, f"its worker process ended with exit code {-signal.SIGKILL}"),
    ],
)
def test_a_row_that_kills_every_worker_is_given_up_with_the_exit_code(tmp_path, killed, said):
    task = order(plan(n=4))[1]
    dying = Dying(tmp_path / "marks", task, times=99, killed=killed)
    result = run(plan(ARMS, n=4, environment=dying), tmp_path / "j", workers=2, retries=1)
    assert (tmp_path / "marks").read_bytes() == b".."
    # Its baseline jumps out of the first window: that was found and written before the worker died in the next arm.
    assert result.missing.keys() == {(task, 42, arm.name) for arm in ARMS[1:]}
    reasons = {missing.reason for missing in result.missing.values()}
    assert reasons == {said}
    assert (result.arm("baseline").episodes, result.arm("rollback").episodes) == (4, 3)
    again = run(plan(ARMS, n=4, environment=dying), tmp_path / "j")
    assert again == result


@pytest.mark.slow
def test_workers_that_keep_dying_are_an_outage(tmp_path):
    dying = [Dying(tmp_path / "marks", task, times=99) for task in order(plan(n=1))]
    with pytest.raises(
        ProviderError, match=r"3 episodes in a row .* ended its worker process with exit code 3.*run the same again"
    ):
        run(plan(ARMS, n=1, environment=dying[0]), tmp_path / "j", workers=2, outage_after=3)
    assert not Journal(tmp_path / "j").read().missing


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "ends", "cause"),
    [
        ("exits", Termination.AGENT_ERROR, "the agent ended its worker process with exit code 0"),
        ("crashes", Termination.AGENT_ERROR, f"the agent ended its worker process with exit code {-signal.SIGSEGV}"),
        ("leaves_a_child", Termination.AGENT_ERROR, "the agent ended its worker process with exit code 5"),
        ("blocks", Termination.AGENT_TIMEOUT, "the agent gave no answer within 0.5 s and could not be stopped"),
        ("eats", Termination.AGENT_ERROR, "the agent took more than 600 MB of memory (max_memory_mb)"),
        ("cancels", Termination.AGENT_ERROR, "CancelledError: it cancelled the task that it was called in"),
        ("forks", None, None),
    ],
)
def test_what_an_agent_does_to_its_process_is_its_failure_and_nobody_elses(tmp_path, how, ends, cause):
    task = order(plan(n=4))[1]
    arms = [*ARMS[:2], Arm.rerun()]
    calm = run(plan(arms, n=4, call_deadline_s=0.5), tmp_path / "calm")
    made = plan(arms, n=4, agent=partial(Rogue, how, task), call_deadline_s=0.5 if how == "blocks" else 60)
    result = run(made, tmp_path / "j", workers=2, max_memory_mb=600)
    assert not result.missing
    assert result.episodes.keys() == calm.episodes.keys()
    failed = [key for key, episode in result.episodes.items() if episode.termination.is_agent_fault]
    assert {key[0] for key in failed} == ({task} if ends else set())
    for key, episode in result.episodes.items():
        if key in failed:
            assert (episode.termination, episode.success, episode.cause) == (ends, False, cause)
        else:
            assert episode.steps == calm.episodes[key].steps
    assert not Journal(tmp_path / "j").read().broken
    before = lines_of(tmp_path / "j")
    assert run(made, tmp_path / "j", workers=2, max_memory_mb=600) == result
    assert lines_of(tmp_path / "j") == before


ROGUES = [
    ("exits", "error", "ended its worker process with exit code 0"),
    ("blocks", "timeout", "gave no answer within 0.5 s and could not be stopped"),
    ("eats", "error", "took more than 600 MB of memory (max_memory_mb)"),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "fault", "said", "design"),
    [(*ROGUES[0], "coupled"), (*ROGUES[0], "independent"), (*ROGUES[1], "coupled"), (*ROGUES[2], "independent")],
)
def test_after_a_critic_that_ends_its_process_the_agent_goes_on_without_it(tmp_path, how, fault, said, design):
    task = order(plan(n=3))[1]
    critic = RogueCritic(how, task)
    policy = replace(POLICY, critic=critic, critic_deadline_s=0.5 if how == "blocks" else 60)
    arms = [Arm.baseline(), Arm("rollback", policy), Arm("append", replace(policy, intervention=Append()))]
    options = {"workers": 2, "max_memory_mb": 600, "retries": 0}
    options = {**options, "max_critic_faults": None}
    result = run(plan(arms, n=3, design=design), tmp_path / "j", **options)
    assert not result.missing
    for key, episode in result.episodes.items():
        assert not episode.termination.is_agent_fault
        proposals = [proposal for step in episode.steps for proposal in step.proposals]
        faults = {(kind, one.why[name]) for one in proposals for name, kind in one.faults.items()}
        assert faults == ({(fault, f"the critic {said}")} if key[0] == task and key[2] != "rerun" else set())
        if key[0] == task:
            assert {proposal.decision for proposal in proposals} == {PROCEED}
    before = lines_of(tmp_path / "j")
    assert run(plan(arms, n=3, design=design), tmp_path / "j", **options) == result
    assert lines_of(tmp_path / "j") == before


@pytest.mark.slow
@pytest.mark.parametrize(("how", "fault", "said"), ROGUES[:2])
def test_nor_does_an_intervention_cost_more_than_itself(tmp_path, how, fault, said):
    always = WordCritic({}, otherwise=0.9)
    acts = replace(POLICY, critic=always, critic_deadline_s=0.5 if how == "blocks" else 60)
    task = order(plan(n=3))[1]
    rogue = Arm("append", replace(acts, intervention=RogueIntervention(how=how, task=task)))
    arms = [Arm.baseline(), rogue, Arm("rollback", replace(acts, budget=1))]
    result = run(plan(arms, n=3), tmp_path / "j", workers=2, max_memory_mb=600, retries=0)
    assert not result.missing
    refused = {
        (key[0], key[2], proposal.refusal)
        for key, episode in result.episodes.items()
        for step in episode.steps
        for proposal in step.proposals
        if proposal.decision == REFUSED
    }
    assert refused == {(task, "append", f"{fault}: the intervention {said}")}


@pytest.mark.slow
def test_a_world_that_blocks_its_worker_costs_its_own_row_only(tmp_path):
    task = order(plan(n=4))[1]
    made = plan(ARMS[:2], n=4, environment=partial(Blocking, task), call_deadline_s=0.1)
    result = run(made, tmp_path / "j", workers=2, retries=0)
    assert {key[0] for key in result.missing} == {task}
    reasons = {missing.reason for missing in result.missing.values()}
    assert reasons == {"the environment gave no answer within 0.1 s and could not be stopped"}


def test_a_limit_of_memory_needs_processes_of_their_own(tmp_path):
    with pytest.raises(InvalidInput, match="max_memory_mb is a number of MB that needs workers of at least 2"):
        run(plan(n=2), tmp_path / "j", max_memory_mb=500)


# Errors ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["agent", "environment", "critic"])
def test_what_cannot_be_sent_is_refused_with_the_remedy(tmp_path, what):
    class Local(Corridor):
        pass

    parts = {"agent": {"agent": lambda: CoinFlipAgent({"open": 1})}, "environment": {"environment": Local}}
    arms = ARMS
    if what == "critic":
        critic = type("Inner", (type(POLICY.critic),), {})({})
        arms = [Arm.baseline(), Arm("rollback", type(POLICY)(critic=critic, intervention=Append()))]
    with pytest.raises(InvalidInput, match=r"cannot be sent to another process .* or run with workers = 1") as raised:
        run(plan(arms, n=2, **parts.get(what, {})), tmp_path / "j", workers=2)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "j").exists()


@pytest.mark.slow
def test_an_agent_that_breaks_in_a_worker_fails_there_as_it_does_here(tmp_path):
    task = order(plan(n=4))[2]
    for agent in (partial(Speechless, WEIGHTS), partial(Faulty, KeyError, task), partial(Faulty, SystemExit, task)):
        name = f"{agent.func.__name__}-{agent.args[0]}"
        run(plan(ARMS, n=4, agent=agent), tmp_path / f"1-{name}")
        result = run(plan(ARMS, n=4, agent=agent), tmp_path / f"2-{name}", workers=2)
        assert digest(tmp_path / f"1-{name}") == digest(tmp_path / f"2-{name}")
        assert Termination.AGENT_ERROR in {episode.termination for episode in result.episodes.values()}


@pytest.mark.slow
def test_what_a_worker_refuses_arrives_as_itself(tmp_path):
    arms = [Arm.baseline(), Arm("append", with_(Append(), critic=CoinCritic(1.0)))]
    for workers in (1, 2):
        with pytest.raises(NotReproducible, match="a fresh agent given the same trajectory and draw") as raised:
            run(plan(arms, n=4, agent=partial(Fickle, WEIGHTS)), tmp_path / str(workers), workers=workers)
        (note,) = raised.value.__notes__
        assert note.startswith("in task 't0")


@pytest.mark.slow
def test_an_outage_is_one_in_other_processes_too(tmp_path):
    with pytest.raises(ProviderError, match=r"3 episodes in a row .* connection reset"):
        run(plan(ARMS, environment=Down), tmp_path / "j", workers=2, outage_after=3)


# What is made, and what is left ---------------------------------------------------------------------------------------


def test_parts_are_made_once_for_their_configs(tmp_path):
    """A world may be a container that is paid for."""
    agent, environment = Counted(partial(CoinFlipAgent, {"open": 1})), Counted(Corridor)
    made = plan([Arm.baseline(), Arm("never", with_(Append(), min_step=99))], n=2, agent=agent, environment=environment)
    frozen = freeze(made)
    assert (agent.asked, environment.asked) == (1, 1)
    run(frozen, tmp_path / "j")
    assert (agent.asked, environment.asked) == (3, 3)  # the two baselines; an arm that never acts asks nobody
    run(frozen, tmp_path / "j")
    assert (agent.asked, environment.asked) == (3, 3)


@pytest.mark.slow
def test_the_parent_of_workers_makes_nothing_but_configs(tmp_path):
    agent, environment = Counted(partial(CoinFlipAgent, {"open": 1})), Counted(Corridor)
    made = plan(ARMS[:2], n=2, agent=agent, environment=environment)
    run(made, tmp_path / "j", workers=2)
    assert (agent.asked, environment.asked) == (1, 1)


@pytest.mark.slow
def test_an_error_of_the_caller_leaves_no_worker_behind(tmp_path):
    def announce(episode):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(plan(ARMS, n=4), tmp_path / "j", workers=2, on_episode=announce)
    assert multiprocessing.active_children() == []
    run(plan(ARMS, n=4), tmp_path / "j", workers=2)


WAITING = """
import sys
from pathlib import Path
sys.path[:0] = {path!r}

from runner.parts import Waiting
from runner.pilots import plan, run

if __name__ == "__main__":
    run(plan(n=4, environment=Waiting(Path(sys.argv[2]))), sys.argv[1], workers=2)
"""


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_parent_that_is_stopped_leaves_no_worker_behind(tmp_path, how):
    script, pids = tmp_path / "script.py", tmp_path / "pids"
    pids.mkdir()
    script.write_text(WAITING.format(path=sys.path), encoding="utf-8")
    silent = subprocess.DEVNULL
    command = [sys.executable, str(script), str(tmp_path / "j"), str(pids)]
    parent = subprocess.Popen(command, stdout=silent, stderr=silent)
    while len(workers := [int(path.name) for path in pids.iterdir()]) < 2:
        assert parent.poll() is None
        time.sleep(0.01)
    assert parent.pid not in workers
    parent.send_signal(how)
    parent.wait()
    while any(map(is_alive, workers)):  # the test's own time limit is the only clock
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.parametrize(("workers", "quiet"), [(1, "err"), (2, "out")])
def test_what_is_printed_in_workers_goes_to_standard_error_and_here_where_the_host_prints(
    tmp_path, capfd, workers, quiet
):
    made = plan(ARMS[:1], n=2, agent=partial(Talkative, WEIGHTS))
    run(made, tmp_path / "j", workers=workers)
    said = capfd.readouterr()._asdict()
    assert said.pop(quiet) == ""
    assert sorted(said.popitem()[1].split("\n")) == ["", "I think", "I think", "therefore", "therefore"]


@pytest.mark.slow
def test_a_script_without_a_main_is_told_what_it_needs(tmp_path):
    script = tmp_path / "script.py"
    text = WAITING.format(path=sys.path).replace('if __name__ == "__main__":', "if True:")
    script.write_text(text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "j"), str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert '`if __name__ == "__main__":` around the call' in done.stderr
