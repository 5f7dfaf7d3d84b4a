"""What a decision says: the recommendation and the verdict, as data."""

import enum
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self, TypeAlias, TypedDict

from forbear.errors import InvalidInput
from forbear.stats.intervals import Estimate, EstimateJson
from forbear.stats.rule import DecisionRule
from forbear.wording import described, plural, points, points_confidence

_FORMAT = "forbear-verdict-2"
_FIRST_FORMAT = "forbear-verdict-1"
"""Called `unpaired` `excluded`, and had remarks without values; still read."""


class Recommendation(enum.Enum):
    """What to do with the intervention."""

    INTERVENE = "INTERVENE"
    """The gain exceeds the margin: switch it on."""
    FORBEAR = "FORBEAR"
    """The gain is below what would pay: leave it off."""
    UNDECIDED = "UNDECIDED"
    """The pilot cannot tell. Never deployed: leave it off."""


class RemarkJson(TypedDict):
    """A remark in JSON."""

    code: str
    text: str
    values: dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """A reason or a caution: a stable code and values for programs, a sentence for people."""

    code: str
    text: str
    values: Mapping[str, object] = field(default_factory=dict, hash=False)
    """Every number and name of the sentence as JSON, unrounded; rates and gains are fractions."""

    def to_dict(self) -> RemarkJson:
        """The remark as a JSON object."""
        return RemarkJson(code=self.code, text=self.text, values=dict(self.values))


@dataclass(frozen=True, slots=True, kw_only=True)
class AtLook:
    """Where a pilot with declared looks stands."""

    number: int | None
    """Which look this is, from 1 on; None between two looks."""
    of: int
    """How many looks were declared."""
    tasks: int
    """So far, those without an outcome included."""
    looks: tuple[int, ...]
    """The declared numbers of tasks."""
    shape: str
    """`obrien-fleming` or `pocock`."""
    watched: bool
    """Whether harm was watched after every task."""
    next: int | None
    """Tasks at the next look; None after the last."""
    boundary: float | None
    """z from which on this look says INTERVENE for one arm; None between looks and where there is only one."""
    statistic: float | None
    """z now; None where the boundary is, with too few differing pairs, and where seeds are taken apart."""
    stopped: str | None = None
    """Why it is over: `decided`, `watch`, `futile`, `last look`, or of a control `with the others`; None where it goes
    on."""

    def to_dict(self) -> dict[str, object]:
        """A JSON object with the fields as keys."""
        return {**asdict(self), "looks": list(self.looks)}


@dataclass(frozen=True, slots=True, kw_only=True)
class AtAnyTime:
    """Where a stream without a planned size stands."""

    tasks: int
    """So far, those without an outcome included."""
    ordered: bool
    """Whether the order of the tasks is known."""
    stopped: str | None = None
    """`decided`, or None."""

    def to_dict(self) -> dict[str, object]:
        """A JSON object with the fields as keys, and `anytime`: true."""
        return {"anytime": True, **asdict(self)}


Look: TypeAlias = AtLook | AtAnyTime


