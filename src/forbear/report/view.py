"""What a report of verdicts shows, as plain data: JSON is this, terminal and page render this and compute nothing.

An arm's view is its verdict's JSON (`forbear-verdict-2`), which `Verdict.from_dict` reads, with what the sections add.
Rates and gains are fractions here and become per cent or points only when printed; the order is always baseline,
treated. Names are as they came: who prints them makes them inert.
"""

import json
from collections.abc import Mapping, Sequence
from typing import TypedDict

from forbear.report.sections import headline, how, next_steps, rates, value
from forbear.stats.context.prior import PUBLISHED, Prior
from forbear.stats.context.value import Costs
from forbear.stats.verdict import Remark, RemarkJson, Verdict, VerdictJson

FORMAT = "forbear-verdicts-2"


class ArmView(VerdictJson):
    """One treated arm against the baseline: its verdict, and what there is to say about it."""

    baseline: str
    arm: str
    headline: RemarkJson
    rates: list[rates.RateView]
    value: value.ValueView | None
    no_value: RemarkJson | None
    next: list[RemarkJson]
    how: list[RemarkJson]


class DecisionView(TypedDict):
    """Everything one `decide` has to say."""

    format: str
    baseline: str
    verdicts: dict[str, ArmView]
    """By treated arm."""
    ignored_columns: list[str]
    understood: list[RemarkJson]
    """What was read in another way than it stands in the files."""


def decision_view(
    verdicts: Mapping[str, Verdict],
    *,
    baseline: str = "baseline",
    baselines: Mapping[str, str] | None = None,
    ignored: Sequence[str] = (),
    understood: Sequence[Remark] = (),
    prior: Prior = PUBLISHED,
    costs: Costs | None = None,
) -> DecisionView:
    """Arranges verdicts for a report.

    Args:
        verdicts: By treated arm, at least one.
        baseline: The baseline's name.
        baselines: By treated arm, where they have different ones.
        ignored: Columns of the input that were not used.
        understood: What was read in another way than it stands in the files.
        prior: What is believed before, for the worth of switching on.
        costs: For the same; by default intervening costs the gain that is worthwhile.
    """
    return DecisionView(
        format=FORMAT,
        baseline=baseline,
        verdicts={
            name: arm_view(name, verdict, baseline=(baselines or {}).get(name, baseline), prior=prior, costs=costs)
            for name, verdict in verdicts.items()
        },
        ignored_columns=list(ignored),
        understood=[remark.to_dict() for remark in understood],
    )


def arm_view(
    name: str, verdict: Verdict, *, baseline: str = "baseline", prior: Prior = PUBLISHED, costs: Costs | None = None
) -> ArmView:
    """One treated arm's verdict, arranged for a report."""
    worth, unsaid = value.view(verdict, prior=prior, costs=costs)
    return ArmView(
        **verdict.to_dict(),
        baseline=baseline,
        arm=name,
        headline=headline.view(verdict),
        rates=rates.view(verdict),
        value=worth,
        no_value=unsaid,
        next=next_steps.view(verdict),
        how=how.view(verdict),
    )


def decision_json(view: DecisionView) -> str:
    """The view for programs, strict JSON: of several arms as it is, of one that arm's alone, with the columns."""
    if len(view["verdicts"]) > 1:
        return json.dumps(view, indent=2, allow_nan=False)
    (arm,) = view["verdicts"].values()
    rest = {"ignored_columns": view["ignored_columns"], "understood": view["understood"]}
    return json.dumps({**arm, **rest}, indent=2, allow_nan=False)
