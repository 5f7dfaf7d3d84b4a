"""Tables of every shape: what people have is read as it is, and what cannot be told is asked for."""

import gzip
import io
import json
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forbear.adapters.formats.outcome_words import FAILURE, MISSING, SUCCESS
from forbear.adapters.formats.reading import Columns, Condition, Reading
from forbear.adapters.formats.tabular import read_outcomes
from forbear.adapters.formats.tabular_columns import GUESSES
from forbear.errors import InvalidInput

ROWS = [
    ("t1", "baseline", "", True),
    ("t1", "critic", "", False),
    ("t2", "baseline", "", None),
    ("t2", "critic", "", True),
]
LONG = "task_id,arm,success\nt1,baseline,1\nt1,critic,0\nt2,baseline,error\nt2,critic,1\n"


def rows_of(table):
    missing = [False] * len(table.success) if table.missing is None else table.missing.tolist()
    columns = [table.tasks, table.arms, table.seeds]
    names = [[column.names[code] for code in column.codes] for column in columns]
    outcomes = [None if gone else bool(won) for won, gone in zip(table.success, missing, strict=True)]
    return list(zip(*names, outcomes, strict=True))


@pytest.fixture
def read(tmp_path):
    def read(*contents, names=None, **reading):
        paths = []
        for i, content in enumerate(contents):
            paths.append(tmp_path / (names[i] if names else f"x{i}.txt"))
            paths[-1].write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_outcomes(paths, reading=Reading(**reading))

    return read


def zipped(*files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in files:
            file.writestr(name, content)
    return buffer.getvalue()


RECORDS = [
    {"task_id": task, "arm": arm, "success": {True: True, False: 0, None: None}[won]} for task, arm, _, won in ROWS
]
SHAPES = {
    "semicolons": LONG.replace(",", ";"),
    "Excel's line of the separator": "sep=;\r\n" + LONG.replace(",", ";").replace("\n", "\r\n"),
    "sep= and tabs": "sep=\t\n" + LONG.replace(",", "\t"),
    "bars": LONG.replace(",", "|"),
    "UTF-16 as Excel writes it": ("\ufeff" + LONG.replace(",", "\t")).encode("utf-16-le"),
    "gzip": gzip.compress(LONG.encode()),
    "gzip in two members, padded": gzip.compress(LONG[:40].encode()) + gzip.compress(LONG[40:].encode()) + bytes(30),
    "zip": zipped(("outcomes.csv", LONG)),
    "zip of a Mac": zipped(("a/", ""), ("a/outcomes.csv", LONG), ("__MACOSX/._outcomes.csv", "x")),
    "other case and blanks": LONG.replace("task_id,arm,success", "Task ID,Arm,SUCCESS"),
    "other usual names": LONG.replace("task_id,arm,success", "instance_id,variant,resolved"),
    "wide": "task_id,baseline,critic\nt1,1,0\nt2,error,1\n",
    "JSON lines": "\n".join(map(json.dumps, RECORDS)),
    "an array": json.dumps(RECORDS),
    "a pretty array": json.dumps(RECORDS, indent=4),
    "pretty objects one after the other": "\n".join(json.dumps(record, indent=2) for record in RECORDS),
    "an array in a document": json.dumps({"version": 3, "results": RECORDS, "note": "x"}, indent=1),
    "by arm and id": json.dumps({"baseline": {"t1": True, "t2": None}, "critic": {"t1": "fail", "t2": 1.00}}),
    "objects by arm and id": json.dumps(
        {
            "baseline": {"t1": {"resolved": True}, "t2": {"resolved": None}},
            "critic": {"t1": {"resolved": 0}, "t2": {"resolved": 1}},
        }
    ),
    "arrays by arm": json.dumps(
        {arm: [{"id": r[0], "passed": r[3]} for r in ROWS if r[1] == arm] for arm in ("baseline", "critic")}, indent=2
    ),
}
READINGS = {"wide": {"arm_columns": ("baseline", "critic")}}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_same_rows_in_every_shape(read, shape):
    found = read(SHAPES[shape], **READINGS.get(shape, {}))
    assert sorted(rows_of(found.table), key=str) == sorted(ROWS, key=str)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("task_id,success\nt1,1\nt2,\n", "id;passed\nt2;TRUE\nt1;FALSE\n"),
        ('{"t1": true, "t2": null}', '[{"id": "t1", "correct": "I"}, {"id": "t2", "correct": "C"}]'),
        ('{"t1": {"resolved": true}, "t2": {"resolved": null}}', "instance\tis_correct\nt2\tcorrect\nt1\tincorrect\n"),
    ],
)
def test_two_files_may_differ_in_everything_but_their_tasks(read, first, second):
    found = read(first, second)
    assert found.baseline == "baseline"
    assert {row for row in rows_of(found.table)} == {
        ("t1", "baseline", "", True),
        ("t2", "baseline", "", None),
        ("t1", "treated", "", False),
        ("t2", "treated", "", True),
    }


