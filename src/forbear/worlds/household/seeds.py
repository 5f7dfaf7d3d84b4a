"""Which seeds of the generator were learned from: nothing else may use them."""

from collections.abc import Mapping

SEEDS: Mapping[str, int] = {
    "demonstrations": 3_141_592_653,
    "critic": 2_718_281_828,
    "calibration": 1_414_213_562,
    "evaluation": 1_618_033_988,
}
"""Use → seed; games of different seeds are different games."""
