"""Whatever is in a file: a result, or one line and exit code 2, in bounded time and memory.

Real small files of ours with some bytes changed, cut or doubled; and files made to be large, deep or endless.
"""

import os
import subprocess
import sys
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forbear.cli.main import run
from pilot_files import TEXT, write_pilot

CSV = (
    b'task_id,arm,seed,success,cluster,stratum\n"t,1",baseline,0,1,c,"a\nb"\n"t,1",critic,0,0,c,x\n'
    b"t2,baseline,,error,c,\nt2,critic,,1,,y\n"
)
JSONL = (
    b'{"task_id": "t1", "arm": "baseline", "seed": 0, "success": true, "more": [1, {"a": "\\u00e9"}]}\n'
    b'{"task_id": "t1", "arm": "critic", "seed": 0, "success": null, "stratum": "x"}\n'
)
MIX = b'stratum,weight\nx,0.25\n"y",3\n'
TASKS = b'{"id": "a", "payload": {"x": [1, 2.5, null]}, "stratum": "s"}\n{"id": "b", "cluster": null}\n'
TOKENS = [
    *(
        b"",
        b",",
        b'"',
        b"\n",
        b"\r",
        b"\t",
        b"\0",
        b"\xff",
        b"\xef\xbb\xbf",
        b"{",
        b"}",
        b"[",
        b"]",
        b":",
        b"=",
        b".",
        b"#",
    ),
    *(b"'", b'"""', b"\\u", b"\\ud800", b"\x1b[31m", "\u202e\U0001f600".encode(), b"module:x", b"../.."),
    *(b"null", b"true", b"NaN", b"-1", b"1e999", b"9" * 5000, b"2020-01-01", b"[[arm]]\n", b"[tasks]\n"),
    *(b"[" * 3000, b"a." * 300, b" " * 3000),
]


@st.composite
def damaged(draw, raw):
    """Some pieces replaced, one doubled or taken out."""
    data = raw
    for _ in range(draw(st.integers(1, 4))):
        low = draw(st.integers(0, len(data)))
        high = min(len(data), low + draw(st.integers(0, 8)))
        new = draw(st.one_of(st.sampled_from(TOKENS), st.binary(max_size=4), st.just(data[low:high] * 2)))
        data = data[:low] + new + data[high:]
    return data


def survives(arguments, capsys):
    """Runs a command that may be refused, and holds it to one line."""
    capsys.readouterr()
    begun = time.monotonic()
    code = run(arguments)
    seen = capsys.readouterr()
    assert code in (0, 2), seen.err
    if code == 2:
        assert seen.err.startswith("error: ")
        assert seen.err.count("\n") == 1
        assert seen.err.rstrip("\n").isprintable()
        assert len(seen.err) < 1100
    assert time.monotonic() - begun < 10


FUZZED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@FUZZED
@given(st.one_of(damaged(CSV), damaged(CSV.replace(b",", b"\t")), damaged(JSONL), st.binary(max_size=40)))
@pytest.mark.parametrize("command", ["decide", "churn"])
def test_tables(tmp_path, capsys, command, raw):
    path = tmp_path / "outcomes"
    path.write_bytes(raw)
    survives([command, str(path)], capsys)


@FUZZED
@given(damaged(MIX))
def test_mixes(tmp_path, capsys, raw):
    (tmp_path / "outcomes.csv").write_bytes(
        b"task_id,arm,success,stratum\n"
        + b"".join(
            b"t%d,%s,%d,%s\n" % (i, arm, i % 2, b"xy"[i % 2 :][:1]) for i in range(8) for arm in (b"baseline", b"c")
        )
    )
    path = tmp_path / "mix.csv"
    path.write_bytes(raw)
    survives(["decide", str(tmp_path / "outcomes.csv"), "--mix", str(path)], capsys)


@FUZZED
@given(damaged(TEXT.encode()))
def test_pilot_files(tmp_path, capsys, raw):
    write_pilot(tmp_path)
    (tmp_path / "pilot.toml").write_bytes(raw)
    survives(["pilot", "plan", str(tmp_path / "pilot.toml")], capsys)


@FUZZED
@given(damaged(TASKS))
def test_tasks(tmp_path, capsys, raw):
    path = write_pilot(tmp_path)
    (tmp_path / "tasks.jsonl").write_bytes(raw)
    survives(["pilot", "plan", str(path)], capsys)


@pytest.fixture(scope="module")
def journal(tmp_path_factory):
    folder = tmp_path_factory.mktemp("journal")
    path = write_pilot(folder, tasks=3)
    assert run(["pilot", "run", str(path), "--journal", str(folder / "journal")]) == 0
    return folder / "journal"


@FUZZED
@given(st.data(), st.sampled_from(["plan.json", "episodes.jsonl"]))
def test_journals(journal, tmp_path, capsys, data, name):
    for each in ("plan.json", "episodes.jsonl"):
        (tmp_path / each).write_bytes((journal / each).read_bytes())
    (tmp_path / name).write_bytes(data.draw(damaged((journal / name).read_bytes())))
    survives(["decide", str(tmp_path)], capsys)
    survives(["journal", "digest", str(tmp_path)], capsys)


# --- Large, deep and endless ------------------------------------------------------------------------------

MIB = 1 << 20
HEADER = b"task_id,arm,seed,success\n"


LARGE = {
    "a field of 200 MB": (HEADER + b"t,", b"x" * MIB, 200, b",0,1\n"),
    "a quoted field of 200 MB": (HEADER + b't,"', (b"x" * 99 + b"\n") * 10_000, 200, b'",0,1\n'),
    "a million columns": (b"task_id", b",c" * 1000, 1000, b"\n"),
    "rows of a million columns": (HEADER, b"a," * MIB + b"\n", 50, b""),
    "blank lines": (b"", b"\n" * MIB, 200, HEADER),
    "separators": (b"", b"," * MIB, 200, b""),
    "quotes": (HEADER, b'"' * MIB, 200, b""),
    "nested arrays": (b'{"task_id": ', b"[" * MIB, 10, b"\n"),
    "a wide object": (b'{"task_id": "t", "arm": "a", "success": 1, "x": [', b"[]," * 100_000, 40, b"1]}\n"),
    "one JSON document": (b"[", b'{"task_id": "t", "arm": "a", "success": 1},\n' * 20_000, 100, b"{}]"),
    "more than the limit": (HEADER, b"t,baseline,0,1\n" * 70_000, 260, b""),
}
COMMAND = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, ({limit}, {limit}))
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
from forbear.cli.main import main
main()
"""


def bounded(arguments, *, limit=1200 * MIB, **options):
    """Runs a command that may not take more address space than this; numpy alone maps several hundred MiB."""
    code = COMMAND.format(limit=limit)
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False, timeout=60,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"}, **options,
    )  # fmt: skip


def refused(done, *, says=""):
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert says in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("what", LARGE)
def test_large_tables(tmp_path, what):
    path = tmp_path / "outcomes"
    first, middle, times, last = LARGE[what]
    with path.open("wb") as file:
        file.write(first)
        for _ in range(times):
            file.write(middle)
        file.write(last)
    refused(bounded(["decide", str(path)]))
