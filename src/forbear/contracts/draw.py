"""Randomness that depends on where it is used and on nothing else (METHODS: coupled pairs).

A `Draw` is a hash of (task, seed, role, step index, attempt). Two arms that face the same choice at the same step draw
alike, whatever happened in between, and no order of tasks or workers changes a number.

How it was made and checked: blake2b keys the draw and fingerprints each candidate; two rounds of the finaliser of
splitmix64 (Steele, Lea & Flood 2014, OOPSLA) mix them, vectorised over candidates; 52 bits become a uniform. Logarithms
are computed here from IEEE additions, products and quotients alone, because those of numpy and of C libraries differ in
the last bits from one platform to the next. tests/contracts/test_draw.py holds the tests of uniformity, of independence
between tasks, seeds, roles, steps, attempts and candidates, of Gumbel choice against softmax, and frozen values.
"""

import functools
import hashlib
import struct
from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import ArrayLike, NDArray

from forbear.errors import InvalidInput

_MULTIPLIER_1, _MULTIPLIER_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_SHIFT_30, _SHIFT_27, _SHIFT_31, _SHIFT_12 = (np.uint64(n) for n in (30, 27, 31, 12))
_LN_2 = 0.6931471805599453
_SQRT_HALF = 0.7071067811865476


class Draw(Struct, frozen=True, kw_only=True, gc=False):
    """The randomness of one use: an agent's proposal, an environment's step, a critic's score."""

    task_id: str
    seed: int
    role: str
    """Who draws: "agent", "environment", or "critic:" and its name."""
    step_index: int = 0
    attempt: int = 0
    """How often this episode has already drawn in this role at this index."""

    def sample(self, number: int) -> "Draw":
        """Returns the draw of one of several uses at the same place; each number, from 0 on, has its own."""
        return replace(self, role=f"{self.role}#{number}")

    def digest(self) -> bytes:
        """Returns 16 bytes that name this draw, e.g. for a provider's idempotency key."""
        parts = (self.task_id, str(self.seed), self.role, str(self.step_index), str(self.attempt))
        encoded = [part.encode("utf-8", "surrogatepass") for part in parts]
        # Lengths first, so that no two different tuples give the same bytes.
        message = struct.pack("<5I", *map(len, encoded)) + b"".join(encoded)
        return hashlib.blake2b(message, digest_size=16, person=b"forbear-draw-1").digest()

    def integer(self) -> int:
        """Returns a whole number in [0, 2**63), e.g. for a provider's `seed`."""
        return int.from_bytes(self.digest()[:8], "little") >> 1

    def uniform(self) -> float:
        """Returns one number in (0, 1): `uniforms(1)[0]`."""
        first, second = struct.unpack("<2Q", self.digest())
        return ((_mix_one(_mix_one(first) ^ second) >> 12) + 0.5) * 2.0**-52

    def uniforms(self, count: int) -> NDArray[np.float64]:
        """Returns `count` independent numbers in (0, 1), shape (count,); a longer list starts with a shorter one."""
        return self._noise(np.arange(count, dtype=np.uint64))

    def gumbel(self, keys: Sequence[str]) -> NDArray[np.float64]:
        """Returns standard Gumbel noise for each candidate, shape (len(keys),).

        Args:
            keys: Names of the candidates, e.g. the texts of actions. A candidate's noise does not depend on its
                position or on the others; equal names have equal noise.
        """
        uniform = self._noise(np.fromiter(map(_fingerprint, keys), dtype=np.uint64, count=len(keys)))
        return -_log(-_log(uniform))

    def gumbel_choice(self, scores: ArrayLike, *, keys: Sequence[str]) -> int:
        """Chooses a candidate with probability softmax(scores), so that small changes of scores seldom change it.

        Args:
            scores: One number for each candidate, divided by the temperature; −inf is never chosen.
            keys: Names of the candidates, as for `gumbel`.

        Returns:
            Index of the chosen candidate; the first of those with equal names and scores.

        Raises:
            InvalidInput: No candidate, lengths that differ, a score that is NaN or +inf, or only −inf.
        """
        values = np.asarray(scores, dtype=np.float64)
        if values.shape != (len(keys),) or not len(keys):
            raise InvalidInput(
                f"expected one score for each of at least one candidate, got {values.shape} scores for {len(keys)}."
            )
        best = values.max()
        if not -np.inf < best < np.inf:
            raise InvalidInput("scores must be numbers below infinity, not NaN, and not all −inf.")
        return int(np.argmax(values + self.gumbel(keys)))

    def _noise(self, items: NDArray[np.uint64]) -> NDArray[np.float64]:
        first, second = struct.unpack("<2Q", self.digest())
        mixed = _mix(_mix(items ^ np.uint64(first)) ^ np.uint64(second))
        # 52 bits and a half: never 0 or 1, and exact in a double.
        noise: NDArray[np.float64] = ((mixed >> _SHIFT_12).astype(np.float64) + 0.5) * 2.0**-52
        return noise


def derived_seed(seed: int, *, purpose: str) -> int:
    """Returns a seed in [0, 2**63) that is independent of `seed` for all practical purposes.

    Args:
        seed: Any whole number.
        purpose: What it is for, e.g. "rerun"; other purposes give other seeds.
    """
    return Draw(task_id="", seed=seed, role=f"seed:{purpose}").integer()


@functools.lru_cache(maxsize=65536)
def _fingerprint(key: str) -> int:
    digest = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8, person=b"forbear-key-1").digest()
    return int.from_bytes(digest, "little")


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    x = (x ^ (x >> _SHIFT_30)) * _MULTIPLIER_1
    x = (x ^ (x >> _SHIFT_27)) * _MULTIPLIER_2
    return x ^ (x >> _SHIFT_31)


def _mix_one(x: int) -> int:
    # `_mix` for one number: arrays of one cost ten times as much.
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return x ^ (x >> 31)


def _log(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Natural logarithm of positive numbers, the same bits everywhere, within 1e-15 relative of the true value.

    x = m·2**e with m in [√½, √2); ln m = 2·artanh(s), s = (m − 1)/(m + 1), by its series: |s| ≤ 0.172, so that the
    term after s**19 is below 2e-17.
    """
    mantissa, exponent = np.frexp(x)
    low = mantissa < _SQRT_HALF
    mantissa = np.where(low, mantissa + mantissa, mantissa)
    exponent = exponent - low
    s = (mantissa - 1.0) / (mantissa + 1.0)
    square = s * s
    series = np.full_like(s, 1.0 / 19.0)
    for odd in (17, 15, 13, 11, 9, 7, 5, 3):
        series = series * square + 1.0 / odd
    result: NDArray[np.float64] = exponent * _LN_2 + 2.0 * (s + s * square * series)
    return result
