"""Whatever is in a file: a result, or one line and exit code 2, in bounded time and memory.

Real small files of ours with some bytes changed, cut or doubled; and files made to be large, deep or endless.
"""

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


@pytest.mark.slow
@FUZZED
@given(st.data(), st.sampled_from(["plan.json", "episodes.jsonl"]))
def test_journals(journal, tmp_path, capsys, data, name):
    for each in ("plan.json", "episodes.jsonl"):
        (tmp_path / each).write_bytes((journal / each).read_bytes())
    (tmp_path / name).write_bytes(data.draw(damaged((journal / name).read_bytes())))
    survives(["decide", str(tmp_path)], capsys)
    survives(["journal", "digest", str(tmp_path)], capsys)


# --- Large ------------------------------------------------------------------------------------------------

MIB = 1 << 20
HEADER = b"task_id,arm,seed,success\n"
LARGE = {
    "a field of 200 MB": (HEADER + b"t,", b"x" * MIB, 200, b",0,1\n"),
    "rows of a million columns": (HEADER, b"a," * MIB + b"\n", 30, b""),
    "blank lines": (b"", b"\n" * MIB, 200, HEADER),
    "a wide object": (b'{"task_id": "t", "arm": "a", "success": 2, "x": [', b"[]," * 100_000, 40, b"1]}\n"),
    "more than the limit": (HEADER, b"t,baseline,0,1\n" * 70_000, 260, b""),
}
"""By name: the start of a file, what follows, how often, and its end."""

COMMAND = """
import atexit, os, re, resource
from forbear.cli.main import main
resource.setrlimit(resource.RLIMIT_CPU, (30, 30))
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
def peak():
    with open("/proc/self/status") as status:
        print("peak", int(re.search(r"VmHWM:\\s+(\\d+)", status.read())[1]) >> 10, file=os.fdopen(2, "w"))
atexit.register(peak)
main()
"""


def require_cheap_refusal(folder, content, arguments):
    """Runs a command on a file, which it has to refuse with 500 MB and less."""
    first, middle, times, last = content
    with (folder / "large.jsonl").open("wb") as file:
        file.write(first)
        for _ in range(times):
            file.write(middle)
        file.write(last)
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    error, peak = done.stderr.splitlines()
    assert error.startswith("error: ")
    assert int(peak.removeprefix("peak ")) <= 500
    return error


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads Linux's /proc")
@pytest.mark.parametrize("what", LARGE)
def test_large_tables(tmp_path, what):
    require_cheap_refusal(tmp_path, LARGE[what], ["decide", "large.jsonl"])


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads Linux's /proc")
def test_tasks_that_would_fill_the_memory(tmp_path):
    write_pilot(tmp_path, text=TEXT.replace("tasks.jsonl", "large.jsonl"))
    content = (b'{"id": "a", "payload": [', b"{}," * 100_000, 200, b"1]}\n")
    error = require_cheap_refusal(tmp_path, content, ["pilot", "plan", "pilot.toml"])
    assert "line 12: tasks.source: large.jsonl: what it holds takes more than twice 64 MiB" in error
