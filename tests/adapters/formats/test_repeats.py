"""A run that stands there twice: the columns in which its rows differ are named, and every mend that is told mends."""

import re
import shlex

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forbear.adapters.formats.repeats import Keys
from forbear.adapters.formats.tabular import read_outcomes
from forbear.cli.main import run
from forbear.errors import InvalidInput
from forbear.outcomes.table import Labels

HEADER = "task_id,arm,{},success\n"


def refused(tmp_path, column, values, *, more=""):
    rows = [
        f"t{task},{arm},{value},{(task + i) % 2}\n"
        for task in range(6)
        for arm in ("baseline", "critic")
        for i, value in enumerate(values)
    ]
    path = tmp_path / "x.csv"
    path.write_text(HEADER.format(column) + "".join(rows) + more)
    with pytest.raises(InvalidInput, match=r"there twice, in lines 2 and 3") as caught:
        read_outcomes(path)
    return str(path), str(caught.value)


@pytest.mark.parametrize(
    ("column", "values", "told"),
    [
        ("filter", ["strict", "flexible"], ["--where filter=strict", "--by filter", "--number-runs"]),
        ("try", ["0", "1"], ["--seed-col try", "--number-runs"]),
        ("judge model", ["a b", "c"], ["--where 'judge model=a b'", "--by 'judge model'", "--number-runs"]),
    ],
)
def test_every_mend_mends(tmp_path, capsys, column, values, told):
    path, message = refused(tmp_path, column, values)
    assert f"differ in '{column}', 'success'" in message
    assert re.findall(r"--[a-z-]+(?: '[^']*'| [^ ;.'-][^ ;]*)?(?=[ ;.])", message)[: len(told)] == [
        option if option != "--number-runs" else "--number-runs if" for option in told
    ]
    for option in told:
        assert run(["decide", path, *shlex.split(option), "--json"]) == 0, option
    capsys.readouterr()


def test_a_column_that_only_sometimes_differs_is_no_mend(tmp_path):
    _, message = refused(tmp_path, "note", ["x", "y"], more="t0,baseline,x,1\n")
    assert "differ in 'note', 'success'" in message
    assert "--where" not in message


def test_rows_that_are_alike_are_copies_or_runs(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("task_id,arm,success,x\nt,a,1,2\nt,a,1,2\nt,b,1,2\n")
    with pytest.raises(InvalidInput, match=r"alike in every column, as are 1 such run in all: drop .*--number-runs"):
        read_outcomes(path)


@given(st.lists(st.tuples(*[st.integers(0, 3)] * 4), max_size=60), st.sampled_from([1, 1 << 20]))
def test_repeats_are_what_counting_finds(rows, many):
    """Many names make the keys too large for one count, and are numbered afresh."""
    columns = [np.array([row[i] for row in rows], dtype=np.int64) for i in range(4)]
    names = range(4 * many)
    keys = Keys(
        **{
            name: Labels(codes=codes, names=names)
            for name, codes in zip(("tasks", "arms", "seeds", "groups"), columns, strict=True)
        }
    )
    found = keys.repeated().tolist()
    assert sorted(found) == [i for i, row in enumerate(rows) if rows.count(row) > 1]
    starts = [rows[i] for i in found]
    assert all(starts[i] == starts[i - 1] or starts[i] not in starts[:i] for i in range(1, len(starts)))


def test_a_column_in_place_of_another_is_told_only_where_that_mends(tmp_path, capsys):
    rows = [
        (f"t{i}", model, arm, seed) for i in range(4) for model in "ab" for arm in ("baseline", "x") for seed in "01"
    ]
    path = tmp_path / "x.csv"
    path.write_text("id,model,arm,seed,trial,success\n" + "".join(f"{','.join(row)},{row[1]},1\n" for row in rows))
    with pytest.raises(
        InvalidInput, match=r"differ in 'model', 'trial'\. Choose .*--by model; --number-runs"
    ) as caught:
        read_outcomes(path)
    assert "--arm-col" not in str(caught.value)
    assert "--seed-col" not in str(caught.value)
    path.write_text("id,model,success\n" + "".join(f"t{i},{model},1\n" for i in range(4) for model in "ab"))
    with pytest.raises(InvalidInput, match=r"there twice.*--by model or --arm-col model"):
        read_outcomes(path, needs_arm=False)
    assert run(["decide", str(path), "--arm-col", "model", "--baseline", "a", "--json"]) == 0
    capsys.readouterr()
