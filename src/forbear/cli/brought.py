"""Outcomes that were brought to be decided on: from files, or as counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from forbear.errors import InvalidInput
from forbear.wording import shown

if TYPE_CHECKING:
    from forbear.adapters.formats.reading import Reading
    from forbear.analysis.pairing import Pairing
    from forbear.outcomes.table import OutcomeTable
    from forbear.stats.rule import DecisionRule
    from forbear.stats.verdict import Remark


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """What is decided on."""

    pairings: tuple[Pairing, ...]
    """All of them share one error rate."""
    asked: tuple[Pairing, ...]
    """Those whose verdicts are to be said."""
    baseline: str
    table: OutcomeTable | None = None
    """What the pairings were made from; None where they are counts."""
    ignored: tuple[str, ...] = ()
    """Columns that were not used."""
    understood: tuple[Remark, ...] = ()
    """What was read in another way than it stands there."""

    def cautioned(self, remarks: Callable[[Pairing], tuple[Remark, ...]]) -> Brought:
        """With more to be said beside the verdicts that are asked for."""
        asked = {one.treated: one.cautioned(*remarks(one)) for one in self.asked}
        return replace(
            self,
            pairings=tuple(asked.get(one.treated, one) for one in self.pairings),
            asked=tuple(asked.values()),
        )


def from_files(
    files: tuple[str, ...],
    reading: Reading,
    *,
    baseline: str | None,
    treated: str | None,
    only_arm_tested: bool,
) -> Brought:
    """Reads one file with all arms, or two with one each."""
    from forbear.adapters.formats.logs.reading import are_logs
    from forbear.adapters.formats.tabular import read_outcomes
    from forbear.analysis.grouped import compare_by
    from forbear.analysis.pairing import compare

    if not files:
        raise click.UsageError("nothing to decide on: give a FILE, or --counts A,C,B,D. See forbear decide --help.")
    named = baseline is not None or treated is not None or only_arm_tested
    if len(files) == 2 and named and not are_logs(files, reading):  # a log may hold several arms
        raise click.UsageError("two files are the two arms, baseline first; drop --baseline and --treated.")
    read = read_outcomes(files, reading=reading)
    baseline = read.baseline if baseline is None else baseline
    table = read.table
    if table.groups is None:
        pairings = compare(table, baseline=baseline, treated=treated, only_arm_tested=only_arm_tested)
        asked = tuple(one for one in pairings if treated in (None, one.treated))
        baseline = pairings[0].baseline
    else:
        grouped = compare_by(table, baseline=baseline, treated=treated, only_arm_tested=only_arm_tested)
        table, pairings, baseline = grouped.table, grouped.pairings, grouped.baseline
        asked = tuple(one for one in pairings if treated in (None, grouped.arms[one.treated]))
    return Brought(
        pairings=tuple(one.cautioned(*read.notes) for one in pairings),
        asked=tuple(one.cautioned(*read.notes) for one in asked),
        baseline=baseline,
        table=table,
        ignored=read.ignored,
        understood=read.understood,
    )


def from_counts(text: str) -> Brought:
    """Reads "A,C,B,D"."""
    from forbear.analysis.pairing import Pairing
    from forbear.outcomes.paired import PairedOutcomes

    try:
        both_fail, recovered, disrupted, both_succeed = (int(part) for part in text.split(","))
    except ValueError:
        raise InvalidInput(
            f"--counts needs four whole numbers A,C,B,D (both fail, recovered, disrupted, both succeed), "
            f"got '{shown(text)}'. Example: --counts 35,7,11,47."
        ) from None
    pairs = PairedOutcomes(both_fail=both_fail, recovered=recovered, disrupted=disrupted, both_succeed=both_succeed)
    pairing = Pairing(baseline="baseline", treated="treated", pairs=pairs, unpaired={})
    return Brought(pairings=(pairing,), asked=(pairing,), baseline="baseline")


def elsewhere(brought: Brought, rule: DecisionRule, *, mix: str | None, at: float | None) -> Brought:
    """With the gain on another mix of tasks, and where the baseline fails at another rate, as remarks."""
    confidence, table = 1 - 2 * rule.alpha, brought.table
    if mix is not None and table is not None:
        from forbear.adapters.formats.tabular import read_mix
        from forbear.analysis.pairing import stratify
        from forbear.stats.context.transport import post_stratified_gain

        weights = read_mix(mix)

        def on_mix(one: Pairing) -> tuple[Remark, ...]:
            strata = stratify(table, baseline=one.baseline, treated=one.treated)
            mixed = post_stratified_gain(strata, mix=weights, confidence=confidence, guarantee=rule.guarantee)
            return mixed.remarks(margin=rule.margin)

        brought = brought.cautioned(on_mix)
    if at is not None:
        from forbear.stats.context.transport import gain_at

        def there(one: Pairing) -> tuple[Remark, ...]:
            gain = gain_at(one.binary, failure_rate=at, confidence=confidence, guarantee=rule.guarantee)
            return (gain.remark(baseline=one.baseline),)

        brought = brought.cautioned(there)
    return brought
