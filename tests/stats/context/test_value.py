import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from forbear import InvalidInput
from forbear.stats.context.prior import PUBLISHED, Prior
from forbear.stats.context.value import Costs, value_of

FLAT = Prior(recovered=1.0, disrupted=1.0, alike=1.0, source="flat")


def drawn(counts, prior, costs, rng, draws=400_000):
    """Truths from the posterior, and their net gains."""
    c, b, n = counts
    shares = rng.dirichlet((prior.recovered + c, prior.disrupted + b, prior.alike + n - c - b), size=draws)
    return shares, shares[:, 0] - (1 + costs.harm) * shares[:, 1] - costs.intervening


@pytest.mark.slow
@pytest.mark.parametrize("counts", [(0, 0, 0), (7, 11, 100), (9, 3, 50), (4, 0, 20)])
@pytest.mark.parametrize("costs", [Costs(), Costs(intervening=0.02), Costs(intervening=0.01, harm=1.5)])
def test_expectation_and_loss_agree_with_draws_from_the_posterior(counts, costs):
    found = value_of(recovered=counts[0], disrupted=counts[1], pairs=counts[2], costs=costs, next_tasks=())
    shares, net = drawn(counts, PUBLISHED, costs, np.random.default_rng(1))
    error = 4 / np.sqrt(len(net))
    assert found.gain == pytest.approx((shares[:, 0] - shares[:, 1]).mean(), abs=error * 0.2)
    assert found.net == pytest.approx(net.mean(), abs=error * net.std())
    assert found.loss_probability == pytest.approx((net < 0).mean(), abs=error * 0.5)
    assert found.perfect == pytest.approx(np.maximum(net, 0).mean() - max(found.net, 0), abs=error * net.std())


@pytest.mark.slow
@pytest.mark.parametrize("costs", [Costs(), Costs(intervening=0.02, harm=0.5)])
def test_loss_agrees_with_adaptive_quadrature_over_both_shares(costs):
    found = value_of(recovered=6, disrupted=5, pairs=40, prior=FLAT, costs=costs, next_tasks=())
    dirichlet = stats.dirichlet((7, 6, 30))

    def density(down, up):
        return dirichlet.pdf([up, down, max(1 - up - down, 0.0)])

    def lost(up):
        # Net below 0 is a disrupted share above (up − cost)/(1 + harm).
        return integrate.quad(density, max((up - costs.intervening) / (1 + costs.harm), 0.0), 1 - up, args=(up,))[0]

    kinks = [costs.intervening, (1 + costs.harm + costs.intervening) / (2 + costs.harm)]
    lower, upper = (
        (integrate.quad(lost, *ends)[0] for ends in ((0, kinks[0]), (kinks[0], kinks[1])))
        if kinks[0]
        else (
            0.0,
            integrate.quad(lost, 0, kinks[1])[0],
        )
    )
    beyond = 0.0  # above the second kink no disrupted share is large enough
    assert found.loss_probability == pytest.approx(lower + upper + beyond, abs=1e-6)


@pytest.mark.slow
def test_a_new_pilot_is_worth_what_simulated_choices_gain_by_it():
    costs, counts, tasks = Costs(intervening=0.02), (6, 5, 50), 60
    found = value_of(recovered=6, disrupted=5, pairs=50, costs=costs, next_tasks=(tasks,))
    rng = np.random.default_rng(2)
    shares, net = drawn(counts, PUBLISHED, costs, rng, draws=300_000)
    new = rng.multinomial(tasks, shares)
    total = PUBLISHED.recovered + PUBLISHED.disrupted + PUBLISHED.alike + 50 + tasks
    then = (PUBLISHED.recovered + 6 + new[:, 0] - PUBLISHED.disrupted - 5 - new[:, 1]) / total - costs.intervening
    # Chosen by what the new pilot says, paid by the truth.
    gained = np.where(then > 0, net, 0.0) - (net if found.net > 0 else 0.0)
    assert found.information[0] == pytest.approx(gained.mean(), abs=4 * gained.std() / np.sqrt(len(gained)))
    assert found.information[0] > 5 * gained.std() / np.sqrt(len(gained)), "a worth that simulation can see"


@given(
    st.integers(0, 30), st.integers(0, 30), st.integers(0, 80), st.floats(0.0, 0.1), st.sampled_from([0.0, 0.5, 2.0])
)
def test_more_tasks_are_worth_more_and_the_truth_most(recovered, disrupted, alike, intervening, harm):
    costs = Costs(intervening=intervening, harm=harm)
    pairs = recovered + disrupted + alike
    found = value_of(
        recovered=recovered, disrupted=disrupted, pairs=pairs, prior=FLAT, costs=costs, next_tasks=(5, 10, 20)
    )
    worth = (0.0, *found.information, found.perfect)
    assert all(earlier <= later + 1e-9 for earlier, later in itertools.pairwise(worth))
    assert 0 <= found.loss_probability <= 1
    dearer = value_of(
        recovered=recovered,
        disrupted=disrupted,
        pairs=pairs,
        prior=FLAT,
        costs=Costs(intervening=intervening + 0.05, harm=harm),
        next_tasks=(),
    )
    assert dearer.net < found.net
    assert dearer.loss_probability >= found.loss_probability - 1e-9


def test_without_costs_a_loss_is_more_disrupted_than_recovered():
    # ψ does not matter then: P(s < ½) for s ~ Beta(up, down).
    found = value_of(recovered=7, disrupted=11, pairs=100, prior=FLAT, next_tasks=())
    assert found.loss_probability == pytest.approx(stats.beta.cdf(0.5, 8, 12), abs=1e-9)


def test_much_data_leaves_nothing_to_learn():
    found = value_of(recovered=3000, disrupted=500, pairs=10_000, next_tasks=(50,))
    assert found.gain == pytest.approx(0.25, abs=1e-3)
    assert found.loss_probability < 1e-9
    assert found.information == pytest.approx((0.0,), abs=1e-9)
    assert found.perfect == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: value_of(recovered=3, disrupted=3, pairs=5), "recovered \\+ disrupted <= pairs"),
        (lambda: value_of(recovered=-1, disrupted=3, pairs=5), "recovered \\+ disrupted <= pairs"),
        (lambda: value_of(recovered=1, disrupted=3, pairs=5, next_tasks=(0,)), "1 to 1,000 tasks"),
        (lambda: Costs(intervening=1.0), "fractions of a success"),
        (lambda: Costs(harm=-0.1), "fractions of a success"),
        (lambda: Prior(recovered=0, disrupted=1, alike=1, source="mine"), "recovered tasks must be"),
        (lambda: Prior(recovered=1, disrupted=float("nan"), alike=1, source="mine"), "disrupted tasks must be"),
    ],
)
def test_unusable_arguments(call, message):
    with pytest.raises(InvalidInput, match=message):
        call()
