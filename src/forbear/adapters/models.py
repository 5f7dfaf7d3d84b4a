"""Language models that a pilot file names: `[model]`, and `[models.NAME]` where there are several."""

import inspect
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from forbear.adapters.parts import BUILT_IN, Factory, imported, parameters_of, placed
from forbear.adapters.toml_section import Part, Section, nearest
from forbear.errors import InvalidInput
from forbear.models.chat import ChatModel
from forbear.models.prices import Prices
from forbear.wording import listed, shown

DEFAULT = "model"
"""What `[model]` is called where a part names none."""


class Models:
    """The models of one file, made when the first part asks for them; parts that name the same one share it."""

    def __init__(self, parts: Mapping[str, Part], folder: Path) -> None:
        self._parts, self._folder = parts, folder
        self._made: dict[str, ChatModel] = {}

    @classmethod
    def of(cls, top: Section, folder: Path) -> "Models":
        """Reads the tables.

        Raises:
            InvalidInput: A model that is neither built in nor importable by its form.
        """
        parts: dict[str, Part] = {}
        if (one := top.part("model", optional=True)) is not None:
            parts[DEFAULT] = one
        several = top.section("models", optional=True)
        for name in several.table:
            if name in parts:
                raise several.error(name, message=f"[{DEFAULT}] has this name already; take another")
            section = several.section(name)
            use, options = section.take("use", str), section.take("options", dict, {})
            section.close()
            as_json = json.dumps(options, sort_keys=True, default=str)
            place, options_place = several.place(name), section.place("options")
            parts[name] = Part(kind="model", use=use, options=as_json, place=place, options_place=options_place)
        return cls(parts, folder)

    def factory(self, part: Part) -> Factory:
        """Imports what makes a part; one that takes a `model` is given the one that its options name, or `[model]`.

        A part of somebody else's that can do without a model of the file's is left alone.

        Raises:
            InvalidInput: It cannot be imported, or asks for a model that the file does not have.
        """
        target = imported(part, self._folder)
        options: dict[str, Any] = json.loads(part.options)
        return Factory(target=target, options=self.filled(target, options, part), part=part)

    def filled(self, target: Callable[..., Any], options: dict[str, Any], part: Part) -> dict[str, Any]:
        """The options of a part, with its model and the places of its files."""
        options = placed(options, part, self._folder)
        taken = parameters_of(target) or {}
        if part.kind != "model" and "model" in taken and self._is_meant(taken["model"].default, options, part):
            options["model"] = self._model(options.get("model", DEFAULT), part)
        return options

    def _is_meant(self, default: object, options: Mapping[str, Any], part: Part) -> bool:
        """Whether a part's `model` is one of this file's; to somebody else's part it may be a name of its own."""
        if "model" in options:
            is_ours = part.use in BUILT_IN.get(part.kind, {})
            needs_ours = default is inspect.Parameter.empty and bool(self._parts)
            return is_ours or needs_ours or options["model"] in list(self._parts)
        return default is inspect.Parameter.empty or (default is None and DEFAULT in self._parts)

    def _model(self, name: object, part: Part) -> ChatModel:
        if not isinstance(name, str) or name not in self._parts:
            if not self._parts:
                raise InvalidInput(
                    f"{part.place}: '{shown(part.use)}' asks a language model, and this file names none: add [model] "
                    'with use = "openai" or use = "local".'
                )
            raise InvalidInput(
                f"{part.place}: there is no model '{shown(str(name))}'; the file has {listed(self._parts)}"
                f"{nearest(str(name), self._parts)}."
            )
        if name not in self._made:
            self._made[name] = self.factory(self._parts[name]).once()
        return self._made[name]


def prices_of(top: Section) -> Prices:
    """Reads `[prices]`: for each model a table of input, output and, optionally, cached, per million tokens.

    Raises:
        InvalidInput: Something else; the message names the place.
    """
    section = top.section("prices", optional=True)
    return section.guard(make=lambda: Prices.of_table(section.table))
