"""A whole view of a small pilot, as it was looked at once: what changes it is meant, and seen in the difference.

python tests/report/test_golden_view.py    writes it anew
"""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from forbear.analysis.evidence import evidence_of
from forbear.report.pilot_view import pilot_view
from runner.pilots import ALL_ARMS, plan, run

GOLDEN = Path(__file__).parents[1] / "data" / "views" / "pilot.json"
CHANGES = {"seconds", "paid_seconds", "made_by", "command", "plan_digest", "version"}
"""What depends on the machine, the clock or the release."""


def steady(value):
    """As it is the same on every machine: numbers to six digits, of a long curve its first and last points."""
    if isinstance(value, dict):
        return {key: steady(part) for key, part in value.items() if key not in CHANGES}
    if isinstance(value, list | tuple):
        parts = [steady(part) for part in value]
        return parts if len(parts) <= 20 else [*parts[:2], f"{len(parts)} in all", *parts[-2:]]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def view():
    arms = [arm for arm in ALL_ARMS if arm.name in ("baseline", "rollback", "append", "rerun")]
    with TemporaryDirectory() as folder:
        result = run(plan(arms, n=12, seeds=(1, 2)), Path(folder) / "j")
        return steady(json.loads(json.dumps(pilot_view(result, evidence_of(result), title="Pilot", journal="j"))))


def test_the_view_is_the_one_that_was_looked_at():
    assert view() == json.loads(GOLDEN.read_text(encoding="utf-8"))


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(view(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
