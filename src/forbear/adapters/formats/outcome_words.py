"""What a success field may say: the usual words for success, failure and no outcome, and scores."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forbear.adapters.formats.reading import Reading
from forbear.errors import InvalidInput
from forbear.wording import shown

SUCCESS = (
    *("1", "true", "t", "yes", "y", "pass", "passed", "correct", "c", "resolved", "solved"),
    *("success", "successful", "succeeded"),
)
FAILURE = (
    *("0", "false", "f", "no", "n", "fail", "failed", "incorrect", "i", "wrong", "unresolved", "unsolved"),
    *("failure", "unsuccessful"),
)
MISSING = ("", "null", "none", "nan", "n/a", "na", "#n/a", "error", "errored", "timeout")
"""Where a run has no outcome: the world failed, not the agent."""
PARTIAL = frozenset({"p", "partial", "partially resolved", "partially correct"})
"""Neither: whoever reads them has to say what they are."""

NOT_MISSING = 2
"""Codes below are outcomes: 0 failed, 1 succeeded. Each word for no outcome has a code of its own from here on."""
_MOST_WORDS = 10_000
"""Spellings that are remembered; scores may all differ."""
_CLOSE = 1e-9
"""A score that is so little below the threshold reaches it: 0.9999999999 is 1 after some arithmetic."""


class OutcomeWords:
    """Reads success fields as a reading says; the same for every format.

    Args:
        reading: Its words go before the usual ones, its threshold makes outcomes of scores.
    """

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.missing: list[str] = []
        """The words for no outcome that may occur; the code of the i-th is `NOT_MISSING + i`."""
        self._codes: dict[str, int] = {}
        for words, code in ((FAILURE, 0), (SUCCESS, 1), (reading.failure_values, 0), (reading.success_values, 1)):
            self._codes |= {word.strip().lower(): code for word in words}
        for word in (*MISSING, *reading.missing_values):
            word = word.strip().lower()
            if word in MISSING and word in self._codes:  # the user says that it is an outcome
                continue
            self._codes[word] = NOT_MISSING + len(self.missing)
            self.missing.append(word)
        self.error = self._codes["error"] if self._codes["error"] >= NOT_MISSING else self._codes[""]
        """The code of a run that something broke."""
        self._known: dict[str, int] = dict(self._codes)
        """By the spelling met."""
        self._scores: dict[str, float] = {}

    def codes(self, values: Sequence[str]) -> NDArray[np.uint8] | None:
        """The codes of some stripped fields; None where one is no outcome."""
        known = self._known
        try:
            return np.fromiter(map(known.__getitem__, values), np.uint8, len(values))
        except KeyError:
            pass
        found = [known.get(value, -1) if value in known else self._code(value) for value in values]
        return None if -1 in found else np.array(found, np.uint8)

    def scores(self, values: Sequence[str], *, comma: bool = False) -> NDArray[np.float64] | None:
        """The scores of some stripped fields, NaN where there is none; None where one is no score.

        Args:
            values: The fields.
            comma: Whether a decimal comma is one.
        """
        try:
            return np.array([self._score(value, comma) for value in values], np.float64)
        except ValueError:
            return None

    def code(self, value: str, *, place: str, column: str = "success") -> int:
        """The code of one stripped field.

        Raises:
            InvalidInput: It is no outcome.
        """
        code = self._code(value)
        if code < 0:
            raise InvalidInput(_no_outcome(value, place=place, column=column))
        return code

    def outcome(self, value: str, *, place: str, column: str = "success") -> bool | None:
        """What one stripped field says; None where the run has no outcome.

        Raises:
            InvalidInput: It is no outcome.
        """
        code = self.code(value, place=place, column=column)
        return None if code >= NOT_MISSING else bool(code)

    def score(self, value: str, *, place: str, comma: bool = False, column: str = "success") -> float | None:
        """The score of one stripped field; None where the run has none.

        Raises:
            InvalidInput: It is no score.
        """
        try:
            score = self._score(value, comma)
        except ValueError:
            wanted = "a score from 0 to 1 (--graded)" if self.reading.graded else "a number (--threshold)"
            raise InvalidInput(
                f"{place}: {shown(column)} is '{shown(value)}'; expected {wanted}. {_say_what(value)}"
            ) from None
        return None if math.isnan(score) else score

    def reached(self, scores: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which scores are successes by the threshold; NaN is none."""
        threshold = self.reading.threshold
        assert threshold is not None, "asked only where there is one"
        reached: NDArray[np.bool_] = scores >= threshold - _CLOSE * max(1.0, abs(threshold))
        return reached

    def failed(self, success: NDArray[Any]) -> NDArray[np.bool_]:
        """Which of some codes, or scores, are failures: of scores without a threshold those of 0."""
        failed: NDArray[np.bool_] = success <= 0
        if self.reading.threshold is not None:
            failed = ~self.reached(success) & ~np.isnan(success)
        return failed

    def without_outcome(self, success: NDArray[Any], rows: NDArray[np.bool_]) -> NDArray[Any]:
        """Some codes, or scores, with none in these rows."""
        return np.where(rows, np.nan if self.reading.scored else np.uint8(self.error), success)

    def require_among(self, scores: NDArray[np.float64]) -> None:
        """Raises: the threshold lies beyond all scores, on a side where scores from 0 to 1 have none."""
        threshold = self.reading.threshold
        if threshold is None or not scores.size:
            return
        low, high = float(scores.min()), float(scores.max())
        if threshold > max(1.0, high) or threshold <= min(0.0, low):
            raise InvalidInput(
                f"the threshold is {threshold:g}, but all scores lie from {low:g} to {high:g}: all runs would be alike."
                " Correct --threshold."
            )

    def _code(self, value: str) -> int:
        """−1 where it is no outcome."""
        code = self._codes.get(value.lower())
        if code is None:
            number = _number(value)
            if number is None:
                code = -1
            elif math.isnan(number):
                code = self._codes["nan"]
            else:
                code = self._codes[str(int(number))] if number in (0, 1) else -1
        if code >= 0 and len(self._known) < _MOST_WORDS:
            self._known[value] = code
        return code

    def _score(self, value: str, comma: bool) -> float:
        """Raises ValueError where it is no score."""
        known = self._scores.get(value)
        if known is not None:
            return known
        code = self._codes.get(value.lower())
        if code is not None:
            score = math.nan if code >= NOT_MISSING else float(code)
        else:
            number = _number(value.replace(",", ".", 1) if comma else value)
            if number is None or math.isinf(number):
                raise ValueError
            if self.reading.graded and not (math.isnan(number) or 0 <= number <= 1):
                raise ValueError
            score = number
        if len(self._scores) < _MOST_WORDS:
            self._scores[value] = score
        return score


