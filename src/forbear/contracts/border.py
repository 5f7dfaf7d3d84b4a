"""The border to foreign code: what an agent, a world, a critic or an intervention answers is checked here, once.

What passes is of the contract's type, can be written and reads back the same: texts are Unicode (lone surrogates become
U+FFFD), payloads are JSON, and neither is larger than a line of a journal should be. What decides behaviour and is too
large is refused, since an agent that saw a part of it would be another agent; what only explains is cut. What does not
pass is an `InvalidInput` that says what the contract asks for; the record of the episode names task, seed and arm.
"""

import math
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from forbear.contracts.agent import Agent
from forbear.contracts.critic import Score
from forbear.contracts.environment import Environment, Observation
from forbear.contracts.intervention import Continue, Effect, Halt, Replace, Retry
from forbear.errors import ForbearError, InvalidInput, brief_error
from forbear.records.codec import canonical_json
from forbear.records.model import JSON, Action, Task, Usage
from forbear.wording import described, shown

MAX_TEXT = 1 << 20
"""Characters of a text that an agent, a world or an intervention may give; a reason is cut there."""

MAX_PAYLOAD = 8 << 20
"""Characters of the texts in a payload or a config, together; every value in it counts as eight more."""


def checked_action(answer: object) -> Action:
    """Returns the action that an agent proposed, fit to be written.

    Raises:
        InvalidInput: It is something else, or holds what cannot be written.
    """
    if not isinstance(answer, Action):
        raise InvalidInput(f"the agent must return an Action, got {type(answer).__name__}: Action(text).")
    if type(answer) is Action and answer.is_plain and _is_plain(answer.text):
        return answer
    extras, checked = answer.extras(), dict[str, Any]()
    if "payload" in extras:
        checked["payload"] = _payload(extras["payload"], "an action's payload")
    if "rationale" in extras:
        checked["rationale"] = _reason(extras["rationale"], "an action's rationale")
    if "logprobs" in extras:
        if len(extras["logprobs"]) > MAX_TEXT or not all(_is_number(p) and p <= 0 for p in extras["logprobs"]):
            raise InvalidInput("an action's logprobs are finite numbers of at most 0, natural logarithms.")
        checked["logprobs"] = [float(p) for p in extras["logprobs"]]
    if "usage" in extras:
        checked["usage"] = _usage(extras["usage"], "an action's usage")
    return Action(_text(answer.text, "an action's text"), **checked)


def checked_observation(answer: object) -> Observation:
    """Returns what an environment answered, fit to be written.

    Raises:
        InvalidInput: It is something else, holds what cannot be written, or is done without a success.
    """
    if not isinstance(answer, Observation):
        raise InvalidInput(
            f"the environment must return an Observation, got {type(answer).__name__}: Observation(text=...)."
        )
    done, success = _flag(answer.done, "an observation's done"), answer.success
    if done:
        if success is None:
            raise InvalidInput("the environment said done with success=None, expected True or False.")
        success = _flag(success, "an observation's success")
    text, payload = answer.text, answer.payload
    if not _is_plain(text):
        text = _text(text, "an observation's text")
    if payload is not None:
        payload = _payload(payload, "an observation's payload")
    legal = answer.legal_actions
    if legal is not None:
        if not (isinstance(legal, tuple) and all(type(one) is str for one in legal)):
            raise InvalidInput(f"an observation's legal_actions are a tuple of texts or None, got {described(legal)}.")
        if sum(map(len, legal)) > MAX_PAYLOAD:
            raise InvalidInput(f"an observation's legal_actions have more than {MAX_PAYLOAD:,} characters.")
        if not all(map(str.isascii, legal)):  # as they would come back in an action
            legal = tuple(_text(one, "a legal action", limit=MAX_PAYLOAD) for one in legal)
            legal = answer.legal_actions if legal == answer.legal_actions else legal
    irreversible = _flag(answer.irreversible, "an observation's irreversible")
    same = (
        type(answer) is Observation and text is answer.text and payload is answer.payload and success is answer.success
    ) and legal is answer.legal_actions
    if same and done is answer.done and irreversible is answer.irreversible:
        return answer
    return Observation(
        text=text, payload=payload, done=done, success=success, legal_actions=legal, irreversible=irreversible
    )


