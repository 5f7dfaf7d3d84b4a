import asyncio
import json
import re
from pathlib import Path

import numpy as np
import pytest

from critics.trained_runs import SMALL, some_runs
from forbear.adapters.parts import Factory, imported, placed
from forbear.adapters.toml_section import Part
from forbear.contracts.draw import Draw
from forbear.critics.bags import bag_of
from forbear.critics.behaviour import BEHAVIOUR, TEXT_LIMIT, behaviour
from forbear.critics.card import metrics_of, write_critic
from forbear.critics.trained import ARRAYS, CARD, TrainedCritic, trained_critic
from forbear.critics.training import train_critic
from forbear.errors import InvalidInput, OutputUnwritable
from forbear.records.model import Action, Step, Task, Trajectory

RUNS = some_runs()
FORMATS = Path(__file__).parents[2] / "docs/formats.md"


def write(folder, **more):
    training = train_critic(RUNS, recipe=SMALL, **more)
    write_critic(training, folder, runs=RUNS, metrics=metrics_of(training), sources=["x"], left_out={})
    return training


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    found = tmp_path_factory.mktemp("critic")
    write(found)
    return found


def seen(*texts, task="a hard thing"):
    steps = [Step(index=0, observation=task, executed=Action("look"))]
    steps += [Step(index=n, observation=text, executed=Action("look")) for n, text in enumerate(texts, start=1)]
    steps[-1] = Step(index=len(steps) - 1, observation=steps[-1].observation)
    return Trajectory(task=Task(id="new"), steps=tuple(steps))


def test_what_is_loaded_scores_as_what_was_trained(tmp_path):
    for name, history in (("plain", None), ("knowing", some_runs(seed=1))):
        training = write(tmp_path / name, history=history)
        critic = TrainedCritic.load(tmp_path / name)
        for seen_, proposed in RUNS[0].judged():
            assert critic.weights.logit(seen_, proposed) == pytest.approx(training.weights.logit(seen_, proposed))


def test_it_is_a_critic(folder):
    critic = trained_critic(str(folder))
    draw = Draw(task_id="new", seed=0, role="critic", step_index=1)
    bad = asyncio.run(critic.score(seen("error: no", "error: no"), Action("look"), draw=draw))
    good = asyncio.run(critic.score(seen("fine", "fine", task="a plain thing"), Action("put"), draw=draw))
    assert 0 < good < 0.5 < bad < 1
    assert critic.config() == {"name": "trained", "features": "forbear-trained-1", "sha256": critic.sha256}
    assert len(critic.trained_on) == 40


def test_texts_that_are_empty_or_endless_have_a_score(folder):
    critic = TrainedCritic.load(folder)
    for odd in ("", "y " * 6_000_000, "\ud800\0"):
        assert 0 < critic.p_fail(seen(odd, task=odd), Action(odd)) < 1
    assert 0 < critic.p_fail(Trajectory(task=Task(id="t")), Action("")) < 1


def test_behaviour_has_a_name_for_each_number_and_all_are_finite():
    for trajectory in (Trajectory(task=Task(id="t")), seen(), seen("error", "error", "")):
        numbers = behaviour(trajectory, Action("look"))
        assert len(numbers) == len(BEHAVIOUR) == len(set(BEHAVIOUR))
        assert np.isfinite(numbers).all()


def test_of_a_long_text_start_and_end_are_read():
    text = "start " + "x" * (2 * TEXT_LIMIT) + " end"
    where, _ = bag_of(text, buckets=1 << 20)
    assert {bag_of(word, buckets=1 << 20)[0][0] for word in ("start", "end")} <= set(where.tolist())
    assert len(bag_of("", buckets=8)[0]) == 0


def edited(folder, tmp_path, **changes):
    card = json.loads((folder / CARD).read_text()) | changes
    (tmp_path / CARD).write_text(json.dumps(card))
    (tmp_path / ARRAYS).write_bytes((folder / ARRAYS).read_bytes())
    return tmp_path


def test_what_stands_in_the_folder_is_what_the_page_on_formats_says(tmp_path):
    write(tmp_path, history=some_runs(seed=1))
    card, page = json.loads((tmp_path / CARD).read_text()), FORMATS.read_text(encoding="utf-8")
    section = page[page.index("### The folder of a critic") : page.index("`forbear critic evaluate --json`")]
    with np.load(tmp_path / ARRAYS) as arrays:
        names = {*card, *card["features"], *card["trained"], *card["metrics"], *arrays.files}
    assert names <= set(re.findall(r"`([a-z0-9_]+)`", section))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "forbear-critic-9"}, "not of the format"),
        ({"sha256": "0" * 64}, "is not the file that"),
        ({"features": {"kind": "other"}}, "another version of forbear"),
    ],
)
def test_files_that_do_not_belong_together_are_refused(folder, tmp_path, changes, message):
    with pytest.raises(InvalidInput, match=message):
        TrainedCritic.load(edited(folder, tmp_path, **changes))


def test_what_is_no_critic_is_refused(folder, tmp_path):
    with pytest.raises(InvalidInput, match="no readable critic there"):
        TrainedCritic.load(tmp_path / "none")
    edited(folder, tmp_path)
    (tmp_path / CARD).write_text("[" * 9999)
    with pytest.raises(InvalidInput, match="is not JSON"):
        TrainedCritic.load(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputUnwritable, match="cannot be written"):
        write(tmp_path / "file")


def test_a_pilot_file_finds_it_beside_itself(folder):
    part = Part(kind="critic", use="trained", place="pilot.toml, line 1: critic", options="{}")
    options = placed({"path": folder.name}, part, folder.parent)
    critic = Factory(target=imported(part, folder.parent), options=options, part=part).once()
    assert critic.config() == TrainedCritic.load(folder).config()
