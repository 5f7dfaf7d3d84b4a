"""What the documents show is what happens: every console and Python block is run and its output compared."""

import ast
import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import forbear as fb

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PICTURES = ROOT / "docs" / "pictures"
DOCUMENTS = ["README.md", "docs/formats.md"]


def blocks(name: str) -> list[tuple[str, str]]:
    return BLOCK.findall((ROOT / name).read_text(encoding="utf-8"))


def commands(text: str) -> list[tuple[str, str]]:
    """Each command of a console block with the output shown below it."""
    parts = re.split(r"^\$ ", text, flags=re.MULTILINE)
    assert parts[0] == ""
    return [(part.partition("\n")[0], part.partition("\n")[2]) for part in parts[1:]]


CONSOLE = [
    (name, *one) for name in DOCUMENTS for kind, text in blocks(name) if kind == "console" for one in commands(text)
]


def shell(command: str) -> str:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(command, shell=True, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize(("document", "command", "expected"), CONSOLE, ids=[f"{c[0]}: {c[1]}" for c in CONSOLE])
def test_commands_print_what_is_shown(document, command, expected):
    output = shell(command)
    if expected.startswith("{"):
        # The last digits of a float may differ between platforms.
        assert_same(json.loads(output), json.loads(expected))
    else:
        assert output == expected


def assert_same(got: object, shown: object) -> None:
    if isinstance(shown, dict):
        assert isinstance(got, dict)
        assert list(got) == list(shown)
        for key in shown:
            assert_same(got[key], shown[key])
    elif isinstance(shown, list):
        assert len(got) == len(shown)
        for one, other in zip(got, shown, strict=True):
            assert_same(one, other)
    elif isinstance(shown, float):
        assert got == pytest.approx(shown, rel=1e-6)
    else:
        assert got == shown


def test_the_python_example_prints_what_is_shown():
    kinds = [kind for kind, _ in blocks("README.md")]
    texts = [text for _, text in blocks("README.md")]
    examples = [i for i, kind in enumerate(kinds) if kind == "python"]
    assert examples
    for i in examples:
        assert kinds[i + 1] == "text"
        done = subprocess.run([sys.executable, "-c", texts[i]], cwd=ROOT, capture_output=True, text=True, check=True)
        assert (done.stdout, done.stderr) == (texts[i + 1], "")


@pytest.mark.slow
def test_the_page_of_ask_and_tell_prints_what_it_shows(tmp_path):
    """Its files are written, its Python and its shell are run beside them, and what they print is compared."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    files, programs = {"toml": "pilot.toml", "json": "tasks.jsonl"}, {"python": sys.executable, "sh": "sh"}
    page, ran = blocks("docs/ask-and-tell.md"), 0
    for (kind, text), (_, expected) in itertools.pairwise(page):
        if kind in files:
            (tmp_path / files[kind]).write_text(text, encoding="utf-8")
        elif kind in programs:
            command = [programs[kind], "-c", text]
            done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
            assert (done.stdout, done.stderr) == (expected, "")
            ran += 1
    assert ran == 2


def assert_shown(output: str, shown: str) -> None:
    """What is shown stands in the output, in order; "..." stands for what is left out."""
    place = 0
    for part in shown.split("...\n"):
        assert part in output[place:]
        place = output.index(part, place) + len(part)
    assert "...\n" in shown or output == shown


@pytest.mark.slow
def test_the_tutorial_can_be_followed(tmp_path):
    """Its table is written, its commands are run in an empty folder one after the other, and print what it shows."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    ran = 0
    for kind, text in blocks("docs/tutorial.md"):
        if kind == "csv":
            (tmp_path / "outcomes.csv").write_text(text, encoding="utf-8")
        for command, expected in commands(text) if kind == "console" else []:
            done = subprocess.run(
                command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
            )
            assert done.stderr == ""
            assert_shown(done.stdout, expected)
            ran += 1
    assert ran > 5


@pytest.mark.slow
def test_the_page_of_swebench_lite_can_be_followed(tmp_path):
    """Its two reports are written, its commands are run beside them, and print what it shows."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    reports, ran = iter(("base.run1.json", "critic.run1.json")), 0
    for kind, text in blocks("docs/swebench-lite.md"):
        if kind == "json":
            (tmp_path / next(reports)).write_text(text, encoding="utf-8")
        for command, expected in commands(text) if kind == "console" else []:
            done = subprocess.run(
                command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
            )
            assert done.stderr == ""
            assert_shown(done.stdout, expected)
            ran += 1
    assert (ran, next(reports, None)) == (4, None)


@pytest.mark.slow
def test_the_readme_shows_the_embedded_pilot(tmp_path):
    """`make pilot`, twice: what the README shows of its output, and the second time nothing is run again.

    The pictures of the pages are those that `make docs` draws of it.
    """
    shown = next(text for kind, text in blocks("README.md") if kind == "text" and text.startswith("treated arm"))
    command = f"forbear pilot run examples/pilot.toml --journal {tmp_path}"
    output = shell(command).replace(str(tmp_path), "runs/pilot")
    assert_shown(output, shown)
    lines = (tmp_path / "episodes.jsonl").read_bytes()
    assert shell(command).replace(str(tmp_path), "runs/pilot") == output
    assert (tmp_path / "episodes.jsonl").read_bytes() == lines
    draw = [sys.executable, ROOT / "docs" / "pictures.py", "--journal", tmp_path, "--to", tmp_path / "drawn"]
    subprocess.run(draw, check=True)
    drawn, shown = ({file.name: file.read_bytes() for file in at.iterdir()} for at in (tmp_path / "drawn", PICTURES))
    assert set(drawn) == set(shown)
    assert [name for name in drawn if drawn[name] != shown[name]] == [], "make docs draws them anew"


def test_every_picture_is_shown_somewhere():
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
    shown = {name for page in pages for name in re.findall(r"pictures/([\w-]+\.svg)\)", page.read_text("utf-8"))}
    assert shown == {file.name for file in PICTURES.iterdir()}


def test_both_documents_show_commands():
    assert {name for name, _, _ in CONSOLE} == set(DOCUMENTS)


def test_the_example_file_holds_the_published_counts(shared_data):
    def pairs(path):
        (pairing,) = fb.compare(fb.read_outcomes(path).table)
        return pairing.pairs

    published = pairs(shared_data / "pairs" / "reflexion_mbpp_py_gpt4.csv")
    assert pairs(ROOT / "examples" / "outcomes.csv") == published


def test_links_lead_somewhere():
    for document in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


@pytest.mark.slow
def test_the_false_go_tables_are_what_the_benchmark_prints(shared_data):
    command = [sys.executable, ROOT / "measurements" / "false_go.py", shared_data / "pairs"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    readme = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    rows = [line for line in printed if line.startswith("|")]
    assert len(rows) > 20
    assert [row for row in rows if row not in readme] == []


def test_the_reproduction_is_what_its_command_prints():
    command = [sys.executable, ROOT / "measurements" / "reproduction.py"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert printed == (ROOT / "docs" / "reproduction.md").read_text(encoding="utf-8")


def test_the_files_that_the_source_names_are_there():
    named = re.compile(r"\b(?:tests|measurements|docs)/[a-z_/-]+\.(?:py|md)\b")
    sources = [*(ROOT / "src").rglob("*.py"), *ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    found = {name for path in sources for name in named.findall(path.read_text(encoding="utf-8"))}
    assert len(found) > 20
    assert [name for name in sorted(found) if not (ROOT / name).is_file()] == []


NAMED = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
COMMAND = re.compile(r"(?:^|[\s`|($])forbear((?:[ \t]+[^\s`|>&;#)]+)+)", re.MULTILINE)


def named_commands():
    """Every `forbear ...` that stands in a page's code, with the page."""
    for page in NAMED:
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
        code = [block for kind, block in BLOCK.findall(text) if kind in ("sh", "console")]
        code += re.findall(r"`(forbear [^`]+)`", BLOCK.sub("", text))
        for words in COMMAND.findall("\n".join(code)):
            yield page.name, words.split()


def test_commands_that_pages_name_exist_with_their_options():
    """No page tells of a command or an option that is not there, also where nothing is run."""
    from forbear.cli.main import cli

    seen, wrong = 0, []
    for page, words in named_commands():
        command, rest = cli, list(words)
        while hasattr(command, "commands") and rest and not rest[0].startswith("-"):
            name = rest.pop(0).rstrip(".,:")
            if not re.fullmatch(r"[a-z]+", name):
                break
            if name not in command.commands:
                wrong.append(f"{page}: forbear {' '.join(words)}")
                break
            command = command.commands[name]
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        options = [word.split("=")[0].rstrip(".,:") for word in rest if re.match(r"--?[a-z]", word)]
        wrong += [f"{page}: {option} of {command.name}" for option in options if option not in {*known, "--help", "-h"}]
        seen += 1
    assert seen > 60
    assert wrong == []


def test_what_pages_show_of_files_can_be_read():
    """Python compiles and TOML reads, also where it is not run."""
    import tomllib

    read = 0
    for page in NAMED:
        for kind, text in BLOCK.findall(page.read_text(encoding="utf-8")):
            if kind == "python":
                compile(text, page.name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            elif kind == "toml":
                tomllib.loads(text)
            elif kind == "json" and not text.startswith("{\n") and "\n{" not in text:
                json.loads(text)
            else:
                continue
            read += 1
    assert read > 15
