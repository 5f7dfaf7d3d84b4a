"""The verdicts within a page that `forbear` wrote: what a colleague was sent can be read by a program."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from forbear.adapters.formats.source import read_source
from forbear.errors import InvalidInput
from forbear.stats.verdict import Verdict
from forbear.wording import described, shown

_BEGINS = '<script type="application/json" id="forbear-verdicts">'
_ENDS = "</script>"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadReport:
    """What a page says."""

    baseline: str
    verdicts: Mapping[str, Verdict]
    """By treated arm, at least one; as they were when it was written."""


def is_report(path: str) -> bool:
    """Whether a file is called like a page."""
    return path.lower().endswith((".html", ".htm"))


def read_report(path: str) -> ReadReport:
    """Reads the verdicts that a page carries; whatever else is in it is not looked at.

    Raises:
        InvalidInput: The file cannot be read, is no page of ours, or its verdicts are unusable.
    """
    source = read_source(path)
    text = source.text()
    start = text.find(_BEGINS)
    end = text.find(_ENDS, start)
    if start < 0 or end < 0:
        raise InvalidInput(
            f"{source.name}: no verdicts of forbear are in this page. Pages that `forbear pilot run`, `forbear report` "
            "and `forbear decide --report` write have them; a table is CSV, TSV or JSONL."
        )
    try:
        data = json.loads(text[start + len(_BEGINS) : end])
        verdicts = {str(name): Verdict.from_dict(one) for name, one in data["verdicts"].items()}
        baseline = data["baseline"]
    except InvalidInput as error:
        raise InvalidInput(f"{source.name}: {error}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidInput(f"{source.name}: its verdicts cannot be read ({described(error)}).") from None
    if not verdicts or not isinstance(baseline, str):
        raise InvalidInput(f"{source.name}: its verdicts are of no arm, got {shown(str(data)[:80])}.")
    return ReadReport(baseline=baseline, verdicts=verdicts)