def checked_score(answer: object) -> Score:
    """Returns what a critic said; a bare number or None is a score without reason.

    Raises:
        InvalidInput: It is neither, or no probability.
    """
    score = answer if isinstance(answer, Score) else Score(answer)  # type: ignore[arg-type]  # checked next
    p_fail = score.p_fail
    if p_fail is not None:
        # numbers.Real also takes the floats of numpy; True and False are answers to another question.
        if isinstance(p_fail, bool) or not isinstance(p_fail, float | numbers.Real) or not 0 <= p_fail <= 1:
            raise InvalidInput(f"a score is a number in [0, 1] or None, got {described(p_fail)}.")
        p_fail = float(p_fail)
    advantage = score.advantage
    if advantage is not None:
        valid = isinstance(advantage, float | numbers.Real) and not isinstance(advantage, bool)
        if not valid or not -1 <= advantage <= 1:
            raise InvalidInput(f"an advantage is a number in [-1, 1] or None, got {described(advantage)}.")
        advantage = float(advantage)
    why = None if score.why is None else _reason(score.why, "a score's reason")
    return Score(p_fail, why, _usage(score.usage, "a score's usage"), advantage)


def checked_effect(answer: object) -> Effect:
    """Returns what an intervention makes of a proposal.

    Raises:
        InvalidInput: It is no effect, or holds what cannot be carried out.
    """
    if not isinstance(answer, Continue | Retry | Replace | Halt):
        raise InvalidInput(
            f"an intervention must return Continue, Retry, Replace or Halt, got {type(answer).__name__}."
        )
    if isinstance(answer, Halt):
        return answer
    if answer.message is not None and not _is_plain(answer.message):
        answer = replace(answer, message=_text(answer.message, "a message"))
    if answer.usage is not None:
        answer = replace(answer, usage=_usage(answer.usage, "an effect's usage"))
    if isinstance(answer, Retry):
        return _retry(answer)
    return replace(answer, action=checked_action(answer.action)) if isinstance(answer, Replace) else answer


def _retry(answer: Retry) -> Retry:
    undo = answer.undo
    if isinstance(undo, bool) or not isinstance(undo, int | numbers.Integral) or undo < 0:
        raise InvalidInput(f"Retry's undo is a whole number of at least 0, got {described(undo)}.")
    exclude, costs_step = _flag(answer.exclude, "Retry's exclude"), _flag(answer.costs_step, "Retry's costs_step")
    if type(undo) is int and exclude is answer.exclude and costs_step is answer.costs_step:
        return answer
    return replace(answer, undo=int(undo), exclude=exclude, costs_step=costs_step)


def checked_agent(made: object) -> Agent:
    """Returns what a factory of agents made.

    Raises:
        InvalidInput: It cannot act.
    """
    _require_methods(made, "agent", ("act", "config"))
    return made  # type: ignore[return-value]  # as far as can be told before it is asked


def checked_environment(made: object) -> Environment:
    """Returns what a factory of environments made.

    Raises:
        InvalidInput: It cannot be reset, or not stepped.
    """
    _require_methods(made, "environment", ("reset", "step", "config"))
    return made  # type: ignore[return-value]


def _require_methods(made: object, what: str, methods: Sequence[str]) -> None:
    missing = [name for name in methods if not callable(getattr(made, name, None))]
    if missing:
        raise InvalidInput(
            f"the {what}'s factory gave {described(made)}, which has no {' and no '.join(missing)}: it must return an "
            f"object with {', '.join(methods)}."
        )


def check_task(task: Task) -> None:
    """Refuses a task that a journal could not hold: it is nobody's answer, so nothing of it is mended.

    Raises:
        InvalidInput: A text that is no Unicode, or a payload that is no JSON.
    """
    try:
        canonical_json(task.payload)
        msgspec.json.decode(msgspec.json.encode(task, order="deterministic"), type=Task)
    except (InvalidInput, ValueError, TypeError, RecursionError) as error:
        raise InvalidInput(
            f"task {shown(repr(task.id))} cannot be written to a journal: {shown(str(error), limit=150)}. Its "
            "payload is JSON with texts for keys, its id, stratum and cluster are Unicode texts."
        ) from None


def config_of(part: Any, *, what: str) -> Mapping[str, JSON]:
    """Asks a part for its config.

    Raises:
        InvalidInput: It raised something, or what it gave is no mapping or holds what JSON cannot. Errors of forbear's
            own that say what to do (an outage, say) come as they are.
    """
    try:
        answer = part.config()
    except InvalidInput as error:
        raise InvalidInput(f"the {what}'s config(): {error}") from error
    except ForbearError:
        raise
    except (Exception, SystemExit) as error:
        raise InvalidInput(f"the {what}'s config() raised {brief_error(error)}.") from error
    return checked_config(answer, what=what)


def checked_config(answer: object, *, what: str) -> Mapping[str, JSON]:
    """Returns the config of a part, which digests are taken of.

    Raises:
        InvalidInput: It is no mapping, or holds what JSON cannot.
    """
    if not isinstance(answer, Mapping):
        raise InvalidInput(f"the {what}'s config() must return a mapping, got {type(answer).__name__}.")
    config = _payload(answer, f"the {what}'s config()")
    assert isinstance(config, Mapping)
    return config


