"""Several seeds per task: outcomes, interval and tests whose unit is the task (or a cluster of tasks).

Seeds of one task tell the same story twice, so counts of pairs overstate the evidence. Everything here rests on three
numbers per unit: recovered, disrupted and all pairs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from forbear.errors import InvalidInput
from forbear.outcomes.paired import PairedOutcomes, outcome_vector
from forbear.wording import described

Floats = NDArray[np.float64]
ArmOutcomes = tuple[tuple[bool, ...], ...]
"""Of one arm: one tuple per task, one outcome per seed."""

MIN_CLUSTERS = 10
"""With fewer units above tasks no variance between them is worth a name."""

_FORMAT = "forbear-clustered-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitCounts:
    """Pairs by unit; fractions where the seeds of a task are not paired (all their combinations, weight one in sum)."""

    both_fail: Floats
    recovered: Floats
    disrupted: Floats
    both_succeed: Floats

    @property
    def pairs(self) -> Floats:
        """All pairs of each unit."""
        return self.both_fail + self.recovered + self.disrupted + self.both_succeed

    @property
    def failures(self) -> Floats:
        """Pairs of each unit that fail under the baseline."""
        return self.both_fail + self.recovered

    @property
    def successes(self) -> Floats:
        """Pairs of each unit that succeed under the baseline."""
        return self.disrupted + self.both_succeed


@dataclass(frozen=True, kw_only=True)  # no slots: what is counted once is kept
class ClusteredOutcomes:
    """Outcomes of several seeds per task, under both arms; `+` puts the tasks of two pilots together.

    Where a task has as many seeds under both arms (and every task has), seeds are paired by position. Otherwise the
    seeds of a task are not paired: its difference is that of its two success rates, and every task weighs the same.

    Raises:
        InvalidInput: Different numbers of tasks, a task without a seed, an entry that is not an outcome, or fewer than
            10 clusters above tasks.
    """

    baseline: ArmOutcomes
    """One tuple per task, one outcome per seed."""
    treated: ArmOutcomes
    """The same tasks in the same order."""
    clusters: tuple[str, ...] | None = None
    """What each task belongs to (a repository, a scene), where that is the unit; else None."""

    def __post_init__(self) -> None:
        require_aligned(self, read=_tasks)

    @classmethod
    def from_outcomes(
        cls,
        *,
        baseline: Sequence[Sequence[bool]],
        treated: Sequence[Sequence[bool]],
        clusters: Sequence[str] | None = None,
    ) -> Self:
        """Takes one inner sequence per task, with one outcome (True or 1 for success) per seed.

        Args:
            baseline: Tasks × seeds; tasks may differ in their number of seeds, also between the arms.
            treated: The same tasks in the same order.
            clusters: One label per task, at least 10 different ones, where tasks themselves come in groups.

        Raises:
            InvalidInput: As the class says.
        """
        return cls(baseline=baseline, treated=treated, clusters=clusters)  # type: ignore[arg-type]  # converted above

    @property
    def tasks(self) -> int:
        """The number of tasks."""
        return len(self.baseline)

    @cached_property
    def paired_seeds(self) -> bool:
        """Whether every task has as many seeds under both arms, so that seeds form pairs."""
        return all(len(b) == len(t) for b, t in zip(self.baseline, self.treated, strict=True))

    @cached_property
    def one_pair_per_task(self) -> bool:
        """Whether this is a plain table: one seed under both arms everywhere, and no clusters above tasks."""
        return self.clusters is None and all(len(seeds) == 1 for seeds in chain(self.baseline, self.treated))

    @property
    def pairs(self) -> int:
        """Pairs of seeds; where seeds are not paired, the tasks, each a pair of success rates."""
        return sum(map(len, self.baseline)) if self.paired_seeds else self.tasks

    @property
    def table(self) -> PairedOutcomes | None:
        """The 2×2 counts over all pairs of seeds; None where seeds are not paired."""
        if not self.paired_seeds:
            return None
        return PairedOutcomes.from_outcomes(
            baseline=np.fromiter(chain.from_iterable(self.baseline), bool),  # type: ignore[arg-type]
            treated=np.fromiter(chain.from_iterable(self.treated), bool),  # type: ignore[arg-type]
        )

    @cached_property
    def units(self) -> UnitCounts:
        """The four counts of every task, or of every cluster above tasks where clusters are given."""
        if self.paired_seeds:
            sizes = np.fromiter(map(len, self.baseline), np.int64)
            task = np.repeat(np.arange(self.tasks), sizes)
            before = np.fromiter(chain.from_iterable(self.baseline), bool)
            after = np.fromiter(chain.from_iterable(self.treated), bool)
            cells = np.bincount(4 * task + 2 * before + after, minlength=4 * self.tasks).reshape(-1, 4).astype(float)
        else:
            # A seed of one arm against each seed of the other: the products of the two success rates of the task.
            before = np.array([sum(seeds) / len(seeds) for seeds in self.baseline])
            after = np.array([sum(seeds) / len(seeds) for seeds in self.treated])
            cells = np.stack(
                ((1 - before) * (1 - after), (1 - before) * after, before * (1 - after), before * after), axis=1
            )
        if self.clusters is not None:
            _, unit = np.unique(np.array(self.clusters), return_inverse=True)
            cells = np.stack([np.bincount(unit, weights=column) for column in cells.T], axis=1)
        cells.flags.writeable = False  # shared by all who ask
        return UnitCounts(both_fail=cells[:, 0], recovered=cells[:, 1], disrupted=cells[:, 2], both_succeed=cells[:, 3])

    @property
    def success_gain(self) -> float | None:
        """Δ in [−1, 1], treated minus baseline, over pairs (tasks, where seeds are not paired); None without."""
        if not self.tasks:
            return None
        units = self.units
        return float((units.recovered - units.disrupted).sum() / units.pairs.sum())

    def seed_tables(self) -> tuple[PairedOutcomes, ...]:
        """One table per seed index, over the tasks that have it under both arms: one pair per task in each."""
        tables = []
        for seed in range(max(map(min, zip(map(len, self.baseline), map(len, self.treated), strict=True)), default=0)):
            kept = [i for i in range(self.tasks) if seed < min(len(self.baseline[i]), len(self.treated[i]))]
            tables.append(
                PairedOutcomes.from_outcomes(
                    baseline=[self.baseline[i][seed] for i in kept], treated=[self.treated[i][seed] for i in kept]
                )
            )
        return tuple(tables)

    def swapped(self) -> Self:
        """The same tasks with the arms exchanged: every gain changes its sign."""
        return type(self)(baseline=self.treated, treated=self.baseline, clusters=self.clusters)

    def __add__(self, other: "ClusteredOutcomes") -> Self:
        if not isinstance(other, ClusteredOutcomes):
            return NotImplemented
        if (self.clusters is None) != (other.clusters is None):
            raise InvalidInput("one pilot names clusters above tasks and the other does not: give them for both.")
        return type(self)(
            baseline=self.baseline + other.baseline,
            treated=self.treated + other.treated,
            clusters=None if self.clusters is None or other.clusters is None else self.clusters + other.clusters,
        )

    def to_dict(self) -> dict[str, object]:
        """A JSON object that `from_dict` reads back; outcomes are 0 and 1."""
        return {
            "format": _FORMAT,
            "baseline": [[int(x) for x in seeds] for seeds in self.baseline],
            "treated": [[int(x) for x in seeds] for seeds in self.treated],
            "clusters": None if self.clusters is None else list(self.clusters),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> Self:
        """Reads what `to_dict` wrote.

        Raises:
            InvalidInput: Another format, or entries that are missing or unusable.
        """
        if not isinstance(data, Mapping) or data.get("format") != _FORMAT:
            raise InvalidInput(f'expected a JSON object with "format": "{_FORMAT}", got {described(data)}.')
        missing = [name for name in ("baseline", "treated", "clusters") if name not in data]
        if missing:
            raise InvalidInput(f"a {_FORMAT} object needs baseline, treated, clusters; missing: {', '.join(missing)}.")
        return cls(baseline=data["baseline"], treated=data["treated"], clusters=data["clusters"])  # type: ignore[arg-type]


def _tasks(values: Sequence[Sequence[bool]], *, name: str) -> ArmOutcomes:
    if isinstance(values, str | bytes) or not isinstance(values, Sequence | np.ndarray):
        raise InvalidInput(
            f"{name} must be a sequence with one sequence of outcomes per task, got {described(values)}."
        )
    tasks = []
    for i, seeds in enumerate(values):
        # The common case needs no conversion: booleans in a list, or a tuple, as another ClusteredOutcomes holds them.
        if type(seeds) in (list, tuple) and set(map(type, seeds)) == {bool}:
            seeds = tuple(seeds)
        else:
            seeds = tuple(outcome_vector(seeds, name=f"{name}[{i}]").tolist())
        if not seeds:
            raise InvalidInput(
                f"{name}[{i}] has no outcome; a task needs at least one seed under each arm. Leave it out."
            )
        tasks.append(seeds)
    return tuple(tasks)


def require_aligned(outcomes: Any, *, read: Callable[..., Sequence[object]]) -> None:
    """Puts both arms and the clusters of a frozen container into their own form.

    Args:
        outcomes: Has `baseline`, `treated` and `clusters` as they were given.
        read: Checks and converts one arm; called with it and its `name`.

    Raises:
        InvalidInput: `read` says so, the arms have different numbers of tasks, or `cluster_labels` says so.
    """
    baseline, treated = (read(getattr(outcomes, name), name=name) for name in ("baseline", "treated"))
    if len(baseline) != len(treated):
        raise InvalidInput(
            f"baseline has {len(baseline)} tasks, treated has {len(treated)}; they are paired by position. Give the "
            "same tasks in the same order in both."
        )
    object.__setattr__(outcomes, "baseline", baseline)
    object.__setattr__(outcomes, "treated", treated)
    if outcomes.clusters is not None:
        object.__setattr__(outcomes, "clusters", cluster_labels(outcomes.clusters, tasks=len(baseline)))


def cluster_labels(clusters: Sequence[str], *, tasks: int) -> tuple[str, ...]:
    """One label per task as text.

    Raises:
        InvalidInput: Another number of labels than tasks, or fewer than 10 different ones.
    """
    if isinstance(clusters, str | bytes) or not isinstance(clusters, Sequence | np.ndarray):
        raise InvalidInput(f"clusters must be a sequence with one label per task, got {described(clusters)}.")
    labels = tuple(str(label) for label in clusters)
    if len(labels) != tasks:
        raise InvalidInput(f"clusters has {len(labels)} labels for {tasks} tasks; give one label per task.")
    if len(set(labels)) < MIN_CLUSTERS:
        raise InvalidInput(
            f"{len(set(labels))} clusters are too few to learn how much they differ: at least {MIN_CLUSTERS} are "
            "needed. Add tasks from other clusters, or leave the clusters out and speak about these clusters only."
        )
    return labels
