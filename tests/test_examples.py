"""Examples run as they stand, from any folder, with public names only."""

import ast
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from forbear.testing.chat_server import ChatServer, answer

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


def adding(request):
    """A model that multiplies, wrongly now and then, and judges at random; other answers each time."""
    said = request["messages"][-1]["content"]
    if "Is the answer wrong" in said:
        return answer(random.choice(["Yes.", "No.", "No."]))
    a, b = map(int, re.findall(r"\d+", said))
    return answer(f"It is {a * b + random.choice([0, 0, 10])}.")


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_example_runs_twice_the_same(path, tmp_path):
    with ChatServer(adding) as server:
        env = {**os.environ, "OPENAI_BASE_URL": server.url}
        runs = [
            subprocess.run(
                [sys.executable, str(path)], cwd=tmp_path, capture_output=True, text=True, check=True, env=env
            )
            for _ in range(2)
        ]
        asked = len(server.requests)
        assert asked == server.answered
        assert (asked > 0) == ("OpenAIChat" in path.read_text(encoding="utf-8"))
    assert [run.stderr for run in runs] == ["", ""]
    assert runs[0].stdout == runs[1].stdout
    assert runs[0].stdout.startswith(("INTERVENE: ", "FORBEAR: ", "UNDECIDED: "))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_example_is_short_and_uses_public_names_only(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 65
    imported = {
        alias.name if isinstance(node, ast.Import) else node.module
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert {name for name in imported if name.startswith("forbear")} == {"forbear"}
