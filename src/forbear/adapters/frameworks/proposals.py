"""What frameworks say to and hear from their models, as forbear's records have it."""

import asyncio
import contextvars
import importlib
import json
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from types import ModuleType
from typing import Any, TypeVar

from forbear.adapters.agents.tools import worded_call
from forbear.contracts.border import checked_config
from forbear.errors import InvalidInput
from forbear.models.chat import Message
from forbear.records.model import Action, Usage

_T = TypeVar("_T")

_MOST = 20_000
"""Characters of what is seen at one step, and of an action's text."""


def action_of(text: str | None, calls: Sequence[tuple[str, Any]], *, usage: Usage) -> Action:
    """Returns what a model proposes.

    Args:
        text: What it said.
        calls: Name and arguments of each tool that it calls: an object, or JSON of one.
        usage: What the answer took.
    """
    said = (text or "").strip()[:_MOST]
    if not calls:
        return Action(said or "(nothing)", usage=usage)
    read = [(str(name)[:200], _arguments(given)) for name, given in calls]
    worded = "; ".join(
        worded_call(name, found) if isinstance(found, dict) else f"{name}({found})" for name, found in read
    )
    payload = [{"tool": name, "arguments": found} for name, found in read]
    return Action(
        worded[:_MOST],
        payload=payload[0] if len(payload) == 1 else {"calls": payload},
        rationale=said or None,
        usage=usage,
    )


def _arguments(given: Any) -> Any:
    """An object where it is one that a record can hold, else a text."""
    try:
        found = json.loads(given) if isinstance(given, str) else given
        return dict(checked_config(found, what="call")) if isinstance(found, Mapping) else str(given)[:_MOST]
    except (InvalidInput, ValueError, RecursionError):
        return str(given)[:_MOST]


def text_of(content: Any) -> str:
    """The text of a message's content: a text, or a list of parts; what is no text is named."""
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list | tuple):
        return str(content)[:_MOST]
    parts = [part if isinstance(part, Mapping) else {"text": str(part)} for part in content]
    return "\n".join(str(part["text"]) if "text" in part else f"[{part.get('type', 'part')!s:.40}]" for part in parts)


def seen_text(messages: Sequence[Message]) -> str:
    """What the agent was shown in these messages: all but what it said itself."""
    texts = [text_of(one.get("content")) for one in messages if one.get("role") != "assistant"]
    text = "\n".join(text for text in texts if text)
    if len(text) <= _MOST:
        return text
    return f"{text[: _MOST // 2]}\n(... {len(text) - _MOST:,} characters left out ...)\n{text[-_MOST // 2 :]}"


def needed(module: str, *, package: str, extra: str) -> ModuleType:
    """Imports a framework.

    Raises:
        InvalidInput: It is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InvalidInput(
            f"this adapter needs {package} ({error.name or error} is missing): pip install 'forbear[{extra}]'."
        ) from None


def run_now(make: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
    """Runs a coroutine to its end for a caller that blocks, also where a loop is running: then in a thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(make())
    found: list[_T] = []
    raised: list[BaseException] = []
    context = contextvars.copy_context()

    def work() -> None:
        try:
            found.append(context.run(asyncio.run, make()))
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=work, name="forbear-judge")
    thread.start()
    thread.join()
    if raised:
        raise raised[0]
    return found[0]
