import asyncio
import math

import pytest

from forbear.contracts.draw import Draw
from forbear.critics.tokens import TokenProbability
from forbear.errors import InvalidInput
from forbear.records.model import Action, Step, Task, Trajectory
from forbear.testing import CriticContract

SEEN = Trajectory(task=Task(id="t"), steps=(Step(index=0, observation=""),))


def score(logprobs):
    proposed = Action("x", logprobs=logprobs)
    return asyncio.run(TokenProbability().score(SEEN, proposed, draw=Draw(task_id="t", seed=1, role="c"))).p_fail


class TestTheContract(CriticContract):
    def make(self):
        return TokenProbability()

    def proposals(self):
        return [(SEEN, Action("x", logprobs=logprobs)) for logprobs in ([-0.1], [-0.5, -2.0])]


@pytest.mark.parametrize(
    ("probabilities", "p_fail"), [([1.0], 0.0), ([0.5], 0.5), ([0.5, 1.0], 0.25), ([1e-300, 0.5, 0.25], 0.75)]
)
def test_p_fail_is_one_minus_the_mean_probability(probabilities, p_fail):
    assert score([math.log(p) for p in probabilities]) == pytest.approx(p_fail)


@pytest.mark.parametrize("logprobs", [None, []])
def test_without_log_probabilities_it_says_how_to_get_them(logprobs):
    with pytest.raises(InvalidInput, match="set logprobs = true for the chat agent"):
        score(logprobs)
