"""From pairings to verdicts: looked at once, at a look that was declared, or as a stream."""

from collections.abc import Mapping, Sequence

from forbear.analysis.pairing import Pairing, planned_runs
from forbear.errors import InvalidInput
from forbear.outcomes.graded import GradedOutcomes
from forbear.outcomes.missing import MissingOutcomes, Outcomes
from forbear.outcomes.table import OutcomeTable
from forbear.stats.decision import AnyOutcomes, decide_arms
from forbear.stats.looks.anytime import AnytimeOutcomes, anytime_outcomes
from forbear.stats.looks.looks import Looks
from forbear.stats.looks.sequential import SequentialOutcomes
from forbear.stats.rule import DecisionRule
from forbear.stats.verdict import Verdict

_Missing = MissingOutcomes[AnyOutcomes] | None
_Brought = tuple[AnyOutcomes, _Missing]
"""What is decided on, and how far the runs without an outcome could move it."""


def decide_pairings(
    pairings: Sequence[Pairing],
    rule: DecisionRule = DecisionRule(),
    *,
    looks: Looks | None = None,
    look: int | None = None,
    anytime: bool = False,
    table: OutcomeTable | None = None,
) -> dict[str, Verdict]:
    """Decides on what `compare` paired: what `forbear decide` does with a file.

    Args:
        pairings: One per treated arm, at least one; they share one error rate (Holm).
        rule: Margin, worthwhile gain and error rates.
        looks: The looks that were declared before the first outcome was seen; None for a single look.
        look: Which of them this is, from 1 on: the arms need exactly its tasks, those without an outcome included.
        anytime: Whether this is a stream without a planned size, which may be decided on after every task.
        table: What the pairings came from. It gives a stream its order, that in which tasks first appear, which must
            be the planned one; without it the order is not known.

    Returns:
        By treated arm, with the tasks that were left out and the pairing's cautions.

    Raises:
        InvalidInput: No pairing, other tasks than the look has, a cluster of a stream whose tasks do not stand
            together, looks without a look or with `anytime`.
    """
    if (looks is None) != (look is None) or (anytime and looks is not None):
        raise InvalidInput(
            "give looks and the number of this look together, or anytime=True, or neither; got "
            f"looks = {looks!r}, look = {look!r}, anytime = {anytime!r}."
        )

    def brought(pairing: Pairing) -> _Brought:
        if anytime or looks is not None:
            _ = pairing.binary  # refuses graded scores
        if anytime:
            return _stream(pairing, table)
        if looks is not None and look is not None:
            return _at_look(pairing, looks, look=look, arms=len(pairings))
        return pairing.pairs, pairing.missing

    found = {pairing.treated: brought(pairing) for pairing in pairings}
    missing: Mapping[str, _Missing] = {arm: holes for arm, (_, holes) in found.items()}
    return decide_arms(
        {arm: outcomes for arm, (outcomes, _) in found.items()},
        rule,
        missing=missing,
        unpaired={pairing.treated: pairing.unpaired for pairing in pairings},
        cautions={pairing.treated: pairing.cautions for pairing in pairings},
    )


def _at_look(pairing: Pairing, looks: Looks, *, look: int, arms: int) -> _Brought:
    def taken(outcomes: Outcomes | GradedOutcomes) -> SequentialOutcomes:
        assert not isinstance(outcomes, GradedOutcomes), "refused before"
        # A task that an outage took holds its place in the order: the looks count it.
        return SequentialOutcomes.at_look(outcomes, looks, look=look, tasks=pairing.tasks, arms=arms)

    holes = pairing.missing
    if holes is None:
        return taken(pairing.binary), None
    bounds = MissingOutcomes(worst=taken(holes.worst), best=taken(holes.best), by_arm=holes.by_arm)
    return taken(pairing.binary), bounds


def _stream(pairing: Pairing, table: OutcomeTable | None) -> _Brought:
    if table is None:
        return AnytimeOutcomes(now=pairing.binary), None
    runs = planned_runs(table, baseline=pairing.baseline, treated=pairing.treated)
    observed, missing = anytime_outcomes(
        baseline=runs.baseline,
        treated=runs.treated,
        clusters=runs.clusters,
        names=(pairing.baseline, pairing.treated),
    )
    assert observed is not None, "a pairing has a pair"
    return observed, missing
