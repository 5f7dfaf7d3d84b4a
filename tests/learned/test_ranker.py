import math
from collections import Counter
from typing import NamedTuple

import numpy as np
import pytest

from forbear.learned.hashing import bucket
from forbear.learned.ranker import BUCKETS, Choices, RankerWeights, scorer


class Fruit(NamedTuple):
    name: str

    def names(self):
        return [self.name]


def fitted(taken, *, l2=1e-9):
    """Choices between an apple and a pear, `taken` of each."""
    choices = Choices()
    for name, count in taken.items():
        for _ in range(count):
            choices.add([Fruit("apple"), Fruit("pear")], taken=["apple", "pear"].index(name))
    return choices.fit(l2=l2, iterations=200)


def test_the_scores_of_a_saturated_fit_are_the_log_odds_of_what_was_taken():
    table = fitted({"apple": 30, "pear": 10})
    _, score = scorer(RankerWeights(table=table))
    # Half precision keeps three digits.
    assert score(Fruit("apple")) - score(Fruit("pear")) == pytest.approx(math.log(3), abs=2e-3)


def test_at_the_optimum_the_penalised_gradient_is_nothing():
    """Σ(taken − probability)·feature = l2·w, here by enumeration of both candidates."""
    l2, counts = 2.0, Counter(apple=17, pear=4)
    table = fitted(counts, l2=l2)
    w = {name: table[bucket(name) % BUCKETS] for name in counts}
    total = sum(math.exp(value) for value in w.values())
    for name, value in w.items():
        assert counts[name] - 21 * math.exp(value) / total == pytest.approx(l2 * value, abs=0.01)


def test_what_was_never_there_has_no_weight():
    assert np.count_nonzero(fitted({"apple": 3, "pear": 1})) == 2