class VerdictJson(TypedDict):
    """A verdict in JSON (docs/formats.md); its fields are those of `Verdict`."""

    format: str
    recommendation: str
    harmful: bool
    futile: bool
    tasks: int
    pairs: int
    both_fail: int | None
    recovered: int | None
    disrupted: int | None
    both_succeed: int | None
    failure_rate: EstimateJson | None
    recovery_rate: EstimateJson | None
    disruption_rate: EstimateJson | None
    break_even_failure_rate: EstimateJson | None
    success_gain: EstimateJson
    p_value_gain: float
    p_value_harm: float
    p_value_worthwhile: float
    method: str
    rule: dict[str, Any]
    reasons: list[RemarkJson]
    cautions: list[RemarkJson]
    tasks_needed: int | None
    look: dict[str, object] | None
    unpaired: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A recommendation with everything it rests on; prints as one sentence. Rates are fractions."""

    recommendation: Recommendation
    harmful: bool
    """FORBEAR, and no change or better is rejected too."""
    futile: bool
    """Stopped because neither verdict was to be expected of a further look; False for a single look."""
    tasks: int
    pairs: int
    both_fail: int | None
    recovered: int | None
    disrupted: int | None
    both_succeed: int | None
    failure_rate: Estimate | None
    """None for graded scores, whose runs neither fail nor succeed."""
    recovery_rate: Estimate | None
    """None when the baseline never failed."""
    disruption_rate: Estimate | None
    """None when the baseline never succeeded."""
    break_even_failure_rate: Estimate | None
    """p*; None without failures, without successes or without discordant pairs."""
    success_gain: Estimate
    """Treated minus baseline, with the interval of level 1 − 2·alpha."""
    p_value_gain: float
    """One-sided p-value of Δ ≤ margin, with the missing runs counted as the rule says (after Holm, where several arms
    were compared)."""
    p_value_harm: float
    """One-sided p-value of Δ ≥ 0 (after Holm, where several arms were compared)."""
    p_value_worthwhile: float
    """One-sided p-value of Δ ≥ worthwhile."""
    method: str
    rule: DecisionRule
    reasons: tuple[Remark, ...]
    cautions: tuple[Remark, ...]
    tasks_needed: int | None
    """UNDECIDED: tasks of a new pilot that would decide with probability .8 if gain and discordance were as observed
    (normal approximation, and no fewer than those at which the table to be expected does); more than this pilot had;
    None for other verdicts and beyond a million."""
    look: Look | None = None
    """Where a pilot that is looked at more than once stands; None for a single look."""
    unpaired: Mapping[str, int] = field(default_factory=dict)
    """Tasks left out for want of a partner with an outcome, by arm."""

    def __str__(self) -> str:
        gain, pairs = self.success_gain, f"{self.pairs} {plural('pair', self.pairs)}"
        numbers = (
            f"gain {points(gain.value)} ({points_confidence(gain.low, gain.high, confidence=gain.confidence)}; "
            + (pairs if self.pairs == self.tasks else f"{self.tasks} tasks, {pairs}")
            + ("" if self.recovered is None else f": {self.recovered} recovered, {self.disrupted} disrupted")
            + ")"
        )
        return f"{self.recommendation.value}: {numbers}. {' '.join(reason.text for reason in self.reasons)}"

    @property
    def goes_on(self) -> bool:
        """UNDECIDED, and deciding again on more tasks was declared, or needs not be."""
        look = self.look
        if self.recommendation is not Recommendation.UNDECIDED or look is None or self.futile:
            return False
        return isinstance(look, AtAnyTime) or look.next is not None

    def to_dict(self) -> VerdictJson:
        """The verdict as a JSON object, format `forbear-verdict-2`; undefined is null."""

        def estimate(value: Estimate | None) -> EstimateJson | None:
            return None if value is None else value.to_dict()

        return VerdictJson(
            format=_FORMAT,
            recommendation=self.recommendation.value,
            harmful=self.harmful,
            futile=self.futile,
            tasks=self.tasks,
            pairs=self.pairs,
            both_fail=self.both_fail,
            recovered=self.recovered,
            disrupted=self.disrupted,
            both_succeed=self.both_succeed,
            failure_rate=estimate(self.failure_rate),
            recovery_rate=estimate(self.recovery_rate),
            disruption_rate=estimate(self.disruption_rate),
            break_even_failure_rate=estimate(self.break_even_failure_rate),
            success_gain=self.success_gain.to_dict(),
            p_value_gain=self.p_value_gain,
            p_value_harm=self.p_value_harm,
            p_value_worthwhile=self.p_value_worthwhile,
            method=self.method,
            rule=dict(self.rule.to_dict()),
            reasons=[remark.to_dict() for remark in self.reasons],
            cautions=[remark.to_dict() for remark in self.cautions],
            tasks_needed=self.tasks_needed,
            look=None if self.look is None else self.look.to_dict(),
            unpaired=dict(self.unpaired),
        )

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Reads what `to_dict` wrote, also the one of the first format; keys that it does not know are left alone.

        Raises:
            InvalidInput: Another format, or a key that is missing or unusable.
        """
        if not isinstance(data, Mapping) or data.get("format") not in (_FORMAT, _FIRST_FORMAT):
            raise InvalidInput(f'expected a JSON object with "format": "{_FORMAT}", got {described(data)}.')
        if data["format"] == _FIRST_FORMAT:
            data = {"unpaired": data.get("excluded"), **data}

        try:
            values: dict[str, Any] = {f.name: data[f.name] for f in fields(cls)}
            values["recommendation"] = Recommendation(values["recommendation"])
            values["rule"] = DecisionRule.of(values["rule"])
            for key in ("reasons", "cautions"):
                values[key] = tuple(Remark(**remark) for remark in values[key])
            values["look"] = None if values["look"] is None else _look(values["look"])
            values["unpaired"] = dict(values["unpaired"])
            for key in ("failure_rate", "recovery_rate", "disruption_rate", "break_even_failure_rate", "success_gain"):
                values[key] = None if values[key] is None else Estimate(**values[key])
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInput(f"not a usable {_FORMAT} object: {described(error)}.") from error
        return cls(**values)


def _look(data: Mapping[str, Any]) -> Look:
    if data.get("anytime"):
        return AtAnyTime(**{f.name: data[f.name] for f in fields(AtAnyTime)})
    return AtLook(**{f.name: data[f.name] for f in fields(AtLook)} | {"looks": tuple(data["looks"])})
