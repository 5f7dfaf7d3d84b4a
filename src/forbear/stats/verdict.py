"""What a decision is made of: the rule, the recommendation and the verdict, as data."""

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self, get_args

import numpy as np

from forbear.errors import InvalidInput, described
from forbear.stats.inference import Guarantee
from forbear.stats.intervals import Estimate

_FORMAT = "forbear-verdict-1"


class Recommendation(enum.Enum):
    """What to do with the intervention."""

    INTERVENE = "INTERVENE"
    """The gain exceeds the margin: switch it on."""
    FORBEAR = "FORBEAR"
    """The gain is below what would pay: leave it off."""
    UNDECIDED = "UNDECIDED"
    """The pilot cannot tell. Never deployed: leave it off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRule:
    """What counts as a gain, and how sure to be.

    Raises:
        InvalidInput: Unless −1 < margin ≤ worthwhile < 1, 0 < alpha < ½, 0 < harm_alpha < ½ and a known guarantee.
    """

    margin: float = 0.0
    """INTERVENE only if gains up to this are rejected; a fraction."""
    worthwhile: float = 0.02
    """The smallest gain that would pay for the intervention; FORBEAR if gains from here on are rejected."""
    alpha: float = 0.05
    """Largest probability of INTERVENE when the gain is at most the margin; the interval has level 1 − 2·alpha."""
    harm_alpha: float = 0.05
    """Largest probability of FORBEAR when the gain is at least worthwhile."""
    guarantee: Guarantee = "approximate"
    """For several seeds per task: "approximate" (nominal error rates, more power) or "finite-sample" (never exceeded).
    One pair per task has the guarantee either way, to 2,000 tasks."""

    def __post_init__(self) -> None:
        if self.guarantee not in get_args(Guarantee):
            raise InvalidInput(f'guarantee must be "approximate" or "finite-sample", got {described(self.guarantee)}.')
        for name in ("margin", "worthwhile", "alpha", "harm_alpha"):
            number = getattr(self, name)
            if isinstance(number, bool) or not isinstance(number, int | float | np.number) or not math.isfinite(number):
                raise InvalidInput(f"{name} must be a number, got {described(number)}.")
            object.__setattr__(self, name, float(number))
        for name in ("alpha", "harm_alpha"):
            if not 1e-12 <= getattr(self, name) < 0.5:  # below, 1 − 2·alpha is 1 in double precision
                raise InvalidInput(
                    f"{name} must be between 0 and 0.5 (exclusive), got {getattr(self, name)!r}. It is the probability "
                    "of a false verdict; 0.05 is usual."
                )
        for name in ("margin", "worthwhile"):
            if not -1 < getattr(self, name) < 1:
                raise InvalidInput(
                    f"{name} is a gain in success rate, a fraction between -1 and 1 (2 points are 0.02), "
                    f"got {getattr(self, name)!r}."
                )
        if self.margin > self.worthwhile:
            raise InvalidInput(
                f"margin must not exceed worthwhile, got margin = {self.margin!r} and worthwhile = "
                f"{self.worthwhile!r}: a gain that pays must at least clear the margin. Raise worthwhile too."
            )

    def to_dict(self) -> dict[str, float | str]:
        """The rule as a JSON object."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """A reason or a caution: a stable code for programs, a sentence for people."""

    code: str
    text: str

    def to_dict(self) -> dict[str, str]:
        """The remark as a JSON object."""
        return {"code": self.code, "text": self.text}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A recommendation with everything it rests on; prints as one sentence. Rates are fractions."""

    recommendation: Recommendation
    harmful: bool
    """FORBEAR, and no change or better is rejected too."""
    futile: bool
    """Stopped because no further look could have decided; False for a single look."""
    tasks: int
    pairs: int
    both_fail: int | None
    recovered: int | None
    disrupted: int | None
    both_succeed: int | None
    failure_rate: Estimate
    recovery_rate: Estimate | None
    """None when the baseline never failed."""
    disruption_rate: Estimate | None
    """None when the baseline never succeeded."""
    break_even_failure_rate: Estimate | None
    """p*; None without failures, without successes or without discordant pairs."""
    success_gain: Estimate
    """Treated minus baseline, with the interval of level 1 − 2·alpha."""
    p_value_gain: float
    """One-sided p-value of Δ ≤ margin (after Holm, where several arms were compared)."""
    p_value_harm: float
    """One-sided p-value of Δ ≥ 0."""
    p_value_worthwhile: float
    """One-sided p-value of Δ ≥ worthwhile."""
    method: str
    rule: DecisionRule
    reasons: tuple[Remark, ...]
    cautions: tuple[Remark, ...]
    tasks_needed: int | None
    """UNDECIDED: tasks of a new pilot that would decide with probability .8 if gain and discordance were as observed
    (normal approximation); None for other verdicts and beyond a million."""
    look: Mapping[str, object] | None = None
    excluded: Mapping[str, int] = field(default_factory=dict)
    """Tasks left out, by arm."""

    def __str__(self) -> str:
        gain, noun = self.success_gain, "pair" if self.pairs == 1 else "pairs"
        numbers = (
            f"gain {points(gain.value)} ({100 * gain.confidence:.4g}% CI {points(gain.low)} to {points(gain.high)}; "
            + (f"{self.pairs} {noun}" if self.pairs == self.tasks else f"{self.tasks} tasks, {self.pairs} {noun}")
            + ("" if self.recovered is None else f": {self.recovered} recovered, {self.disrupted} disrupted")
            + ")"
        )
        return f"{self.recommendation.value}: {numbers}. {' '.join(reason.text for reason in self.reasons)}"

    def to_dict(self) -> dict[str, object]:
        """The verdict as a JSON object, format `forbear-verdict-1`; undefined is null."""

        def estimate(value: Estimate | None) -> dict[str, float | None] | None:
            return None if value is None else value.to_dict()

        return {
            "format": _FORMAT,
            "recommendation": self.recommendation.value,
            "harmful": self.harmful,
            "futile": self.futile,
            "tasks": self.tasks,
            "pairs": self.pairs,
            "both_fail": self.both_fail,
            "recovered": self.recovered,
            "disrupted": self.disrupted,
            "both_succeed": self.both_succeed,
            "failure_rate": estimate(self.failure_rate),
            "recovery_rate": estimate(self.recovery_rate),
            "disruption_rate": estimate(self.disruption_rate),
            "break_even_failure_rate": estimate(self.break_even_failure_rate),
            "success_gain": estimate(self.success_gain),
            "p_value_gain": self.p_value_gain,
            "p_value_harm": self.p_value_harm,
            "p_value_worthwhile": self.p_value_worthwhile,
            "method": self.method,
            "rule": self.rule.to_dict(),
            "reasons": [remark.to_dict() for remark in self.reasons],
            "cautions": [remark.to_dict() for remark in self.cautions],
            "tasks_needed": self.tasks_needed,
            "look": self.look,
            "excluded": dict(self.excluded),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Reads what `to_dict` wrote.

        Raises:
            InvalidInput: Another format, or a key that is missing or unusable.
        """
        if not isinstance(data, Mapping) or data.get("format") != _FORMAT:
            raise InvalidInput(f'expected a JSON object with "format": "{_FORMAT}", got {described(data)}.')

        try:
            values: dict[str, Any] = {f.name: data[f.name] for f in fields(cls)}
            values["recommendation"] = Recommendation(values["recommendation"])
            values["rule"] = DecisionRule(**values["rule"])
            for key in ("reasons", "cautions"):
                values[key] = tuple(Remark(**remark) for remark in values[key])
            for key in ("failure_rate", "recovery_rate", "disruption_rate", "break_even_failure_rate", "success_gain"):
                values[key] = None if values[key] is None else Estimate(**values[key])
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInput(f"not a usable {_FORMAT} object: {described(error)}.") from error
        return cls(**values)


def points(fraction: float | None) -> str:
    """A gain as signed percentage points, for sentences."""
    # Minus zero is zero: a gain that rounds to nothing has no sign.
    return "undefined" if fraction is None else f"{round(100 * fraction, 1) + 0.0:+.1f} pp"
