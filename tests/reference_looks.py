"""Designs with looks, slowly and obviously: probabilities pushed forward task by task, bets multiplied out.

Shares no code with forbear. A table is [recovered, disrupted]; arrays of tables have a row for each recovered count.
"""

import functools
import math
from collections.abc import Callable, Mapping
from fractions import Fraction

import numpy as np
from scipy import special, stats

import reference

Region = np.ndarray
Stops = Callable[[int], Mapping[str, Region]]
"""Of a number of tasks, what happens at which tables; what is named first comes first."""

Bets = tuple[tuple[Fraction, Fraction], ...]
"""What each bettor stakes, and its part of all money."""


def rising(exponent: float, most: float) -> Bets:
    """Sixteen middles of a density ∝ b^exponent on .02 to most, by bisection of its integral; and six small ones."""

    def below(bet: float) -> float:
        return (bet ** (1 + exponent) - 0.02 ** (1 + exponent)) / (most ** (1 + exponent) - 0.02 ** (1 + exponent))

    found = []
    for k in range(16):
        low, high = 0.02, most
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if below(middle) < (k + 0.5) / 16 else (low, middle)
        found.append((Fraction(low), Fraction(995, 16000)))
    return (*((Fraction(3, 100) / 3**k, Fraction(5, 6000)) for k in range(6)), *found)


BETS = rising(0.25, 1.0)
WATCH = ((Fraction(17, 20), Fraction(1)),)


def tables(n: int) -> tuple[np.ndarray, np.ndarray]:
    recovered, disrupted = np.indices((n + 1, n + 1)).astype(float)
    return recovered, disrupted


# --- What a look asks ---------------------------------------------------------------------------------------


def scores(n: int, gain: float) -> np.ndarray:
    """Tango's statistic of every table: its restricted maximum by bisection, all tables at once."""
    recovered, disrupted = tables(n)
    rest = np.maximum(n - recovered - disrupted, 0)
    if gain == 0:
        return (recovered - disrupted) / np.sqrt(np.maximum(recovered + disrupted, 1))
    low, high = np.full(rest.shape, max(0.0, -gain)), np.full(rest.shape, (1 - gain) / 2)
    for _ in range(70):
        q = (low + high) / 2
        gaining, losing, same = q + gain, q, 1 - 2 * q - gain
        slope = sum(
            np.divide(k, np.maximum(chance, 1e-300))
            for k, chance in ((recovered, gaining), (disrupted, losing), (-2 * rest, same))
        )
        low, high = np.where(slope > 0, q, low), np.where(slope > 0, high, q)
    return (recovered - disrupted - n * gain) / np.sqrt(n * (2 * low + gain - gain**2))


def factor(n: int, planned: int, shape: str) -> float:
    return math.sqrt(planned / n) if shape == "obrien-fleming" else 1.0


def crossed(n: int, limit: float, gain: float) -> Region:
    """Tables at which the statistic reaches a limit, with enough pairs that differ."""
    recovered, disrupted = tables(n)
    differing = recovered + disrupted
    return (scores(n, gain) >= limit - 1e-9) & (differing <= n) & (differing >= fewest(n, gain))


def fewest(n: int, gain: float) -> int:
    """None for a loss, else four; more than a discordance as small as the gain gives in 98 of 100 pilots."""
    return 0 if gain < 0 else max(4, int(stats.binom.isf(0.02, n, gain)) + 1)


def looks_at(looks: tuple[int, ...], constant: float, gain: float = 0.0, shape: str = "obrien-fleming") -> Stops:
    regions = {n: {"crossed": crossed(n, constant * factor(n, looks[-1], shape), gain)} for n in looks}
    return lambda n: regions.get(n, {})


# --- What happens to the probabilities ----------------------------------------------------------------------


def forward(planned: int, up: float, down: float, stops: Stops) -> dict[str, list[tuple[int, np.ndarray]]]:
    """By what happens: the tasks at which it does, with the probability of each table there; the end is "last"."""
    going, found = np.ones((1, 1)), {}
    for n in range(1, planned + 1):
        grown = np.zeros((n + 1, n + 1))
        grown[:-1, :-1] = (1 - up - down) * going
        grown[1:, :-1] += up * going
        grown[:-1, 1:] += down * going
        going = grown
        for what, region in stops(n).items():
            found.setdefault(what, []).append((n, np.where(region, going, 0.0)))
            going = np.where(region, 0.0, going)
    return {**found, "last": [(planned, going)]}


def shares(gain: float, discordance: float) -> tuple[float, float]:
    return (discordance + gain) / 2, max((discordance - gain) / 2, 0.0)


