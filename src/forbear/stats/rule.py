"""The rule of a decision: what counts as a gain, and how sure to be."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, Self, get_args

import numpy as np

from forbear.errors import InvalidInput
from forbear.wording import described

Guarantee = Literal["calibrated", "finite-sample"]
Missing = Literal["excess", "exclude", "worst"]
WORTHWHILE = 0.02
"""The least gain that pays, where nobody said otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRule:
    """What counts as a gain, and how sure to be.

    Raises:
        InvalidInput: Unless −1 < margin ≤ worthwhile < 1, 0 < alpha < ½, 0 < harm_alpha < ½, and a known guarantee and
            treatment of missing runs.
    """

    margin: float = 0.0
    """INTERVENE only if gains up to this are rejected; a fraction. Negative: losses of so much or more."""
    worthwhile: float = None  # type: ignore[assignment]  # __post_init__ puts a number there
    """The smallest gain that would pay for the intervention; FORBEAR if gains from here on are rejected. Omitted: 0.02,
    or the margin where that is negative: the question is then whether it is worse by no more than that."""
    alpha: float = 0.05
    """Largest probability of INTERVENE when the gain is at most the margin; the interval has level 1 − 2·alpha."""
    harm_alpha: float = 0.05
    """Largest probability of FORBEAR when the gain is at least worthwhile."""
    guarantee: Guarantee = "calibrated"
    """For several seeds per task: "calibrated" (error rates kept in every simulation, more power) or "finite-sample"
    (kept by a proof, at any number of tasks). One pair per task has the guarantee either way, to 2,000 tasks."""
    missing: Missing = "excess"
    """What INTERVENE also has to hold for, beside the pairs whose outcomes are known: "excess", the runs that one arm
    lost more than the other, less half a standard deviation, charged to it (`excess_charged`); "worst", every run
    without an outcome as unfavourable as can be; "exclude", nothing more."""

    def __post_init__(self) -> None:
        if self.guarantee not in get_args(Guarantee):
            raise InvalidInput(
                f'guarantee must be "calibrated" or "finite-sample", got {described(self.guarantee)}. ("approximate" '
                "is gone: it gave false verdicts where rare tasks lose all their seeds.)"
            )
        if self.missing not in get_args(Missing):
            raise InvalidInput(f'missing must be "excess", "exclude" or "worst", got {described(self.missing)}.')
        if self.worthwhile is None:
            negative = isinstance(self.margin, int | float) and self.margin < 0
            object.__setattr__(self, "worthwhile", self.margin if negative else WORTHWHILE)
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

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Self:
        """The rule of a JSON object; one of before `missing` left missing runs out.

        One that was "approximate" reads as "calibrated": the verdict's method names the test that was used.

        Raises:
            InvalidInput: A number out of range.
            TypeError: An unknown key.
        """
        rule = {"missing": "exclude", **data}
        if rule.get("guarantee") == "approximate":
            rule["guarantee"] = "calibrated"
        return cls(**rule)
