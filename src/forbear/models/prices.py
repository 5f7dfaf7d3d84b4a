"""What tokens cost, by model, as a plan says."""

import importlib.util
from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from forbear.errors import InvalidInput
from forbear.records.model import Usage
from forbear.wording import described, shown

_KEYS = ("input", "cached", "output")


class Price(Struct, frozen=True, kw_only=True):
    """Of one model, per million tokens, in any one currency."""

    input: float
    output: float
    cached: float | None = None
    """Of input tokens that the provider had from before; None: like others."""


class Prices:
    """Of several models, by the name that requests give; of those that are not named, what a kept table says."""

    def __init__(self, models: Mapping[str, Price] | None = None, *, published: bool = False) -> None:
        """Notes them.

        Args:
            models: By name.
            published: Look others up in the table of `genai-prices` (extra `prices`; US dollars, as of its release).

        Raises:
            InvalidInput: That package is not installed.
        """
        self.models = dict(models or {})
        self._published = published
        if published and importlib.util.find_spec("genai_prices") is None:
            raise InvalidInput("published prices need the extra prices: pip install 'forbear[prices]'.")

    @classmethod
    def of_table(cls, table: Mapping[str, object]) -> "Prices":
        """Reads `{model: {"input": 0.15, "cached": 0.075, "output": 0.60}}`, and `{"published": True}`.

        Raises:
            InvalidInput: Something else than numbers of at least 0, a key that is unknown or missing.
        """
        published = table.get("published", False)
        named = {model: entry for model, entry in table.items() if not isinstance(entry, bool) or model != "published"}
        return cls({model: _price(model, entry) for model, entry in named.items()}, published=published is True)

    def of(self, model: str, usage: Usage) -> Usage:
        """Adds the cost of one call, where the price and the tokens are known and the cost is not."""
        price = self.models.get(model)
        if usage.cost is not None or usage.input_tokens is None or usage.output_tokens is None:
            return usage
        if price is None:
            return replace(usage, cost=_published(model, usage)) if self._published else usage
        cached = min(usage.cached_tokens or 0, usage.input_tokens)
        of_cached = price.input if price.cached is None else price.cached
        new = (usage.input_tokens - cached) * price.input
        return replace(usage, cost=(new + cached * of_cached + usage.output_tokens * price.output) / 1e6)


NO_PRICES = Prices()


def _published(model: str, usage: Usage) -> float | None:
    from genai_prices import Usage as Tokens
    from genai_prices import calc_price

    cached = min(usage.cached_tokens or 0, usage.input_tokens or 0)
    tokens = Tokens(
        input_tokens=usage.input_tokens, output_tokens=usage.output_tokens, cache_read_tokens=cached or None
    )
    try:
        return float(calc_price(tokens, model_ref=model).total_price)
    except LookupError:  # which it does not know
        return None


def _price(model: str, entry: object) -> Price:
    name = shown(repr(model))
    if not isinstance(entry, Mapping) or not {"input", "output"} <= entry.keys() <= set(_KEYS):
        raise InvalidInput(
            f"the price of {name} must be a table of input, output and, optionally, cached, per million tokens, got "
            f"{described(entry)}."
        )
    for key, value in entry.items():
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not 0 <= value < 1e9:
            raise InvalidInput(f"the price of {name}: {key} must be a number of at least 0, got {described(value)}.")
    return Price(**{key: float(value) for key, value in entry.items()})
