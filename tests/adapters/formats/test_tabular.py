"""The tabular layout: what can be read, and errors that name the line."""

import csv
import io
import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forbear.adapters.formats.reading import Columns, Reading
from forbear.adapters.formats.tabular import read_mix, read_outcomes
from forbear.errors import InvalidInput
from forbear.outcomes.table import OutcomeTable

HEADER = "task_id,arm,seed,success\n"
GOOD = HEADER + "t1,baseline,0,1\nt1,critic,0,0\nt2,baseline,0,0\nt2,critic,0,1\n"
ROWS = [
    ("t1", "baseline", "0", True, 2),
    ("t1", "critic", "0", False, 3),
    ("t2", "baseline", "0", False, 4),
    ("t2", "critic", "0", True, 5),
]


def rows_of(table: OutcomeTable):
    return [
        (
            table.tasks.names[task],
            table.arms.names[arm],
            table.seeds.names[seed],
            bool(success),
            int(table.places[i].rpartition("line ")[2]),
        )
        for i, (task, arm, seed, success) in enumerate(
            zip(table.tasks.codes, table.arms.codes, table.seeds.codes, table.success, strict=True)
        )
    ]


@pytest.fixture
def write(tmp_path):
    def write(content, name="outcomes.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


# --- what can be read ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        GOOD,
        GOOD.rstrip("\n"),
        GOOD + "\n\n",
        GOOD + "\n" * 1000,
        "\ufeff" + GOOD,
        GOOD.replace("\n", "\r\n"),
        GOOD.replace("\n", "\r\n").rstrip(),
        GOOD.replace("\n", "\r\n") + "\r\n\r\n",
        GOOD.replace("\n", "\r"),
        GOOD.replace(",", "\t"),
        GOOD.replace(",", ", "),
        GOOD.replace("t1", "t1 "),
        GOOD.replace("baseline", "\tbaseline"),
        GOOD.replace("t1", '"t1"'),
        GOOD.replace(",1\n", ",PASS\n").replace(",0\n", ",False\n"),
        GOOD.replace(",1\n", ",YES\n").replace(",0\n", ",no\n"),
    ],
)
def test_the_same_rows_however_they_are_written(write, content):
    assert rows_of(read_outcomes(write(content)).table) == ROWS


def test_lines_are_those_of_an_editor(write):
    quoted = 'task_id,arm,seed,success\n"a\nb",baseline,0,1\n\n"a\nb",critic,0,1\n"x, y",critic,0,0\n'
    assert rows_of(read_outcomes(write(quoted)).table) == [
        ("a\nb", "baseline", "0", True, 2),
        ("a\nb", "critic", "0", True, 5),
        ("x, y", "critic", "0", False, 7),
    ]
    assert rows_of(read_outcomes(write(GOOD)).table) == ROWS


def test_jsonl_takes_booleans_numbers_and_text(write):
    path = write(
        '{"task_id": 1, "arm": "baseline", "seed": 3, "success": true, "note": {"x": [1]}, "z": 0, "b": 0, "y": 0}\n'
        '{"task_id": "1", "arm": "critic", "seed": null, "success": 0}\r\n\n'
        '{"task_id": "é", "arm": "critic", "success": "Pass"}\n',
        "outcomes.jsonl",
    )
    read = read_outcomes(path)
    assert rows_of(read.table) == [
        ("1", "baseline", "3", True, 1),
        ("1", "critic", "", False, 2),
        ("é", "critic", "", True, 4),
    ]
    assert read.ignored == ("note", "z", "b", "y")


def test_column_names_can_be_given_and_the_others_are_said(write):
    path = write("n,id,condition,ok,run\n9,t1,baseline,1,5\n9,t1,x,1,5\n")
    read = read_outcomes(path, reading=Reading(columns=Columns(task="id", arm="condition", seed="run", success="ok")))
    assert rows_of(read.table) == [("t1", "baseline", "5", True, 2), ("t1", "x", "5", True, 3)]
    assert read.ignored == ("n",)


def test_a_seed_column_is_optional(write):
    assert rows_of(read_outcomes(write("success,arm,task_id\n1,b,t\n")).table) == [("t", "b", "", True, 2)]


@pytest.mark.parametrize("quote", ["", '"'])
def test_two_files_are_baseline_and_treated(write, quote):
    first = write(f"task_id,success\n{quote}t1{quote},1\nt2,0\n", "a.csv")
    second = write("success\ttask_id\n0\tt2\n", "b.tsv")
    read = read_outcomes([first, second])
    assert read.baseline == "baseline"
    assert rows_of(read.table) == [
        ("t1", "baseline", "", True, 2),
        ("t2", "baseline", "", False, 3),
        ("t2", "treated", "", False, 2),
    ]
    assert "b.tsv, line 2" in read.table.places[2]


