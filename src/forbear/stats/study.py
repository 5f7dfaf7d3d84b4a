"""The effects that the published study (Vasudev et al. 2026, arXiv 2602.03338) says are found, beside ours."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from forbear.stats.planning import minimum_detectable_gain

DETECTABLE: Mapping[str, tuple[int, int, float]] = MappingProxyType(
    {"HotPotQA": (100, 3, 0.05), "GAIA": (30, 3, 0.12), "ALFWorld": (202, 3, 0.04)}
)
"""Benchmark → tasks, seeds, and the effect it says is found with power .8."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Detectable:
    """One row of minimum detectable gains; None where no gain within the discordance is found that often."""

    benchmark: str
    tasks: int
    seeds: int
    discordance: float
    claimed: float
    independent: float | None
    """Seeds of a task tell new stories."""
    half: float | None
    """Their differences correlate by one half."""
    agreeing: float | None
    """They tell the same story."""


def study_detectable(discordances: tuple[float, ...] = (0.1, 0.18, 0.3)) -> tuple[Detectable, ...]:
    """The study's minimum detectable effects beside exact ones; .18 is the one discordance it shows (seed 42)."""
    rows = []
    for benchmark, (tasks, seeds, claimed) in DETECTABLE.items():
        for discordance in discordances:
            gains = [
                minimum_detectable_gain(tasks=tasks, discordance=discordance, seeds=seeds, agreement=agreement)
                for agreement in (0.0, 0.5, 1.0)
            ]
            rows.append(
                Detectable(
                    benchmark=benchmark,
                    tasks=tasks,
                    seeds=seeds,
                    discordance=discordance,
                    claimed=claimed,
                    independent=gains[0],
                    half=gains[1],
                    agreeing=gains[2],
                )
            )
    return tuple(rows)
