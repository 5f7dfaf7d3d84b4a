"""What readers of loosely typed exports share: fields that may be anything, taken only as what they should be."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from forbear.adapters.formats.logs.model import Value
from forbear.wording import shown

_NOTHING: Mapping[str, Any] = {}


def fields(value: Any, *path: str) -> Mapping[str, Any]:
    """The object at this path; an empty one where there is none. A text that holds an object is one."""
    for name in path:
        value = fields(value).get(name)
    if isinstance(value, str) and value[:1] == "{" and len(value) < 1 << 20:
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return _NOTHING
    return value if isinstance(value, dict) else _NOTHING


def items(value: Any) -> Sequence[Any]:
    """The list; an empty one where there is none."""
    return value if isinstance(value, list) else ()


def text(value: Any) -> str:
    """A text or a number as text; "" for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return str(value)


def first(values: Mapping[str, Any], *names: str) -> str:
    """The first of these fields that holds a text or a number."""
    return next((found for name in names if (found := text(values.get(name)))), "")


def scalar(value: Any) -> Value:
    """A score; None where it is none."""
    return value if isinstance(value, bool | int | float | str) else None


def digest(value: Any) -> str:
    """What tells contents apart."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode("utf-8", "replace")).hexdigest()


def words(value: Any, *, limit: int = 60) -> str:
    """The beginning of a text, or of what an object says, on one line."""
    whole = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return shown(" ".join(whole[: 4 * limit].split()), limit=limit)


def whole_number(value: Any) -> int | None:
    """An index; None where it is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def agreed(values: Sequence[Value]) -> Value:
    """The one value that several judges gave; None where they differ or there is none."""
    there = [value for value in values if value is not None]
    return there[0] if there and all(value == there[0] for value in there) else None