def chance(found: dict[str, list[tuple[int, np.ndarray]]], what: str) -> float:
    return sum(float(mass.sum()) for _, mass in found.get(what, []))


# --- A certificate over the discordance ---------------------------------------------------------------------


def bernstein(planned: int, stops: Stops, what: str, gain: float) -> np.ndarray:
    """P(what) as a Bernstein polynomial of degree `planned` in u, ψ = |gain| + (1 − |gain|)·u.

    Every sequence of outcomes has probability 3⁻ⁿ where recovered, disrupted and neither are as likely, so the
    probabilities there, times 3ⁿ, count sequences. With u the chance that a pair is "open" and m = |gain|, a pair is
    recovered with probability u·(1 + m)/2 + (1 − u)·m, disrupted with u·(1 − m)/2, and neither with (1 − u)·(1 − m)
    (a loss: the other way about). Multiplied out, a sequence is a sum of u^o·(1 − u)^(n − o).
    """
    size = abs(gain)
    total = np.zeros(planned + 1)
    for n, mass in forward(planned, 1 / 3, 1 / 3, stops).get(what, []):
        total += _raised(_open_pairs(n, mass if gain >= 0 else mass.T, size), planned)
    return total


def _open_pairs(n: int, mass: np.ndarray, size: float) -> np.ndarray:
    """P(table and what happened | o of the n pairs are open) for o = 0..n."""
    result = np.zeros(n + 1)
    ways = special.gammaln(np.arange(n + 1) + 1.0)
    log_choose = ways[n] - ways - ways[::-1]
    for recovered in range(n + 1):
        disrupted = np.flatnonzero(mass[recovered])
        if not len(disrupted):
            continue
        with np.errstate(divide="ignore"):
            log_sequences = np.log(mass[recovered, disrupted]) + n * math.log(3)
        opened = np.arange(recovered + 1)[:, None] if size else np.array([[recovered]])
        log_terms = ways[recovered] - ways[opened] - ways[recovered - opened]
        log_terms = log_terms + opened * math.log((1 + size) / 2) + special.xlogy(recovered - opened, size)
        log_terms = log_terms + disrupted * math.log((1 - size) / 2) + log_sequences
        log_terms = log_terms + special.xlogy(n - recovered - disrupted, 1 - size)
        both = opened + disrupted
        result += np.bincount(both.ravel(), np.exp(log_terms - log_choose[both]).ravel(), minlength=n + 1)
    return result


def _raised(coefficients: np.ndarray, degree: int) -> np.ndarray:
    """The same polynomial in a higher degree: of k open pairs among all, those among the first n are hypergeometric."""
    n = len(coefficients) - 1
    first, every = np.arange(n + 1)[None, :], np.arange(degree + 1)[:, None]
    rest = every - first
    possible = (rest >= 0) & (rest <= degree - n)
    log_among = (
        _log_choose(n, first) + _log_choose(degree - n, np.where(possible, rest, 0)) - _log_choose(degree, every)
    )
    return np.where(possible, np.exp(log_among), 0.0) @ coefficients


def _log_choose(n: int, k: np.ndarray) -> np.ndarray:
    ways = special.gammaln(np.arange(n + 1) + 1.0)
    return ways[n] - ways[k] - ways[n - k]


def smallest_constant(looks: tuple[int, ...], alpha: float, gain: float = 0.0, shape: str = "obrien-fleming") -> float:
    """The smallest multiple of 1e-4 whose looks are certified to reject with probability at most alpha."""
    low, high = 10_000, 50_000
    while high - low > 1:
        middle = (low + high) // 2
        polynomial = bernstein(looks[-1], looks_at(looks, middle * 1e-4, gain, shape), "crossed", gain)
        low, high = (low, middle) if reference.bernstein_at_most(polynomial, alpha) else (middle, high)
    return high * 1e-4


# --- Bets ---------------------------------------------------------------------------------------------------


def growth(difference: Fraction, margin: Fraction, alternative: str, bet: Fraction) -> Fraction:
    """1 + λ·(d − margin) with λ = bet/(1 + margin), or with both signs turned."""
    sign = 1 if alternative == "greater" else -1
    return 1 + bet / (1 + sign * margin) * (sign * difference - sign * margin)


def wealth(differences: list[Fraction], margin: Fraction, alternative: str = "greater", bets=BETS) -> Fraction:
    """E after these differences, exactly."""
    return sum(part * math.prod(growth(d, margin, alternative, bet) for d in differences) for bet, part in bets)


