"""Group-sequential tests: when a pilot may be looked at, and what each look has to show.

At look k, on n_k of N tasks, Δ ≤ margin is rejected where z_k ≥ c·factor_k: z is Tango's statistic (at margin 0 (C −
B)/√(C + B)), factor_k is √(N/n_k) for the O'Brien–Fleming shape and 1 for Pocock's, and at least 4 pairs must differ
(none where the margin is a loss, more where it is above 0: `fewest_discordant`). c is the smallest constant for which
the probability to reject at any look, whatever the discordance, is at most α: exact to 400 tasks (`lattice`); larger
pilots use the constant of the same looks scaled to 400, and .03, since the worst case lies at a few dozen differing
pairs, whatever the number of tasks.

The sequential p-value is that probability at the largest z_j/factor_j seen so far: valid after every look and whatever
made the pilot stop, so Holm's procedure and repeated confidence intervals rest on it too.

Sources: O'Brien & Fleming (1979, Biometrics 35:549); Pocock (1977, Biometrika 64:191); Jennison & Turnbull (1989,
J. R. Statist. Soc. B 51:305) for repeated confidence intervals; Armitage, McPherson & Rowe (1969, J. R. Statist. Soc. A
132:235) for the integration. How each was checked: docs/methods.md.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, Literal, Self, TypeAlias, get_args

import numpy as np
from scipy.special import bdtrc, ndtri

from forbear.errors import InvalidInput
from forbear.stats.exact import check_test
from forbear.stats.intervals import tango_statistic
from forbear.stats.looks.crossing import TIE, Crossing
from forbear.stats.looks.lattice import Bools
from forbear.wording import described

Shape: TypeAlias = Literal["obrien-fleming", "pocock"]
"""`obrien-fleming` asks much early and almost the level of a single look at the end; `pocock` asks the same always."""

FEWEST_DISCORDANT = 4
"""Differing pairs (several seeds: tasks with some) below which no look rejects: METHODS 5."""

MOST_EXACT_TASKS = 400
"""Looks at more are scaled to it; how much that moves a constant: tests/stats/looks/test_looks.py."""

_SPAN = re.compile(r"([0-9]{1,12})(?:-([0-9]{1,12})/([0-9]{1,12}))?")
_MOST_LOOKS = 50
_MOST_TASKS = 1_000_000
_SCALED_SLACK = 0.03
"""Constants at 600 and 800 tasks exceed those at 400 by up to .020: other tables, other steps of the size."""
_STEP = 1e-4
"""Constants are found to this precision, from above."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """At how many tasks a pilot is looked at, declared before the first outcome is seen.

    Raises:
        InvalidInput: Numbers that do not rise, more than 50 of them, or an unknown shape.
    """

    tasks: tuple[int, ...] = (50, 100, 150, 200)
    """Numbers of tasks, rising; the last one is the planned size."""
    shape: Shape = "obrien-fleming"
    watch: bool = True
    """Whether a betting e-process also watches for harm after every task; half of `harm_alpha` is then the watch's."""
    futility: float = 0.05
    """A look stops where INTERVENE at a further one is less probable than this under the planned effect, and FORBEAR
    less than .2 under what was seen (`stopping.is_futile`); 0: never."""
    gain: float | None = None
    """The planned gain, a fraction; None: the rule's worthwhile gain, or 0 where its margin is negative."""
    discordance: float = 0.18
    """The planned share of pairs whose outcomes differ; the default is that of the study's HotpotQA pilot."""

    def __post_init__(self) -> None:
        tasks = self.tasks
        if isinstance(tasks, str) or not isinstance(tasks, Sequence) or not 1 <= len(tasks) <= _MOST_LOOKS:
            raise InvalidInput(
                f"looks are 1 to {_MOST_LOOKS} numbers of tasks such as (50, 100), got {described(tasks)}."
            )
        if not all(isinstance(n, int | np.integer) and not isinstance(n, bool) for n in tasks):
            raise InvalidInput(f"looks are whole numbers of tasks, got {described(tasks)}.")
        object.__setattr__(self, "tasks", tuple(int(n) for n in tasks))
        rising = all(a < b for a, b in zip(self.tasks, self.tasks[1:], strict=False))
        if self.tasks[0] < 1 or self.tasks[-1] > _MOST_TASKS or not rising:
            raise InvalidInput(
                f"looks must rise from at least 1 to at most {_MOST_TASKS:,} tasks, got "
                f"{', '.join(map(str, self.tasks))}."
            )
        if self.shape not in get_args(Shape):
            raise InvalidInput(f'the shape of looks is "obrien-fleming" or "pocock", got {described(self.shape)}.')
        if not 0 <= self.futility < 1:
            raise InvalidInput(f"futility is a probability below 1 (0.05 is usual, 0 is never), got {self.futility!r}.")
        if not 0 < self.discordance <= 1 or not abs(self.gain or 0.0) <= self.discordance:
            raise InvalidInput(
                f"the planned discordance is a fraction above 0, no smaller than the gain, got gain = {self.gain!r} "
                f"and discordance = {self.discordance!r}."
            )

    @classmethod
    def for_tasks(cls, tasks: int) -> Self:
        """The default looks: one after every quarter, but after no fewer than 50 tasks; the last one at all tasks.

        200 tasks give 50, 100, 150, 200. A last look that would come less than 25 tasks after another replaces it.

        Raises:
            InvalidInput: Fewer than 1 task, or more than a million.
        """
        step = max(50, math.ceil(tasks / 4))
        early = [n for n in range(step, tasks, step) if tasks - n >= step / 2]
        return cls(tasks=(*early, tasks))

    @classmethod
    def every(cls, step: int, *, tasks: int, first: int = 50) -> Self:
        """A look after every so many tasks from the first one on, and the last one at all tasks.

        A last look that would come less than half a step after another replaces it, as in `for_tasks`. More looks find
        a large effect sooner and ask a little more of each; what they save is in docs/results.md.

        Args:
            step: Tasks from one look to the next.
            tasks: Of the pilot.
            first: Tasks at the first look.

        Raises:
            InvalidInput: A step below 1, a first look after the last, or more than 50 looks.
        """
        if step < 1 or not 1 <= first <= tasks:
            raise InvalidInput(f"expected looks every 1 task or more from 1 to {tasks:,}, got {first:,} and {step:,}.")
        early = [n for n in range(first, min(tasks, first + _MOST_LOOKS * step), step) if tasks - n >= step / 2]
        return cls(tasks=(*early, tasks))

    @classmethod
    def of_text(cls, text: str) -> Self:
        """The looks that a text declares: "50,100,200", or "50-200/10" for one every 10 tasks from 50 to 200.

        Raises:
            InvalidInput: Neither, or numbers that do not rise.
        """
        tasks: list[int] = []
        for part in text.split(","):
            found = _SPAN.fullmatch(part.strip())
            if found is None:
                raise InvalidInput(
                    f"looks are rising whole numbers of tasks such as 50,100,200, or 50-200/10 for one every 10 from "
                    f"50 to 200, got {described(text)}."
                )
            first, last, step = found.groups()
            tasks += [int(first)] if last is None else cls.every(int(step), tasks=int(last), first=int(first)).tasks
        return cls(tasks=tuple(tasks))

    def to_dict(self) -> dict[str, Any]:
        """The looks as a JSON object."""
        return {**{f.name: getattr(self, f.name) for f in fields(self)}, "tasks": list(self.tasks)}

    @property
    def shape_name(self) -> str:
        """The shape as people write it."""
        return {"obrien-fleming": "O'Brien-Fleming", "pocock": "Pocock"}[self.shape]

    @property
    def planned(self) -> int:
        """Tasks at the last look."""
        return self.tasks[-1]

    @property
    def factors(self) -> tuple[float, ...]:
        """By look, what the constant is multiplied with."""
        if self.shape == "pocock":
            return (1.0,) * len(self.tasks)
        return tuple(math.sqrt(self.planned / n) for n in self.tasks)


