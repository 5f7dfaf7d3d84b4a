"""Prompts as files: named by who uses them, found beside them or by a path, checked before anything is asked."""

from collections.abc import Collection
from functools import lru_cache
from importlib import resources
from pathlib import Path

from forbear.errors import InvalidInput
from forbear.files import read_bounded
from forbear.templates import check_template
from forbear.wording import shown

_MOST = 1 << 20


def prompt(given: str | Path | None, *, shipped: str, package: str, holes: Collection[str], whose: str) -> str:
    """Returns a prompt's text.

    Args:
        given: A path (`.txt`, `.md`), or the text itself; None: the shipped one.
        shipped: File name of that in `package`'s folder `prompts`.
        package: E.g. "forbear.critics".
        holes: What is filled in.
        whose: Whom to blame, e.g. "the chat critic's prompt".

    Raises:
        InvalidInput: The file cannot be read, is no UTF-8, has a hole that nothing fills, or says nothing.
    """
    if given is None:
        text = _shipped(package, shipped)
    elif isinstance(given, Path) or (isinstance(given, str) and "\n" not in given and given.endswith((".txt", ".md"))):
        try:
            text = read_bounded(given, limit=_MOST).decode("utf-8-sig").rstrip("\n")
        except OSError as error:
            where = shown(str(given), limit=150)
            raise InvalidInput(f"{whose}: {where} cannot be read ({error.strerror}).") from None
        except UnicodeDecodeError:
            raise InvalidInput(f"{whose}: {shown(str(given), limit=150)} is not UTF-8; save it as UTF-8.") from None
    else:
        text = given
    check_template(text, holes=holes, whose=whose)
    if not text.strip():
        raise InvalidInput(f"{whose} says nothing.")
    return text


@lru_cache(maxsize=64)  # an agent is made for each episode
def _shipped(package: str, name: str) -> str:
    return resources.files(package).joinpath("prompts", name).read_text(encoding="utf-8").rstrip("\n")
