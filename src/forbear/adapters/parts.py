"""Parts that a pilot file names: imported, made, and checked before anything relies on them."""

import importlib
import inspect
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forbear.adapters.toml_section import Part, nearest
from forbear.contracts.border import config_of
from forbear.contracts.intervention import is_control, undoes_steps
from forbear.errors import ForbearError, InvalidInput, brief_error
from forbear.wording import described, listed, shown

BUILT_IN: Mapping[str, Mapping[str, str]] = {
    "tasks": {
        "alfworld:games": "forbear.worlds.household.real_games:real_tasks",
        "household:generated": "forbear.worlds.household.pilot:generated_tasks",
        "questions:file": "forbear.worlds.questions.pilot:file_tasks",
        "questions:generated": "forbear.worlds.questions.pilot:generated_tasks",
        "questions:shipped": "forbear.worlds.questions.pilot:shipped_tasks",
    },
    "agent": {
        "chat": "forbear.adapters.agents.chat:ChatAgent",
        "household": "forbear.worlds.household.pilot:agent",
        "questions": "forbear.worlds.questions.pilot:agent",
    },
    "environment": {
        "alfworld": "forbear.worlds.household.real_games:real_environment",
        "household": "forbear.worlds.household.pilot:environment",
        "questions": "forbear.worlds.questions.pilot:environment",
    },
    "critic": {
        "after-step": "forbear.critics.heuristic:AfterStep",
        "calibrated": "forbear.adapters.critic_folder:calibrated_critic",
        "chat": "forbear.critics.chat:ChatCritic",
        "error-words": "forbear.critics.heuristic:ErrorWords",
        "every-k": "forbear.critics.heuristic:EveryK",
        "household": "forbear.worlds.household.pilot:critic",
        "http": "forbear.critics.http:HTTPCritic",
        "lora": "forbear.critics.lora.critic:lora_critic",
        "matched-random": "forbear.critics.heuristic:matched_random",
        "questions": "forbear.worlds.questions.pilot:critic",
        "random": "forbear.critics.heuristic:RandomCritic",
        "recorded-outcome": "forbear.critics.recorded:recorded_outcome",
        "repeated-action": "forbear.critics.heuristic:RepeatedAction",
        "step-count": "forbear.critics.heuristic:StepCount",
        "token-probability": "forbear.critics.tokens:TokenProbability",
        "trained": "forbear.critics.trained:trained_critic",
    },
    "model": {"local": "forbear.models.local:LocalChat", "openai": "forbear.models.client:OpenAIChat"},
    "intervention": {
        "append": "forbear.interventions.append:Append",
        "feedback": "forbear.interventions.feedback:ChatFeedback",
        "nudge": "forbear.interventions.ready:Nudge",
        "placebo": "forbear.interventions.placebo:Placebo",
        "restart": "forbear.interventions.restart:Restart",
        "rollback": "forbear.interventions.rollback:Rollback",
        "rollback-silent": "forbear.interventions.ready:SilentRollback",
        "rollback-told": "forbear.interventions.ready:ToldRollback",
        "stop": "forbear.interventions.stop:Stop",
    },
}
"""Names that stand for parts that come with forbear; imported when named."""

_FILES = {"system": (".txt", ".md"), "prompt": (".txt", ".md"), "data": (".json", ".jsonl", ".gz"), "model": (".gguf",)}
"""Options of built-in parts that may name a file, and how such a file's name ends."""

_FOLDERS = ("journal", "path")
"""Options of built-in parts that name a folder."""

RERUN = "rerun"
"""Stands where an intervention is named: the baseline once more, at a derived seed."""

BLIND = "blind"
"""Stands where an intervention is named: that of another arm, at random moments."""

