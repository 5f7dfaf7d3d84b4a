"""A language model whose answers are known, without a server."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from msgspec.structs import replace

from forbear.contracts.draw import Draw
from forbear.models.chat import ChatOptions, Completion, Message
from forbear.models.kept import KeptModel
from forbear.records.model import JSON, Usage

Answer: TypeAlias = Completion | str | BaseException
"""A completion, its text, or what is raised instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request that a scripted model got."""

    messages: Sequence[Message]
    options: ChatOptions
    draw: Draw

    @property
    def last(self) -> JSON:
        """What the conversation says last."""
        return self.messages[-1]["content"]


class ScriptedModel(KeptModel):
    """Answers as a script says, and notes what it was asked; kept and metered in a pilot like any other model.

    A script is a list of answers, in the order of requests, the last one for ever after, or a function of the request:
    within a pilot only a function answers the same request alike whoever asks first.
    """

    def __init__(self, script: Sequence[Answer] | Callable[[Asked], Answer], *, name: str = "scripted") -> None:
        self._name = name
        self.asked: list[Asked] = []
        """Every request that was not answered from what is kept, in order."""
        self._script = script

    @property
    def name(self) -> str:
        """As it was given."""
        return self._name

    async def ask(self, messages: Sequence[Message], *, options: ChatOptions, draw: Draw) -> Completion:
        """Returns the script's answer; it took one call of 10 tokens in and 2 out, where it does not say otherwise."""
        asked = Asked(messages=tuple(map(dict, messages)), options=options, draw=draw)
        self.asked.append(asked)
        if callable(self._script):
            said = self._script(asked)
        else:
            said = self._script[min(len(self.asked), len(self._script)) - 1]
        if isinstance(said, BaseException):
            raise said
        said = Completion(text=said) if isinstance(said, str) else said
        if said.usage == Usage():
            said = replace(said, usage=Usage(calls=1, input_tokens=10, output_tokens=2))
        return said

    def config(self) -> Mapping[str, JSON]:
        """Returns its name."""
        return {"name": self.name}
