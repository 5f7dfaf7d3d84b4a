"""GAIA's questions: their layout, and when an answer is right.

GAIA (Mialon et al. 2023, arXiv 2311.12983, section 3.3) scores by a quasi exact match: normalised by what the true
answer is, a number, a list, or a text. Its data are gated; a file of them is `metadata.jsonl` of the validation split.
Checked against the benchmark's own scorer as inspect_evals 0.28 ships it: tests/data/reference/gaia.json.
"""

import re
import string
from collections.abc import Iterable, Mapping
from typing import Any

from forbear.errors import InvalidInput
from forbear.wording import described

_UNITS = str.maketrans("", "", "$%,")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_SEPARATORS = re.compile(r"[,;]")


def gaia_match(answer: str, accepted: Iterable[str]) -> bool:
    """Whether an answer is right: as a number, as a list of as many elements, or as a text, as the true one is."""
    return any(_matches(answer, truth) for truth in accepted)


def _matches(answer: str, truth: str) -> bool:
    if _number(truth) is not None:
        return _same_number(answer, truth)
    if not _SEPARATORS.search(truth):
        return _squeezed(answer).translate(_PUNCTUATION) == _squeezed(truth).translate(_PUNCTUATION)
    said, true = _SEPARATORS.split(answer), _SEPARATORS.split(truth)
    if len(said) != len(true):
        return False
    return all(
        _same_number(one, other) if _number(other) is not None else _squeezed(one) == _squeezed(other)
        for one, other in zip(said, true, strict=True)
    )


def _same_number(answer: str, truth: str) -> bool:
    said = _number(answer.translate(_UNITS))
    return said is not None and said == _number(truth)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _squeezed(text: str) -> str:
    """In lower case, without white space: "sea gull" is "seagull"."""
    return "".join(text.split()).lower()


def from_gaia(record: Mapping[str, Any], place: str) -> Mapping[str, Any] | None:
    """A line of GAIA's `metadata.jsonl` as other files have it; any other record as it is.

    Returns:
        None for a question that comes with a file: this world has none to show.

    Raises:
        InvalidInput: It has no true answer, as in GAIA's test split.
    """
    if not {"task_id", "Question", "Final answer"} <= record.keys():
        return record
    if record.get("file_name"):
        return None
    truth = record["Final answer"]
    if not isinstance(truth, str) or truth.strip() in ("", "?"):
        raise InvalidInput(
            f"{place}: 'Final answer' is {described(truth)}; GAIA's test split has no answers: take its validation "
            "split."
        )
    level = {"kind": f"level {record['Level']}"} if isinstance(record.get("Level"), int | str) else {}
    return {"id": record["task_id"], "question": record["Question"], "answer": truth} | level
