"""Examples of frameworks run as they stand, where the framework is installed."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[3] / "examples" / "frameworks"
NEEDED = {
    "langchain_agent.py": "langchain",
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
    runs = [
        subprocess.run([sys.executable, str(FOLDER / name)], cwd=tmp_path, capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    assert runs[0].stdout == runs[1].stdout
    assert runs[0].stdout.startswith(("INTERVENE: ", "FORBEAR: ", "UNDECIDED: "))


@pytest.mark.parametrize("name", NEEDED)
def test_it_is_short(name):
    assert len((FOLDER / name).read_text(encoding="utf-8").splitlines()) < 60


@pytest.mark.parametrize(
    ("module", "blocked", "made"),
    [
        ("smolagents", "smolagents", "WatchedModel(None, None)"),
        ("langchain", "langchain.agents.middleware", "watching(None)"),
        ("openai_agents", "agents.models.interface", "watched_model(None, None)"),
        ("pydantic_ai", "pydantic_ai.models.wrapper", "watched_model(None, None)"),
    ],
)
def test_a_framework_that_is_missing_is_named_with_the_command_that_brings_it(module, blocked, made):
    code = f"import sys; sys.modules['{blocked}'] = None\nfrom forbear.adapters.frameworks.{module} import *\n{made}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert f"pip install 'forbear[{module}]'" in done.stderr
