"""Exact unconditional tests of the paired gain, at any margin.

Given n discordant pairs, the recovered ones are Bin(n, π) with π = ½ under Δ = 0, and n itself is Bin(N, ψ). McNemar's
conditional tests stop at the first sentence; the unconditional one maximises over the unknown discordance ψ and is
markedly more powerful at pilot sizes. Its regions consist of one critical count per discordant total, so nothing ever
walks over all tables of a pilot.

Sources: Suissa & Shuster (1991, Biometrics 47:361) for the unconditional test; Fagerland, Lydersen & Laake (2013, BMC
Med. Res. Methodol. 13:91) for the mid-p that orders its tables; Lloyd & Moldovan (2008, Statistics in Medicine 27:3540)
for E+M; Tango (1998) for the statistic. How each was checked: docs/methods.md.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import ndtr

from forbear.errors import InvalidInput
from forbear.outcomes.paired import PairedOutcomes
from forbear.stats.intervals import tango_statistic
from forbear.stats.regions import em_region, midp_region, worst_case

OneSided = Literal["greater", "less"]
Method = Literal["exact unconditional, mid-p ordering", "exact unconditional, E+M", "score (Tango)"]

MAX_EXACT_PAIRS = 2000
"""Above this use `score_test`: the two agree to about three digits there, and the lattice grows as N²."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GainTest:
    """A one-sided test of the gain against a margin."""

    pairs: PairedOutcomes
    margin: float
    alternative: OneSided
    """"greater" rejects Δ ≤ margin, "less" rejects Δ ≥ margin."""
    method: Method
    pvalue: float
    discordance: float | None
    """The discordance ψ at which the null makes a table at least this extreme most likely; None for the score test."""


def exact_unconditional(pairs: PairedOutcomes, *, margin: float = 0.0, alternative: OneSided = "greater") -> GainTest:
    """Exact unconditional test of Δ ≤ margin ("greater") or Δ ≥ margin ("less"), one pair per task.

    At margin 0 tables are ordered by the conditional mid-p: the test rejects wherever the exact conditional test does
    (enumerated), and at α = .05 never on fewer than 4 discordant pairs. At other margins they are ordered by the
    p-value of Tango's statistic at the restricted nuisance (E), then maximised (M). Either way the p-value is the
    supremum over every discordance that the margin allows.

    Args:
        pairs: 1 to 2,000 pairs.
        margin: The gain under test, −1 < margin < 1, a fraction.
        alternative: "greater" when a gain above the margin is claimed.

    Raises:
        InvalidInput: No pairs, more than 2,000, a margin out of range, or another alternative.

    Source: METHODS of Suissa & Shuster (1991) and Lloyd & Moldovan (2008). Checked: full-lattice enumeration in the
    tests, with sizes certified by Bernstein subdivision.
    """
    _check_pairs(pairs, margin, alternative)
    if pairs.pairs > MAX_EXACT_PAIRS:
        raise InvalidInput(
            f"exact_unconditional takes at most {MAX_EXACT_PAIRS} pairs, got {pairs.pairs}. Use score_test."
        )
    recovered, disrupted, gain = pairs.recovered, pairs.disrupted, margin
    if alternative == "less":
        recovered, disrupted, gain = disrupted, recovered, -margin
    if gain == 0:
        critical = midp_region(recovered=recovered, disrupted=disrupted, n_pairs=pairs.pairs)
    else:
        critical = em_region(recovered=recovered, disrupted=disrupted, n_pairs=pairs.pairs, margin=gain)
    pvalue, discordance = worst_case(critical, gain)
    return GainTest(
        pairs=pairs,
        margin=margin,
        alternative=alternative,
        method=method_for(pairs.pairs, margin=gain),
        pvalue=pvalue,
        discordance=discordance,
    )


def method_for(pairs: int, *, margin: float) -> Method:
    """The test that a verdict on so many pairs rests on."""
    if pairs > MAX_EXACT_PAIRS:
        return "score (Tango)"
    return "exact unconditional, E+M" if margin else "exact unconditional, mid-p ordering"


def score_test(pairs: PairedOutcomes, *, margin: float = 0.0, alternative: OneSided = "greater") -> GainTest:
    """Tango's score test of Δ ≤ margin ("greater") or Δ ≥ margin ("less"): asymptotic, for large pilots.

    Args:
        pairs: At least one pair.
        margin: The gain under test, −1 < margin < 1, a fraction.
        alternative: "greater" when a gain above the margin is claimed.

    Raises:
        InvalidInput: No pairs, a margin out of range, or another alternative.

    Source: Tango (1998). Checked: it rejects exactly where `paired_gain_interval` excludes the margin.
    """
    _check_pairs(pairs, margin, alternative)
    z = tango_statistic(float(pairs.recovered), float(pairs.disrupted), n=pairs.pairs, gain=margin)
    pvalue = float(ndtr(-z if alternative == "greater" else z))
    return GainTest(
        pairs=pairs, margin=margin, alternative=alternative, method="score (Tango)", pvalue=pvalue, discordance=None
    )


def _check_pairs(pairs: PairedOutcomes, margin: float, alternative: str) -> None:
    if not pairs.pairs:
        raise InvalidInput("a test of the gain needs at least one pair, got none.")
    check_test(margin, alternative)


def check_test(margin: float, alternative: str) -> None:
    """Raises InvalidInput unless −1 < margin < 1 and the alternative is one-sided."""
    if not (isinstance(margin, int | float | np.number) and -1 < margin < 1):
        raise InvalidInput(f"margin must lie between -1 and 1 (exclusive; a fraction), got {margin!r}.")
    if alternative not in {"greater", "less"}:
        raise InvalidInput(f'alternative must be "greater" or "less", got {alternative!r}.')
