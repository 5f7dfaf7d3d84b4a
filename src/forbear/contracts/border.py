"""The border to foreign code: what an agent, a world, a critic or an intervention answers is checked here, once.

What passes is of the contract's type, can be written and reads back the same: texts are Unicode (lone surrogates become
U+FFFD), payloads are JSON. What does not pass is an `InvalidInput` that says what the contract asks for; who asked adds
task, seed and arm.
"""

import math
import numbers
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec

from forbear.contracts.critic import Score
from forbear.contracts.environment import Observation
from forbear.contracts.intervention import Continue, Effect, Halt, Replace, Retry
from forbear.errors import InvalidInput
from forbear.records.codec import canonical_json
from forbear.records.model import JSON, Action, Task, Usage
from forbear.wording import described, shown


def checked_action(answer: object) -> Action:
    """Returns the action that an agent proposed, fit to be written.

    Raises:
        InvalidInput: It is something else, or holds what cannot be written.
    """
    if not isinstance(answer, Action):
        raise InvalidInput(f"the agent must return an Action, got {type(answer).__name__}: Action(text).")
    if answer.is_plain and type(answer.text) is str and answer.text.isascii():
        return answer
    extras, checked = answer.extras(), dict[str, Any]()
    if "payload" in extras:
        checked["payload"] = _payload(extras["payload"], "an action's payload")
    if "rationale" in extras:
        checked["rationale"] = _text(extras["rationale"], "an action's rationale")
    if "logprobs" in extras:
        if not all(_is_number(p) and float(p) <= 0 for p in extras["logprobs"]):
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
    if not (type(text) is str and text.isascii()):
        text = _text(text, "an observation's text")
    if payload is not None:
        payload = _payload(payload, "an observation's payload")
    legal = answer.legal_actions
    if legal is not None and not (isinstance(legal, tuple) and all(type(one) is str for one in legal)):
        raise InvalidInput(f"an observation's legal_actions are a tuple of texts or None, got {described(legal)}.")
    irreversible = _flag(answer.irreversible, "an observation's irreversible")
    same = text is answer.text and payload is answer.payload and success is answer.success
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
    why = None if score.why is None else _text(score.why, "a score's reason")
    return Score(p_fail, why, _usage(score.usage, "a score's usage"))


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
    if answer.message is not None and not (type(answer.message) is str and answer.message.isascii()):
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


def checked_config(answer: object, *, what: str) -> Mapping[str, JSON]:
    """Returns the config of a part, which digests are taken of.

    Raises:
        InvalidInput: It is no mapping, or holds what JSON cannot.
    """
    if not isinstance(answer, Mapping):
        raise InvalidInput(f"the {what}'s config() must return a mapping, got {type(answer).__name__}.")
    try:
        canonical_json(answer)
    except InvalidInput as error:
        raise InvalidInput(f"the {what}'s config(): {error}") from None
    return answer


def _text(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise InvalidInput(f"{what} must be a text, got {described(value)}.")
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
    """The payload as JSON would give it back; numpy's numbers are numbers."""
    try:
        return _json(value, depth=0)
    except (TypeError, ValueError, ArithmeticError) as error:
        raise InvalidInput(f"{what} must be JSON (finite numbers, texts, lists, objects): {error!s:.150}.") from None


_DEEPEST = 100
_LARGEST = 1 << 1024
"""What is beyond, no double can hold, and Python refuses to read a few digits later."""


def _json(value: object, *, depth: int) -> JSON:
    if value is None or value is True or value is False:
        return value
    if depth > _DEEPEST:
        raise ValueError(f"nested deeper than {_DEEPEST}")
    if isinstance(value, str):
        return _text(value, "a text")
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise TypeError("keys must be texts")
        return {_text(key, "a key"): _json(one, depth=depth + 1) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_json(one, depth=depth + 1) for one in value]
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
