"""The gate beyond exit codes: the action's script, and the fixture for pytest."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parents[2]
FORBEAR = Path(sys.executable).parent / "forbear"


def outcomes(path, *, recovered, disrupted, tasks=60, arm="critic"):
    won = [(i >= recovered, i < recovered or i >= recovered + disrupted) for i in range(tasks)]
    rows = [f"t{i},{name},{int(both[k])}" for i, both in enumerate(won) for k, name in enumerate(("main", arm))]
    path.write_text("task_id,arm,success\n" + "\n".join(rows))
    return path


@pytest.fixture
def gate(tmp_path):
    if shutil.which("bash") is None:
        pytest.skip("needs bash")

    def gate(files, **inputs):
        names = {"GITHUB_STEP_SUMMARY": "summary.md", "GITHUB_OUTPUT": "output", "JUNIT": "junit.xml"}
        where = {name: str(tmp_path / file) for name, file in names.items()}
        environment = {
            "PATH": os.environ["PATH"],
            "FORBEAR": str(FORBEAR),
            "RUNNER_TEMP": str(tmp_path),
            "FILES": files,
        }
        done = subprocess.run(
            ["bash", str(ROOT / "action" / "gate.sh")],
            env=environment | where | inputs,
            capture_output=True,
            text=True,
            cwd=tmp_path,
        )
        return done, {file: (tmp_path / file).read_text() for file in names.values() if (tmp_path / file).exists()}

    return gate


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recovered", "disrupted", "verdict", "codes"),
    [(20, 1, "INTERVENE", (0, 0, 0)), (1, 20, "FORBEAR", (20, 20, 0)), (4, 3, "UNDECIDED", (21, 0, 0))],
)
def test_the_action_says_passes_and_fails(gate, tmp_path, recovered, disrupted, verdict, codes):
    path = outcomes(tmp_path / "a file.csv", recovered=recovered, disrupted=disrupted)
    for require, code in zip(("INTERVENE", "not-FORBEAR", "any"), codes, strict=True):
        done, files = gate(f"{path}\n", OPTIONS="--baseline=main\n", REQUIRE=require)
        assert done.returncode == code, done.stderr
    assert files["output"].splitlines()[-2:] == [f"verdict={verdict}", f"json={tmp_path / 'forbear-verdict.json'}"]
    assert json.loads((tmp_path / "forbear-verdict.json").read_text())["recommendation"] == verdict
    assert files["summary.md"].count("### forbear:") == 3
    assert ElementTree.fromstring(files["junit.xml"]).get("failures") == str(int(verdict != "INTERVENE"))
    assert done.stdout.startswith(verdict)


@pytest.mark.slow
def test_what_inputs_hold_is_never_run(gate, tmp_path):
    done, files = gate("$(touch hacked)\n`touch hacked`\n", OPTIONS="--baseline=$(touch hacked)")
    assert (done.returncode, files, (tmp_path / "hacked").exists()) == (2, {}, False)
    done, _ = gate("--help", REQUIRE="INTERVENE")
    assert (done.returncode, "No such file" in done.stderr) == (2, True)
    assert gate("x.csv", REQUIRE="all")[0].returncode == 2


def test_the_action_hands_its_inputs_on_through_the_environment_alone():
    text = (ROOT / "action.yml").read_text()
    for line in re.findall(r"run: (?:\|\n((?: {8}.*\n)+)|(.*)\n)", text):
        assert "${{" not in "".join(line)
    declared = set(re.findall(r"^  ([a-z-]+):$", text.partition("outputs:")[0], re.MULTILINE))
    assert declared == set(re.findall(r"\$\{\{ inputs\.([a-z-]+) \}\}", text))
    handed = set(re.findall(r"^        ([A-Z_]+): \$\{\{", text, re.MULTILINE)) - {"EXTRAS", "ACTION_PATH"}
    used = set(re.findall(r"\$\{?([A-Z_]+)", (ROOT / "action" / "gate.sh").read_text()))
    assert used == handed | {"GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT", "RUNNER_TEMP"}


TESTS = """
import forbear as fb

def test_helps(forbear_gate):
    assert list(forbear_gate("good.csv", baseline="main")) == ["critic"]

def test_harms(forbear_gate):
    forbear_gate("bad.csv", baseline="main", rule=fb.DecisionRule(worthwhile=0.05))

def test_two_files_not_worse(forbear_gate):
    verdicts = forbear_gate("old.csv", "new.csv", rule=fb.DecisionRule(margin=-0.1, worthwhile=-0.1))
    assert verdicts["treated"].tasks == 200

def test_lists(forbear_gate):
    forbear_gate.outcomes(baseline=[True, False], treated=[True, True], allow={"UNDECIDED"})

def test_wrong(forbear_gate):
    forbear_gate("good.csv", baseline="main", allow={"YES"})
"""


@pytest.mark.slow
def test_the_fixture_fails_what_is_not_to_be_switched_on(tmp_path):
    outcomes(tmp_path / "good.csv", recovered=20, disrupted=1)
    outcomes(tmp_path / "bad.csv", recovered=1, disrupted=20)
    for name in ("old.csv", "new.csv"):
        (tmp_path / name).write_text("id,ok\n".replace("ok", "passed") + "".join(f"t{i},{i % 2}\n" for i in range(200)))
    (tmp_path / "test_it.py").write_text(TESTS)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        "--color=no",
        "test_it.py",
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    out = done.stdout
    assert "2 failed, 3 passed" in out, out + done.stderr
    assert "no arm is INTERVENE:" in out
    assert "FORBEAR: the intervention harms; leave it off." in out
    assert "ValueError: allow holds some of" in out
    (told,) = re.findall(r"=+ forbear =+\n((?:test_.*\n)+)", out)
    assert [line.split()[:2] for line in told.splitlines()] == [
        ["test_helps:", "INTERVENE"],
        ["test_harms:", "FORBEAR"],
        ["test_two_files_not_worse:", "INTERVENE"],
        ["test_lists:", "UNDECIDED"],
    ]
