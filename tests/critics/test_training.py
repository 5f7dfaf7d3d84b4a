from dataclasses import replace

import numpy as np
import pytest
from msgspec.structs import replace as changed
from scipy.special import expit

from critics.trained_runs import SMALL, some_runs
from forbear.adapters.formats.episodes import read_runs
from forbear.critics.leaks import (
    require_blind_to_the_end,
    require_blind_to_the_rest,
    require_disjoint,
    shuffled_labels,
)
from forbear.critics.measures import auroc, calibration_error
from forbear.critics.training import history_of, platt, train_critic
from forbear.errors import InvalidInput
from forbear.records.model import Task

RUNS = some_runs()


def test_what_is_learned_holds_on_tasks_that_were_held_out():
    found = train_critic(RUNS, recipe=SMALL)
    assert auroc(found.held_out.failed, found.held_out.p_fail) > 0.75
    assert calibration_error(found.held_out.failed, found.held_out.p_fail) < 0.2
    assert (found.runs, len(found.tasks), set(found.fold_of.values())) == (80, 40, {0, 1, 2})


def test_the_same_runs_give_the_same_bytes():
    assert len({train_critic(RUNS, recipe=SMALL).weights.to_bytes() for _ in range(2)}) == 1


def test_tasks_of_one_cluster_are_never_apart():
    clustered = [
        replace(run, trajectory=changed(run.trajectory, task=Task(id=run.task, cluster=f"c{int(run.task[1:]) // 3}")))
        for run in RUNS
    ]
    found = train_critic(clustered, recipe=SMALL)
    codes = np.unique(found.held_out.tasks)
    assert len(codes) == 14


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        (RUNS[:18], "9 tasks to learn from; at least 10"),
        ([replace(run, success=True) for run in RUNS], "0 runs of 80 failed"),
        ([replace(run, success=False) for run in RUNS], "0 runs of 80 succeeded"),
    ],
)
def test_too_little_is_refused(runs, message):
    with pytest.raises(InvalidInput, match=message):
        train_critic(runs, recipe=SMALL)


def test_empty_and_huge_texts_are_learned_from():
    steps = RUNS[0].trajectory.steps
    odd = [
        replace(RUNS[0], trajectory=changed(RUNS[0].trajectory, steps=(changed(steps[0], observation=text),)))
        for text in ("", "x " * 5_000_000, "\ud800\0\u202e")
    ]
    assert train_critic([*RUNS, *odd], recipe=SMALL).runs == 83


def test_how_tasks_ended_before_helps_and_a_run_is_no_history_of_its_own():
    earlier = some_runs(seed=1)
    plain, knowing = train_critic(RUNS, recipe=SMALL), train_critic(RUNS, history=earlier, recipe=SMALL)
    assert len(knowing.weights.mean) == len(plain.weights.mean) + 2
    alone = train_critic(RUNS[::2], history=RUNS[::2], recipe=SMALL)
    assert alone.weights.mean[-1] == 0.0  # nothing is known of any task but its own run
    past = history_of(RUNS)
    assert past.numbers("unheard of")[1] == 0.0


def test_platt_makes_logits_honest_and_never_turns_them_round():
    rng = np.random.default_rng(0)
    raw = rng.normal(size=20_000) * 3
    failed = rng.random(20_000) < expit(0.5 * raw - 1)
    slope, shift = platt(failed, raw)
    assert (slope, shift) == pytest.approx((0.5, -1), abs=0.05)
    assert platt(~failed, raw)[0] == 0.01


# --- Leaks ------------------------------------------------------------------------------------------------


def test_a_task_in_two_splits_is_refused():
    require_disjoint(["a"], ["b"])
    with pytest.raises(InvalidInput, match=r"1 task in both splits \('b'\)"):
        require_disjoint(["a", "b"], ["b", "c"])


def test_learning_from_what_is_judged_shows_on_shuffled_outcomes():
    failed = [run.failed for run in RUNS]
    result = train_critic(RUNS, recipe=SMALL).shuffled
    assert result.low <= 0.5 + 0.2
    assert result.low <= result.mean <= result.high
    with pytest.raises(InvalidInput, match=r"shuffled between runs are predicted with AUROC 1.00"):
        shuffled_labels(lambda y: (y, y.astype(float)), failed, rng=np.random.default_rng(0))


def test_features_that_know_what_comes_after_are_refused():
    require_blind_to_the_rest(lambda seen, proposed: len(seen.steps), RUNS)
    lengths = {id(run.trajectory.steps[0]): len(run.trajectory.steps) for run in RUNS}
    with pytest.raises(InvalidInput, match="encodes how the run ends"):
        require_blind_to_the_rest(lambda seen, proposed: lengths.get(id(seen.steps[0])), RUNS)


def test_a_number_that_tells_the_last_step_is_refused():
    index = np.concatenate([np.arange(n) for n in [2, 3, 4, 5] * 20])
    left = np.concatenate([np.arange(n)[::-1] for n in [2, 3, 4, 5] * 20])
    noise = np.random.default_rng(0).random(len(index))
    require_blind_to_the_end(np.column_stack([index, noise]), ["index", "noise"], index=index, left=left)
    with pytest.raises(InvalidInput, match="the feature 'left' tells the last step"):
        require_blind_to_the_end(np.column_stack([noise, -left]), ["noise", "left"], index=index, left=left)


@pytest.mark.slow
def test_on_real_logs_it_tells_more_than_the_step_does_and_nothing_leaks(shared_data):
    paths = sorted((shared_data / "trajectories").glob("mint_*_none.jsonl"))
    found = train_critic(read_runs(paths).runs)
    held_out = found.held_out
    first = held_out.steps == 0
    assert auroc(held_out.failed, held_out.p_fail) > 0.76
    assert auroc(held_out.failed[first], held_out.p_fail[first]) > 0.70
    assert auroc(held_out.failed, found.index_only) < 0.66
    assert calibration_error(held_out.failed, held_out.p_fail) < 0.05
    assert abs(found.shuffled.mean - 0.5) < 0.1
