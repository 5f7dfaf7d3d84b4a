import asyncio
import json

import pytest

from forbear.adapters import critic_folder
from forbear.adapters.critic_folder import (
    calibrated_critic,
    learned_failure_rate,
    open_folder,
    read_record,
    save_calibrated,
    task_key,
    tasks_seen,
)
from forbear.contracts.draw import Draw
from forbear.critics.calibrators import Calibrator
from forbear.critics.heuristic import FunctionCritic
from forbear.errors import InvalidInput
from forbear.records.model import Action, Step, Task, Trajectory

PLATT = Calibrator(method="platt", parameters=(0.5, 1.0))
TRAJECTORY = Trajectory(task=Task(id="t"), steps=(Step(index=0, observation=""),))


def own_critic():
    return FunctionCritic(lambda trajectory, proposed: 0.5, name="own")


def loaded(folder):
    return own_critic()


def saved(folder, *, use="step-count", options=None, source=None, **more):
    save_calibrated(
        folder,
        calibrator=PLATT,
        use=use,
        options=options or {},
        source=source,
        splits={"calibration": ["a", "b"], "test": ["c"]},
        more=more,
    )
    return folder


def score(critic):
    draw = Draw(task_id="t", seed=0, role="critic:x")
    return asyncio.run(critic.score(TRAJECTORY, Action("go"), draw=draw)).p_fail


def test_a_calibrated_critic_is_read_back_as_it_was_written(tmp_path):
    folder = saved(tmp_path / "one", options={"half": 3.0})
    plain = critic_folder.made("step-count", {"half": 3.0}, place="here")
    draw = Draw(task_id="t", seed=0, role="critic:x")
    before = asyncio.run(plain.score(TRAJECTORY, Action("go"), draw=draw)).p_fail
    critic = open_folder(folder)
    assert score(critic) == pytest.approx(float(PLATT(before)), abs=1e-15)
    assert critic.config()["critic"] == plain.config()
    assert tasks_seen(read_record(folder)) == {"a", "b"}


def test_one_below_another_is_copied(tmp_path):
    source = saved(tmp_path / "source")
    outer = saved(tmp_path / "outer", source=source)
    expected = score(open_folder(outer))
    for file in source.iterdir():
        file.unlink()
    assert score(open_folder(outer)) == expected
    assert expected == pytest.approx(float(PLATT(PLATT(score_of_steps()))), abs=1e-12)


def score_of_steps():
    return score(critic_folder.made("step-count", {}, place="here"))


@pytest.mark.parametrize("use", ["adapters.test_critic_folder:own_critic", "http", "matched-random", "calibrated"])
def test_a_folder_names_no_code_and_nobody_elsewhere(tmp_path, use):
    folder = saved(tmp_path / "one", use=use, options={"url": "http://127.0.0.1:9/"} if use == "http" else {})
    with pytest.raises(InvalidInput, match="is not run; say which it is"):
        open_folder(folder)
    named = calibrated_critic(str(folder), critic="adapters.test_critic_folder:own_critic")
    assert score(named) == pytest.approx(float(PLATT(0.5)))
    clock = calibrated_critic(str(folder), critic="after-step", critic_options={"step": 0})
    assert score(clock) == pytest.approx(float(PLATT(1.0)))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"format": "else-1"}, "format is 'else-1'"),
        ({"format": ["x"]}, "format is"),
        ({"calibration": None}, "lacks the calibration"),
        ({"calibration": {"method": "platt", "parameters": ["x", 1]}}, "must be numbers"),
        ({"calibration": {"method": "platt", "parameters": [-1, 1]}}, "no rising map"),
        ({"calibration": {"method": ["platt"], "parameters": [1, 1]}}, "one of temperature"),
        ({"calibration": {"method": "isotonic", "parameters": []}}, "no rising map"),
        ({"critic": {"use": 3}}, "is not run"),
        ({"critic": {"use": "step-count", "options": {"half": "x"}}}, "half must be"),
    ],
)
def test_damage_is_refused(tmp_path, change, sentence):
    folder = saved(tmp_path / "one")
    record = json.loads((folder / "critic.json").read_text())
    (folder / "critic.json").write_text(json.dumps({**record, **change}))
    with pytest.raises(InvalidInput, match=sentence):
        open_folder(folder)


@pytest.mark.parametrize(("content", "sentence"), [(b"{", "not JSON"), (b"[1]", "JSON object"), (b"\xff", "not JSON")])
def test_what_is_no_record_is_refused(tmp_path, content, sentence):
    (tmp_path / "critic.json").write_bytes(content)
    with pytest.raises(InvalidInput, match=sentence):
        read_record(tmp_path)


def test_a_folder_without_a_record_or_with_another_critic_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="not the folder of a critic"):
        open_folder(tmp_path)
    folder = saved(tmp_path / "one")
    with pytest.raises(InvalidInput, match="holds a critic already"):
        saved(folder)
    with pytest.raises(InvalidInput, match="the critic's own folder"):
        saved(folder / "deeper", source=folder)
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInput, match="cannot write"):
        saved(tmp_path / "file" / "x")


@pytest.mark.parametrize(
    ("record", "rate"),
    [
        ({"failure_rate": 0.5}, 0.5),
        ({"failure_rate": 7}, None),
        ({"failure_rate": True}, None),
        ({"trained": {"runs": 8, "failed": 2}}, 0.25),
        ({"trained": {"runs": 0, "failed": 0}}, None),
        ({"trained": {"runs": "8", "failed": 2}}, None),
        ({}, None),
    ],
)
def test_the_failure_rate_that_was_learned(record, rate):
    assert learned_failure_rate(record) == rate


def test_trained_critics_have_loaders_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setitem(critic_folder.FORMATS, "mine-1", "adapters.test_critic_folder:loaded")
    (tmp_path / "critic.json").write_text('{"format": "mine-1", "splits": {"train": ["a"], "test": ["b"], "x": 3}}')
    assert open_folder(tmp_path).name == "own"
    assert tasks_seen(read_record(tmp_path)) == {"a"}
    assert tasks_seen({"splits": 3, "tasks": None}) == frozenset()
    assert tasks_seen({"splits": {"a": ["x"], "test": ["y"]}, "tasks": [task_key("z"), 3]}) == {"x", task_key("z")}
