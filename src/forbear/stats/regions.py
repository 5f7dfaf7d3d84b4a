"""Rejection regions of the unconditional tests, and the worst case of a region over the unknown discordance.

A region is an array `critical` of length N + 1: of n discordant pairs, the smallest number of recovered ones that is at
least as extreme as what was observed; n + 1 where no table is. That every region has this form was checked by
enumeration (the ordering never falls when a disrupted pair becomes a recovered one).
"""

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, gammaln, ndtri, xlog1py, xlogy

from forbear.stats.intervals import restricted_discordance, tango_statistic

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

# Tables whose statistics differ by less are ties; rounding must not decide on which side of a region they fall.
_TIE = 1e-9

_LEAST = 1e-13
"""Estimated p-values below it are taken as equal. Their region then only grows, so the p-value stays valid and at most
a tie; the smallest α of a rule is 1e-12, and the double precision of a sum is not far."""

_CHUNK = 1 << 16
"""Cells at a time, so that a large lattice is filled within the processor's cache."""

_SOME_ROWS = 100
"""Rows that are searched first where there are many."""

_MANY_PAIRS, _SHORT = 500, 100
_NEAR = 0.006
_LEAST_SMOOTH = 1e-6
"""From so many pairs on, away from the shortest and the longest rows (and those with hardly more pairs than the margin
asks for), and for such estimates the statistic at the limit is smooth over the rows: interpolated, it is off by less
than `_NEAR`. tests/stats/test_exact.py compares with the search of all rows."""

_LARGE = 5.0
"""Standard deviations: a region that begins further out has a probability below `_LEAST_SMOOTH`."""

_TINY = 1e-300
_SEVENTHS = np.arange(7) / 6
# np.clip is avoided throughout: its first call for a dtype costs milliseconds, and a decision has ten.


def at_least(count: Counts, trials: Counts, p: Floats | float) -> Floats:
    """P(X ≥ count) for X ~ Bin(trials, p), elementwise; a count may lie outside 0..trials."""
    inside = np.minimum(np.maximum(count, 1), np.maximum(trials, 1))
    tail: Floats = np.where(count > trials, 0.0, betainc(inside, np.maximum(trials - inside + 1, 1), p))
    return np.where(count <= 0, 1.0, tail)


def binomial(count: Counts, trials: Counts, p: Floats | float) -> Floats:
    """P(X = count) for X ~ Bin(trials, p), elementwise; 0 where the count lies outside 0..trials."""
    inside = np.minimum(np.maximum(count, 0), trials)
    rest = trials - inside
    factorial = log_factorial(int(np.max(trials, initial=0)))
    log_choose = factorial[trials] - factorial[inside] - factorial[rest]
    mass: Floats = np.exp(log_choose + xlogy(inside, p) + xlog1py(rest, -np.asarray(p)))
    return np.where(count == inside, mass, 0.0)


def midp_region(*, recovered: int, disrupted: int, n_pairs: int) -> Counts:
    """Tables whose conditional mid-p at margin 0 is at most that of the observed one."""
    n = np.arange(n_pairs + 1)
    discordant = recovered + disrupted
    limit = float(_midp(np.array(recovered), np.array(discordant))) * (1 + _TIE)
    # Every row is met near the same standardised split; the exact mid-p then says where.
    z = (recovered - disrupted) / math.sqrt(max(discordant, 1))
    guess = np.ceil((n + z * np.sqrt(n)) / 2).astype(np.int64)
    return _first_extreme(lambda count, trials: _midp(count, trials) <= limit, guess)


def _midp(count: Counts, trials: Counts) -> Floats:
    """P(X > count) + P(X = count)/2 for X ~ Bin(trials, ½)."""
    return (at_least(count, trials, 0.5) + at_least(count + 1, trials, 0.5)) / 2


def em_region(*, recovered: int, disrupted: int, n_pairs: int, margin: float) -> Counts:
    """Tables whose estimated p-value (Tango's statistic at the restricted nuisance) is at most the observed one's.

    The two plain ends are settled without a search that would go far: where the estimate is 1 (of many pairs: to a
    millionth) the region is everything, and estimates below 1e-13 share one region.
    """
    lattice = _score_lattice(n_pairs, margin)
    observed = np.array([recovered]), np.array([recovered + disrupted])
    limit = max(float(_estimated_pvalues(lattice, margin, *observed)[0]), _LEAST) * (1 + _TIE)
    many = n_pairs >= _MANY_PAIRS
    if limit >= (1 - _LEAST_SMOOTH if many else 1):
        return np.zeros(n_pairs + 1, dtype=np.int64)
    n = np.arange(n_pairs + 1)
    start = np.minimum(_scores(lattice, *observed), _ZERO + round(-float(ndtri(_LEAST)) / _TIE))
    guess = _critical_scores(lattice, np.repeat(start, n_pairs + 1), n)

    def extreme(count: Counts, trials: Counts) -> NDArray[np.bool_]:
        inside: NDArray[np.bool_] = _estimated_pvalues(lattice, margin, count, trials) <= limit
        return inside

    if not many or limit < _LEAST_SMOOTH:
        return _first_extreme(extreme, guess)
    return _first_extreme_by_score(lattice, margin, limit, extreme, guess)