def test_two_files_may_be_told_different_names(read):
    first, second = "q,ok\nt1,1\n", "x,y,q\nt1,0,5\n"
    columns = Columns(task=("q", "x"), success=("ok", "y"))
    assert rows_of(read(first, second, columns=columns).table) == [
        ("t1", "baseline", "", True),
        ("t1", "treated", "", False),
    ]
    with pytest.raises(InvalidInput, match=r"x1.txt has no column 'ok'; it has 'x', 'y', 'q'"):
        read(first, second, columns=Columns(task=("q", "x"), success="ok"))


def test_what_is_guessed_is_said(read):
    found = read("Instance,model,trial,Passed,cost\nt1,baseline,0,1,9\nt1,m,0,1,9\nt1,baseline,1,1,9\n")
    assert rows_of(found.table)[0] == ("t1", "baseline", "0", True)
    (columns, counts) = found.understood
    assert (columns.code, columns.values["columns"]) == (
        "columns_guessed",
        {"task": "Instance", "arm": "model", "seed": "trial", "success": "Passed"},
    )
    assert "arm 'model'" in columns.text
    assert counts.values["by_arm"]["m"] == {"tasks": 1, "runs": 1, "succeeded": 1, "failed": 0, "no outcome": 0}
    assert found.ignored == ("cost",)
    assert read(LONG).understood == ()


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("instance_id,question_id,arm,success", "task column could be 'instance_id' or 'question_id'.*--task-col NAME"),
        ("task_id,arm,passed,resolved", "success column could be 'passed' or 'resolved'.*--success-col NAME"),
        ("task_id,arm,score,reward", "success column could be 'score' or 'reward'"),
        ("task_id,model,agent,success", "arm column could be 'model' or 'agent'.*--arm-col NAME"),
        ("task_id,arm,Success,SUCCESS", "success column could be 'Success' or 'SUCCESS'"),
    ],
)
def test_a_guess_that_could_be_two_is_asked_about(read, header, message):
    with pytest.raises(InvalidInput, match=message):
        read(f"{header}\na,b,1,1\n")


def test_a_better_name_goes_before_a_guess(read):
    rows = rows_of(read("id,task_id,name,arm,model,success,score\n9,t1,n,a,m,1,0.2\n").table)
    assert rows == [("t1", "a", "", True)]
    assert rows_of(read("instance_id,name,arm,passed,status\nt1,n,a,1,x\n").table) == [("t1", "a", "", True)]


def test_a_guessed_seed_that_tells_nothing_apart_is_none(read):
    table = read("task_id,run,success\nt1,2024,1\nt2,2024,0\n", "task_id,run,success\nt1,2025,1\nt2,2025,0\n").table
    assert {row[2] for row in rows_of(table)} == {""}
    named = read("task_id,run,success\nt1,2024,1\n", "task_id,run,success\nt1,2025,1\n", columns=Columns(seed="run"))
    assert [row[2] for row in rows_of(named.table)] == ["2024", "2025"]


