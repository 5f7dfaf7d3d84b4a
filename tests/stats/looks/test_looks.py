import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import reference
import reference_looks as slow
from forbear import InvalidInput, Looks
from forbear.stats import boundary_constant, sequential_pvalue
from forbear.stats.looks.lattice import Tables, walk
from forbear.stats.looks.looks import MOST_EXACT_TASKS, crossing_probability, look_region

SHAPES = ["obrien-fleming", "pocock"]
QUICK = (-0.02, 0.0)
"""What the default rule asks for."""
SHIPPED = [
    pytest.param(tasks, shape, margin, marks=[] if tasks == (50, 100) and margin in QUICK else pytest.mark.slow)
    for tasks, margins in (
        ((50, 100), (-0.05, -0.02, 0.0, 0.02)),
        ((50, 100, 200), (-0.05, -0.02, 0.0, 0.02)),
        (Looks().tasks, (-0.05, -0.02, 0.0, 0.02)),
        (Looks.for_tasks(400).tasks, QUICK),  # each takes seconds
    )
    for shape in SHAPES
    for margin in margins
]


def size_polynomial(looks, constant, margin):
    """Rejection probability over the discordance, counted anew."""
    stops = slow.looks_at(looks.tasks, constant, margin, looks.shape)
    return slow.bernstein(looks.planned, stops, "crossed", margin)


# --- The constants ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tasks", "shape", "published"),
    [
        # METHODS 5: exact constants at .05.
        ((50, 100), "obrien-fleming", 1.709),
        pytest.param((50, 100, 150, 200), "obrien-fleming", 1.741, marks=pytest.mark.slow),
    ],
)
def test_constants_are_found_again(tasks, shape, published):
    found = slow.smallest_constant(tasks, 0.05, shape=shape)
    assert found == pytest.approx(published, abs=5e-4)
    assert boundary_constant(Looks(tasks=tasks, shape=shape), alpha=0.05) == pytest.approx(found, abs=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "alpha", "gaussian"),
    [
        # Jennison & Turnbull (2000), Group Sequential Methods, tables 2.1 and 2.3: four looks, two-sided .10 and .05.
        ("obrien-fleming", 0.05, 1.733),
        ("obrien-fleming", 0.025, 2.024),
        ("pocock", 0.05, 2.067),
        ("pocock", 0.025, 2.361),
    ],
)
def test_constants_are_near_those_of_normal_data(shape, alpha, gaussian):
    # Discreteness and the worst discordance cost a little; nothing can be gained beyond the gaps between tables.
    assert boundary_constant(Looks(shape=shape), alpha=alpha) == pytest.approx(gaussian, abs=0.045)


@pytest.mark.slow
@pytest.mark.parametrize("alpha", [0.05, 0.025])
@pytest.mark.parametrize(("tasks", "shape", "margin"), SHIPPED)
def test_false_rejections_stay_below_alpha_at_every_discordance(tasks, shape, margin, alpha):
    looks = Looks(tasks=tasks, shape=shape)
    constant = boundary_constant(looks, alpha=alpha, margin=margin)
    assert reference.bernstein_at_most(size_polynomial(looks, constant, margin), alpha)
    # The smallest such constant: a ten-thousandth less is proven to be too little.
    assert not reference.bernstein_at_most(size_polynomial(looks, constant - 1e-4, margin), alpha)


def test_the_default_looks_keep_alpha_at_every_discordance():
    # The one of the designs above that must never wait for the slow tests.
    assert boundary_constant(Looks(), alpha=0.05) == pytest.approx(1.7412, abs=1e-9)
    assert reference.bernstein_at_most(size_polynomial(Looks(), 1.7412, 0.0), 0.05)
    assert not reference.bernstein_at_most(size_polynomial(Looks(), 1.7411, 0.0), 0.05)


@pytest.mark.slow
@pytest.mark.parametrize(("margin", "alpha"), [(0.0, 0.05), (-0.02, 0.025)])
def test_looks_every_ten_tasks_keep_alpha_at_every_discordance(margin, alpha):
    looks = Looks.every(10, tasks=200)
    constant = boundary_constant(looks, alpha=alpha, margin=margin)
    assert reference.bernstein_at_most(size_polynomial(looks, constant, margin), alpha)
    assert not reference.bernstein_at_most(size_polynomial(looks, constant - 1e-4, margin), alpha)


