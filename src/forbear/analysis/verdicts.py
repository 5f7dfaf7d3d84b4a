"""From pairings to verdicts: looked at once, at a look that was declared, or as a stream."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from forbear.analysis.pairing import Pairing
from forbear.analysis.planned_runs import planned_runs
from forbear.errors import InvalidInput
from forbear.outcomes.missing import Brought, MissingOutcomes
from forbear.outcomes.table import OutcomeTable
from forbear.stats.decision import AnyOutcomes, decide_arms
from forbear.stats.looks.anytime import AnytimeOutcomes, anytime_outcomes
from forbear.stats.looks.looks import Looks
from forbear.stats.looks.sequential import SequentialOutcomes, sequential_outcomes
from forbear.stats.rule import DecisionRule
from forbear.stats.verdict import AtAnyTime, Verdict

_Missing = MissingOutcomes[AnyOutcomes] | None
_Read = tuple[AnyOutcomes, _Missing]
"""What is decided on, and how far the runs without an outcome could move it."""


def decide_pairings(
    pairings: Sequence[Pairing],
    rule: DecisionRule = DecisionRule(),
    *,
    looks: Looks | None = None,
    look: int | None = None,
    anytime: bool = False,
    in_order: bool = False,
    table: OutcomeTable | None = None,
    planned: int | None = None,
) -> dict[str, Verdict]:
    """Decides on what `compare` paired: what `forbear decide` does with a file.

    Args:
        pairings: One per treated arm, at least one; they share one error rate (Holm).
        rule: Margin, worthwhile gain and error rates.
        looks: The looks that were declared before the first outcome was seen; None for a single look.
        look: Which of them this is, from 1 on: the arms need exactly its tasks, those without an outcome included.
        anytime: Whether this is a stream without a planned size, which may be decided on after every task.
        in_order: Whether the tasks first appear in `table` in the order in which they were planned. Of a stream
            evidence that was once reached counts then; otherwise only what all pairs are worth together does, which no
            order of the rows changes, and which holds at any time too. Looks are then watched for harm after every
            task, as a pilot's are; without an order nobody knows what a watch would have seen.
        table: What the pairings came from; `in_order` needs it.
        planned: Of a stream, about how many tasks there will be, decided before the first outcome was seen; above 2,000
            smaller bets find small gains sooner.

    Returns:
        By treated arm, with the tasks that were left out and the pairing's cautions.

    Raises:
        InvalidInput: No pairing, other tasks than the look has, a cluster of a stream in order whose tasks do
            not stand together, looks without a look or with `anytime`, an order of a single look or without a table.
    """
    if (looks is None) != (look is None) or (anytime and looks is not None):
        raise InvalidInput(
            "give looks and the number of this look together, or anytime=True, or neither; got "
            f"looks = {looks!r}, look = {look!r}, anytime = {anytime!r}."
        )

    if in_order and (table is None or not (anytime or looks)):
        raise InvalidInput("in_order=True says how rows stand: it needs the table, and looks or anytime=True.")

    if planned is not None and not (anytime and isinstance(planned, int) and planned > 0):
        raise InvalidInput(f"planned is a number of tasks of a stream (anytime=True), got {planned!r:.60}.")

    def brought(pairing: Pairing) -> _Read:
        if anytime:
            return _stream(pairing, table if in_order else None, planned=planned)
        if looks is not None and look is not None:
            return _at_look(pairing, looks, look=look, arms=len(pairings), table=table if in_order else None)
        return pairing.pairs, pairing.missing

    found = {pairing.treated: brought(pairing) for pairing in pairings}
    missing: Mapping[str, _Missing] = {arm: holes for arm, (_, holes) in found.items()}
    verdicts = decide_arms(
        {arm: outcomes for arm, (outcomes, _) in found.items()},
        rule,
        missing=missing,
        unpaired={pairing.treated: pairing.unpaired for pairing in pairings},
        cautions={pairing.treated: pairing.cautions for pairing in pairings},
    )
    for pairing in pairings:
        verdict = verdicts[pairing.treated]
        if isinstance(verdict.look, AtAnyTime):  # which counts tasks without an outcome too
            verdicts[pairing.treated] = replace(verdict, look=replace(verdict.look, tasks=pairing.tasks))
    return verdicts


def _at_look(pairing: Pairing, looks: Looks, *, look: int, arms: int, table: OutcomeTable | None) -> _Read:
    if table is not None:
        return _watched(pairing, looks, look=look, arms=arms, table=table)
    # A task that an outage took holds its place in the order: the looks count it.
    return _each(
        pairing,
        lambda known: SequentialOutcomes.at_look(known, looks, look=look, tasks=pairing.tasks, arms=arms),
    )


def _watched(pairing: Pairing, looks: Looks, *, look: int, arms: int, table: OutcomeTable) -> _Read:
    """With the watch that the order of the rows lets be read."""
    runs = planned_runs(table, baseline=pairing.baseline, treated=pairing.treated)
    names = (pairing.baseline, pairing.treated)
    if not 1 <= look <= len(looks.tasks) or len(runs.baseline) != looks.tasks[look - 1]:
        SequentialOutcomes.at_look(pairing.pairs, looks, look=look, tasks=len(runs.baseline), arms=arms)  # says why not
    observed, missing = sequential_outcomes(
        baseline=runs.baseline,
        treated=runs.treated,
        looks=replace(looks, watch=True),
        clusters=runs.clusters,
        arms=arms,
        names=names,
        graded=table.graded,
    )
    assert observed is not None, "a pairing has a pair"
    return observed, missing


def _each(pairing: Pairing, read: Callable[[Brought], AnyOutcomes]) -> _Read:
    """The pairs and their bounds, each read in the same way."""
    holes = pairing.missing
    if holes is None:
        return read(pairing.pairs), None
    held = None if holes.charged is None else read(holes.charged)
    bounds = MissingOutcomes(worst=read(holes.worst), best=read(holes.best), charged=held, lost=holes.lost)
    return read(pairing.pairs), bounds


def _stream(pairing: Pairing, table: OutcomeTable | None, *, planned: int | None) -> _Read:
    if table is None:
        return _each(pairing, lambda known: AnytimeOutcomes(now=known, planned=planned))
    runs = planned_runs(table, baseline=pairing.baseline, treated=pairing.treated)
    observed, missing = anytime_outcomes(
        baseline=runs.baseline,
        treated=runs.treated,
        clusters=runs.clusters,
        names=(pairing.baseline, pairing.treated),
        planned=planned,
        graded=table.graded,
    )
    assert observed is not None, "a pairing has a pair"
    return observed, missing
