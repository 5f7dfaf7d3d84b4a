"""What tokens cost, by model, as a plan says."""

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
    """Of several models, by the name that requests give."""

    def __init__(self, models: Mapping[str, Price] | None = None) -> None:
        self.models = dict(models or {})

    @classmethod
    def of_table(cls, table: Mapping[str, object]) -> "Prices":
        """Reads `{model: {"input": 0.15, "cached": 0.075, "output": 0.60}}`.

        Raises:
            InvalidInput: Something else than numbers of at least 0, a key that is unknown or missing.
        """
        return cls({model: _price(model, entry) for model, entry in table.items()})

    def of(self, model: str, usage: Usage) -> Usage:
        """Adds the cost of one call, where the price and the tokens are known and the cost is not."""
        price = self.models.get(model)
        if price is None or usage.cost is not None or usage.input_tokens is None or usage.output_tokens is None:
            return usage
        cached = min(usage.cached_tokens or 0, usage.input_tokens)
        of_cached = price.input if price.cached is None else price.cached
        new = (usage.input_tokens - cached) * price.input
        return replace(usage, cost=(new + cached * of_cached + usage.output_tokens * price.output) / 1e6)


NO_PRICES = Prices()


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
