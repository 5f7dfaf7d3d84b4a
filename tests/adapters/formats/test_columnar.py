"""Large tables by whole columns: what is read is what the reader of rows reads, and refused where that refuses."""

import random

import numpy as np
import pytest

from forbear.adapters.formats.columnar import read_columnar
from forbear.adapters.formats.reading import Columns, Condition, Reading
from forbear.adapters.formats.source import read_source
from forbear.adapters.formats.tabular import read_outcomes
from forbear.adapters.formats.tabular_rows import read_rows
from forbear.adapters.formats.understood import cautions, understood
from forbear.errors import InvalidInput

pa = pytest.importorskip("pyarrow", reason="needs the extra data: pip install 'forbear[data]'")
from pyarrow import parquet  # noqa: E402

NAMES = ("task_id", "arm", "seed", "filter", "error", "cluster", "success", "score")


def rows_of(table):
    columns = [x for x in (table.tasks, table.arms, table.seeds, table.clusters, table.groups, table.reasons) if x]
    names = [[column.names[code] for code in column.codes] for column in columns]
    success = [None if gone else won for won, gone in zip(table.success.tolist(), table.missing.tolist(), strict=True)]
    return sorted(zip(*names, success, strict=True), key=str)


USUAL = Reading()


def by_columns(*paths, reading=USUAL):
    alone = len(paths) == 1
    content, names = read_columnar(list(paths), reading, needs_arm=alone, guess_arm=alone, large=0)
    assert len(names) == len(paths)
    return content


def by_rows(*paths, reading=USUAL):
    alone = len(paths) == 1
    return read_rows(map(read_source, paths), reading, needs_arm=alone, guess_arm=alone)


def said(content, reading):
    sources = ["x"] * len(content.layouts)
    remarks = (*cautions(content), *understood(content, reading, sources=sources, seeds_dropped=False))
    return [(remark.code, remark.values) for remark in remarks]


def table_of(seed, rows=300):
    rng = random.Random(seed)
    keys = [
        (f"t{i}", arm, str(s), f)
        for i in range(rows // 8)
        for arm in ("baseline", " x")
        for s in range(2)
        for f in "ab"
    ]
    rng.shuffle(keys)
    words = ["1", "0", "PASS", "no", "", "error", "timeout", "1.00"]
    return [
        (
            *key,
            rng.choice(["", "crash", "None"]),
            f"c{key[0][-1]}",
            rng.choice(words),
            rng.choice(["0.5", "1", "", "0.25"]),
        )
        for key in keys
    ]


READINGS = [
    Reading(where=(Condition.parse("filter=a"),)),
    Reading(where=(Condition.parse("filter!=b"), Condition.parse("seed=0")), columns=Columns(error="error")),
    Reading(by="filter"),
    Reading(by="filter", columns=Columns(success="score"), threshold=0.5),
    Reading(by="filter", columns=Columns(success="score", error="error"), graded=True),
    Reading(number_runs=True),
    Reading(key="row", by="filter", columns=Columns(seed="seed")),
    Reading(by="filter", failures=("timeout",)),
    Reading(by="filter", failures=("crash",), columns=Columns(reason="error")),
    Reading(where=(Condition.parse("filter=a"),), failure_values=("timeout",), missing_values=("no",)),
]


@pytest.mark.parametrize("reading", READINGS, ids=range(len(READINGS)))
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_columns_give_what_rows_give(tmp_path, reading, kind):
    rows = table_of(1)
    path = tmp_path / "x.csv"
    path.write_text("\n".join(";".join(row) for row in (NAMES, *rows)))
    expected = by_rows(path, reading=reading)
    if kind == "parquet":
        columns = dict(zip(NAMES, map(list, zip(*rows, strict=True)), strict=True))
        columns["seed"] = [int(seed) for seed in columns["seed"]]
        columns["score"] = [float(score) if score else None for score in columns["score"]]
        path = tmp_path / "x.parquet"
        parquet.write_table(pa.table(columns), path)
    found = by_columns(path, reading=reading)
    assert rows_of(found) == rows_of(expected)
    assert said(found, reading) == said(expected, reading)


def test_a_wide_table_and_two_files(tmp_path):
    wide = tmp_path / "w.csv"
    wide.write_text("id,base,new\n" + "".join(f"t{i},{i % 2},{i % 3 % 2}\n" for i in range(20)))
    first, second = tmp_path / "a.csv", tmp_path / "b.csv"
    first.write_text("id,passed\n" + "".join(f"t{i},{i % 2}\n" for i in range(20)))
    second.write_text("Task\tok\n" + "".join(f"t{i}\t{i % 3 % 2}\n" for i in range(20)))
    both = Reading(columns=Columns(success=("passed", "ok")))
    arms = Reading(arm_columns=("base", "new"))
    assert rows_of(by_columns(wide, reading=arms)) == rows_of(by_rows(wide, reading=arms))
    assert rows_of(by_columns(first, second, reading=both)) == rows_of(by_rows(first, second, reading=both))


GOOD = "task_id,arm,success\n" + "".join(f"t{i},{arm},1\n" for i in range(5) for arm in "ab")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD + "t9,a,maybe\n", "row 11: success is 'maybe'"),
        (GOOD + "t9,a\n", "cannot be read as CSV .*Expected 3 columns, got 2"),
        (GOOD + " ,a,1\n", "row 11: the task id is empty"),
        (GOOD + "t9,,1\n", "row 11: the arm is empty"),
        (GOOD + "t1,b,0\n", "task 't1', arm 'b' is there twice, in rows 4 and 11. They differ in 'success'"),
        (GOOD + 10_000 * "t9,a,1\n" + "t\xff,b,0\n", "cannot be read as CSV .*UTF8"),
        (GOOD.replace("arm", "who"), "no column 'arm'"),
        ("task_id,arm,success\n", "only a header"),
    ],
)
def test_what_is_no_row_is_refused_with_its_number(tmp_path, text, message):
    path = tmp_path / "x.csv"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InvalidInput, match=message) as caught:
        by_columns(path)
    assert str(caught.value).isprintable()


