"""Which seeds of the generator were learned from: nothing else may use them."""

from collections.abc import Mapping

SEEDS: Mapping[str, int] = {
    "demonstrations": 2_236_067_977,
    "critic": 2_645_751_311,
    "calibration": 3_316_624_790,
    "evaluation": 3_605_551_275,
}
"""Use → seed; questions of different seeds are different questions."""
