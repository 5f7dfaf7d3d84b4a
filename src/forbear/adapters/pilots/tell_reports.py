"""Between a pilot and SWE-bench's harness, whose reports say which instances each arm resolved.

python tell_reports.py ask [PILOT.toml]
python tell_reports.py tell baseline=base.run1.json critic=critic.run1.json [PILOT.toml]
"""

import sys
from pathlib import Path

import forbear as fb
from forbear.adapters.host_file import read_host_file


def ask(pilot):
    """Takes all instances up to the next look, and writes those that nobody told of, a file for each arm."""
    while pilot.ask() is not None:
        pass
    arms = {}
    for one in pilot.outstanding:
        arms.setdefault(one.arm, []).append(one.task_id)
    for arm, instances in sorted(arms.items()):
        path = Path(f"ask-{arm}.txt")
        path.write_text("\n".join(sorted(instances)) + "\n", encoding="utf-8")
        print(f"wrote {path}: {len(instances)} instances to run")


def tell(pilot, arm, report):
    """Tells of the instances of an arm that a report speaks of; what the harness itself broke is asked for again."""
    table = fb.read_outcomes(report, reading=fb.Reading(format="swebench"), needs_arm=False).table
    names, missing = table.tasks.names, [False] * len(table.success) if table.missing is None else table.missing
    found = {names[code]: (row, not missing[row]) for row, code in enumerate(table.tasks.codes)}
    for one in pilot.outstanding:
        if one.arm == arm and one.task_id in found:
            row, is_known = found[one.task_id]
            success = bool(table.success[row]) if is_known else None
            pilot.tell(one.key, success, reason="the harness could not judge it")


if __name__ == "__main__":
    command, *given = sys.argv[1:] or [""]
    file = next((one for one in given if one.endswith(".toml")), "pilot.toml")
    reports = [one.partition("=")[::2] for one in given if "=" in one]
    if command not in ("ask", "tell") or (command == "tell") is not bool(reports):
        sys.exit(__doc__)
    with fb.HostPilot(read_host_file(file).plan, fb.Journal(Path("runs", Path(file).stem))) as pilot:
        for arm, report in reports:
            tell(pilot, arm, report)
        if command == "ask":
            ask(pilot)
        print("over" if pilot.over else f"{pilot.tasks} instances are complete, {len(pilot.outstanding)} runs are out")