def _first_extreme_by_score(
    lattice: Counts, margin: float, limit: float, extreme: Callable[[Counts, Counts], NDArray[np.bool_]], guess: Counts
) -> Counts:
    """`_first_extreme` of the estimated p-values where there are many rows: most are settled without a p-value.

    The statistic at which the estimate reaches the limit hardly moves from row to row. It is found in some rows, to a
    thousandth, and interpolated; only rows with a table within `_NEAR` of it, and short ones, are searched.
    """
    n = np.arange(len(guess))
    short = _SHORT + math.ceil(2 * abs(margin) * len(n))
    if short > len(n) // 2:
        return _first_extreme(extreme, guess)
    some = np.linspace(short, len(n) - 1, _SOME_ROWS).astype(np.int64)
    first = _search(extreme, some, np.minimum(np.maximum(guess[some], 0), some))
    known = (first > 0) & (first <= some)
    some, first = some[known], first[known]
    if len(some) < _SOME_ROWS // 2:
        return _first_extreme(extreme, guess)
    ends = [
        (
            _scores(lattice, count, some) - _ZERO,
            ndtri(np.maximum(_estimated_pvalues(lattice, margin, count, some), 1e-300)),
        )
        for count in (first - 1, first)
    ]
    (low, above), (high, below) = ends
    crossing = low + (high - low) * (above - float(ndtri(limit))) / (above - below)
    score = np.interp(n, some, crossing)
    near = round(_NEAR / _TIE)
    inner, outer = (_critical_scores(lattice, _ZERO + (score + sign * near).astype(np.int64), n) for sign in (-1, 1))
    left = np.flatnonzero((inner != outer) | (n < max(short, some[0])) | (n > min(len(n) - _SHORT, some[-1])))
    inner[left] = _search(extreme, left, np.minimum(np.maximum(inner[left], 0), left))
    return inner


def rejection_region(*, n_pairs: int, margin: float, alpha: float) -> Counts:
    """The tables on which a verdict rejects Δ ≤ margin: exact p-value at most alpha, and the score test below it.

    The largest region of the test's ordering whose worst case is at most alpha, found by bisection over the distinct
    values of the ordering; met with the score test's region, as verdicts do.
    """
    n = np.arange(n_pairs + 1)
    if margin == 0:
        ordering = _midp
    else:
        lattice = _score_lattice(n_pairs, margin)

        def ordering(count: Counts, trials: Counts) -> Floats:
            return _estimated_pvalues(lattice, margin, count, trials)

    guess = _normal_guess(n, margin, -float(ndtri(alpha)))

    def region(limit: float) -> Counts:
        return _first_extreme(lambda count, trials: ordering(count, trials) <= limit, guess)

    def size(critical: Counts) -> float:
        return worst_case(critical, margin)[0] if (critical <= n).any() else 0.0

    for low, high in ((alpha / 4, 1.5 * alpha), (0.0, 1.0)):
        inner, outer = region(low), region(high)
        row = np.repeat(n, inner - outer)
        count = outer[row] + np.arange(len(row)) - np.repeat(np.cumsum(inner - outer) - (inner - outer), inner - outer)
        values = np.minimum(ordering(count, row), high) if len(row) else np.empty(0)
        # Ordered cells, ties together: the region up to the k-th distinct value is the inner one and these cells.
        distinct = np.sort(values)
        distinct = distinct[np.append(np.diff(distinct) > _TIE * distinct[1:], True)] if len(row) else distinct
        best, first, last = inner, -1, len(distinct)
        while last - first > 1:
            middle = (first + last) // 2
            grown = inner - np.bincount(row[values <= distinct[middle] * (1 + _TIE)], minlength=n_pairs + 1)
            if size(grown) <= alpha:
                best, first = grown, middle
            else:
                last = middle
        if (first >= 0 or size(inner) <= alpha) and (last < len(distinct) or high == 1.0):
            break
    return np.maximum(best, score_region(n_pairs=n_pairs, margin=margin, alpha=alpha))


