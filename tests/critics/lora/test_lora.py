"""A LoRA critic from logs to scores, on a model that is made here; skipped where torch is not installed."""

import asyncio
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from critics.lora.tiny_model import logged, tiny_model
from critics.trained_runs import some_runs
from forbear.adapters.critic_folder import open_folder, read_record, tasks_seen
from forbear.adapters.judged import judge, named_critic
from forbear.cli.main import run
from forbear.contracts.draw import Draw
from forbear.critics.lora.base import find_base
from forbear.critics.lora.critic import LoraCritic, lora_critic
from forbear.critics.lora.folder import ADAPTER, UNFINISHED, write_lora
from forbear.critics.lora.state import read_state
from forbear.critics.lora.training import LoraRecipe, split_runs, train_lora
from forbear.critics.trained import CARD, task_key
from forbear.errors import InvalidInput
from forbear.records.model import Action

for needed in ("torch", "transformers", "peft", "safetensors"):
    pytest.importorskip(needed, reason=f"{needed} of the extra hf is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")]

QUICK = LoraRecipe(rank=4, learning_rate=2e-2, epochs=4, batch=8, max_tokens=128, validation=0.2, test=0.2)
RUNS = some_runs(120)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(tiny_model(tmp_path_factory.mktemp("model")))


def trained(model, folder, *, recipe=QUICK, runs=RUNS, **more):
    base = find_base(model)
    training = train_lora(runs, base=base, recipe=recipe, unfinished=folder / UNFINISHED, **more)
    write_lora(training, folder, base=base, recipe=recipe, sources=["x"], left_out={})
    return training


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    found = tmp_path_factory.mktemp("critic")
    trained(model, found)
    return found


def test_it_learns_and_says_how_well_on_tasks_that_it_did_not_see(folder):
    card = read_record(folder)
    assert card["metrics"]["auroc"]["value"] > 0.65  # the words that tell are drawn at .85 against .15
    assert card["metrics"]["auroc"]["low"] < card["metrics"]["auroc"]["value"] < card["metrics"]["auroc"]["high"]
    assert set(card["metrics"]) == {"auroc", "first_step_auroc", "step_count_auroc", "ece", "brier"}
    assert card["trained"]["looks"][-1]["train_loss"] < card["trained"]["looks"][0]["train_loss"]
    assert not (folder / UNFINISHED).exists()
    assert sorted(path.name for path in folder.iterdir()) == [ADAPTER, CARD]


def test_no_task_is_in_two_parts_and_judging_what_was_learned_is_refused(folder, tmp_path):
    parts = split_runs(RUNS, QUICK)
    groups = [{run.group for run in part} for part in parts.values()]
    assert sum(map(len, groups)) == len(set.union(*groups)) == 60
    card = read_record(folder)
    known = {task_key(run.task) for part in ("train", "validation") for run in parts[part]}
    assert set(card["tasks"]) == known <= tasks_seen(card)
    assert not {task_key(run.task) for run in parts["test"]} & tasks_seen(card)
    with pytest.raises(InvalidInput, match="has learned from"):
        judge(named_critic(str(folder), options={}), [str(logged(RUNS, tmp_path / "runs.jsonl"))])


def test_what_is_loaded_says_what_was_measured(folder):
    critic, parts = open_folder(folder), split_runs(RUNS, QUICK)
    draw = Draw(task_id="t", seed=0, role="critic", step_index=0)

    async def scores():
        return [
            await critic.score(seen, proposed, draw=draw) for run in parts["test"] for seen, proposed in run.judged()
        ]

    said = asyncio.run(scores())
    assert all(0 < score < 1 for score in said)
    assert len(set(said)) > 10
    failed = [run.failed for run in parts["test"] for _ in run.trajectory.steps]
    brier = float(np.mean((np.array(said) - failed) ** 2))
    assert brier == pytest.approx(read_record(folder)["metrics"]["brier"]["value"], abs=1e-6)
    assert said[0] == critic.p_fail(*next(parts["test"][0].judged()))


def test_it_can_go_to_a_worker_and_says_what_it_is(folder, model):
    critic = lora_critic(str(folder), model=model)
    same = pickle.loads(pickle.dumps(critic))
    seen, proposed = next(RUNS[0].judged())
    assert same.p_fail(seen, proposed) == critic.p_fail(seen, proposed)
    assert critic.config() == same.config()
    assert critic.config()["base"] == find_base(model).sha256


def test_texts_that_are_empty_or_hostile_have_a_score(folder):
    critic = LoraCritic.load(folder)
    for odd in ("", "\ud800\0", "<end>" * 3, "y " * 500_000):
        run = some_runs(1)[0]
        steps = tuple(replace_observation(step, odd) for step in run.trajectory.steps)
        for seen, _ in replace(run, trajectory=type(run.trajectory)(task=run.trajectory.task, steps=steps)).judged():
            assert 0 < critic.p_fail(seen, Action(odd)) < 1


