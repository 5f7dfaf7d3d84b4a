"""Whatever is in a critic's folder: a critic whose scores are probabilities, or one sentence that names the file."""

import asyncio
import hashlib
import io
import json
import pickle
import shutil
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from critics.trained_runs import SMALL, some_runs
from forbear.adapters.critic_folder import RECORD, save_calibrated
from forbear.adapters.judged import named_critic
from forbear.contracts.draw import Draw
from forbear.critics.calibrators import Calibrator
from forbear.critics.card import metrics_of, write_critic
from forbear.critics.trained import ARRAYS
from forbear.critics.training import train_critic
from forbear.errors import InvalidInput
from learned.test_npz import damaged, damaged_inside, zipped

RUNS = some_runs()
MAPS = {
    "platt": Calibrator(method="platt", parameters=(0.5, 1.0)),
    "by-step": Calibrator(method="by-step", parameters=(1.0, 0.5, 0.0, 1.0)),
}
ODD = st.sampled_from(
    [
        *(None, True, -1, 0, 1.5, 10**400, float("nan"), float("inf")),
        *("", "inner", "\ud800\x1b[31m", "../..", "json:loads", "x" * 5000),
        *([], {}, [[]], ["x"] * 3, {"use": "inner"}, {"use": "http", "options": {"url": "http://127.0.0.1:9"}}),
    ]
)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """By name: a critic's folder of each kind."""
    base = tmp_path_factory.mktemp("critics")
    made = {}
    for name, history in (("trained", None), ("knowing", some_runs(seed=1))):
        training = train_critic(RUNS, recipe=SMALL, history=history)
        write_critic(training, base / name, runs=RUNS, metrics=metrics_of(training), sources=["x"], left_out={})
        made[name] = base / name
    for name, source in (("platt", None), ("by-step", base / "trained")):
        save_calibrated(
            base / name,
            calibrator=MAPS[name],
            use="step-count",
            options={"half": 3.0} if source is None else {},
            source=source,
            splits={"calibration": ["a"], "test": ["b"]},
            more={"failure_rate": 0.4},
        )
        made[name] = base / name
    return made


@st.composite
def damaged_record(draw, raw):
    """Bytes that are no longer what they were; or another value at one place of the whole."""
    if draw(st.booleans()):
        return draw(damaged(raw))
    record = json.loads(raw)
    place = record
    for _ in range(draw(st.integers(0, 3))):
        inner = [key for key in (place if isinstance(place, dict) else range(len(place))) if place[key]]
        inner = [key for key in inner if isinstance(place[key], dict | list)]
        if not inner:
            break
        place = place[draw(st.sampled_from(inner))]
    key = draw(st.sampled_from(list(place) if isinstance(place, dict) else range(len(place))))
    if isinstance(place, dict) and draw(st.booleans()):
        del place[key]
    else:
        place[key] = draw(ODD)
    return json.dumps(record).encode()


def opened(folder):
    """Its scores of a few steps and what it says of itself; or the sentence that refuses it."""
    try:
        critic = named_critic(str(folder), options={}).critic
    except InvalidInput as error:
        return str(error)
    draw = Draw(task_id="t", seed=0, role="critic")
    for trajectory, proposed in RUNS[0].judged():
        said = asyncio.run(critic.score(trajectory, proposed, draw=draw))
        assert 0 <= getattr(said, "p_fail", said) <= 1
    json.dumps(critic.config(), allow_nan=False)
    return None


def refused_or_sane(folder):
    tracemalloc.start()
    try:
        error = opened(folder)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 32 << 20
    if error is not None:
        assert folder.name in error or RECORD in error or ARRAYS in error
        assert len(error) < 1000
        assert error.isprintable()
    return error


ONE = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["trained", "platt", "by-step"])
@ONE
@given(st.data())
def test_a_damaged_record_is_refused_or_makes_a_critic(folders, tmp_path_factory, name, data):
    folder = tmp_path_factory.mktemp("one") / "critic"
    shutil.copytree(folders[name], folder)
    inside = data.draw(st.sampled_from(sorted(folder.rglob(RECORD))))
    inside.write_bytes(data.draw(damaged_record(inside.read_bytes())))
    refused_or_sane(folder)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["trained", "knowing"])