def test_rows_may_be_chosen(read):
    text = "task_id,arm,filter,success\nt1,baseline,Strict,1\nt1,baseline,flexible,maybe\nt2,baseline,strict,0\n"
    found = read(text, where=(Condition.parse("Filter=strict"),))
    assert rows_of(found.table) == [("t1", "baseline", "", True), ("t2", "baseline", "", False)]
    assert [place[-6:] for place in found.table.places] == ["line 2", "line 4"]
    assert found.understood[0].values == {"rows": 2, "of": 3}
    assert rows_of(read(text, where=(Condition.parse("filter!=flexible"),)).table) == rows_of(found.table)
    both = (Condition.parse("task_id=t1"), Condition.parse("filter=strict"), Condition.parse("task_id=t2"))
    assert rows_of(read(text, where=both).table) == rows_of(found.table)
    with pytest.raises(
        InvalidInput, match="no row has 'strct' in the column 'filter', which holds 'Strict', 'flexible'"
    ):
        read(text, where=(Condition.parse("filter=strct"),))
    with pytest.raises(InvalidInput, match="no row is left where 'filter' is not 'strict' or 'flexible'"):
        read(text, where=(Condition.parse("filter!=strict"), Condition.parse("filter!=flexible")))
    with pytest.raises(InvalidInput, match=r"no column 'x'.*Correct --where"):
        read(text, where=(Condition.parse("x=1"),))
    for wrong in ("filter", "=x", "!=x"):
        with pytest.raises(InvalidInput, match="--where needs column=value"):
            Condition.parse(wrong)


def test_fields_of_json_are_named_by_their_path(read):
    records = [
        {"meta": {"id": i}, "who": {"arm": arm}, "scores": [{"value": "C"}, {"value": "I"}], "a.b": "literal"}
        for i in range(2)
        for arm in ("baseline", "x")
    ]
    text = "\n".join(map(json.dumps, records))
    columns = Columns(task="meta.id", arm="who.arm", success="scores.1.value")
    assert rows_of(read(text, columns=columns).table)[1] == ("0", "x", "", False)
    assert rows_of(
        read(
            text,
            columns=Columns(task="meta.id", arm="who.arm", success="scores.0.value"),
            where=(Condition.parse("a.b=literal"),),
        ).table
    )[1] == ("0", "x", "", True)
    with pytest.raises(InvalidInput, match=r"no column 'meta.name'"):
        read(text, columns=Columns(task="meta.name", arm="who.arm", success="a.b"))


def test_a_document_is_asked_about_where_it_could_be_two(read):
    document = {
        "runs": [{"task_id": "t", "arm": "a", "success": 1}],
        "old": {"deep": [{"task_id": "t", "arm": "b", "success": 0}]},
        "more": [{"x": 1}],
    }
    with pytest.raises(InvalidInput, match=r"cannot be told: it has 'runs', 'old', 'more'.*--records NAME"):
        read(json.dumps(document))
    assert rows_of(read(json.dumps(document), records="old.deep").table) == [("t", "b", "", False)]
    with pytest.raises(InvalidInput, match=r"no 'dep' where --records says; there are 'deep'"):
        read(json.dumps(document), records="old.dep")
    with pytest.raises(InvalidInput, match=r"outcome cannot be told; it has 'cost', 'steps'.*--success-col NAME"):
        read(json.dumps({"t1": {"cost": 0.5, "steps": 7}}))


@pytest.mark.parametrize(
    "text",
    [
        '[{"a": 1},]',
        '[{"a": 1} {"a": 2}]',
        '{"a": {"b": 1}, "c": [}',
        '[{"task_id": "t"',
        '[{"a": "x}]',
        '{"a" {"b": 1}}',
        "[1 2]",
        '[{"a": 1}] x',
        "[tru]",
        '[{"a": 1]]',
    ],
)
def test_what_is_no_json_is_told_with_its_line(read, text):
    with pytest.raises(InvalidInput, match=r"x0.txt, line [123]\b.*(not JSON|not a JSON object|no column)"):
        read("\n" + text)


def test_wide_tables_are_read_by_themselves_where_nothing_else_is_possible(read):
    found = read("task_id,baseline,treated,notes\nt1,1,0,x\nt2,0,,y\n")
    assert {row[:2] + row[3:] for row in rows_of(found.table)} == {
        ("t1", "baseline", True),
        ("t1", "treated", False),
        ("t2", "baseline", False),
        ("t2", "treated", None),
    }
    assert found.understood[0].values["columns"] == {"arms": "baseline and treated"}
    with pytest.raises(InvalidInput, match=r"no column 'success'"):
        read("task_id,baseline,critic\nt1,1,0\n")
    with pytest.raises(InvalidInput, match=r"no column 'arm'.*--arm-cols NAME,NAME"):
        read("task_id,success\nt1,1\n")


