import contextlib
import io
import pickle
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forbear.critics.logistic import LogisticWeights
from forbear.errors import InvalidInput
from forbear.learned.npz import npz_bytes, read_npz
from forbear.learned.ranker import RankerWeights

KIND = "model-1"
FORMAT = np.frombuffer(KIND.encode(), dtype=np.uint8)


def written(folder, raw):
    path = folder / "weights.npz"
    path.write_bytes(raw)
    return path


def test_arrays_come_back_and_equal_arrays_are_equal_bytes(tmp_path):
    arrays = {"a": np.arange(6, dtype="<u2").reshape(2, 3), "b": np.array([0.5]), "c": np.zeros((0, 2), dtype=bool)}
    raw = npz_bytes({"format": FORMAT, **arrays})
    assert raw == npz_bytes({"format": FORMAT, **{name: array.copy() for name, array in arrays.items()}})
    read = read_npz(written(tmp_path, raw), kind=KIND)
    assert list(read) == list(arrays)
    for name, array in arrays.items():
        assert (read[name].dtype, read[name].shape) == (array.dtype, array.shape)
        assert (read[name] == array).all()


def test_what_numpy_writes_is_read_too(tmp_path):
    by_column = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    np.savez(tmp_path / "weights.npz", format=FORMAT, a=by_column)
    assert (read_npz(tmp_path / "weights.npz", kind=KIND)["a"] == by_column).all()


class Trap:
    def __reduce__(self):
        return (pytest.fail, ("unpickled",))


def zipped(name, raw, *, size=None):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression=zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, raw)
    return file.getvalue()


def header(text):
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def claiming(shape, dtype="<f8"):
    return zipped("a.npy", header(f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"PK\x03\x04",
        pickle.dumps({"a": 1}),
        zipped("a.npy", b"no array"),
        zipped("a.npy", pickle.dumps(Trap())),
        claiming("(10**12,)"),
        claiming("(1000000000000,)"),
        claiming("(1000000000000,)", "|V0"),
        claiming("(-1,)"),
        claiming("(0, 99999999999999999999999)"),
        claiming("(1,)", "|O"),
        zipped("a.npy", header(b"(" * 900 + b"\n")),
        zipped("a.npy", header(b"{'descr': [" + b"('a', [" * 100 + b"\n")),
    ],
)
def test_what_is_no_array_of_numbers_is_refused_before_it_is_made(tmp_path, raw):
    path = written(tmp_path, raw)
    tracemalloc.start()
    with pytest.raises(InvalidInput, match=r"weights\.npz is not an .npz of plain arrays"):
        read_npz(path, kind=KIND)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 10 << 20


def test_objects_are_never_unpickled(tmp_path):
    np.savez(tmp_path / "trap.npz", format=np.array([Trap()], dtype=object))
    with pytest.raises(InvalidInput, match="plain arrays"):
        read_npz(tmp_path / "trap.npz", kind=KIND)


@pytest.mark.slow
def test_a_file_that_unpacks_to_too_much_is_not_unpacked(tmp_path, monkeypatch):
    path = written(tmp_path, npz_bytes({"format": FORMAT, "a": np.zeros(2_000_000)}))
    assert path.stat().st_size < 1 << 20
    monkeypatch.setenv("FORBEAR_MAX_INPUT_MIB", "1")
    tracemalloc.start()
    with pytest.raises(InvalidInput, match=r"unpacked: larger than 1 MiB.*FORBEAR_MAX_INPUT_MIB"):
        read_npz(path, kind=KIND)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 3 << 20
    monkeypatch.setenv("FORBEAR_MAX_INPUT_MIB", "16")
    assert len(read_npz(path, kind=KIND)["a"]) == 2_000_000


def test_a_file_of_another_kind_is_refused(tmp_path):
    path = written(tmp_path, npz_bytes({"format": FORMAT, "a": np.zeros(2)}))
    with pytest.raises(InvalidInput, match="does not hold 'model-2'"):
        read_npz(path, kind="model-2")


CRITIC = LogisticWeights(bias=0.5, dense=np.array([1.0, -2.0]), hashed=np.eye(1, 16, 3)[0]).to_bytes()
RANKER = RankerWeights(table=np.eye(1, 1 << 16, 5)[0]).to_bytes()


@st.composite
def damaged(draw, raw):
    """Some bytes changed, one piece cut out or doubled."""
    data = bytearray(raw)
    for _ in range(draw(st.integers(0, 6))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    low, high = sorted((draw(st.integers(0, len(data))), draw(st.integers(0, len(data)))))
    return bytes(draw(st.sampled_from([data, data[:low] + data[high:], data[:high] + data[low:]])))


def unpacked(raw):
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@st.composite
def damaged_inside(draw, raw):
    """An archive without a fault whose arrays have one: no checksum gives it away."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in unpacked(raw).items():
            archive.writestr(name, draw(damaged(content)) if draw(st.booleans()) else content)
    return file.getvalue()


@pytest.mark.parametrize(("load", "raw"), [(LogisticWeights.load, CRITIC), (RankerWeights.load, RANKER)])
@given(st.data())
def test_damaged_weights_are_refused_or_still_weights(tmp_path_factory, load, raw, data):
    path = tmp_path_factory.mktemp("npz") / "weights.npz"
    path.write_bytes(data.draw(st.one_of(damaged(raw), damaged_inside(raw))))
    with contextlib.suppress(InvalidInput):
        weights = load(path)
        assert load(written(path.parent, weights.to_bytes())).sha256() == weights.sha256()