def _is_plain(text: object) -> bool:
    """Whether it is a text that needs no further look, as most are."""
    return type(text) is str and len(text) <= MAX_TEXT and text.isascii()


def _reason(value: object, what: str) -> str:
    """A text that explains and decides nothing."""
    if isinstance(value, str) and len(value) > MAX_TEXT:
        value = f"{value[:MAX_TEXT]} (cut here, of {len(value):,} characters)"[: MAX_TEXT + 60]
        return _text(value, what, limit=len(value))
    return _text(value, what)


def _text(value: object, what: str, *, limit: int = MAX_TEXT) -> str:
    if not isinstance(value, str):
        raise InvalidInput(f"{what} must be a text, got {described(value)}.")
    if len(value) > limit:
        raise InvalidInput(f"{what} must be at most {limit:,} characters long, got {len(value):,}.")
    try:
        value.encode()
    except UnicodeEncodeError:  # lone surrogates are no text: a file could not be read back
        return "".join("\ufffd" if "\ud800" <= ch <= "\udfff" else ch for ch in value)
    return str(value)


def _flag(value: object, what: str) -> bool:
    if value is True or value is False:
        return value
    if _is_numpys_flag(value):
        return bool(value)
    raise InvalidInput(f"{what} must be True or False, got {described(value)}.")


def _is_numpys_flag(value: object) -> bool:
    return type(value).__module__ == "numpy" and type(value).__name__ in ("bool", "bool_")


def _is_number(value: object) -> bool:
    try:
        return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # no double could hold it
        return False


def _payload(value: object, what: str) -> JSON:
    """The payload as JSON gives it back; numpy's numbers are numbers."""
    try:
        plain = _json(value, _Room(MAX_PAYLOAD), depth=0)
        if msgspec.json.decode(msgspec.json.encode(plain)) != plain:
            raise ValueError("it does not read back as it was written")
    except (TypeError, ValueError, ArithmeticError) as error:
        raise InvalidInput(f"{what} must be JSON (finite numbers, texts, lists, objects): {error!s:.150}.") from None
    return plain


_DEEPEST = 100
_LARGEST = 1 << 1024
"""What is beyond, no double can hold, and Python refuses to read a few digits later."""


class _Room:
    """What is left of a payload's limit."""

    __slots__ = ("left",)

    def __init__(self, left: int) -> None:
        self.left = left

    def take(self, amount: int) -> None:
        self.left -= amount
        if self.left < 0:
            raise ValueError(f"its values and texts are larger than {MAX_PAYLOAD:,} characters")


def _json(value: object, room: _Room, *, depth: int) -> JSON:
    room.take(8)
    if value is None or value is True or value is False:
        return value
    if depth > _DEEPEST:
        raise ValueError(f"nested deeper than {_DEEPEST}")
    if isinstance(value, str):
        room.take(len(value))
        return _text(value, "a text", limit=MAX_PAYLOAD)
    if isinstance(value, Mapping):
        found: dict[str, JSON] = {}
        for key, one in value.items():
            if not isinstance(key, str):
                raise TypeError("keys must be texts")
            room.take(len(key))
            found[_text(key, "a key")] = _json(one, room, depth=depth + 1)
        return found
    if isinstance(value, list | tuple):
        return [_json(one, room, depth=depth + 1) for one in value]
    if isinstance(value, numbers.Integral) and abs(int(value)) < _LARGEST:
        return int(value)
    if _is_numpys_flag(value):
        return bool(value)
    if isinstance(value, numbers.Real) and not isinstance(value, numbers.Integral) and math.isfinite(value):
        return float(value)
    raise TypeError(f"{described(value)} is not JSON")


def _usage(value: object, what: str) -> Usage:
    if value is _NO_USAGE:
        return _NO_USAGE
    if not isinstance(value, Usage):
        raise InvalidInput(f"{what} must be a Usage, got {type(value).__name__}.")
    try:
        plain = msgspec.to_builtins(value, enc_hook=_plain_number)
        usage = msgspec.convert(plain, Usage)
        if any(number > _MOST for number in plain.values()):
            raise ValueError(f"a number above {_MOST:.0e}")
        return usage
    except (ValueError, TypeError, ArithmeticError) as error:
        raise InvalidInput(f"{what}: {error!s:.150}.") from None


_MOST = 10**15
"""What one answer may say that it took: sums of such numbers are still read back."""


def _plain_number(value: object) -> int | float:
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value)
    raise TypeError(f"{described(value)} is not a number")


_NO_USAGE: Usage = Score(None).usage