def test_rows_may_be_paired_by_where_they_stand(read):
    found = read("success\n1\n0\n", "passed\n0\n0\n", key="row")
    assert rows_of(found.table) == [
        ("row 1", "baseline", "", True),
        ("row 2", "baseline", "", False),
        ("row 1", "treated", "", False),
        ("row 2", "treated", "", False),
    ]
    one = read("arm,success\nbaseline,1\nx,0\nx,1\nbaseline,1\n", key="row")
    assert [row[0] for row in rows_of(one.table)] == ["row 1", "row 1", "row 2", "row 2"]
    assert [row[0] for row in rows_of(read("[true, false]", "[0, 1]", key="row").table)] == ["row 1", "row 2"] * 2
    wide = read("baseline,treated\n1,0\n0,1\n", key="row")
    assert {row[:2] for row in rows_of(wide.table)} == {
        (f"row {i}", arm) for i in (1, 2) for arm in ("baseline", "treated")
    }
    with pytest.raises(InvalidInput, match=r"as many rows.*'baseline' 2 rows, 'x' 1 row"):
        read("arm,success\nbaseline,1\nx,0\nbaseline,1\n", key="row")
    with pytest.raises(InvalidInput, match=r"line 3 is blank, between rows of one column"):
        read("success\n1\n\n0\n", "success\n1\n0\n1\n", key="row")
    with pytest.raises(InvalidInput, match=r"as many rows.*the first has 2, the second 3"):
        read("success\n1\n0\n", "success\n1\n0\n1\n", key="row")


def test_runs_may_be_numbered(read):
    text = "task_id,arm,success\nt1,a,1\nt1,a,0\nt1,b,1\nt1,b,1\n"
    assert [row[2] for row in rows_of(read(text, number_runs=True).table)] == ["0", "1", "0", "1"]


def test_groups_are_a_column(read):
    table = read("task_id,arm,model,success\nt1,a,m,1\nt1,a,n,0\n", by="model").table
    assert [table.groups.names[code] for code in table.groups.codes] == ["m", "n"]


# --- outcomes -----------------------------------------------------------------------------------------------


WORDS = {
    True: [
        "1",
        "1.0",
        "1.00",
        "1e0",
        "TRUE",
        "t",
        "Yes",
        "y",
        "pass",
        "Passed",
        "correct",
        "C",
        "resolved",
        "solved",
        "success",
    ],
    False: [
        "0",
        "0.0",
        "0.00",
        "-0",
        "false",
        "F",
        "NO",
        "n",
        "fail",
        "failed",
        "incorrect",
        "I",
        "unresolved",
        "failure",
        "wrong",
    ],
    None: ["", "null", "None", "NaN", "nan", "n/a", "N/A", "NA", "#N/A", "error", "Error", "timeout"],
}


@pytest.mark.parametrize("suffix", ["csv", "json"])
def test_the_usual_words_are_understood(read, suffix):
    words = [(word, won) for won, listed in WORDS.items() for word in listed]
    if suffix == "csv":
        text = "task_id,success\n" + "\n".join(f"t{i},{word}" for i, (word, _) in enumerate(words))
    else:
        text = json.dumps([{"task_id": i, "success": word} for i, (word, _) in enumerate(words)])
    assert [row[3] for row in rows_of(read(text, text).table)] == [won for _, won in words] * 2


def test_words_for_no_outcome_are_counted(read):
    found = read(LONG + "t3,baseline,timeout\nt3,critic,NaN\nt4,critic,timeout\n")
    told = found.understood[0]
    assert told.values == {"words": {"nan": 1, "timeout": 2}}
    assert "--failure-values nan" in told.text


def test_other_words_are_said_to_mean_something(read):
    text = "task_id,arm,success\nt1,a,P\nt2,a,lost\nt3,a,skipped\nt4,a,timeout\nt5,a,1\n"
    found = read(text, success_values=("p",), failure_values=("lost", "timeout", "1"), missing_values=("Skipped",))
    assert [row[3] for row in rows_of(found.table)] == [True, False, None, False, False]
    with pytest.raises(
        InvalidInput, match=r"success is 'P', neither success nor failure.*--success-values P, --failure"
    ):
        read(text)
    with pytest.raises(InvalidInput, match="'a' is among success_values and failure_values"):
        Reading(success_values=("A",), failure_values=("a",))


