"""Exact tests of the paired gain: conditional (McNemar) and unconditional, at any margin.

Given n discordant pairs, the recovered ones are Bin(n, π) with π = ½ under Δ = 0, and n itself is Bin(N, ψ). The
conditional tests stop at the first sentence; the unconditional one maximises over the unknown discordance ψ and is
markedly more powerful at pilot sizes. Its regions consist of one critical count per discordant total, so nothing ever
walks over all tables of a pilot.

Sources: McNemar (1947, Psychometrika 12:153); Fagerland, Lydersen & Laake (2013, BMC Med. Res. Methodol. 13:91) for the
mid-p; Suissa & Shuster (1991, Biometrics 47:361) for the unconditional test; Lloyd & Moldovan (2008, Statistics in
Medicine 27:3540) for E+M; Tango (1998) for the statistic. How each was checked: docs/methods.md.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import ndtr

from forbear.errors import InvalidInput
from forbear.outcomes.paired import PairedOutcomes
from forbear.stats.intervals import tango_statistic
from forbear.stats.regions import at_least, binomial, em_region, midp_region, worst_case

OneSided = Literal["greater", "less"]
Method = Literal["exact unconditional, mid-p ordering", "exact unconditional, E+M", "score (Tango)"]

MAX_EXACT_PAIRS = 2000
"""Above this use `score_test`: the two agree to about three digits there, and the lattice grows as N²."""


@dataclass(frozen=True, slots=True, kw_only=True)
class McNemarResult:
    """A conditional test of equal success rates."""

    recovered: int
    disrupted: int
    alternative: Literal["two-sided", "greater", "less"]
    """"greater": the treated arm succeeds more often."""
    method: Literal["mcnemar exact", "mcnemar mid-p"]
    pvalue: float
    """1.0 when no pair is discordant: no evidence, whatever the number of pairs."""


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


def mcnemar_exact(
    *, recovered: int, disrupted: int, alternative: Literal["two-sided", "greater", "less"] = "two-sided"
) -> McNemarResult:
    """Exact conditional test: given their number, discordant pairs fall either way with probability ½.

    Args:
        recovered: Pairs that only the treated arm solved.
        disrupted: Pairs that only the baseline solved.
        alternative: "greater" when the treated arm is claimed to succeed more often.

    Raises:
        InvalidInput: Counts that are not whole numbers from 0 on, or another alternative.

    Source: McNemar (1947), exact form. Checked: scipy.stats.binomtest.
    """
    upper, lower, _ = _binomial_tails(recovered, disrupted, alternative)
    tail = {"greater": upper, "less": lower, "two-sided": min(1.0, 2 * min(upper, lower))}[alternative]
    return _mcnemar(recovered, disrupted, alternative, "mcnemar exact", tail)


def mcnemar_midp(
    *, recovered: int, disrupted: int, alternative: Literal["two-sided", "greater", "less"] = "two-sided"
) -> McNemarResult:
    """Conditional mid-p test: the exact test with half the probability of the observed split.

    Less conservative than the exact test; its size can exceed the level slightly, so verdicts do not rest on it.

    Args:
        recovered: Pairs that only the treated arm solved.
        disrupted: Pairs that only the baseline solved.
        alternative: "greater" when the treated arm is claimed to succeed more often.

    Raises:
        InvalidInput: Counts that are not whole numbers from 0 on, or another alternative.

    Source: Fagerland et al. (2013). Checked: their Table 2 and rational arithmetic.
    """
    upper, lower, observed = _binomial_tails(recovered, disrupted, alternative)
    two_sided = 2 * min(upper, lower) - observed
    tail = {"greater": upper - observed / 2, "less": lower - observed / 2, "two-sided": min(1.0, two_sided)}
    return _mcnemar(recovered, disrupted, alternative, "mcnemar mid-p", tail[alternative])


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


def _mcnemar(
    recovered: int,
    disrupted: int,
    alternative: Literal["two-sided", "greater", "less"],
    method: Literal["mcnemar exact", "mcnemar mid-p"],
    tail: float,
) -> McNemarResult:
    pvalue = tail if recovered + disrupted else 1.0
    return McNemarResult(
        recovered=recovered, disrupted=disrupted, alternative=alternative, method=method, pvalue=pvalue
    )


def _binomial_tails(recovered: int, disrupted: int, alternative: str) -> tuple[float, float, float]:
    """P(X ≥ recovered), P(X ≤ recovered) and P(X = recovered) for X ~ Bin(discordant, ½)."""
    if alternative not in {"two-sided", "greater", "less"}:
        raise InvalidInput(f'alternative must be "two-sided", "greater" or "less", got {alternative!r}.')
    PairedOutcomes(both_fail=0, recovered=recovered, disrupted=disrupted, both_succeed=0)
    n = recovered + disrupted
    upper = float(at_least(np.array(recovered), np.array(n), 0.5))
    lower = float(at_least(np.array(disrupted), np.array(n), 0.5))
    return upper, lower, float(binomial(np.array(recovered), np.array(n), 0.5))
