"""Logs in the layouts of other tools, and what was read of them, for the tests of their readers."""

import json
from pathlib import Path

from forbear.adapters.formats.logs.reading import ReadLogs

DATA = Path(__file__).parent / "data" / "logs"
"""Logs that the tools themselves wrote: make_inspect.py and make_traces.py, beside them."""


def lines(*rows) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def told(found: ReadLogs) -> dict[tuple[str, str], list[str]]:
    cells: dict[tuple[str, str], list[str]] = {}
    for row in found.rows:
        word = row.run.fault or ("success" if row.run.success else "failure")
        cells.setdefault((row.task, row.arm), []).append(word)
    return cells


def of_one_arm(found: ReadLogs) -> dict[str, list[str]]:
    assert len(found.arms) == 1
    return {task: words for (task, _), words in told(found).items()}