def replace_observation(step, text):
    return type(step)(index=step.index, observation=text, executed=Action(text))


class Killed(BaseException):
    pass


def test_a_training_that_was_killed_goes_on_to_the_same_bytes(model, folder, tmp_path):
    killed = 0

    def stop(line):  # after each look a state is on the disk
        nonlocal killed
        if line.startswith("epoch") and killed < 3:
            killed += 1
            raise Killed

    for _ in range(4):
        try:
            trained(model, tmp_path, tell=stop, save_every_s=0.0)
        except Killed:
            assert (tmp_path / UNFINISHED).exists() or killed == 1
    assert killed == 3
    assert (tmp_path / ADAPTER).read_bytes() == (folder / ADAPTER).read_bytes()
    own, other = (read_record(one) for one in (tmp_path, folder))
    assert own["metrics"] == other["metrics"]
    assert own["trained"]["looks"] == other["trained"]["looks"]


def test_a_process_that_was_killed_goes_on_from_the_command_line(model, tmp_path, capsys):
    runs, out = logged(RUNS, tmp_path / "runs.jsonl"), tmp_path / "critic"
    command = ["critic", "train", str(runs), "-o", str(out), "--backend", "lora", "--model", model]
    command += ["--epochs", "30", "--max-tokens", "128", "--learning-rate", "0.02"]
    process = subprocess.Popen(
        [sys.executable, "-m", "forbear", *command], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    until = time.monotonic() + 600
    while not (out / UNFINISHED).exists() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert run(command) == 0
    told = capsys.readouterr()
    assert "going on after" in told.err
    assert "AUROC, outcomes shuffled" in told.out
    assert "on held-out tasks" in told.out
    assert run(command) == 0
    assert "trained already" in capsys.readouterr().err
    assert run([*command, "--rank", "2"]) == 2
    assert "name another directory" in capsys.readouterr().err
    assert run([*command, "--history", str(runs)]) == 2
    assert run([*command[:5], "--rank", "2"]) == 2
    assert "of --backend lora only" in capsys.readouterr().err


def test_a_training_under_way_is_of_its_own_runs_only(model, tmp_path):
    def stop(line):
        if "under" not in line:
            raise Killed

    with pytest.raises(Killed):
        trained(model, tmp_path, tell=stop, save_every_s=0.0)
    if not (tmp_path / UNFINISHED).exists():
        pytest.fail("no state was written before the first look")
    with pytest.raises(InvalidInput, match="other runs, another model or other options"):
        trained(model, tmp_path, recipe=replace(QUICK, seed=1))
    (tmp_path / UNFINISHED).write_bytes(pickle.dumps({"evil": print}))
    with pytest.raises(InvalidInput, match="no state of a training"):
        read_state(tmp_path / UNFINISHED, digest="x")


def test_adapters_are_not_put_on_another_model(folder, tmp_path):
    other = str(tiny_model(tmp_path, seed=1))
    with pytest.raises(InvalidInput, match="is not that model"):
        LoraCritic.load(folder, model=other)


def edited(folder, tmp_path, **changes):
    card = json.loads((folder / CARD).read_text()) | changes
    (tmp_path / CARD).write_text(json.dumps(card))
    (tmp_path / ADAPTER).write_bytes((folder / ADAPTER).read_bytes())
    return tmp_path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "forbear-critic-9"}, "not of the format"),
        ({"sha256": "0" * 64}, "is not the file that"),
        ({"prompt": "other"}, "another version of forbear"),
        ({"settings": {"rank": 1}}, "lacks the settings"),
        ({"settings": None}, "lacks the settings"),
        ({"base": {"name": 3}}, "does not say which model"),
        ({"base": {"name": "no/such-model", "sha256": "0"}}, "Nothing is fetched here"),
    ],
)
def test_a_damaged_folder_is_refused(folder, tmp_path, changes, message):
    with pytest.raises(InvalidInput, match=message):
        LoraCritic.load(edited(folder, tmp_path, **changes))


def test_weights_that_may_hold_code_are_not_opened(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps({}))
    with pytest.raises(InvalidInput, match="may hold code"):
        find_base(str(tmp_path))


def test_more_tokens_than_the_model_reads_are_refused(model):
    with pytest.raises(InvalidInput, match="reads at most 512"):
        train_lora(RUNS, base=find_base(model), recipe=replace(QUICK, max_tokens=513))


def test_a_model_that_is_not_here_is_not_fetched():
    with pytest.raises(InvalidInput, match="Nothing is fetched here: hf download no/such-model"):
        find_base("no/such-model")


@pytest.mark.parametrize(
    "wrong",
    [{"rank": 0}, {"learning_rate": 2.0}, {"test": 0.9}, {"dtype": "int8"}, {"max_tokens": 3}, {"epochs": True}],
)
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(InvalidInput, match=next(iter(wrong))):
        LoraRecipe(**wrong)