def score_region(*, n_pairs: int, margin: float, alpha: float) -> Counts:
    """The tables on which Tango's score test rejects Δ ≤ margin; holds every region of verdicts."""
    z = -float(ndtri(alpha))
    n = np.arange(n_pairs + 1)
    guess = _normal_guess(n, margin, z)

    def rejects(count: Counts, trials: Counts) -> NDArray[np.bool_]:
        score = tango_statistic(count.astype(float), (trials - count).astype(float), n=n_pairs, gain=margin)
        rejected: NDArray[np.bool_] = score > z
        return rejected

    return _first_extreme(rejects, guess)


def _normal_guess(n: Counts, margin: float, z: float) -> Counts:
    """About where the statistic reaches z in each row."""
    n_pairs = len(n) - 1
    spread = np.sqrt(n_pairs * np.maximum(n / n_pairs - margin**2, 0))
    guess: Counts = np.ceil((n + n_pairs * margin + z * spread) / 2).astype(np.int64)
    return guess


def _first_extreme(extreme: Callable[[Counts, Counts], NDArray[np.bool_]], guess: Counts) -> Counts:
    """For each n the smallest count in 0..n with extreme(count, n), else n + 1, searched from a guess.

    How far the guess is off changes slowly with n: it is found for some rows, and interpolated for the others.
    """
    n = np.arange(len(guess))
    guess = np.minimum(np.maximum(guess, 0), n)
    if len(guess) > 4 * _SOME_ROWS:
        some = np.linspace(0, len(guess) - 1, _SOME_ROWS).astype(np.int64)
        off = _search(extreme, some, guess[some]) - guess[some]
        guess = np.minimum(np.maximum(guess + np.round(np.interp(n, some, off)).astype(np.int64), 0), n)
    return _search(extreme, n, guess)


