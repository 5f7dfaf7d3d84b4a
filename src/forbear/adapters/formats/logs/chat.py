"""Messages of a chat as steps: what the model said and called is an action, what came back an observation."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from forbear.adapters.formats.logs.choice import Choice
from forbear.adapters.formats.logs.loose import fields, first, items, text
from forbear.adapters.formats.logs.probe import decode

NOTHING = msgspec.Raw(b"null")
Steps = tuple[tuple[str, str], ...]


def told(messages: msgspec.Raw, choice: Choice, *, where: str) -> tuple[str, Steps]:
    """Messages that stand undecoded in a log as steps, where episodes are asked for.

    Raises:
        InvalidInput: They are nested too deeply.
    """
    return steps_of(decode(messages, Any, where=where)) if choice.episodes else ("", ())


def steps_of(messages: Any) -> tuple[str, Steps]:
    """What stands before the first answer of the model, and its answers, each with what followed it."""
    opening: list[str] = []
    steps: list[tuple[str, list[str]]] = []
    for message in map(fields, items(messages)):
        if message.get("role") in ("assistant", "ai"):
            steps.append((_said(message), []))
        else:
            (steps[-1][1] if steps else opening).append(content_of(message.get("content")))
    return _joined(opening), tuple((action, _joined(observed)) for action, observed in steps)


def content_of(content: Any) -> str:
    """A message's text: whole, or in parts of which some are text."""
    if isinstance(content, list):
        return _joined(
            content_of(fields(part).get("text")) if isinstance(part, dict) else text(part) for part in content
        )
    return text(content)


def _joined(parts: Any) -> str:
    return "\n".join(part for part in parts if part)


def _said(message: Mapping[str, Any]) -> str:
    calls: Sequence[Any] = items(message.get("tool_calls"))
    return _joined([content_of(message.get("content")), *(_call(fields(call)) for call in calls)])


def _call(call: Mapping[str, Any]) -> str:
    """`name(arguments)`, of any of the three layouts in use."""
    function = call.get("function")
    inner = fields(function) or call
    name = first(inner, "name") or text(function)
    arguments = inner.get("arguments")
    return f"{name}({arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)})"