def test_two_files_keep_the_names_of_their_arms(write):
    first, second = write("task_id,arm,success\nt,v1,1\n", "a.csv"), write("task_id,arm,success\nt,v2,1\n", "b.csv")
    read = read_outcomes([first, second])
    assert read.baseline == "v1"
    assert [row[1] for row in rows_of(read.table)] == ["v1", "v2"]
    same = read_outcomes([first, first])
    assert [row[1] for row in rows_of(same.table)] == ["baseline", "treated"]


def test_two_files_in_the_wrong_order_are_noticed(write):
    first, second = (
        write("task_id,arm,success\nt,v1,1\n", "a.csv"),
        write("task_id,arm,success\nt,baseline,1\n", "b.csv"),
    )
    with pytest.raises(InvalidInput, match=r"the baseline comes first.*Swap them"):
        read_outcomes([first, second])


def test_two_files_hold_one_arm_each(write):
    with pytest.raises(InvalidInput, match=r"each is one arm, but .*holds the arms 'baseline', 'critic'"):
        read_outcomes([write(GOOD), write(GOOD)])


# --- any table: what a few lines of splitting make of it -------------------------------------------------------------

names = st.one_of(
    st.sampled_from(["t1", "t2", "t10", "baseline", "critic", "task_0000001", "task_0000002", "x" * 8, "x" * 9]),
    st.text(st.characters(exclude_characters='",\t\r\n\0', exclude_categories=["Cs"]), min_size=0, max_size=20),
    st.text("ab", min_size=1, max_size=130),
)
flags = st.sampled_from(
    ["0", "1", "true", "FALSE", "Yes", "no", "pass", "Fail", "0", "1", "1", "maybe", " 1", "", "Error"]
)
good_flags = st.sampled_from(["0", "1", "true", "FALSE", "Yes", "error"])
good_names = names.filter(lambda name: name.strip(" \t"))
records = st.one_of(
    st.lists(st.tuples(good_names, good_names, names, good_flags, names, names), min_size=1, max_size=40),
    st.lists(st.tuples(names, names, names, flags, names, names), max_size=10),
)
endings = st.sampled_from(["\n", "\r\n", "\r"])
COLUMNS = ("task_id", "arm", "seed", "success", "cluster", "stratum")
OUTCOMES = {
    **dict.fromkeys(("1", "true", "yes", "pass"), True),
    **dict.fromkeys(("0", "false", "no", "fail"), False),
    **dict.fromkeys(("", "error"), None),
}


def split(text, delimiter):
    """The rows of a text without quotes, or the line of the first that is none."""
    rows = []
    for line, raw in enumerate(re.split("\r\n|\r|\n", text)[1:], start=2):
        fields = [field.strip(" \t") for field in raw.split(delimiter)]
        if not any(fields):
            continue
        task, arm, seed, success, *others = [*fields, *[""] * 6][:6]
        if len(fields) != 6 or not task or not arm or success.lower() not in OUTCOMES:
            return line
        rows.append((task, arm, seed, OUTCOMES[success.lower()], *others, line))
    return rows


@pytest.mark.slow
@settings(max_examples=100)
@given(records, endings, st.sampled_from([",", "\t"]), st.sampled_from(["", "\n", "\r\n\n", "x", ",", " "]))
def test_a_table_is_what_splitting_it_gives(tmp_path_factory, records, ending, delimiter, tail):
    text = ending.join(delimiter.join(row) for row in [COLUMNS, *records]) + ending + tail
    path = tmp_path_factory.mktemp("any") / "outcomes.csv"
    path.write_bytes(text.encode())
    expected = split(text, delimiter)
    if not expected or isinstance(expected, int):
        with pytest.raises(InvalidInput, match=rf"line {expected}\b" if expected else "only a header"):
            read_outcomes(path)
        return
    met = [row[:3] for row in expected]
    if len(set(met)) < len(met):
        second = next(i for i, key in enumerate(met) if key in met[:i])
        first = met.index(met[second])
        with pytest.raises(InvalidInput, match=rf"twice, in lines {expected[first][-1]} and {expected[second][-1]}\b"):
            read_outcomes(path)
        return
    table = read_outcomes(path).table
    columns = [table.tasks, table.arms, table.seeds, table.clusters, table.strata]
    task, arm, seed, cluster, stratum = ([column.names[code] for code in column.codes] for column in columns)
    success = [None if gone else bool(won) for won, gone in zip(table.success, table.missing, strict=True)]
    lines = [int(place.rpartition("line ")[2]) for place in table.places]
    assert list(zip(task, arm, seed, success, cluster, stratum, lines, strict=True)) == expected
    for column in columns:
        assert len(set(column.names)) == len(column.names) == len(set(column.codes.tolist()))


