"""A world's actions as tools: offered to a model, and read from what it calls."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from forbear.contracts.border import checked_config
from forbear.errors import InvalidInput
from forbear.models.chat import Completion, ToolCall
from forbear.records.model import JSON, Action, Trajectory
from forbear.wording import listed, shown

GENERIC = "act"
"""The tool of worlds that name none: it takes the action's text."""

_MOST_LEGAL = 100
"""Legal actions that the generic tool is restricted to."""

_MOST_UNUSABLE = 10_000
"""Characters of a call that is no usable one, as the step is spent on it."""


@dataclass(frozen=True, slots=True)
class ToolSet:
    """The tools of one world."""

    named: Mapping[str, tuple[str, ...]]
    """By name of the world's own, the arguments that it requires; empty: there is the generic one only."""
    specs: tuple[Any, ...]
    """As they are offered."""

    @classmethod
    def of(cls, trajectory: Trajectory) -> "ToolSet":
        """Finds the tools in what the world showed first: its payload's "tools", in OpenAI's form.

        An entry that is no tool is left out, and so is a second one of the same name: a server would refuse them all.
        """
        payload = trajectory.steps[0].payload if trajectory.steps else None
        given = payload.get("tools") if isinstance(payload, Mapping) else None
        named, specs = dict[str, tuple[str, ...]](), list[Any]()
        for spec in given if isinstance(given, list | tuple) else ():
            function = spec.get("function") if isinstance(spec, Mapping) else None
            name = function.get("name") if isinstance(function, Mapping) else None
            if not isinstance(function, Mapping) or not isinstance(name, str) or not name or name in named:
                continue
            parameters = function.get("parameters")
            required = parameters.get("required") if isinstance(parameters, Mapping) else None
            names = required if isinstance(required, list | tuple) else ()
            named[name] = tuple(one for one in names if isinstance(one, str))
            specs.append(spec)
        return cls(named, tuple(specs))

    def offered(self, legal: Sequence[str] | None) -> tuple[Any, ...]:
        """What a model may call."""
        if self.named:
            return self.specs
        text: dict[str, JSON] = {"type": "string", "description": "What you do next, in the world's words."}
        if legal and len(legal) <= _MOST_LEGAL:
            text["enum"] = list(dict.fromkeys(legal))
        parameters = {"type": "object", "properties": {"action": text}, "required": ["action"]}
        described = {"name": GENERIC, "description": "Do something in the world.", "parameters": parameters}
        return ({"type": "function", "function": described},)

    def read(self, said: Completion) -> tuple[str, JSON, str | None]:
        """Reads the first call.

        Returns:
            The action's text and payload, and what is to be asked where it is no usable call.
        """
        if not said.tool_calls:
            return said.text.strip(), None, "That was no call of a tool. Call exactly one."
        call = said.tool_calls[0]
        text = f"{call.name}({call.arguments})"[:_MOST_UNUSABLE]
        known = self.named or {GENERIC: ("action",)}
        if call.name not in known:
            return text, None, f"There is no tool {shown(repr(call.name))}; there are {listed(known, limit=20)}."
        arguments = _arguments(call)
        if arguments is None:
            return text, None, f"The arguments of {call.name} were no JSON object. Call it again."
        missing = [name for name in known[call.name] if name not in arguments]
        if missing:
            return text, None, f"The call of {call.name} lacks {listed(missing)}. Call it again."
        if self.named:
            return worded_call(call.name, arguments), {"tool": call.name, "arguments": arguments}, None
        action = arguments["action"]
        if not isinstance(action, str) or not action.strip():
            return text, None, f"The action of {GENERIC} must be a text that says something. Call it again."
        return action.strip(), None, None

    def call_of(self, action: Action, *, id: str) -> dict[str, JSON]:
        """An action that was executed, as the call that it was."""
        payload, name, arguments = action.payload, GENERIC, {"action": action.text}
        if self.named and isinstance(payload, Mapping) and payload.get("tool") in self.named:
            given = payload.get("arguments")
            name, arguments = str(payload["tool"]), given if isinstance(given, dict) else {}
        function: dict[str, JSON] = {"name": name, "arguments": json.dumps(arguments, ensure_ascii=False)}
        return {"id": id, "type": "function", "function": function}


def _arguments(call: ToolCall) -> dict[str, JSON] | None:
    """A call's arguments; None where they are no JSON object, or one that no record could hold."""
    try:
        found = json.loads(call.arguments.strip() or "{}")
        return dict(checked_config(found, what="call")) if isinstance(found, dict) else None
    except (InvalidInput, ValueError, RecursionError):
        return None


def worded_call(name: str, arguments: Mapping[str, JSON]) -> str:
    """`search[Rome]` of one text, `book({"from": ..., "to": ...})` of anything else."""
    values = list(arguments.values())
    if len(values) == 1 and isinstance(values[0], str):
        return f"{name}[{values[0]}]"
    return f"{name}({json.dumps(dict(arguments), sort_keys=True, ensure_ascii=False)})"
