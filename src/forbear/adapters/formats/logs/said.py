"""What was understood of logs, in lines: files, arms, tasks, repeats, the score, and what became of each run."""

from forbear.adapters.formats.logs.reading import ReadLogs
from forbear.stats.verdict import Remark
from forbear.wording import counted, shown

_REASONS = 6
_WIDEST = 48


def understood(read: ReadLogs) -> list[str]:
    """Lines of at most 80 columns, but for the remarks."""
    runs = len(read.rows)
    lines = [
        f"{', '.join(read.formats)}: {counted(len(read.files), 'log')}, {counted(len(read.arms), 'arm')}, "
        f"{counted(read.tasks, 'task')}, {counted(runs, 'run')}, at most {read.repeats:,} of a task in an arm"
    ]
    if read.passed_over:
        lines.append(f"  passed over: {counted(read.passed_over, 'file')} that hold no outcome of a run")
    if read.said:
        lines.append(f"  success: {', '.join(read.said)}")
    width = min(_WIDEST, max(len(name) for name in ("arm", *read.arms)))
    lines.append(f"  {'arm':{width}}  {'success':>7}  {'failure':>7}  {'error':>5}  {'missing':>7}")
    for name, counts in read.arms.items():
        arm = shown(name, limit=width)
        lines.append(
            f"  {arm:{width}}  {counts.success:7,}  {counts.failure:7,}  {counts.error:5,}  {counts.missing:7,}"
        )
    for name, counts in read.arms.items():
        if counts.reasons:
            told = [f"{shown(reason)} ({count:,})" for reason, count in list(counts.reasons.items())[:_REASONS]]
            more = "" if len(counts.reasons) <= _REASONS else ", ..."
            lines.append(f"  no outcome in {shown(name, limit=width)}: {', '.join(told)}{more}")
    return lines + [f"  note: {remark}" for remark in read.remarks]


def as_remarks(read: ReadLogs) -> tuple[Remark, ...]:
    """The same as remarks: what was read, what became of it by arm, and what else is to be known."""
    files = f"{counted(len(read.files), 'log')} of {', '.join(read.formats)}"
    made = f"; success: {', '.join(read.said)}" if read.said else ""
    remarks = [
        Remark(
            code="logs_read",
            text=f"Read as {files}: {counted(read.tasks, 'task')}, {counted(len(read.rows), 'run')}{made}.",
            values={"formats": list(read.formats), "logs": list(read.files), "success": list(read.said)},
        )
    ]
    for name, one in read.arms.items():
        if one.error or one.missing:
            why = ", ".join(f"{shown(reason)} {count:,}" for reason, count in list(one.reasons.items())[:_REASONS])
            text = (
                f"Of '{shown(name)}' {one.success:,} succeeded, {one.failure:,} failed, {one.error:,} broke and "
                f"{one.missing:,} have no outcome: {why}."
            )
            values = {"arm": name, "success": one.success, "failure": one.failure, "error": one.error}
            remarks.append(Remark(code="arm_read", text=text, values=values | {"missing": one.missing}))
    return (*remarks, *(Remark(code="logs_note", text=f"{note}", values={}) for note in read.remarks))


def as_data(read: ReadLogs) -> dict[str, object]:
    """The same as plain data."""
    return {
        "formats": list(read.formats),
        "logs": list(read.files),
        "passed_over": read.passed_over,
        "success": list(read.said),
        "tasks": read.tasks,
        "repeats": read.repeats,
        "arms": {
            name: {
                "success": counts.success,
                "failure": counts.failure,
                "error": counts.error,
                "missing": counts.missing,
                "reasons": dict(counts.reasons),
            }
            for name, counts in read.arms.items()
        },
        "notes": list(read.remarks),
    }
