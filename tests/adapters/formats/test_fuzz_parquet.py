"""Damaged Parquet: read, or refused in one line; what is small on disk takes little memory."""

import io
import os
import random
from datetime import UTC, datetime

import pytest

from damaged_tables import READINGS, RECORDS, damaged, outcome
from forbear.adapters.formats.reading import Condition, Reading
from forbear.adapters.formats.tabular import read_outcomes
from forbear.errors import InvalidInput

pa = pytest.importorskip("pyarrow", reason="needs the extra data: pip install 'forbear[data]'")
from pyarrow import parquet  # noqa: E402

NESTED = pa.Table.from_pylist([{**r, "meta": {"x": [1, 2], "ok": bool(r["success"])}} for r in RECORDS])
FLAT = NESTED.drop_columns(["meta"])
TYPES = pa.table(
    {
        "task_id": range(24),
        "arm": pa.array(["a", "b"] * 12).dictionary_encode(),
        "success": [0.5, float("nan"), None, 1.0] * 6,
        "seed": ["1"] * 24,
        "when": [datetime(2020, 1, 1, tzinfo=UTC)] * 24,
    }
)


def stored(table, **options):
    buffer = io.BytesIO()
    parquet.write_table(table, buffer, **{"compression": "none", **options})
    return buffer.getvalue()


SEEDS = {
    "plain": stored(FLAT, use_dictionary=False),
    "nested": stored(NESTED),
    "zstd": stored(FLAT, compression="zstd"),
    "groups": stored(FLAT, row_group_size=5),
    "pages of version 2": stored(FLAT, data_page_version="2.0"),
    "deltas": stored(FLAT, use_dictionary=False, column_encoding={"task_id": "DELTA_BYTE_ARRAY", "seed": "PLAIN"}),
    "types": stored(TYPES),
}
LOOKING = [
    *READINGS,
    Reading(where=(Condition.parse("when!=2020"),)),
    Reading(where=(Condition.parse("meta.ok=true"),)),
]


def bits_turned(data, rng):
    """The data with one to six bits turned, its first and last four bytes apart."""
    data = bytearray(data)
    for _ in range(rng.randint(1, 6)):
        data[rng.randrange(4, len(data) - 4)] ^= 1 << rng.randrange(8)
    return bytes(data)


def attack(path, name, *, times):
    rng = random.Random(name)
    heard = set()
    for _ in range(times):
        path.write_bytes(rng.choice([damaged, bits_turned, bits_turned])(SEEDS[name], rng))
        heard.add(outcome(path, rng.choice(LOOKING))[-40:])
    return heard


@pytest.mark.parametrize("name", SEEDS)
def test_a_damaged_file_is_read_or_refused(tmp_path, monkeypatch, name):
    monkeypatch.setenv("FORBEAR_MAX_INPUT_MIB", "4")
    path = tmp_path / "x.parquet"
    path.write_bytes(SEEDS[name])
    reading = Reading(threshold=0.5, by="seed") if name == "types" else Reading()
    assert outcome(path, reading) == ""
    assert len(attack(path, name, times=60)) > 3


@pytest.mark.slow
@pytest.mark.parametrize("name", SEEDS)
def test_a_file_damaged_in_more_ways(tmp_path, monkeypatch, name):
    monkeypatch.setenv("FORBEAR_MAX_INPUT_MIB", "4")
    attack(tmp_path / "x.parquet", name, times=400)


ROWS, MIB = 400, 1 << 20
BY_NOTE = Reading(where=(Condition.parse("note=y"),))


def with_note(note):
    names, arms = [f"t{i // 2}" for i in range(ROWS)], ["baseline", "critic"] * (ROWS // 2)
    return pa.table({"task_id": names, "arm": arms, "success": ["1"] * ROWS, "note": note})


def test_a_long_text_that_all_rows_share_is_held_once(tmp_path):
    note = pa.DictionaryArray.from_arrays(pa.array([0] * ROWS, pa.int32()), pa.array(["x" * MIB]))
    path = tmp_path / "bomb.parquet"
    parquet.write_table(with_note(note), path, store_schema=False)  # a reader does not know that it is a dictionary
    assert os.path.getsize(path) < MIB
    before = pa.default_memory_pool().max_memory()
    with pytest.raises(InvalidInput, match="no row has 'y' in the column 'note'"):
        read_outcomes(path, reading=BY_NOTE)
    # 400 MiB, if each row had its own.
    assert pa.default_memory_pool().max_memory() - before < 64 * MIB


def test_texts_that_grow_out_of_those_before_are_bounded(tmp_path, monkeypatch):
    path = tmp_path / "bomb.parquet"
    rows = with_note(["x" * (MIB // 8)] * ROWS)
    parquet.write_table(rows, path, use_dictionary=False, column_encoding={"note": "DELTA_BYTE_ARRAY"})
    assert os.path.getsize(path) < MIB // 8
    with pytest.raises(InvalidInput, match="no row has 'y'"):
        read_outcomes(path, reading=BY_NOTE)
    monkeypatch.setenv("FORBEAR_MAX_INPUT_MIB", "16")
    with pytest.raises(InvalidInput, match="unpacked: larger than 16 MiB"):
        read_outcomes(path, reading=BY_NOTE)


def test_columns_of_fewer_rows_than_the_file_says_are_refused(tmp_path):
    # A bit that was found to make pyarrow return a shorter column: the file's own number of rows is the measure.
    path = tmp_path / "x.parquet"
    path.write_bytes(stored(FLAT))
    whole = parquet.read_metadata(path)
    assert whole.num_rows == len(RECORDS)
    rng = random.Random(3)
    said = set()
    for _ in range(400):
        path.write_bytes(bits_turned(stored(FLAT), rng))
        said.add(outcome(path, Reading()))
    assert any("fewer rows than it says" in line for line in said), said
