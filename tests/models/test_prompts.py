import pytest

from forbear.adapters.agents import chat as agent
from forbear.critics import chat as critic
from forbear.errors import InvalidInput
from forbear.models.prompts import prompt


def read(given):
    return prompt(given, shipped="yes_no.txt", package="forbear.critics", holes=critic.HOLES, whose="the prompt")


@pytest.mark.parametrize(
    ("package", "shipped", "holes"),
    [
        ("forbear.critics", "yes_no.txt", critic.HOLES),
        ("forbear.critics", "yes_no_why.txt", critic.HOLES),
        ("forbear.critics", "number.txt", critic.HOLES),
        *[("forbear.adapters.agents", f"{mode}.txt", agent.HOLES) for mode in ("tools", "text", "line", "choice")],
    ],
)
def test_every_shipped_prompt_can_be_filled(package, shipped, holes):
    text = prompt(None, shipped=shipped, package=package, holes=holes, whose="it")
    assert text == text.strip() != ""


def test_a_text_is_itself_and_a_path_is_read(tmp_path):
    assert read("Is {action} good?") == "Is {action} good?"
    assert read("See notes.txt\nand {action}") == "See notes.txt\nand {action}"
    file = tmp_path / "mine.md"
    file.write_text("\ufeffIs {action} good?\n\n", encoding="utf-8")
    assert read(file) == read(str(file)) == "Is {action} good?"
    other = tmp_path / "mine"
    other.write_text("{task}")
    assert read(other) == "{task}"


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(InvalidInput, match=r"the prompt: .*gone.txt cannot be read \(No such file or directory\)"):
        read(str(tmp_path / "gone.txt"))
    with pytest.raises(InvalidInput, match="cannot be read"):
        read(tmp_path)
    (tmp_path / "latin.txt").write_bytes(b"\xe9")
    with pytest.raises(InvalidInput, match="is not UTF-8; save it as UTF-8"):
        read(tmp_path / "latin.txt")
    (tmp_path / "huge.txt").write_bytes(b"x" * ((1 << 20) + 1))
    with pytest.raises(InvalidInput, match=r"huge\.txt.*1 MiB"):
        read(tmp_path / "huge.txt")
    with pytest.raises(InvalidInput, match="holds a NUL character"):
        read("a\0b.txt")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("{acton}", r"nothing fills {acton}; known are {history}, {action}, .*did you mean {action}\?"),
        ("{", "has a '{' without its other half"),
        ("", "the prompt says nothing"),
        (" \n", "the prompt says nothing"),
        (5, "the prompt must be a text, got 5"),
    ],
)
def test_what_cannot_be_filled(given, message):
    with pytest.raises(InvalidInput, match=message):
        read(given)
