"""What generators of tasks draw by: whole numbers from a hash, the same on every platform."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import TypeVar

_T = TypeVar("_T")


class Dice:
    """A stream of numbers that depends on its name alone."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._numbers: list[int] = []
        self._block = 0

    def below(self, limit: int) -> int:
        """A number in [0, limit); limit is far below 2**32, so that the remainder is as good as uniform."""
        if not self._numbers:
            digest = hashlib.blake2b(f"{self._name}/{self._block}".encode()).digest()
            self._numbers = [int.from_bytes(digest[i : i + 8], "little") for i in range(0, 64, 8)]
            self._block += 1
        return self._numbers.pop() % limit

    def pick(self, items: Sequence[_T]) -> _T:
        """One of them, each as likely."""
        return items[self.below(len(items))]

    def several(self, items: Sequence[_T], count: int) -> list[_T]:
        """So many different ones, in a random order; all where there are no more."""
        rest = list(items)
        return [rest.pop(self.below(len(rest))) for _ in range(min(count, len(rest)))]

    def weighted(self, weights: Mapping[str, int]) -> str:
        """One of them, as likely as its weight, which is whole and positive, says."""
        rest = self.below(sum(weights.values()))
        for item, weight in weights.items():
            rest -= weight
            if rest < 0:
                return item
        raise AssertionError("weights are whole and positive")
