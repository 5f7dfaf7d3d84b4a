import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from forbear.contracts.draw import Draw, _log, derived_seed
from forbear.errors import InvalidInput

BASE = Draw(task_id="t1", seed=42, role="agent", step_index=3, attempt=1)


def test_frozen_values():
    """Written down once; whatever changes them changes every pilot that was ever run. Integers, uniforms and noise are
    made of integer operations and of IEEE +, −, ×, ÷ alone, so they are the same bits on every platform."""
    assert BASE.digest().hex() == "bc490ecda6329245f1cd983fe9200805"
    assert BASE.integer() == 2506562513601504478
    assert [x.hex() for x in BASE.uniforms(2).tolist()] == ["0x1.fda06814b46f3p-1", "0x1.645d443dd98d5p-1"]
    assert [x.hex() for x in BASE.gumbel(["go north", "☃"]).tolist()] == [
        "-0x1.d8f5d573803bcp-2",
        "0x1.17818dc6b2e9cp-1",
    ]
    assert derived_seed(42, purpose="rerun") == 1450069558655227552


def test_every_part_of_the_key_matters():
    others = [
        Draw(task_id="t2", seed=42, role="agent", step_index=3, attempt=1),
        Draw(task_id="t1", seed=43, role="agent", step_index=3, attempt=1),
        Draw(task_id="t1", seed=42, role="environment", step_index=3, attempt=1),
        Draw(task_id="t1", seed=42, role="agent", step_index=4, attempt=1),
        Draw(task_id="t1", seed=42, role="agent", step_index=3, attempt=2),
        # Without lengths in the hash these would be the same bytes.
        Draw(task_id="t", seed=142, role="agent", step_index=3, attempt=1),
        Draw(task_id="t1", seed=42, role="agent3", step_index=1, attempt=1),
    ]
    assert len({draw.digest() for draw in [BASE, *others]}) == len(others) + 1


def test_derived_seeds_differ():
    seeds = {derived_seed(seed, purpose=purpose) for seed in range(1000) for purpose in ("rerun", "placebo")}
    assert len(seeds) == 2000
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_uniforms_are_uniform_and_strictly_inside():
    u = BASE.uniforms(200_000)
    assert u.min() > 0
    assert u.max() < 1
    assert stats.kstest(u, "uniform").pvalue > 0.001
    bits = (u * 2**52).astype(np.uint64)
    for bit in range(52):
        ones = int(((bits >> np.uint64(bit)) & np.uint64(1)).sum())
        assert stats.binomtest(ones, len(u)).pvalue > 1e-6
    assert abs(np.corrcoef(u[:-1], u[1:])[0, 1]) < 4 / math.sqrt(len(u))
    assert np.array_equal(BASE.uniforms(10), u[:10])


def test_one_uniform_is_the_first_of_many():
    draws = [Draw(task_id="t", seed=n, role="agent") for n in range(500)]
    assert [draw.uniform() for draw in draws] == [draw.uniforms(2)[0] for draw in draws]


@pytest.mark.slow
@pytest.mark.parametrize("moved", ["task_id", "seed", "role", "step_index", "attempt"])
def test_neighbouring_draws_are_independent(moved):
    """One candidate's noise along one part of the key: uniform, and not correlated at lags 1 and 2."""
    keys = {"task_id": "t1", "seed": 42, "role": "agent", "step_index": 3, "attempt": 1}
    values = []
    for number in range(8_000):
        keys[moved] = f"{moved}{number}" if moved in ("task_id", "role") else number
        values.append(Draw(**keys).uniform())
    u = np.array(values)
    assert stats.kstest(u, "uniform").pvalue > 0.001
    for lag in (1, 2):
        assert abs(np.corrcoef(u[:-lag], u[lag:])[0, 1]) < 4 / math.sqrt(len(u))
    pairs = np.histogram2d(u[:-1], u[1:], bins=8)[0]
    assert stats.chisquare(pairs.ravel()).pvalue > 0.001


def test_candidates_are_independent_within_and_between_draws():
    keys = [f"go to shelf {n}" for n in range(200)]
    noise = np.array([Draw(task_id="t", seed=0, role="agent", step_index=k).gumbel(keys) for k in range(500)])
    assert stats.kstest(noise.ravel()[::7], "gumbel_r").pvalue > 0.001
    correlation = np.corrcoef(noise, rowvar=False)[np.triu_indices(200, 1)]
    assert np.abs(correlation).max() < 6 / math.sqrt(500)
    assert abs(correlation.mean()) < 4 / math.sqrt(500 * correlation.size)


def test_a_candidates_noise_depends_on_its_name_alone():
    alone = dict(zip("abc", BASE.gumbel(list("abc")), strict=True))
    for order in itertools.permutations("abcx"):
        noise = dict(zip(order, BASE.gumbel(order), strict=True))
        assert all(noise[key] == alone[key] for key in "abc")


@pytest.mark.slow
def test_choices_follow_softmax():
    scores = np.array([0.0, 1.0, -1.0, 2.0])
    chosen = [
        Draw(task_id=f"t{task}", seed=1, role="agent", step_index=step).gumbel_choice(scores, keys=list("abcd"))
        for task in range(1000)
        for step in range(10)
    ]
    expected = np.exp(scores) / np.exp(scores).sum() * len(chosen)
    assert stats.chisquare(np.bincount(chosen, minlength=4), expected).pvalue > 0.001


@pytest.mark.slow
def test_small_changes_of_scores_seldom_change_the_choice():
    """A score raised by 0.05 changes 1 % of the choices; choosing afresh would change 75 %."""
    scores = np.zeros(4)
    nudged = scores + np.array([0.05, 0, 0, 0])
    keys = list("abcd")
    draws = [Draw(task_id=f"t{n}", seed=1, role="agent") for n in range(4000)]
    changed = sum(d.gumbel_choice(scores, keys=keys) != d.gumbel_choice(nudged, keys=keys) for d in draws)
    # Under common noise the raised candidate can only win, so what changes is exactly its gain in probability.
    expected = math.exp(0.05) / (math.exp(0.05) + 3) - 0.25
    assert stats.binomtest(changed, len(draws), expected).pvalue > 0.001


def test_what_is_impossible_is_never_chosen():
    for n in range(200):
        draw = Draw(task_id=f"t{n}", seed=1, role="agent")
        assert draw.gumbel_choice([-math.inf, 0.0, -math.inf], keys=list("abc")) == 1


@pytest.mark.parametrize(
    ("scores", "keys"),
    [
        ([], []),
        ([1.0], ["a", "b"]),
        ([[1.0]], ["a"]),
        ([math.nan, 0], ["a", "b"]),
        ([math.inf], ["a"]),
        ([-math.inf], ["a"]),
    ],
)
def test_scores_that_are_none_are_refused(scores, keys):
    with pytest.raises(InvalidInput, match="scores"):
        BASE.gumbel_choice(scores, keys=keys)


@given(st.floats(min_value=5e-324, max_value=1e300))
def test_the_logarithm_is_the_logarithm(x):
    assert float(_log(np.array([x]))[0]) == pytest.approx(math.log(x), rel=1e-14, abs=1e-16)


def test_surrogates_from_broken_texts_are_keys_too():
    assert BASE.gumbel(["\ud800", "\ud801"]).tolist() == BASE.gumbel(["\ud800", "\ud801"]).tolist()
    assert len(set(BASE.gumbel(["\ud800", "\ud801"]).tolist())) == 2
