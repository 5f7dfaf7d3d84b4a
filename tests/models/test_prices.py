import pytest
from msgspec.structs import replace

from forbear.errors import InvalidInput
from forbear.models.prices import Prices
from forbear.records.model import Usage

TABLE = {"small": {"input": 1, "output": 10}, "large": {"input": 2.0, "cached": 0.5, "output": 20}}


def cost(model, **usage):
    return Prices.of_table(TABLE).of(model, Usage(calls=1, **usage)).cost


@pytest.mark.parametrize(
    ("model", "usage", "expected"),
    [
        ("small", {"input_tokens": 1_000_000, "output_tokens": 0}, 1.0),
        ("small", {"input_tokens": 1000, "output_tokens": 100}, 0.002),
        ("small", {"input_tokens": 1000, "output_tokens": 100, "cached_tokens": 900}, 0.002),
        ("large", {"input_tokens": 1000, "output_tokens": 100, "cached_tokens": 900}, 0.00265),
        ("large", {"input_tokens": 1000, "output_tokens": 0, "cached_tokens": 5000}, 0.0005),
        ("small", {"input_tokens": 1000, "output_tokens": 100, "cost": 7.0}, 7.0),
        ("small", {"input_tokens": 1000}, None),
        ("small", {"output_tokens": 1000}, None),
        ("other", {"input_tokens": 1000, "output_tokens": 100}, None),
    ],
)
def test_the_cost_of_a_call(model, usage, expected):
    assert cost(model, **usage) == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (5, "must be a table of input, output and, optionally, cached"),
        ({}, "must be a table"),
        ({"input": 1}, "must be a table"),
        ({"input": 1, "output": 1, "cahced": 1}, "must be a table"),
        ({"input": -1, "output": 1}, "input must be a number of at least 0, got -1"),
        ({"input": 1, "output": "1"}, "output must be a number"),
        ({"input": True, "output": 1}, "input must be a number"),
        ({"input": float("nan"), "output": 1}, "input must be a number"),
        ({"input": float("inf"), "output": 1}, "input must be a number"),
    ],
)
def test_prices_that_are_none(entry, message):
    with pytest.raises(InvalidInput, match=f"the price of 'a.b': .*{message}|the price of 'a.b' {message}"):
        Prices.of_table({"a.b": entry})


def test_published_prices_are_those_of_a_kept_table():
    pytest.importorskip("genai_prices")
    usage = Usage(calls=1, input_tokens=1_000_000, cached_tokens=0, output_tokens=1_000_000)
    prices = Prices.of_table({"published": True, "mine": {"input": 1, "output": 2}})
    assert prices.of("mine", usage).cost == 3.0
    assert prices.of("gpt-4o-mini", usage).cost == pytest.approx(0.75)  # 0.15 in and 0.60 out, as OpenAI's page says
    half = replace(usage, cached_tokens=500_000)
    assert 0.60 < prices.of("gpt-4o-mini", half).cost < 0.75
    assert prices.of("nobody-knows", usage).cost is None
    assert Prices.of_table({"published": False}).of("gpt-4o-mini", usage).cost is None
