"""One comparison for each value of a column: the same arms in every group, and one error rate over all of them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from forbear.analysis.pairing import MOST_ARMS, Pairing, choose_arms, compare
from forbear.errors import InvalidInput
from forbear.outcomes.table import Labels, OutcomeTable
from forbear.stats.verdict import Remark
from forbear.wording import listed, shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouped:
    """The comparisons of a table in groups."""

    table: OutcomeTable
    """Its arms are called `group: arm`, so that each group has its own."""
    pairings: tuple[Pairing, ...]
    """Of these arms; they share one error rate (Holm)."""
    baseline: str
    """What the baseline is called in each group."""
    arms: Mapping[str, str]
    """By the treated arms of the pairings: what each is called in its group."""


def compare_by(
    table: OutcomeTable, *, baseline: str | None = None, treated: str | None = None, only_arm_tested: bool = False
) -> Grouped:
    """Pairs the arms of each group of a table, as `compare` does with a table of one.

    A group in which there is nothing to compare is left out, and said.

    Args:
        table: With groups.
        baseline: As for `compare`, the same in every group.
        treated: The same.
        only_arm_tested: The same.

    Raises:
        InvalidInput: The table has no groups, or too many; or no group can be compared, with what the first one lacks.
    """
    if table.groups is None:
        raise InvalidInput("the table has no groups. Read it by a column: --by COLUMN.")
    codes = np.unique(table.groups.codes).tolist()
    names = [table.groups.names[code] for code in codes]
    if len(codes) > MOST_ARMS:
        raise InvalidInput(
            f"--by makes {len(codes):,} comparisons ({listed(names)}); at most {MOST_ARMS} are made at once. Take a "
            "column of few values, or choose: --where COLUMN=VALUE."
        )
    renamed = replace(table, arms=_renamed(table.arms, table.groups))
    pairings: list[Pairing] = []
    lacking: dict[str, str] = {}
    arms: dict[str, str] = {}
    for code, group in zip(codes, names, strict=True):
        rows = table.groups.codes == code
        try:
            before, _ = choose_arms(
                table.only(rows), baseline=baseline, treated=treated, only_arm_tested=only_arm_tested
            )
            found = compare(
                renamed.only(rows),
                baseline=_in(group, before),
                treated=None if treated is None else _in(group, treated),
                only_arm_tested=only_arm_tested,
            )
            pairings += found
            arms |= {one.treated: one.treated[len(_in(group, "")) :] for one in found}
        except InvalidInput as error:
            lacking[group] = str(error)
    if not pairings:
        first = names[0]
        raise InvalidInput(f"in no group is there something to compare; in '{shown(first)}': {lacking[first]}")
    if lacking:
        text = f"Groups left out, for want of something to compare: {listed(lacking)}."
        left_out = Remark(code="groups_left_out", text=text, values={"groups": lacking})
        pairings = [one.cautioned(left_out) for one in pairings]
    return Grouped(
        table=renamed,
        pairings=tuple(pairings),
        baseline="baseline" if baseline is None else baseline,
        arms=arms,
    )


def _in(group: str, arm: str) -> str:
    return f"{group}: {arm}"


def _renamed(arms: Labels, groups: Labels) -> Labels:
    """The arms with their groups before them."""
    key = groups.codes.astype(np.int64) * len(arms.names) + arms.codes
    known, codes = np.unique(key, return_inverse=True)
    pairs = [divmod(one, len(arms.names)) for one in known.tolist()]
    return Labels.of(_in(groups.names[group], arms.names[arm]) for group, arm in pairs).at(codes)