@ONE
@given(st.data())
def test_damaged_arrays_are_refused_or_make_a_critic(folders, tmp_path_factory, name, data):
    """The record vouches for them, as that of somebody who means ill would."""
    folder = tmp_path_factory.mktemp("one") / "critic"
    shutil.copytree(folders[name], folder)
    raw = (folder / ARRAYS).read_bytes()
    write_arrays(folder, data.draw(st.one_of(damaged(raw), damaged_inside(raw))))
    refused_or_sane(folder)


def write_arrays(folder, raw):
    (folder / ARRAYS).write_bytes(raw)
    record = json.loads((folder / RECORD).read_bytes())
    record["sha256"] = hashlib.sha256(raw).hexdigest()
    (folder / RECORD).write_text(json.dumps(record))


def with_arrays(folders, tmp_path, name, **changes):
    folder = tmp_path / "critic"
    shutil.copytree(folders[name], folder)
    with np.load(folder / ARRAYS) as arrays:
        everything = {key: arrays[key] for key in arrays.files}
    file = io.BytesIO()
    np.savez(file, **{**everything, **{key: change(everything[key]) for key, change in changes.items()}})
    write_arrays(folder, file.getvalue())
    return folder


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("trained", {"idf": np.zeros_like}),
        ("trained", {"idf": lambda idf: idf * 1e-30}),
        ("trained", {"sd": lambda sd: sd * 0 + 1e-300}),
        ("trained", {"sd": np.zeros_like}),
        ("trained", {"bags": lambda bags: bags * np.nan}),
        ("trained", {"bags": lambda bags: bags[:, :-1]}),
        ("trained", {"mean": lambda mean: mean + np.inf}),
        ("trained", {"scalars": lambda scalars: scalars * np.nan}),
        ("trained", {"dense": lambda dense: dense[:-1]}),
        ("knowing", {"history_counts": lambda counts: counts[:, ::-1] - 1}),
        ("knowing", {"history_rate": lambda rate: rate + 2}),
        ("knowing", {"history_tasks": lambda tasks: tasks[1:]}),
    ],
)
def test_arrays_that_make_no_critic_are_refused(folders, tmp_path, name, changes):
    assert refused_or_sane(with_arrays(folders, tmp_path, name)) is None  # what is changed is what is refused
    shutil.rmtree(tmp_path / "critic")
    assert refused_or_sane(with_arrays(folders, tmp_path, name, **changes)) is not None


class Trap:
    def __reduce__(self):
        return (pytest.fail, ("unpickled",))


def pickled(array):
    file = io.BytesIO()
    np.lib.format.write_array(file, np.array([Trap()], dtype=object), allow_pickle=True)
    return file.getvalue()


@pytest.mark.parametrize("raw", [pickle.dumps(Trap()), zipped("format.npy", pickled(None)), zipped("format", b"x")])
def test_nothing_is_unpickled(folders, tmp_path, raw):
    folder = tmp_path / "critic"
    shutil.copytree(folders["trained"], folder)
    write_arrays(folder, raw)
    assert "not an .npz of plain arrays" in refused_or_sane(folder)


def test_an_archive_that_unpacks_to_gigabytes_is_not_unpacked(folders, tmp_path):
    folder = tmp_path / "critic"
    shutil.copytree(folders["trained"], folder)
    file = io.BytesIO()
    with (
        zipfile.ZipFile(file, "w", compression=zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("bags.npy", "w", force_zip64=True) as entry,
    ):
        for _ in range(80):
            entry.write(bytes(1 << 20))
    write_arrays(folder, file.getvalue())
    assert "unpacked: larger than 64 MiB" in refused_or_sane(folder)


@pytest.mark.parametrize("depth", [3, 400])
def test_calibrations_of_calibrations_come_to_an_end(folders, tmp_path, depth):
    deepest, record = tmp_path / "c", (folders["by-step"] / RECORD).read_bytes()
    for _ in range(depth):
        deepest.mkdir()
        (deepest / RECORD).write_bytes(record)
        deepest = deepest / "inner"
    shutil.copytree(folders["trained"], deepest)
    error = refused_or_sane(tmp_path / "c")
    assert (error is None) == (depth == 3)


def test_a_folder_in_itself_comes_to_an_end(folders, tmp_path):
    shutil.copytree(folders["platt"], tmp_path / "critic")
    record = json.loads((folders["by-step"] / RECORD).read_bytes())
    (tmp_path / "critic" / RECORD).write_text(json.dumps(record))
    (tmp_path / "critic" / "inner").symlink_to(Path("."))
    assert refused_or_sane(tmp_path / "critic") is not None