_NEEDED: Mapping[str, tuple[str, ...]] = {
    "agent": ("act", "config"),
    "environment": ("reset", "step", "config", "replay_safe"),
    "critic": ("score", "config"),
    "model": ("complete", "config"),
    "intervention": ("name", "apply", "config"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Factory:
    """Makes a part as often as asked. Can be pickled where the factory that it calls can.

    Raises:
        InvalidInput: An option that what is called does not take, or one that it needs and is not there.
    """

    target: Callable[..., Any]
    options: Mapping[str, Any]
    part: Part

    def __post_init__(self) -> None:
        taken = parameters_of(self.target)
        if taken is None:
            return
        place, use = self.part.options_place or self.part.place, shown(self.part.use)
        by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        names = [name for name, one in taken.items() if one.kind in by_name]
        takes_any = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in taken.values())
        for key in () if takes_any else self.options:
            if key not in names:
                known = f"; its options are {', '.join(names)}." if names else "; it has none."
                raise InvalidInput(f"{place}: '{use}' has no option '{shown(key)}'{nearest(key, names) or known}")
        missing = [name for name in names if taken[name].default is taken[name].empty and name not in self.options]
        if missing:
            raise InvalidInput(f"{place}: '{use}' needs the option {listed(missing)}, which is missing.")

    def __call__(self) -> Any:
        """Makes one.

        Raises:
            InvalidInput: The factory raised, or gave what is no such part; the message begins with the place in the
                file. Other errors of forbear's own (an agent's, a provider's) come as they are.
        """
        made = guarded(lambda: self.target(**self.options), part=self.part)
        missing = guarded(lambda: [name for name in _NEEDED[self.part.kind] if not hasattr(made, name)], part=self.part)
        if missing:
            kind, needed = self.part.kind, ", ".join(_NEEDED[self.part.kind])
            raise InvalidInput(
                f"{self.part.place}: the {kind}'s factory gave {described(made)}, which has no "
                f"{' and no '.join(missing)}: it must return an object with {needed}."
            )
        return made

    def once(self) -> Any:
        """Makes one that is used as it is from now on: what it says of itself is checked as well.

        Raises:
            InvalidInput: As calling does, or its config raises or is no JSON.
        """
        made = self()
        guarded(lambda: config_of(made, what=self.part.kind), part=self.part)
        if self.part.kind == "intervention":
            name, *_ = guarded(lambda: (made.name, undoes_steps(made), is_control(made)), part=self.part)
            if not isinstance(name, str):
                raise InvalidInput(f"{self.part.place}: its name must be a text, got {described(name)}.")
        return made


def parameters_of(target: Callable[..., Any]) -> Mapping[str, inspect.Parameter] | None:
    """What a factory takes, by name; None of some built-in functions, of which nothing is known."""
    try:
        return inspect.signature(target).parameters
    except (TypeError, ValueError):
        return None


def placed(options: Mapping[str, Any], part: Part, folder: Path) -> dict[str, Any]:
    """The options of a built-in part, the files and folders among them where they lie: beside the pilot's file."""
    if part.use not in BUILT_IN.get(part.kind, {}):
        return dict(options)

    def place(key: str, value: Any) -> Any:
        # A server may call its model by a file's name, which is none of ours.
        endings = () if key == "model" and part.use != "local" else _FILES.get(key, ())
        is_file = isinstance(value, str) and "\n" not in value and value.endswith(endings)
        return str(folder / value) if is_file or (key in _FOLDERS and isinstance(value, str)) else value

    return {key: place(key, value) for key, value in options.items()}


def imported(part: Part, folder: Path) -> Callable[..., Any]:
    """Finds what a part's name stands for, and imports it.

    Args:
        part: As the file names it.
        folder: Where the file lies; modules may lie beside it.

    Raises:
        InvalidInput: Neither built in nor importable; the message begins with the place in the file.
    """
    built_in = BUILT_IN[part.kind]
    module_name, _, attribute = built_in.get(part.use, part.use).partition(":")
    if not attribute or not all(name.isidentifier() for name in (*module_name.split("."), attribute)):
        known = sorted([*built_in, *([RERUN, BLIND] if part.kind == "intervention" else [])])
        meant = nearest(part.use, known) or "."
        raise InvalidInput(
            f"{part.place}: '{shown(part.use)}' is neither built in nor of the form 'package.module:factory'; built in "
            f"{'is' if len(known) == 1 else 'are'} {', '.join(known)}{meant}"
        )
    if str(folder.resolve()) not in sys.path:
        sys.path.insert(0, str(folder.resolve()))
    try:
        target = getattr(importlib.import_module(module_name), attribute)
    except ForbearError:
        raise
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever the user's module raises while it is imported
        reason = shown(brief_error(error), limit=150)
        raise InvalidInput(f"{part.place}: '{shown(part.use)}' cannot be imported ({reason}).") from error
    if not callable(target):
        raise InvalidInput(f"{part.place}: '{shown(part.use)}' is a {type(target).__name__}, not something to call.")
    return target  # type: ignore[no-any-return]


def guarded(make: Callable[[], Any], *, part: Part) -> Any:
    """Calls somebody else's code; what it raises is said with the place that named it."""
    try:
        return make()
    except InvalidInput as error:
        raise InvalidInput(f"{part.place}: {shown(str(error).rstrip('.'), limit=600)}.") from error
    except ForbearError:
        raise  # an outage or a failure of the agent: the runner knows what to do
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        reason = shown(brief_error(error), limit=200)
        where = f"{shown(Path(last.filename).name)}, line {last.lineno}"
        raise InvalidInput(f"{part.place}: '{shown(part.use)}' raised {reason} ({where}).") from error