_LIKE_THE_LEAST = 0.02
"""Fewer differing pairs than the least discordance that a margin allows gives with this probability reject nothing."""


@lru_cache(maxsize=4096)
def fewest_discordant(margin: float, *, tasks: int) -> int:
    """Differing pairs below which a look at so many tasks does not reject Δ ≤ margin.

    None for a loss, where equal outcomes are evidence. Above a margin of 0: as many as a discordance of no more than
    the margin, the least that there can be, reaches with probability at most .02. There a dozen tables would else
    decide what every other discordance has to show.

    Source: Berger & Boos (1994, J. Am. Stat. Assoc. 89:1012) for restricting the nuisance to what the data allow.
    """
    if margin < 0:
        return 0
    counts = np.arange(FEWEST_DISCORDANT, tasks + 2)
    return int(counts[np.argmax(bdtrc(counts - 1, tasks, margin) <= _LIKE_THE_LEAST)]) if len(counts) else tasks + 1


def look_region(tasks: int, *, at_least: float, margin: float) -> Bools:
    """The tables [C, B] of so many tasks whose statistic is at least a value, with enough differing pairs."""
    count = np.arange(tasks + 1.0)
    recovered, disrupted = count[:, None], count[None, :]
    inside = (recovered + disrupted <= tasks) & (recovered + disrupted >= fewest_discordant(margin, tasks=tasks))
    statistic = np.full((tasks + 1, tasks + 1), -np.inf)
    pairs = np.nonzero(inside)
    statistic[pairs] = tango_statistic(pairs[0].astype(float), pairs[1].astype(float), n=tasks, gain=margin)
    region: Bools = inside & (statistic >= at_least - TIE)
    return region