@functools.lru_cache(maxsize=1000)
def log_wealths(n: int, margin: float, alternative: str, bets: Bets = BETS) -> np.ndarray:
    """log E of every table of n pairs."""
    recovered, disrupted = tables(n)
    exact, total = Fraction(margin), np.full(recovered.shape, -np.inf)
    for bet, part in bets:
        up, same, down = (math.log(growth(Fraction(d), exact, alternative, bet)) for d in (1, 0, -1))
        wealth = recovered * up + disrupted * down + (n - recovered - disrupted) * same
        total = np.logaddexp(total, math.log(part) + wealth)
    return total


def reaching(value: float, margin: float, alternative: str, bets: Bets = BETS) -> Stops:
    """Stops where log E reaches a value, looked at after every pair."""
    return lambda n: {"reached": log_wealths(n, margin, alternative, bets) >= value - 1e-9}


def looks_or_watch(looks: tuple[int, ...], constant: float, value: float, margin: float, shape: str) -> Stops:
    """Stops where a look or the watch rejects a gain of the margin or more."""

    def stops(n: int) -> dict[str, Region]:
        region = log_wealths(n, margin, "less", WATCH) >= value - 1e-9
        if n in looks:
            region = region | crossed(n, constant * factor(n, looks[-1], shape), -margin).T
        return {"forbear": region}

    return stops


# --- A whole design -----------------------------------------------------------------------------------------


def design(
    looks: tuple[int, ...],
    *,
    helps: float,
    too_little: float,
    worthwhile: float,
    threshold: float | None = None,
    futility: float = 0.0,
    planned_shares: tuple[float, float] = (0.0, 0.0),
    shape: str = "obrien-fleming",
) -> Stops:
    """INTERVENE, FORBEAR, the watch and futility at margin 0, from their constants; harm comes first."""
    planned = looks[-1]

    @functools.cache
    def decisions(n: int) -> dict[str, Region]:
        found = {}
        if threshold is not None:
            found["watch"] = log_wealths(n, worthwhile, "less", WATCH) >= threshold - 1e-9
        if n in looks:
            found["forbear"] = crossed(n, too_little * factor(n, planned, shape), -worthwhile).T
            found["intervene"] = crossed(n, helps * factor(n, planned, shape), 0.0)
        return found

    hopeless = hopeless_tables(looks, decisions, futility, planned_shares) if futility else {}

    def stops(n: int) -> dict[str, Region]:
        return {**decisions(n), **({"futile": hopeless[n]} if n in hopeless else {})}

    return stops


def verdicts_later(
    n: int, looks: tuple[int, ...], decisions: Stops, draw: Callable[[int, np.ndarray, np.ndarray], tuple]
) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """By look from n on, but the last: the chances of INTERVENE and of FORBEAR after it, the next pair drawn by `draw`.

    That is given the tasks and counts so far, and gives the chances that it is recovered, and disrupted.
    """

    def settled(tasks: int, later: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        regions = decisions(tasks)
        nothing = np.zeros((tasks + 1, tasks + 1), bool)
        forbear = regions.get("watch", nothing) | regions.get("forbear", nothing)
        intervene = regions.get("intervene", nothing) & ~forbear
        return (
            np.where(intervene, 1.0, np.where(forbear, 0.0, later[0])),
            np.where(forbear, 1.0, np.where(intervene, 0.0, later[1])),
        )

    planned, found = looks[-1], {}
    later = settled(planned, (np.zeros((planned + 1,) * 2),) * 2)
    for tasks in reversed(range(n, planned)):
        up, down = draw(tasks, *tables(tasks))
        later = tuple(
            up * chance[1:, :-1] + down * chance[:-1, 1:] + (1 - up - down) * chance[:-1, :-1] for chance in later
        )
        if tasks in looks:
            found[tasks] = later
        later = settled(tasks, later)
    return found


def hopeless_tables(
    looks: tuple[int, ...], decisions: Stops, futility: float, truth: tuple[float, float]
) -> dict[int, Region]:
    """By look before the last: tables after which neither verdict is probable enough.

    INTERVENE under the planned truth; FORBEAR where the next pair is like one of those so far or of ten planned ones
    without a gain, and so on with that one among them.
    """
    each = 10 * sum(truth) / 2

    def planned(tasks, recovered, disrupted):
        return truth

    def urn(tasks, recovered, disrupted):
        return (recovered + each) / (tasks + 10), (disrupted + each) / (tasks + 10)

    helps, fails = (verdicts_later(looks[0], looks, decisions, draw) for draw in (planned, urn))
    return {n: (helps[n][0] < futility) & (fails[n][1] < 0.2) for n in helps}
