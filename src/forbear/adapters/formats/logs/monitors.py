"""What monitors said of the steps of a run: the events of inspect_sentinel in Inspect's logs.

Of a proposal that has not run yet (stages `model_output` and `tool_call`) the suspicion, in [0, 1], by the monitor's
path; of several calls in one answer the highest. Layout: inspect-ai 0.3.285, inspect-sentinel 0.2.0.
"""

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct

from forbear.adapters.formats.logs.chat import NOTHING
from forbear.adapters.formats.logs.probe import decode

Said = tuple[dict[str, float], ...]
_PROPOSED = ("model_output", "tool_call")
_LONGEST = 200
"""Characters of a monitor's name."""


class _Call(Struct):
    id: str = ""


class _Message(Struct):
    id: str | None = None
    role: str = ""
    tool_calls: list[_Call] | None = None


class _Choice(Struct):
    message: _Message | None = None


class _Output(Struct):
    choices: list[_Choice] | None = None


class _Kind(Struct):
    event: Any = None


class _Event(Struct):
    event: str = ""
    output: _Output | None = None
    kind: str | None = None
    status: str | None = None
    stage: str | None = None
    step_id: str | None = None
    path: str | None = None
    factory: str | None = None
    suspicion: Any = None


def said_of(messages: msgspec.Raw, events: msgspec.Raw, *, where: str) -> Said:
    """By step, what each monitor said of it; nothing at all where no monitor watched.

    Args:
        messages: Of the run; each of the model's is a step.
        events: Of the run.
        where: For messages.

    Raises:
        InvalidInput: They are not laid out so.
    """
    every: list[msgspec.Raw] = decode(events, list[msgspec.Raw], where=where) if events != NOTHING else []
    # Events of other kinds may mean something else by the same names.
    known = [one for one in every if decode(one, _Kind, where=where).event in ("sentinel", "model")]
    met: list[_Event] = [decode(one, _Event, where=where) for one in known]
    reports = [one for one in met if (one.event, one.kind, one.status) == ("sentinel", "observation", "reported")]
    if not reports or messages == NOTHING:
        return ()
    answers = [one for one in decode(messages, list[_Message], where=where) if one.role == "assistant"]
    met_in: dict[str, set[int]] = {}
    for step, answer in enumerate(answers):
        for name in _names(answer):
            met_in.setdefault(name, set()).add(step)
    # Some models number the calls of each answer afresh: such a name tells no step.
    step_of = {name: steps.pop() for name, steps in met_in.items() if len(steps) == 1}
    # A call that is not in the conversation any more, as that of `submit`, is known by the answer that made it.
    for event in met:
        for choice in (event.output.choices if event.output is not None else None) or []:
            names = [] if choice.message is None else list(_names(choice.message))
            steps = {step_of[name] for name in names if name in step_of}
            if len(steps) == 1:
                step = steps.pop()
                step_of |= {name: step for name in names if name not in met_in}
    found: Said = tuple({} for _ in answers)
    for report in reports:
        step = step_of.get(report.step_id or "", -1)
        if report.stage in _PROPOSED and step >= 0:
            scores = found[step]
            for name, score in _scores(report):
                scores[name] = max(score, scores.get(name, 0.0))
    return found if any(found) else ()


def _names(message: _Message) -> Iterator[str]:
    """What a step of this answer is called: by the message, or by one of its calls."""
    yield from (one for one in (message.id, *(call.id for call in message.tool_calls or [])) if one)


def _scores(report: _Event) -> Iterator[tuple[str, float]]:
    name = (report.path or report.factory or "")[:_LONGEST]
    parts = report.suspicion if isinstance(report.suspicion, dict) else {"": report.suspicion}
    for dimension, score in parts.items():
        if isinstance(score, int | float) and not isinstance(score, bool) and 0 <= score <= 1:
            yield f"{name}.{dimension[:_LONGEST]}" if dimension else name, float(score)