def _number(text: str) -> float | None:
    if len(text) > 40 or "_" in text or not text.isascii():
        return None
    try:
        return float(text)
    except ValueError:
        return None


def _no_outcome(value: str, *, place: str, column: str) -> str:
    number = _number(value)
    if number is not None:
        between = " Scores between 0 and 1: --graded, or --threshold T." if 0 < number < 1 else ""
        scores = between or " Scores: from which on is it a success? --threshold T."
        return f"{place}: {shown(column)} is '{shown(value)}'; expected 0 or 1.{scores}"
    if value.lower() in PARTIAL:
        return f"{place}: {shown(column)} is '{shown(value)}', neither success nor failure. {_say_what(value)}"
    return (
        f"{place}: {shown(column)} is '{shown(value)}'; expected 0 or 1 (or true/false, pass/fail, correct/incorrect, "
        f"resolved/unresolved, ...). {_say_what(value)}"
    )


def _say_what(value: str) -> str:
    word = shown(value, limit=30)
    if len(value) > 20 or word != value:
        return (
            "Say what it means: --success-values, --failure-values or, where the run has no outcome, --missing-values."
        )
    quoted = word if word.replace("-", "").replace("_", "").isalnum() else f"'{word}'"
    return (
        f"Say what it means: --success-values {quoted}, --failure-values {quoted}, or, where the run has no outcome, "
        f"--missing-values {quoted}."
    )


def words_of(text: str) -> Iterable[str]:
    """The words of a list with commas; an empty one is the empty field."""
    return (word.strip() for word in text.split(","))