def test_a_large_file_in_any_order_gives_the_same_pairs(write):
    rng = np.random.default_rng(3)
    rows = [f"task_{i:07d},{arm},0,{rng.integers(2)}" for arm in ("baseline", "critic") for i in range(5000)]
    tables = []
    for order in (range(len(rows)), rng.permutation(len(rows)), np.argsort([i % 5000 for i in range(len(rows))])):
        read = rows_of(read_outcomes(write(HEADER + "\n".join(rows[i] for i in order))).table)
        assert [row[4] for row in read] == list(range(2, len(rows) + 2))
        tables.append(sorted(row[:4] for row in read))
    assert tables[0] == tables[1] == tables[2]
    assert len({row[0] for row in tables[0]}) == 5000


def test_lines_are_right_behind_what_is_unusual_in_a_large_file(write):
    """Values with line breaks, blank lines and long lines, wherever the reader stops for breath."""
    lines, starts, line = ["task_id,arm,success"], [], 2
    for i in range(3000):
        task = f'"task\n{i}\r\n"' if i % 7 == 0 else f"task {i}" + "x" * (i % 11 == 0) * 3000
        blank = "\n" * (i % 13 == 0)
        lines.append(blank + f"{task},baseline,1")
        line += len(blank)
        starts.append(line)
        line += 3 if i % 7 == 0 else 1
    path = write("\n".join(lines))
    table = read_outcomes(path).table
    assert [int(place.rpartition("line ")[2]) for place in table.places] == starts
    assert table.tasks.names[7] == "task\n7\r\n"
    with pytest.raises(InvalidInput, match=f"line {line} has 2 fields"):
        read_outcomes(write("\n".join([*lines, "t,baseline"])))


def test_the_first_error_is_the_one_that_is_said(write):
    for content in (
        GOOD + 't3,baseline,0,maybe\n"t3"x,baseline,0,1\n',
        GOOD + "\n" * 700 + "t3,baseline,0,maybe\nt3,baseline,0\n,,0,1\n",
    ):
        with pytest.raises(InvalidInput, match="success is 'maybe'"):
            read_outcomes(write(content))


def test_a_return_inside_a_line_is_a_line_end(write):
    with pytest.raises(InvalidInput, match="line 2 has 1 field,"):
        read_outcomes(write("task_id,arm,seed,success\nt\r1,a,0,1\r\nt2,b,0,1\r\n"))


# --- what cannot be read ---------------------------------------------------------------------------------------------