@pytest.mark.parametrize("margin", [-0.05, 0.0, 0.02])
def test_the_polynomial_is_the_forward_programme(margin):
    looks = Looks(tasks=(20, 40, 60))
    polynomial = size_polynomial(looks, 1.7, margin)
    for psi in (abs(margin), 0.1, 0.35, 1.0):
        found = slow.forward(60, *slow.shares(margin, psi), slow.looks_at(looks.tasks, 1.7, margin))
        u = (psi - abs(margin)) / (1 - abs(margin))
        weights = [math.comb(60, k) * u**k * (1 - u) ** (60 - k) for k in range(61)]
        assert polynomial @ weights == pytest.approx(slow.chance(found, "crossed"), abs=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("margin", [-0.02, 0.0, 0.02])
@pytest.mark.parametrize("constant", [1.2, 1.9, 2.7])
def test_the_crossing_probability_is_the_true_maximum(constant, margin):
    # The p-value of any evidence, not only that of a constant: certified from above, met from below.
    looks = Looks(tasks=(30, 60, 90))
    found = crossing_probability(looks, constant, margin=margin)
    polynomial = size_polynomial(looks, constant, margin)
    assert reference.bernstein_at_most(polynomial, found * (1 + 1e-6))
    assert not reference.bernstein_at_most(polynomial, found * (1 - 1e-6))


def test_four_pairs_must_differ_unless_the_margin_is_a_loss():
    recovered, disrupted = np.indices((51, 51))
    few = recovered + disrupted < 4
    assert not look_region(50, at_least=0.5, margin=0.0)[few].any()
    assert not look_region(50, at_least=0.5, margin=0.02)[few].any()
    assert look_region(50, at_least=0.5, margin=-0.05)[0, 0], "50 equal outcomes speak against a loss of 5 points"


@pytest.mark.parametrize("margin", [-0.05, 0.0, 0.02])
@pytest.mark.parametrize("tasks", [7, 50])
def test_regions_are_those_of_the_defined_statistic(tasks, margin):
    for limit in (-0.5, 1.5, 2.4):
        assert (look_region(tasks, at_least=limit, margin=margin) == slow.crossed(tasks, limit, margin)).all()


# --- Above 400 tasks ----------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("step", [150, 20])
@pytest.mark.parametrize(("margin", "alpha"), [(0.0, 0.05), (0.0, 0.025), (-0.02, 0.025)])
def test_larger_designs_keep_alpha_with_the_constant_of_400_tasks_and_a_little(margin, alpha, step):
    # Without the little, the size at 600 tasks is .0493 for .05, .0265 and .0259 for .025 (looks at every quarter).
    looks = Looks.every(step, tasks=600, first=150 if step == 150 else 60)
    constant = boundary_constant(looks, alpha=alpha, margin=margin)
    if step == 150:
        assert looks == Looks.for_tasks(600)
        assert constant == pytest.approx(boundary_constant(Looks.for_tasks(400), alpha=alpha, margin=margin) + 0.03)
    regions = {
        n: look_region(n, at_least=constant * factor, margin=margin)
        for n, factor in zip(looks.tasks, looks.factors, strict=True)
    }
    crossed = Tables.of(
        (reached, regions[reached.tasks])
        for reached in walk(first=looks.tasks[0], last=looks.planned, stops=regions.get)
        if reached.tasks in regions
    )
    assert 0.85 * alpha <= crossed.worst_case(margin) <= alpha


def test_scaled_looks_may_coincide():
    looks = Looks(tasks=(1, 2, 1_000_000))
    assert 0 < crossing_probability(looks, 1.7) <= 1
    assert looks.planned > MOST_EXACT_TASKS


# --- P-values -----------------------------------------------------------------------------------------------


@given(
    st.lists(st.floats(-6, 8), min_size=1, max_size=2),
    st.sampled_from([0.05, 0.025]),
    st.sampled_from(SHAPES),
    st.sampled_from([-0.02, 0.0]),
)
def test_a_pvalue_is_at_most_alpha_where_a_look_rejects(statistics, alpha, shape, margin):
    looks = Looks(tasks=(20, 40), shape=shape)
    constant = boundary_constant(looks, alpha=alpha, margin=margin)
    pvalue = sequential_pvalue(looks, statistics, margin=margin)
    largest = max(z / factor for z, factor in zip(statistics, looks.factors, strict=False))
    if largest >= constant:
        assert pvalue <= alpha
    if largest < constant - 1e-4:
        assert pvalue > alpha
    assert 0 <= pvalue <= 1


@given(st.lists(st.one_of(st.none(), st.floats(-4, 6)), min_size=1, max_size=3), st.integers(0, 2))
def test_evidence_is_never_lost(statistics, position):
    looks = Looks(tasks=(10, 20, 30))
    pvalue = sequential_pvalue(looks, statistics)
    for stop in range(len(statistics)):
        assert sequential_pvalue(looks, statistics[:stop]) >= pvalue, "a further look cannot weaken what was seen"
    stronger = [z if z is None or i != position else z + 0.5 for i, z in enumerate(statistics)]
    assert sequential_pvalue(looks, stronger) <= pvalue


def test_no_statistic_is_no_evidence():
    assert sequential_pvalue(Looks(), []) == 1.0
    assert sequential_pvalue(Looks(), [None, None]) == 1.0


def test_more_statistics_than_looks_are_refused():
    with pytest.raises(InvalidInput, match="2 looks were declared, got statistics of 3"):
        sequential_pvalue(Looks(tasks=(50, 100)), [1.0, 1.0, 1.0])


# --- Designs ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tasks", "expected"),
    [
        (1, (1,)),
        (50, (50,)),
        (60, (60,)),
        (74, (74,)),
        (75, (50, 75)),
        (100, (50, 100)),
        (200, (50, 100, 150, 200)),
        (210, (53, 106, 159, 210)),
        (400, (100, 200, 300, 400)),
    ],
)
def test_default_looks(tasks, expected):
    assert Looks.for_tasks(tasks).tasks == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("50,100,200", (50, 100, 200)),
        (" 50, 100 ", (50, 100)),
        ("200", (200,)),
        ("50-100/10", (50, 60, 70, 80, 90, 100)),
        ("50-75/10", (50, 60, 70, 75)),
        ("50-74/10", (50, 60, 74)),
        ("50-50/10", (50,)),
        ("20,50-70/10,100", (20, 50, 60, 70, 100)),
    ],
)
def test_looks_are_declared_in_one_short_text(text, expected):
    assert Looks.of_text(text) == Looks(tasks=expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "rising whole numbers"),
        ("50,", "rising whole numbers"),
        ("-50", "rising whole numbers"),
        ("50-200", "or 50-200/10 for one every 10"),
        ("50-200/x", "rising whole numbers"),
        ("٥٠", "rising whole numbers"),
        ("50-200/0", "every 1 task or more"),
        ("200-50/10", "every 1 task or more"),
        ("50-60/10,60", "looks must rise"),
        ("1-200/1", "1 to 50 numbers"),
        ("1-999999999999/1", "at most|1 to 50 numbers"),
    ],
)
def test_a_text_that_declares_no_looks_says_what_would(text, message):
    with pytest.raises(InvalidInput, match=message):
        Looks.of_text(text)