def _search(extreme: Callable[[Counts, Counts], NDArray[np.bool_]], n: Counts, trial: Counts) -> Counts:
    """The same for the rows n: steps that double until the count lies between two of them, then halves."""
    below, found, step, trial = np.full(len(n), -1), n + 1, np.ones(len(n), dtype=np.int64), trial.copy()
    while (active := np.flatnonzero(found - below > 1)).size:
        inside = extreme(trial[active], n[active])
        found[active[inside]] = trial[active[inside]]
        below[active[~inside]] = trial[active[~inside]]
        outwards = trial[active] + np.where(inside, -step[active], step[active])
        step[active] *= 2
        low, high = below[active], found[active]
        trial[active] = np.where((low < outwards) & (outwards < high), outwards, (low + high) // 2)
    return found


# --- E: the estimated p-value -------------------------------------------------------------------------------

_ROW = 1 << 44
_ZERO = 1 << 43


@lru_cache(maxsize=4)
def _score_lattice(n_pairs: int, margin: float) -> Counts:
    """Tango's statistic of every table, row n at n(n+1)/2 .. +n, ascending in the recovered count.

    Statistics are rounded to `_TIE` and shifted by their row, so that one sorted array serves a search in any row. A
    margin above 0 has the statistics of the one below it, the arms exchanged and the sign turned.
    """
    opposite = _score_lattice(n_pairs, -margin) if margin > 0 else None
    keys = np.empty((n_pairs + 1) * (n_pairs + 2) // 2, dtype=np.int64)
    rows = max(1, _CHUNK // (n_pairs + 1))
    for first in range(0, n_pairs + 1, rows):
        row = np.arange(first, min(first + rows, n_pairs + 1))
        n = np.repeat(row, row + 1)
        start = first * (first + 1) // 2
        begin = n * (n + 1) // 2
        recovered = np.arange(start, start + len(n)) - begin
        if opposite is not None:
            keys[start : start + len(n)] = 2 * (n * _ROW + _ZERO) - opposite[begin + n - recovered]
            continue
        score = tango_statistic(recovered.astype(float), (n - recovered).astype(float), n=n_pairs, gain=margin)
        rounded = np.round(np.minimum(np.maximum(score, -8000.0), 8000.0) / _TIE).astype(np.int64)
        keys[start : start + len(n)] = n * _ROW + _ZERO + rounded
    return keys


def _scores(lattice: Counts, recovered: Counts, n: Counts) -> Counts:
    """The rounded statistic of tables, comparable between rows."""
    scores: Counts = lattice[n * (n + 1) // 2 + recovered] - n * _ROW
    return scores


def _critical_scores(lattice: Counts, score: Counts, n: Counts) -> Counts:
    """The smallest recovered count in row n whose statistic reaches the score; n + 1 where none does."""
    position: Counts = np.searchsorted(lattice, n * _ROW + score)
    return position - n * (n + 1) // 2


def _estimated_pvalues(lattice: Counts, margin: float, recovered: Counts, n: Counts) -> Floats:
    """P(statistic at least that of the table) at the table's own restricted estimate of the discordance."""
    n_pairs = (math.isqrt(8 * len(lattice) + 1) - 3) // 2
    psi = restricted_discordance(recovered.astype(float), (n - recovered).astype(float), n=n_pairs, gain=margin)
    psi = np.minimum(np.maximum(psi, abs(margin)), 1.0)
    # Only totals within 6.5 sd of their mean: the rest weighs below 1e-10, and any ordering gives a valid test.
    reach = np.floor(6.5 * np.sqrt(n_pairs * psi * (1 - psi))) + 6
    first = np.maximum(np.round(n_pairs * psi) - reach, 0.0).astype(np.int64)
    total = first[:, None] + np.arange(min(2 * int(reach.max()) + 1, n_pairs + 1))
    inside = np.minimum(total, n_pairs)
    critical = _critical_scores(lattice, _scores(lattice, recovered, n)[:, None], inside)
    tail = _tails_along(critical, inside, (1 + margin / psi) / 2)
    factorial = log_factorial(n_pairs)
    log_choose = factorial[n_pairs] - factorial[inside] - factorial[n_pairs - inside]
    mass = np.exp(log_choose + xlogy(inside, psi[:, None]) + xlog1py(n_pairs - inside, -psi[:, None]))
    pvalues: Floats = np.sum(mass * tail, axis=1, where=total <= n_pairs)
    return pvalues


def _tails_along(critical: Counts, total: Counts, p: Floats) -> Floats:
    """P(X ≥ critical) for X ~ Bin(total, p), for rows of consecutive totals (p: one a row).

    One pair more, and a critical count that stays or grows by one, change the tail by
    P(X' = critical)·(critical/(total + 1) − [it grows]) with X' ~ Bin(total + 1, p): a cumulative sum instead of an
    incomplete beta function per cell. Tango's critical counts grow so (checked by enumeration).
    """
    factorial = log_factorial(int(total.max()) + 1)
    count, grown = critical[:, :-1], total[:, :-1] + 1
    step = np.diff(critical, axis=1)
    moved = np.diff(total, axis=1)
    assert ((step == 0) | (step == moved)).all(), "a critical count that falls, or grows by more than one"
    log_choose = factorial[grown] - factorial[count] - factorial[grown - count]
    log_p, log_not_p = (np.log(np.maximum(x, 1e-300))[:, None] for x in (p, 1 - p))  # finite also at p = 0 and 1
    change = np.exp(log_choose + count * log_p + (grown - count) * log_not_p) * (count / grown - step) * moved
    start = at_least(critical[:, 0], total[:, 0], p)
    tails: Floats = np.maximum(np.cumsum(np.column_stack((start, change)), axis=1), 0.0)
    return tails


@lru_cache(maxsize=8)
def log_factorial(n: int) -> Floats:
    """log 0! to log n!."""
    logs: Floats = gammaln(np.arange(n + 1) + 1.0)
    return logs


# --- M: the worst case over the discordance -----------------------------------------------------------------


def worst_case(critical: Counts, margin: float) -> tuple[float, float]:
    """The largest probability of a region under Δ = margin, and the discordance in [|margin|, 1] where it occurs."""
    coefficients = bernstein_coefficients(critical, margin)
    grid, basis = _bernstein_grid(len(critical) - 1)
    values = basis @ coefficients
    best, where = float(values.max()), float(grid[int(values.argmax())])
    if best < _TINY:  # below double precision; the bound is not 0, and needs no search
        return _TINY, abs(margin) + (1 - abs(margin)) * where
    # The polynomial never exceeds its largest coefficient: what comes as near as rounding is the maximum.
    if best < coefficients.max() * (1 - 1e-12):
        best, where = _refined(coefficients, values, best, where)
    return min(best, 1.0), abs(margin) + (1 - abs(margin)) * where


def _refined(coefficients: Floats, values: Floats, best: float, where: float) -> tuple[float, float]:
    """The maximum of a polynomial, and where, from its values on the grid."""
    n_pairs = len(coefficients) - 1
    grid = _bernstein_grid(n_pairs)[0]
    # A peak between grid points exceeds its neighbours by 1.5 % at most (they lie a third of a binomial sd apart).
    padded = np.concatenate(([-1.0], values, [-1.0]))
    excess = 0.02
    peaks = np.flatnonzero((values >= padded[:-2]) & (values >= padded[2:]) & (values >= (1 - excess) * best))
    low, high = grid[np.maximum(peaks - 1, 0)], grid[np.minimum(peaks + 1, len(grid) - 1)]
    for _ in range(8):  # each round narrows every bracket to a third, and what a peak may hide to a ninth
        points = low[:, None] + (high - low)[:, None] * _SEVENTHS
        at = (_bernstein_basis(points.ravel(), n_pairs) @ coefficients).reshape(points.shape)
        if at.max() > best:
            best, where = float(at.max()), float(points.ravel()[at.argmax()])
        excess /= 9
        kept = np.flatnonzero(at.max(axis=1) >= (1 - excess) * at.max())
        top = at[kept].argmax(axis=1)
        low, high = points[kept, np.maximum(top - 1, 0)], points[kept, np.minimum(top + 1, 6)]
    return best, where


def bernstein_coefficients(critical: Counts, margin: float) -> Floats:
    """The probability of a region under Δ = margin as a Bernstein polynomial on ψ in [|margin|, 1].

    With u = (ψ − |margin|)/(1 − |margin|), a pair is with probability u "open" (discordant, recovered with probability
    (1 + margin)/2) and else "closed" (discordant with probability |margin|, in the margin's direction). Hence the
    probability is Σ_k Bin(k; N, u)·β_k, where β_k is that of the region given k open pairs: sums of positive terms, and
    the largest coefficient bounds the polynomial.
    """
    n_pairs = len(critical) - 1
    size = abs(margin)
    opened = np.arange(n_pairs + 1)[:, None]
    # Closed pairs that are discordant: beyond 9 sd their probability is below 1e-17.
    most = min(n_pairs, math.ceil(n_pairs * size + 9 * math.sqrt(n_pairs * size * (1 - size)) + 9)) if margin else 0
    shifted = np.arange(most + 1)[None, :]
    counts, trials = np.broadcast_arrays(shifted, n_pairs - opened)
    mass = binomial(counts, trials, size)
    chance = (1 + margin) / 2
    # Of small probabilities a sum of differences would lose the digits.
    is_large = critical[-1] < n_pairs * chance + _LARGE * math.sqrt(n_pairs * chance * (1 - chance))
    if margin and is_large and ((np.diff(critical) == 0) | (np.diff(critical) == 1)).all():
        summed: Floats = np.sum(mass * _tails_given_closed(critical, most, margin), axis=1)
        if summed.max() > _LEAST_SMOOTH:
            return summed
    row, closed = np.nonzero(mass > 1e-20)
    needed = critical[row + closed] - (closed if margin > 0 else 0)
    weighted = mass[row, closed] * at_least(needed, row, chance)
    return np.bincount(row, weights=weighted, minlength=n_pairs + 1).astype(np.float64)


def _tails_given_closed(critical: Counts, most: int, margin: float) -> Floats:
    """(open pairs, closed pairs that are discordant): the probability of a region whose critical counts grow by 0 or 1.

    Closed pairs to `most`; where more pairs are open and closed than there are, it means nothing.
    """
    n_pairs = len(critical) - 1
    total = np.arange(n_pairs + 1)[None, :]
    closed = np.arange(most + 1)[:, None]
    needed = critical[np.minimum(total + closed, n_pairs)] - (closed if margin > 0 else 0)
    inside = np.minimum(np.maximum(needed, 0), total + 1)
    return _tails_along(inside, np.broadcast_to(total, inside.shape), np.full(most + 1, (1 + margin) / 2)).T


@lru_cache(maxsize=8)
def _bernstein_grid(n_pairs: int) -> tuple[Floats, Floats]:
    """Points u in [0, 1] and the Bernstein basis there, evenly spaced where the binomial has constant spread."""
    points = np.sin(np.linspace(0, np.pi / 2, 24 + math.ceil(9 * math.sqrt(n_pairs)))) ** 2
    return points, _bernstein_basis(points, n_pairs)


def _bernstein_basis(points: Floats, n_pairs: int) -> Floats:
    count = np.arange(n_pairs + 1)
    factorial = log_factorial(n_pairs)
    log_choose = factorial[n_pairs] - factorial - factorial[::-1]
    basis: Floats = np.exp(log_choose + xlogy(count, points[:, None]) + xlog1py(n_pairs - count, -points[:, None]))
    return basis
