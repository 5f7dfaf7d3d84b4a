import itertools

import pytest

from forbear.stats.looks.crossing import Crossing

STEP = 1e-3


@pytest.mark.slow
@pytest.mark.parametrize(("margin", "shift"), [(-0.1, 0.0), (0.0, 0.03), (0.05, 0.0)])
@pytest.mark.parametrize(
    ("tasks", "factors"),
    [((3,), (1.0,)), ((4, 5), (1.0, 1.0)), ((7, 13, 24), (1.85, 1.36, 1.0))],
)
def test_the_least_constant_keeps_alpha_and_one_step_less_does_not(tasks, factors, margin, shift):
    # Wherever the search begins; few tables make steps of the probability in which it could be caught.
    crossing = Crossing(tasks, factors, margin=margin, fewest=(4 if margin >= 0 else 0,) * len(tasks))
    for alpha, start in itertools.product((1e-4, 0.05, 0.45), (0.0, 1.7, 4.0)):
        least = crossing.least(alpha, start=start, step=STEP, shift=shift)
        assert crossing.probability(least * STEP - shift) <= alpha
        assert least == 0 or crossing.probability((least - 1) * STEP - shift) > alpha


def test_a_look_that_asks_more_rejects_less():
    crossing = Crossing((20, 40), (1.4, 1.0), margin=0.0, fewest=(4, 4))
    probabilities = [crossing.probability(constant / 10) for constant in range(-10, 70)]
    assert all(more >= less for more, less in itertools.pairwise(probabilities))
    assert probabilities[0] > 0.5
    assert probabilities[-1] == 0.0