@lru_cache(maxsize=8)
def crossing_of(tasks: tuple[int, ...], factors: tuple[float, ...], margin: float) -> Crossing:
    """What is computed for such looks, kept: at most 400 tasks."""
    return Crossing(tasks, factors, margin=margin, fewest=tuple(fewest_discordant(margin, tasks=n) for n in tasks))


def _exact(looks: Looks, margin: float) -> tuple[Crossing, float]:
    """What is computed for the looks, and what a constant is lowered by for it."""
    check_test(margin, "greater")
    if looks.planned <= MOST_EXACT_TASKS:
        return crossing_of(looks.tasks, looks.factors, margin), 0.0
    tasks = [max(1, round(n * MOST_EXACT_TASKS / looks.planned)) for n in looks.tasks]
    scaled = Looks(tasks=tuple(dict.fromkeys(tasks)), shape=looks.shape)
    return crossing_of(scaled.tasks, scaled.factors, margin), _SCALED_SLACK


def crossing_probability(looks: Looks, constant: float, *, margin: float = 0.0) -> float:
    """The largest probability, over every discordance, that a look rejects although Δ = margin.

    Args:
        looks: As declared.
        constant: c; look k rejects where z ≥ c·factor_k.
        margin: The gain under test, −1 < margin < 1, a fraction.

    Returns:
        Exact to 400 tasks; above, from the same looks scaled to 400, on the safe side.

    Source: module docstring. Checked: an independent dynamic programme over probabilities, certified maxima, and
    simulation (tests/stats/looks/test_looks.py).
    """
    crossing, slack = _exact(looks, margin)
    return crossing.probability(constant - slack)


@lru_cache(maxsize=256)
def boundary_constant(looks: Looks, *, alpha: float, margin: float = 0.0) -> float:
    """The smallest c, to four digits from above, for which some look rejects Δ = margin with probability at most α.

    Args:
        looks: As declared.
        alpha: 0 < alpha < ½.
        margin: The gain under test, −1 < margin < 1, a fraction.

    Raises:
        InvalidInput: alpha or margin out of range.
    """
    if not 0 < alpha < 0.5:
        raise InvalidInput(f"alpha must be between 0 and 0.5 (exclusive), got {alpha!r}.")
    crossing, slack = _exact(looks, margin)
    return crossing.least(alpha, start=-float(ndtri(alpha)) * 1.05, step=_STEP, shift=slack) * _STEP


def sequential_pvalue(looks: Looks, statistics: Sequence[float | None], *, margin: float = 0.0) -> float:
    """The p-value of Δ ≤ margin after some of the looks.

    Args:
        looks: As declared.
        statistics: z at each look from the first to the last one taken; None for a look at which it is not known or
            fewer than 4 pairs differ. Further looks are not anticipated: the value is valid whether or not they follow.
        margin: The gain under test; for Δ ≥ margin give −z and −margin.

    Returns:
        At most α exactly where a look so far rejects at α; 1 where no statistic is known.
    """
    if len(statistics) > len(looks.tasks):
        raise InvalidInput(f"{len(looks.tasks)} looks were declared, got statistics of {len(statistics)}.")
    seen = [z / factor for z, factor in zip(statistics, looks.factors, strict=False) if z is not None]
    if not seen:
        return 1.0
    # Rounded down, so that equal tables give equal keys and rounding never counts as evidence.
    probability = crossing_probability(looks, math.floor(max(seen) * 1e9) / 1e9, margin=margin)
    return probability if probability < 1 - 1e-12 else 1.0  # sums that round to just below 1
