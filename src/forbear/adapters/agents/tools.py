"""A world's actions as tools: offered to a model, and read from what it calls."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from forbear.models.chat import Completion, ToolCall
from forbear.records.model import JSON, Action, Trajectory
from forbear.wording import listed, shown

GENERIC = "act"
"""The tool of worlds that name none: it takes the action's text."""

_MOST_LEGAL = 100
"""Legal actions that the generic tool is restricted to."""


@dataclass(frozen=True, slots=True)
class ToolSet:
    """The tools of one world."""

    named: Mapping[str, Mapping[str, Any]]
    """By name, the parameters (a JSON schema) of the world's own; empty: there is the generic one only."""
    specs: tuple[Any, ...]
    """As they are offered."""

    @classmethod
    def of(cls, trajectory: Trajectory) -> "ToolSet":
        """Finds the tools in what the world showed first: its payload's "tools", in OpenAI's form."""
        payload = trajectory.steps[0].payload if trajectory.steps else None
        specs = payload.get("tools") if isinstance(payload, Mapping) else None
        named: dict[str, Mapping[str, Any]] = {}
        for spec in specs if isinstance(specs, Sequence) else ():
            function = spec.get("function") if isinstance(spec, Mapping) else None
            if isinstance(function, Mapping) and isinstance(function.get("name"), str):
                named[function["name"]] = function.get("parameters") or {}
        return cls(named, tuple(specs or ()) if named else ())

    def offered(self, legal: Sequence[str] | None) -> tuple[Any, ...]:
        """What a model may call."""
        if self.named:
            return self.specs
        text: dict[str, JSON] = {"type": "string", "description": "What you do next, in the world's words."}
        if legal and len(legal) <= _MOST_LEGAL:
            text["enum"] = list(legal)
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
        text = f"{call.name}({call.arguments})"
        known = self.named or {GENERIC: {"required": ["action"]}}
        if call.name not in known:
            return text, None, f"There is no tool {shown(repr(call.name))}; there are {listed(known, limit=20)}."
        arguments = _arguments(call)
        if arguments is None:
            return text, None, f"The arguments of {call.name} were no JSON object. Call it again."
        missing = [name for name in known[call.name].get("required") or () if name not in arguments]
        if missing:
            return text, None, f"The call of {call.name} lacks {listed(map(str, missing))}. Call it again."
        if not self.named:
            return str(arguments["action"]).strip(), None, None
        return _worded(call.name, arguments), {"tool": call.name, "arguments": arguments}, None

    def call_of(self, action: Action, *, id: str) -> dict[str, JSON]:
        """An action that was executed, as the call that it was."""
        payload = action.payload
        if self.named and isinstance(payload, Mapping) and payload.get("tool") in self.named:
            name, arguments = str(payload["tool"]), payload.get("arguments")
        else:
            name, arguments = GENERIC, {"action": action.text}
        function: dict[str, JSON] = {"name": name, "arguments": json.dumps(arguments, ensure_ascii=False)}
        return {"id": id, "type": "function", "function": function}


def _arguments(call: ToolCall) -> dict[str, JSON] | None:
    def refuse(constant: str) -> None:
        raise ValueError(constant)  # NaN and its like are no JSON

    try:
        found = json.loads(call.arguments or "{}", parse_constant=refuse)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _worded(name: str, arguments: Mapping[str, JSON]) -> str:
    """`search[Rome]` of one text, `book({"from": ..., "to": ...})` of anything else."""
    values = list(arguments.values())
    if len(values) == 1 and isinstance(values[0], str):
        return f"{name}[{values[0]}]"
    return f"{name}({json.dumps(dict(arguments), sort_keys=True, ensure_ascii=False)})"
