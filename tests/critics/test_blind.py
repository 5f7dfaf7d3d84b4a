from dataclasses import replace

import numpy as np
import pytest

from critics.test_heuristic import Contract, p_fail, seen
from forbear.contracts.draw import Draw
from forbear.critics.blind import BlindCritic, blind_arm
from forbear.errors import InvalidInput
from forbear.interventions import Append, Placebo
from forbear.policy.arm import Arm
from forbear.policy.policy import InterventionPolicy

LIKE = Arm("append", InterventionPolicy(critic=BlindCritic(rates=[1]), intervention=Append(), threshold=0.5, budget=2))


class TestBlindCritic(Contract):
    def make(self):
        return BlindCritic(rates=[0.5, 0.2])

    def variants(self):
        return [BlindCritic(rates=[0.5]), BlindCritic(rates=[0.5, 0.2], says=0.8)]

    def test_it_fires_at_the_rate_of_the_step_whatever_the_run(self):
        rates = [0.1, 0.9, 0.4]
        critic, draws = BlindCritic(rates=rates, says=0.8), 4000
        for step in range(5):
            said = np.array(
                [
                    p_fail(critic, seen(*"x" * step), draw=Draw(task_id=f"t{n}", seed=1, role="critic"))
                    for n in range(draws)
                ]
            )
            assert set(np.unique(said)) == {0.0, 0.8}
            rate = rates[min(step, 2)]
            assert np.mean(said > 0) == pytest.approx(rate, abs=4 * np.sqrt(rate * (1 - rate) / draws))

    def test_what_was_seen_and_proposed_changes_nothing(self):
        critic = BlindCritic(rates=[0.5])
        one, other = seen("a", observation="error"), seen("b", observation="fine")
        for n in range(50):
            draw = Draw(task_id="t", seed=n, role="critic")
            assert p_fail(critic, one, "x", draw=draw) == p_fail(critic, other, "y", draw=draw)

    @pytest.mark.parametrize("rates", [[], "0.1", None, [1.1], [-0.1], [True], [0.1, "x"], [float("nan")]])
    def test_rates_are_shares(self, rates):
        with pytest.raises(InvalidInput, match=r"rates must be a list of numbers in \[0, 1\], one for each step"):
            BlindCritic(rates=rates)

    def test_what_it_says_is_a_probability(self):
        with pytest.raises(InvalidInput, match="says must be"):
            BlindCritic(rates=[0.1], says=2)


def test_a_blind_arm_differs_in_the_critic_alone_and_is_a_control():
    made = blind_arm(LIKE, rates=[0.2, 0.1])
    assert (made.name, made.blind_of, made.is_control, made.is_baseline) == ("blind", "append", True, False)
    before, after = dict(LIKE.policy.config()), dict(made.policy.config())
    assert before.pop("critic") != after.pop("critic")
    assert before == after
    assert made.policy.critic.says == 0.75  # above the threshold: where it fires, the policy acts
    banded = replace(LIKE, policy=replace(LIKE.policy, up_to=0.6))
    assert blind_arm(banded, rates=[0.2]).policy.critic.says == pytest.approx(0.55)  # and below the end of a band


@pytest.mark.parametrize(
    "like",
    [
        Arm.baseline(),
        Arm.rerun(),
        Arm("placebo", InterventionPolicy(critic=BlindCritic(rates=[1]), intervention=Placebo())),
        blind_arm(LIKE, rates=[0.5]),
    ],
    ids=lambda arm: arm.name,
)
def test_there_is_nothing_to_be_blind_to_in_a_control(like):
    with pytest.raises(InvalidInput, match="has no critic to be blind to"):
        blind_arm(like, rates=[0.1])