LONG = "x" * 200_000
ERRORS = [
    (b"", "is empty"),
    (b"\n\r\n  \n", "is empty"),
    (HEADER, "holds no outcomes, only a header"),
    (GOOD + "t3,baseline,0,maybe\n", r"line 6: success is 'maybe'; expected 0 or 1"),
    (GOOD + "t3,baseline,0,2\n", r"line 6: success is '2'; expected 0 or 1. Scores: .*--threshold T"),
    (GOOD + "t3,baseline,0,partial\n", r"line 6: success is 'partial', neither .*--success-values partial, --failure"),
    (GOOD + "t3,baseline,0,skipped\n", r"line 6: success is 'skipped'; expected 0 or 1.*--missing-values skipped"),
    (GOOD + '"t\n3",baseline,0,2\n', "line 6: success is '2'"),
    (GOOD + "t3,baseline,0\n", "line 6 has 3 fields, the header has 4"),
    (GOOD + "t3,baseline,0,1,9\n", "line 6 has 5 fields, the header has 4"),
    (GOOD + "t3,baseline,0,1,t3,critic,0,1\n", "line 6 has 8 fields, the header has 4"),
    (GOOD + "t3,baseline,0\nt3,critic,0,1,9\n", "line 6 has 3 fields, the header has 4"),
    (GOOD + ",baseline,0,1\n", "line 6: the task id is empty"),
    (GOOD + "t3, ,0,1\n", "line 6: the arm is empty"),
    (GOOD + '"t3,baseline,0,1\n', r"line 6: cannot be read as CSV \(unexpected end of data\)"),
    (GOOD + '"t3"x,baseline,0,1\n', "line 6: cannot be read as CSV"),
    (GOOD + f"{LONG},baseline,0,1\n", "line 6: cannot be read as CSV .*field larger"),
    ("x" * 10_000_000, "line 1: cannot be read as CSV .*field larger"),
    ("x," * 5_000_000, "has no column 'task_id'; it has 'x', 'x', 'x', 'x', 'x', ..."),
    (
        "task_ids,arm,seed,success\nt,a,0,1\n",
        r"no column 'task_id'; it has 'task_ids', 'arm'.*Did you mean 'task_ids'\?.*--task-col",
    ),
    ("task_id,arm,seed,successes\nt,a,0,1\n", r"no column 'success'.*Did you mean 'successes'\?.*--success-col NAME"),
    ("task_id,success\nt,1\n", "no column 'arm'.*--arm-col NAME. Or give two files, baseline first"),
    ("task_id,arm,arm,success\nt,a,b,1\n", "2 columns named 'arm'"),
    (GOOD.encode("utf-16")[:-1], "begins as UTF-16 text and is none; save it as UTF-8"),
    (GOOD.encode() + b"t\0,critic,0,1\n", "is not text: line 6 holds a NUL byte"),
    (GOOD.encode() + b"t\xff,critic,0,1\n", "is not UTF-8: line 6 cannot be decoded"),
    (b"\x89PNG\r\n\x1a\n\0\0\0", "is not text"),
    ("[[1, 2]]", "line 1 is not a JSON object .it is .1, 2."),
    ("[1, 2]", "line 1 has no column 'task_id'; it has 'success'.*--key row"),
    ('{"task_id": 1}', "line 1 has no column 'success'"),
    ('{"task_id": 1, "success": 1}', "line 1 has no column 'arm'"),
    ('{"task_id": 1.5, "arm": "a", "success": 1}', "line 1: 'task_id' is 1.5; expected text or a whole number"),
    ('{"task_id": true, "arm": "a", "success": 1}', "line 1: 'task_id' is true"),
    ('{"task_id": "\\ud800", "arm": "a", "success": 1}', "half a character"),
    ('{"task_id": "t", "arm": "a", "success": 2}', "line 1: success is '2'"),
    ('{"task_id": "t", "arm": "a", "success": [1]}', "line 1: success is"),
    (
        '{"task_id": "t", "arm": "a", "success": 1, "success": 0}',
        "line 1 is not a JSON object .a key stands there twice",
    ),
    ('{"task_id": "t", "arm": "a", "success": 1}\n[]', "line 2 is not a JSON object .it is"),
    ('{"task_id": "t", "arm": "a", "success": 1}\n{"', "line 2 is not a JSON object .Unterminated string"),
    ('{"a":' * 100_000, "line 1 is not a JSON object"),
    ('{"task_id": ' + "9" * 10_000 + "}", "line 1 is not a JSON object"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("content", "message"), ERRORS, ids=range(len(ERRORS)))
def test_what_cannot_be_read_is_one_bounded_line(write, content, message):
    with pytest.raises(InvalidInput, match=message) as caught:
        read_outcomes(write(content))
    text = str(caught.value)
    assert text.isprintable()
    assert len(text) < 600


@pytest.mark.parametrize("name", ["\x1b[31mred\x1b[0m", "[bold]x[/bold]", "a" * 10_000, "\u202eevil"])
def test_hostile_text_is_inert_in_messages(write, name):
    rows = [("task_id", "arm", "success"), (name, "baseline", name)]
    buffer = io.StringIO()
    csv.writer(buffer).writerows(rows)
    for content in (buffer.getvalue(), json.dumps(dict(zip(*rows, strict=True)))):
        with pytest.raises(InvalidInput) as caught:
            read_outcomes(write(content))
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 400


def test_unreadable_paths_are_errors(tmp_path):
    for path, message in [
        (tmp_path, "Is a directory"),
        (tmp_path / "absent.csv", "No such file"),
        (tmp_path / "a\0b", "NUL"),
        (tmp_path / ("x" * 5000), "too long"),
    ]:
        with pytest.raises(InvalidInput, match=message) as caught:
            read_outcomes(path)
        assert str(caught.value).isprintable()


def test_one_or_two_files(write):
    path = write(GOOD)
    for paths in ([], [path] * 3):
        with pytest.raises(InvalidInput, match="expected one file, or two"):
            read_outcomes(paths)
    with pytest.raises(InvalidInput, match="standard input can be read once"):
        read_outcomes(["-", "-"])


@pytest.mark.parametrize(
    "content",
    [
        "task_id,arm,success,cluster\nt,a,1,x\nt,b,,x\nu,a,ERROR,y\nu,b,0,y\n",
        'task_id,arm,success,cluster\n"t",a,1,x\nt,b,,x\nu,a,ERROR,y\nu,b,0,y\n',
        '{"task_id":"t","arm":"a","success":1,"cluster":"x"}\n{"task_id":"t","arm":"b","success":null,"cluster":"x"}\n'
        '{"task_id":"u","arm":"a","success":"error","cluster":"y"}\n'
        '{"task_id":"u","arm":"b","success":0,"cluster":"y"}\n',
    ],
)
def test_a_run_without_outcome_is_missing_not_a_failure(write, content):
    table = read_outcomes(write(content)).table
    assert table.missing.tolist() == [False, True, True, False]
    assert table.success[[0, 3]].tolist() == [True, False]
    assert [table.clusters.names[code] for code in table.clusters.codes] == ["x", "x", "y", "y"]


def test_a_mix_is_scaled_and_checked(write):
    assert read_mix(write("stratum,weight\neasy,3\nhard,1\n")) == {"easy": 0.75, "hard": 0.25}
    for content, message in (
        ("kind,weight\na,1\n", "needs the columns stratum,weight"),
        ("stratum,weight\na,1\na,2\n", "line 3: each stratum needs one row"),
        ("stratum,weight\na,-1\n", "line 2: each stratum"),
        ("stratum,weight\na,much\n", "line 2: each stratum"),
        ("stratum,weight\na,0\n", "no weight above 0"),
    ):
        with pytest.raises(InvalidInput, match=message):
            read_mix(write(content))


def test_a_column_named_twice_is_an_error(write):
    path = write(GOOD)
    for content in (GOOD, json.dumps({"task_id": "t", "arm": "a", "success": 1})):
        with pytest.raises(InvalidInput, match="must be different columns"):
            read_outcomes(write(content), reading=Reading(columns=Columns(arm="task_id")))
    with pytest.raises(InvalidInput, match="no column 'run'"):
        read_outcomes(path, reading=Reading(columns=Columns(seed="run")))


@pytest.mark.slow
def test_published_pilots_are_read_as_they_are(shared_data):
    files = sorted((shared_data / "pairs").glob("*.csv"))
    assert files
    for path in files:
        with path.open(newline="") as file:
            expected = [
                (row["task_id"], row["arm"], row["seed"], row["success"] == "1") for row in csv.DictReader(file)
            ]
        assert [row[:4] for row in rows_of(read_outcomes(path).table)] == expected, path.name


@pytest.mark.parametrize(
    "content",
    [
        "task_id,arm,success\na,baseline,0.25\na,critic, PASS \nb,baseline,error\nb,critic,1e-1\n",
        '{"task_id":"a","arm":"baseline","success":0.25}\n{"task_id":"a","arm":"critic","success":true}\n'
        '{"task_id":"b","arm":"baseline","success":null}\n{"task_id":"b","arm":"critic","success":"0.1"}\n',
    ],
)
def test_scores_are_read_where_they_are_asked_for(write, content):
    path = write(content)
    table = read_outcomes(path, reading=Reading(graded=True)).table
    assert table.graded
    assert (table.success.tolist(), table.missing.tolist()) == ([0.25, 1.0, 0.0, 0.1], [False, False, True, False])
    binary = read_outcomes(path, reading=Reading(threshold=0.25)).table
    assert not binary.graded
    assert (binary.success.tolist(), binary.missing.tolist()) == (
        [True, True, False, False],
        [False, False, True, False],
    )
    with pytest.raises(
        InvalidInput, match=r"0\.25.*expected 0 or 1.*Scores between 0 and 1: --graded, or --threshold T"
    ):
        read_outcomes(path)


@pytest.mark.parametrize("score", ["1.5", "-0.1", "inf", "good", "0,5"])
def test_what_is_no_score_is_named_with_its_line(write, score):
    for content in (
        f'task_id,arm,success\na,baseline,0.5\na,critic,"{score}"\n',
        f'{{"task_id":"a","arm":"baseline","success":0.5}}\n{{"task_id":"a","arm":"critic","success":"{score}"}}\n',
    ):
        with pytest.raises(InvalidInput, match=r"line [23]: success is .*expected a score from 0 to 1"):
            read_outcomes(write(content), reading=Reading(graded=True))


@pytest.mark.parametrize("threshold", [0.0, -1.0, 1.5])
def test_a_threshold_lies_among_the_scores(write, threshold):
    path = write("task_id,arm,success\na,baseline,0.5\na,critic,1\n")
    with pytest.raises(
        InvalidInput, match=r"threshold is .*, but all scores lie from 0.5 to 1: all runs would be alike"
    ):
        read_outcomes(path, reading=Reading(threshold=threshold))
    with pytest.raises(InvalidInput, match="threshold is a number, got nan"):
        Reading(threshold=float("nan"))
