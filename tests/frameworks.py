"""Makes the environments of the agent frameworks and runs their adapters' tests in them: make test-all.

Two environments below build/frameworks: mini-swe-agent has one of its own, because LiteLLM, which it comes with, holds
other frameworks' packages to old versions time and again.
"""

import re
import subprocess
import sys
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "build" / "frameworks"
TESTS = ROOT / "tests" / "adapters" / "frameworks"
TOGETHER = {
    "inspect": ("inspect-ai", "inspect_boxes.py"),
    "langchain": ("langchain", "langchain_agent.py"),
    "openai": ("openai", "openai_client.py"),
    "openai-agents": ("openai-agents", "openai_agents_agent.py"),
    "pydantic-ai": ("pydantic-ai-slim", "pydantic_ai_agent.py"),
    "smolagents": ("smolagents", "smolagents_agent.py"),
}
ALONE = {"mini-swe-agent": ("mini-swe-agent", "mini_swe_agent.py")}
"""By extra, the package that is tested, and its example."""
TOOLS = ["pytest>=8.2", "pytest-xdist>=3.6", "hypothesis>=6.100"]
BESIDE = {"together": ["inspect-evals"]}
"""What tests need beside the extras: GAIA's own scorer."""


def made(name: str, extras: list[str]) -> Path:
    """The Python of an environment that has these extras; made anew where what they need has changed."""
    folder = FOLDER / name
    python, stamp = folder / "bin" / "python", folder / "installed.txt"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needs = [project["dependencies"], *(project["optional-dependencies"][extra] for extra in extras)]
    beside = [*TOOLS, *BESIDE.get(name, [])]
    wanted = f"{sys.version} {needs} {beside}"
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*command, "--editable", f"{ROOT}[{','.join(extras)}]", *beside], check=True)
        stamp.write_text(wanted, encoding="utf-8")
    return python


def tested(python: Path, extra: str, example: str) -> tuple[bool, str]:
    """Runs an adapter's tests and its example, and says what came of it; a framework that is skipped has failed."""
    tests = [
        TESTS / f"test_{extra.replace('-', '_')}.py",
        f"{TESTS / 'test_framework_examples.py'}::test_it_runs_twice_the_same[{example}]",
    ]
    command = [str(python), "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", *map(str, tests)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    summary = next((line for line in reversed(done.stdout.splitlines()) if " in " in line), "no summary")
    good = done.returncode == 0 and "skipped" not in summary
    if not good:
        sys.stdout.write(done.stdout + done.stderr)
    return good, re.sub(r", \d+ warnings?", "", summary.strip("= "))


def version(python: Path, package: str) -> str:
    """Which one is installed."""
    code = f"from importlib.metadata import version; print(version('{package}'))"
    return subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=False).stdout.strip() or "?"


def main() -> int:
    """All of them, with one line each at the end."""
    lines, failed, started = [], False, time.monotonic()
    for name, extras in (("together", TOGETHER), *((extra, {extra: what}) for extra, what in ALONE.items())):
        begun = time.monotonic()
        python = made(name, list(extras))
        sys.stdout.write(f"environment {name}: {time.monotonic() - begun:.0f} s\n")
        sys.stdout.flush()
        for extra, (package, example) in extras.items():
            good, summary = tested(python, extra, example)
            failed |= not good
            lines.append(f"{'ok  ' if good else 'FAIL'}  {extra:16}{version(python, package):12}{summary}")
            sys.stdout.write(f"{lines[-1]}\n")
            sys.stdout.flush()
    sys.stdout.write("\n".join(["", "Frameworks", *lines, f"{time.monotonic() - started:.0f} s in all", ""]))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
