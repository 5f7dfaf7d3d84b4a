"""Examples of frameworks run as they stand, where the framework is installed."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[3] / "examples" / "frameworks"
NEEDED = {
    "inspect_boxes.py": "inspect_ai",
    "langchain_agent.py": "langchain",
    "mini_swe_agent.py": "minisweagent",
    "openai_agents_agent.py": "agents",
    "openai_client.py": "openai",
    "pydantic_ai_agent.py": "pydantic_ai",
    "smolagents_agent.py": "smolagents",
}
"""By example, what it imports."""


def test_each_example_says_what_it_needs():
    assert sorted(NEEDED) == sorted(path.name for path in FOLDER.glob("*.py"))


@pytest.mark.slow
@pytest.mark.parametrize("name", NEEDED)
def test_it_runs_twice_the_same(name, tmp_path):
    if importlib.util.find_spec(NEEDED[name]) is None:
        pytest.skip(f"{NEEDED[name]} is not installed")
    runs = [said(name, tmp_path) for _ in range(2)]
    assert runs[0] == runs[1]
    assert runs[0].startswith(("INTERVENE: ", "FORBEAR: ", "UNDECIDED: "))


def said(name, folder):
    """What an example prints; the framework whose own command runs the pilot is run by it."""
    if name == "inspect_boxes.py":
        shutil.copy(FOLDER / name, folder)
        shutil.rmtree(folder / "logs", ignore_errors=True)
        ran(["-m", "inspect_ai", "eval", name, "--model", "mockllm/model", "--display", "none"], folder)
        return ran(["-m", "forbear", "decide", *map(str, sorted((folder / "logs").glob("*.eval")))], folder)
    return ran([str(FOLDER / name)], folder)


def ran(command, folder):
    quiet = os.environ | {"MSWEA_SILENT_STARTUP": "1"}  # it prints its version otherwise
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, env=quiet, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", NEEDED)
def test_it_is_short(name):
    assert len((FOLDER / name).read_text(encoding="utf-8").splitlines()) < 60


MADE = {
    "inspect": ("inspect_ai", "watched_task(None)"),
    "langchain": ("langchain.agents.middleware", "watching(None)"),
    "mini_swe_agent": ("minisweagent.exceptions", "WatchedModel(None, None)"),
    "openai_agents": ("agents.models.interface", "watched_model(None, None)"),
    "pydantic_ai": ("pydantic_ai.models.wrapper", "watched_model(None, None)"),
    "smolagents": ("smolagents", "WatchedModel(None, None)"),
}
"""By adapter, what it imports, and a call that needs it."""


def test_a_framework_that_is_missing_is_named_with_the_command_that_brings_it():
    lines = ["import sys"]
    for module, (blocked, made) in MADE.items():
        lines += [
            f"sys.modules[{blocked!r}] = None",
            f"from forbear.adapters.frameworks.{module} import *",
            f"try: {made}",
            "except Exception as error: print(error)",
        ]
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    for module, told in zip(MADE, done.stdout.splitlines(), strict=True):
        assert f"pip install 'forbear[{module.replace('_', '-')}]'" in told


def test_extras_are_called_as_every_pip_finds_them():
    """One with an underscore is written into the package's metadata with a dash, and older pips then find none."""
    project = tomllib.loads((FOLDER.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert not [name for name in project["optional-dependencies"] if re.fullmatch(r"[a-z]+(-[a-z]+)*", name) is None]
