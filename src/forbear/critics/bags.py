"""Texts as hashed bags of words and pairs of words: (1 + log tf)·idf, each bag of unit length."""

import re
from collections import Counter
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from forbear.critics.behaviour import clipped
from forbear.learned.hashing import bucket
from forbear.records.model import Action, Trajectory

BAGS = ("task", "proposal", "answer")
"""What was seen first, what is proposed, and what was seen last; the last is empty at the first step."""

_TOKEN = re.compile(r"\w+|[^\w\s]")

Bag = tuple[NDArray[np.int64], NDArray[np.float64]]
"""Of each word and pair its bucket, and 1 + log of how often it occurs; two may share a bucket."""


def texts_of(trajectory: Trajectory, proposed: Action) -> tuple[str, str, str]:
    """The texts of the three bags, in order."""
    steps = trajectory.steps
    return steps[0].observation if steps else "", proposed.text, steps[-1].observation if len(steps) > 1 else ""


def bag_of(text: str, *, buckets: int) -> Bag:
    """Hashes a text's words, marks and pairs of neighbours, in lower case.

    Args:
        text: Read as far as `behaviour.TEXT_LIMIT` says; an empty one has an empty bag.
        buckets: A power of two.
    """
    return _bag(clipped(text), buckets)


@lru_cache(maxsize=256)
def _bag(text: str, buckets: int) -> Bag:
    tokens = _TOKEN.findall(text.lower())
    counts: Counter[str] = Counter(tokens)
    counts.update(map(" ".join, pairwise(tokens)))
    found = np.fromiter(map(_bucket, counts), dtype=np.int64, count=len(counts)) & (buckets - 1)
    values = 1.0 + np.log(np.fromiter(counts.values(), dtype=np.float64, count=len(counts)))
    found.setflags(write=False)
    values.setflags(write=False)
    return found, values


_bucket = lru_cache(maxsize=1 << 16)(bucket)