def test_repeats_in_columns_are_told_apart_as_in_rows(tmp_path):
    path = tmp_path / "x.parquet"
    rows = [(f"t{i}", arm, f, (i + (f == "b")) % 2 == 0) for i in range(9) for arm in ("baseline", "x") for f in "ab"]
    tasks, arms, filters, success = map(list, zip(*rows, strict=True))
    parquet.write_table(pa.table({"task_id": tasks, "arm": arms, "filter": filters, "success": success}), path)
    with pytest.raises(InvalidInput, match=r"rows 1 and 2. They differ in 'filter', 'success'.*--where filter=a"):
        read_outcomes(path)


def test_fields_and_types_of_parquet(tmp_path):
    path = tmp_path / "x.parquet"
    table = pa.table(
        {
            "task_id": pa.array([1, 2, None, 4], pa.int64()),
            "arm": pa.array(["a", "b", "a", "b"]).dictionary_encode(),
            "result": [
                {"ok": True, "x": 1.5},
                {"ok": False, "x": 0.5},
                {"ok": None, "x": None},
                {"ok": True, "x": 1.0},
            ],
        }
    )
    parquet.write_table(table.slice(0, 2), path)
    read = read_outcomes(path, reading=Reading(columns=Columns(success="result.ok")))
    assert rows_of(read.table) == [("1", "a", "", True), ("2", "b", "", False)]
    scored = read_outcomes(path, reading=Reading(columns=Columns(success="result.x"), threshold=1))
    assert rows_of(scored.table) == [("1", "a", "", True), ("2", "b", "", False)]
    for reading, message in (
        (Reading(columns=Columns(success="result")), "name a field of it: 'result.x'"),
        (Reading(columns=Columns(task="result.x", success="result.ok")), "'result.x' holds double; expected text or"),
    ):
        with pytest.raises(InvalidInput, match=message):
            read_outcomes(path, reading=reading)
    parquet.write_table(table, path)
    with pytest.raises(InvalidInput, match="row 3: the task id is empty"):
        read_outcomes(path, reading=Reading(columns=Columns(success="result.ok")))


def test_a_file_is_bounded_before_it_is_read(tmp_path, monkeypatch):
    path = tmp_path / "x.parquet"
    parquet.write_table(pa.table({"task_id": ["t"] * 3_000_000, "success": np.ones(3_000_000, np.int8)}), path)
    assert path.stat().st_size < 1 << 20
    monkeypatch.setenv("FORBEAR_MAX_INPUT_MIB", "2")
    with pytest.raises(InvalidInput, match="more than 65,536 rows"):
        read_outcomes(path)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(InvalidInput, match="cannot be read as Parquet"):
        read_outcomes(path)
