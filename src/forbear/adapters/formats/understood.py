"""What was read in another way than it stands there, said with its numbers."""

from collections.abc import Mapping, Sequence

import numpy as np

from forbear.adapters.formats.reading import Reading
from forbear.adapters.formats.tabular_columns import OPTIONS
from forbear.adapters.formats.tabular_rows import Content
from forbear.stats.verdict import Remark
from forbear.wording import counted, listed, shown

_SELDOM = ("", "error", "null")
"""Words for no outcome that need no telling."""


def understood(
    content: Content, reading: Reading, *, sources: Sequence[str], seeds_dropped: bool
) -> tuple[Remark, ...]:
    """What was guessed, left out and read into words; nothing where a file was read as it stands.

    Args:
        content: What was read.
        reading: How.
        sources: The names of the files.
        seeds_dropped: Whether a guessed column of seeds tells no runs apart.
    """
    remarks = _guessed(content, sources, seeds_dropped=seeds_dropped)
    conditions = [str(one) for one in content.layouts[0].where]
    if conditions:
        rows = len(content.missing)
        text = f"Rows read: {rows:,} of {rows + content.passed_over:,}, those where {' and '.join(conditions)}."
        remarks.append(Remark(code="rows_chosen", text=text, values={"rows": rows, "of": rows + content.passed_over}))
    if reading.key == "row":
        remarks.append(Remark(code="paired_by_row", text="Paired by where rows stand among those of their arm."))
    if reading.number_runs:
        remarks.append(Remark(code="runs_numbered", text="Rows of one task and arm are separate runs, in their order."))
    words = {word: number for word, number in content.words.items() if word not in _SELDOM}
    if words:
        said = ", ".join(f"'{shown(word)}' {number:,} times" for word, number in words.items())
        text = f"Read as no outcome: {said}. If it is the agent's failure: --failure-values {shown(next(iter(words)))}."
        remarks.append(Remark(code="words_missing", text=text, values={"words": words}))
    if remarks:
        remarks.append(_counts(content, reading))
    return tuple(remarks)


def _guessed(content: Content, sources: Sequence[str], *, seeds_dropped: bool) -> list[Remark]:
    """One remark a file that was guessed in another way."""
    remarks: list[Remark] = []
    for layout, source in zip(content.layouts, sources, strict=True):
        roles = [role for role in (*OPTIONS, "arms") if not (role == "seed" and seeds_dropped)]
        guessed = {role: layout.guessed[role] for role in roles if role in layout.guessed}
        if not guessed or any(remark.values["columns"] == guessed for remark in remarks):
            continue
        taken = ", ".join(f"{role} '{shown(name, limit=30)}'" for role, name in guessed.items())
        options = ", ".join(OPTIONS.get(role, "--arm-cols") for role in guessed)
        alone = len({tuple(one.guessed.items()) for one in content.layouts}) > 1
        where = f" in {source}" if alone else ""
        text = f"Columns taken{where}: {taken}. Others: {options}."
        remarks.append(Remark(code="columns_guessed", text=text, values={"columns": guessed, "file": source}))
    return remarks


def _counts(content: Content, reading: Reading) -> Remark:
    """What each arm has."""
    arms: dict[str, dict[str, int]] = {}
    for code in np.unique(content.arms.codes)[:100].tolist():
        rows = content.arms.codes == code
        known = rows & ~content.missing
        counts = {"tasks": len(np.unique(content.tasks.codes[rows])), "runs": int(rows.sum())}
        if content.success.dtype.kind == "b":
            counts |= {"succeeded": int(content.success[known].sum()), "failed": int((~content.success[known]).sum())}
        arms[_arm(content.arms.names[code])] = counts | {"no outcome": int((rows & content.missing).sum())}
    parts = [
        f"'{shown(arm, limit=30)}' {counted(counts['tasks'], 'task')}, {counted(counts['runs'], 'run')} ("
        + ", ".join(f"{number:,} {what}" for what, number in counts.items() if what not in ("tasks", "runs"))
        + ")"
        for arm, counts in list(arms.items())[:5]
    ]
    more = f"; and {len(arms) - 5} other arms" if len(arms) > 5 else ""
    threshold = "" if reading.threshold is None else f"From {reading.threshold:g} on a success. "
    return Remark(code="rows_by_arm", text=f"{threshold}Read: {'; '.join(parts)}{more}.", values={"by_arm": arms})


def cautions(content: Content) -> tuple[Remark, ...]:
    """What a verdict has to be read with: errors that count as failures, and those that were taken out."""
    remarks = []
    suspects = {_arm(name): number for name, number in content.suspects.items() if number}
    if suspects:
        column = next(layout.suspect for layout in content.layouts if layout.suspect)
        text = (
            f"Of the runs that count as failures {_by_arm(suspects)} have something in the column '{shown(column)}'. "
            f"If that broke them, they have no outcome: --error-col {shown(column)}."
        )
        remarks.append(Remark(code="failures_with_errors", text=text, values={"by_arm": suspects, "column": column}))
    errors = {_arm(name): number for name, number in content.errors.items() if number}
    if errors:
        text = f"Without an outcome, since the column of errors says that something broke them: {_by_arm(errors)}."
        remarks.append(Remark(code="errors_taken_out", text=text, values={"by_arm": errors}))
    return tuple(remarks)


def _arm(name: str) -> str:
    return name or "all arms"


def _by_arm(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number:,} of '{shown(arm)}'" for arm, number in list(counts.items())[:5])


def counted_as_failures(reasons: Sequence[str], by_arm: Mapping[str, int]) -> Remark:
    """How many runs without an outcome were made failures."""
    counts = ", ".join(f"{count:,} of '{shown(arm)}'" for arm, count in by_arm.items())
    text = f"Runs without an outcome count as failures where the reason is {listed(reasons)}: {counts}."
    return Remark(code="counted_as_failures", text=text, values={"reasons": list(reasons), "by_arm": dict(by_arm)})