@given(st.integers(1, 400), st.integers(1, 400), st.integers(10, 400))
def test_looks_every_so_many_tasks_are_never_closer_than_half_of_it(first, tasks, step):
    if first > tasks:
        first, tasks = tasks, first
    looks = Looks.every(step, tasks=tasks, first=first).tasks
    steps = np.diff(looks)
    assert looks[-1] == tasks
    assert (steps[:-1] == step).all()
    assert len(steps) == 0 or step / 2 <= steps[-1] <= 1.5 * step


@given(st.integers(1, 1_000_000))
def test_default_looks_end_at_the_planned_tasks(tasks):
    looks = Looks.for_tasks(tasks)
    assert looks.planned == tasks
    assert len(looks.tasks) <= 4
    assert looks.tasks[0] >= min(50, tasks)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"tasks": ()}, "looks are 1 to 50 numbers"),
        ({"tasks": tuple(range(1, 52))}, "looks are 1 to 50 numbers"),
        ({"tasks": "50"}, "looks are 1 to 50 numbers"),
        ({"tasks": (50, 50)}, "looks must rise"),
        ({"tasks": (100, 50)}, "looks must rise"),
        ({"tasks": (0, 50)}, "looks must rise"),
        ({"tasks": (50, 2_000_000)}, "looks must rise"),
        ({"tasks": (50.5, 100)}, "whole numbers"),
        ({"tasks": (True, 100)}, "whole numbers"),
        ({"shape": "haybittle"}, "the shape of looks"),
        ({"futility": 1.0}, "futility is a probability"),
        ({"futility": -0.1}, "futility is a probability"),
        ({"discordance": 0.0}, "planned discordance"),
        ({"gain": 0.3, "discordance": 0.2}, "planned discordance"),
    ],
)
def test_unusable_designs(keywords, message):
    with pytest.raises(InvalidInput, match=message):
        Looks(**keywords)


@pytest.mark.parametrize("alpha", [0.0, 0.5, -1.0])
def test_unusable_levels(alpha):
    with pytest.raises(InvalidInput, match="alpha must be between 0 and"):
        boundary_constant(Looks(tasks=(20, 40)), alpha=alpha)


def test_the_shapes():
    assert Looks(tasks=(50, 200)).factors == (2.0, 1.0)
    assert Looks(tasks=(50, 200), shape="pocock").factors == (1.0, 1.0)