def test_a_decimal_comma_is_one_where_commas_do_not_separate(read):
    found = read("task_id;arm;score\nt1;a;0,5\nt2;a;1,0\nt3;a;0,4999999999999\n", threshold=0.5)
    assert [row[3] for row in rows_of(found.table)] == [True, True, True]
    assert read("task_id;arm;score\nt1;a;0,25\n", graded=True).table.success.tolist() == [0.25]
    with pytest.raises(InvalidInput, match=r"score is '0,5'; expected a number"):
        read('task_id,arm,score\nt1,a,"0,5"\n', threshold=0.5)


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_a_threshold_is_reached_but_for_rounding(score, threshold):
    import numpy as np

    from forbear.adapters.formats.outcome_words import OutcomeWords

    words = OutcomeWords(Reading(threshold=threshold))
    slack = 1e-9 * max(1, abs(threshold))
    reached = bool(words.reached(np.array([score]))[0])
    assert reached == (score >= threshold) or abs(score - threshold) <= slack


def test_a_column_of_errors_takes_failures_out_and_is_never_passed_over(read):
    text = "task_id,arm,success,error\nt1,a,0,crash\nt2,a,0,\nt3,a,1,warned\nt4,a,0,None\nt1,b,0,\n"
    found = read(text, columns=Columns(error="error"))
    assert [row[3] for row in rows_of(found.table)] == [None, False, True, False, False]
    assert [(note.code, note.values) for note in found.notes] == [("errors_taken_out", {"by_arm": {"a": 1}})]
    unread = read(text)
    assert [row[3] for row in rows_of(unread.table)] == [False, False, True, False, False]
    (note,) = unread.notes
    assert (note.code, note.values["by_arm"]) == ("failures_with_errors", {"a": 1})
    assert "--error-col error" in note.text
    scored = read(text.replace("success", "score"), columns=Columns(error="error"), threshold=0.5)
    assert [row[3] for row in rows_of(scored.table)] == [None, False, True, False, False]


def test_a_word_for_no_outcome_is_a_reason_where_there_is_no_other(read):
    text = "task_id,arm,success\nt1,a,timeout\nt1,b,error\nt2,a,1\n"
    found = read(text, failures=("Timeout",))
    assert [row[3] for row in rows_of(found.table)] == [False, None, True]
    with pytest.raises(InvalidInput, match=r"no column 'reason'.*--reason-col NAME"):
        read(text, failures=("quota",))


# --- what is packed -----------------------------------------------------------------------------------------


def test_bombs_do_not_go_off(read, monkeypatch):
    monkeypatch.setenv("FORBEAR_MAX_INPUT_MIB", "1")
    rows = "task_id,arm,success\n" + "t,a,1\n" * 400_000
    for packed in (gzip.compress(rows.encode()), zipped(("x.csv", rows)), gzip.compress(bytes(64 << 20))):
        assert len(packed) < 1 << 20
        with pytest.raises(InvalidInput, match=r"unpacked: larger than 1 MiB"):
            read(packed)


def test_what_cannot_be_unpacked_is_told(read):
    whole = gzip.compress(LONG.encode())
    for packed, message in (
        (whole[:-20], "ends in the middle"),
        (whole[:12] + b"\xff\xff" + whole[14:], "cannot be unpacked"),
        (zipped(("a.csv", LONG), ("b.csv", LONG)), "with 2 files in it: 'a.csv', 'b.csv'"),
        (zipped(("a/", "")), "with 0 files in it: none"),
        (zipped(("a.csv", LONG))[:-30], "damaged or holds too many files"),
        (zipped(*((f"{i}" * 20, "") for i in range(20_000))), "damaged or holds too many files"),
        (b"BZh91AY", "bunzip2"),
        (b"\x28\xb5\x2f\xfdxx", "unzstd"),
    ):
        with pytest.raises(InvalidInput, match=message):
            read(packed)


def test_the_lists_of_names_and_words_are_documented():
    """docs/formats.md: names that end with _id are there by their stem."""
    text = (Path(__file__).parents[3] / "docs" / "formats.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| `") and "-col" in line]
    table = {line.split("|")[1].strip(" `"): line for line in rows}
    for role, groups in GUESSES.items():
        row = table[groups[0][0]]
        for name in (name for group in groups for name in group):
            assert f"`{name}`" in row or f"`{name.removesuffix('_id')}`" in row, (role, name)
    said = text.partition("- **Outcomes.**")[2].partition("- **Rows.**")[0].replace("`", " ").split()
    assert {word for word in (*SUCCESS, *FAILURE, *MISSING) if word} <= {word.strip(";,:.") for word in said}
