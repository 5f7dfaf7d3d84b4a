"""Outcomes as they were brought: one row per episode, in columns of equal length."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from forbear.errors import InvalidInput

IntArray = NDArray[np.integer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """One column of names, stored as one code a row into the distinct names."""

    codes: IntArray
    """(rows,), each in 0..len(names) − 1; equal codes are equal names and the reverse."""
    names: Sequence[str]
    """The distinct names; may be decoded only when asked for."""

    @classmethod
    def of(cls, values: Iterable[str]) -> Self:
        """Codes the values in the order of their first appearance."""
        known: dict[str, int] = {}
        codes = np.fromiter((known.setdefault(value, len(known)) for value in values), dtype=np.int64)
        return cls(codes=codes, names=list(known))

    def at(self, rows: IntArray | NDArray[np.bool_]) -> Self:
        """Of these rows only; the names stay."""
        return replace(self, codes=self.codes[rows])

    def find(self, name: str) -> int | None:
        """The code of a name; None if no row bears it."""
        return next((code for code, known in enumerate(self.names) if known == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeTable:
    """Outcomes of episodes, one row each, in columns of equal length.

    Raises:
        InvalidInput: Columns of different lengths.
    """

    tasks: Labels
    arms: Labels
    seeds: Labels
    """The name "" stands for an unknown seed."""
    success: NDArray[np.bool_] | NDArray[np.float64]
    """Whether each run succeeded; floats are graded scores in [0, 1]."""
    places: Sequence[str]
    """Where each row came from ("outcomes.csv, line 7"), for messages."""
    missing: NDArray[np.bool_] | None = None
    """Where a run has no outcome (its `success` means nothing); None where every run has one."""
    clusters: Labels | None = None
    """What the task of each row belongs to; None where tasks are the unit."""
    strata: Labels | None = None
    """The kind of task of each row; None where unknown."""
    reasons: Labels | None = None
    """Why a run has no outcome, as text; None where that was not read."""
    groups: Labels | None = None
    """Of which comparison each row is, where a table holds several; None where it holds one."""

    @property
    def graded(self) -> bool:
        """Whether outcomes are scores rather than successes and failures."""
        return self.success.dtype.kind == "f"

    def __post_init__(self) -> None:
        columns = [self.tasks.codes, self.arms.codes, self.seeds.codes, self.success, self.places]
        columns += [] if self.missing is None else [self.missing]
        columns += [
            labels.codes for labels in (self.clusters, self.strata, self.reasons, self.groups) if labels is not None
        ]
        lengths = [len(x) for x in columns]
        if len(set(lengths)) > 1:
            raise InvalidInput(
                "the columns task, arm, seed, success and place must have one entry per row, "
                f"got lengths {', '.join(map(str, lengths))}."
            )

    def only(self, rows: IntArray | NDArray[np.bool_]) -> Self:
        """These rows, by position or by a mask."""
        chosen = np.arange(len(self.success))[rows]
        others = {
            name: None if labels is None else labels.at(chosen)
            for name, labels in (
                ("clusters", self.clusters),
                ("strata", self.strata),
                ("reasons", self.reasons),
                ("groups", self.groups),
            )
        }
        return replace(
            self,
            tasks=self.tasks.at(chosen),
            arms=self.arms.at(chosen),
            seeds=self.seeds.at(chosen),
            success=self.success[chosen],
            places=[self.places[row] for row in chosen.tolist()],
            missing=None if self.missing is None else self.missing[chosen],
            **others,
        )

    def failing(self, reasons: Collection[str]) -> tuple[Self, dict[str, int]]:
        """Runs without an outcome for one of these reasons as failures, in every arm alike.

        Args:
            reasons: As the rows say them, in any case.

        Returns:
            The table with them, and by arm how many they are.

        Raises:
            InvalidInput: The reasons were not read.
        """
        if self.reasons is None:
            raise InvalidInput("which runs failed for a reason needs the column of reasons: --reason-col NAME.")
        wanted = {reason.lower() for reason in reasons}
        named = np.array([name.lower() in wanted for name in self.reasons.names], dtype=np.bool_)
        missing = np.zeros(len(self.success), dtype=np.bool_) if self.missing is None else self.missing
        failed = missing & named[self.reasons.codes]
        counts = np.bincount(self.arms.codes[failed], minlength=len(self.arms.names))
        by_arm = {name: int(count) for name, count in zip(self.arms.names, counts, strict=True)}
        return replace(self, success=np.where(failed, False, self.success), missing=missing & ~failed), by_arm

    @classmethod
    def from_columns(
        cls,
        *,
        tasks: Sequence[str],
        arms: Sequence[str],
        success: Sequence[bool | None],
        seeds: Sequence[str] | None = None,
        clusters: Sequence[str] | None = None,
        reasons: Sequence[str] | None = None,
        places: Sequence[str] | None = None,
    ) -> Self:
        """Builds a table from plain lists, one entry per episode.

        Args:
            tasks: Task ids.
            arms: Arm names.
            success: True where the episode succeeded, None where it has no outcome.
            seeds: Seed names; omitted where there is one run per task and arm.
            clusters: What each task belongs to, where tasks come in groups that are the unit.
            reasons: Why each run has no outcome, "" where it has one.
            places: Where each row came from, for messages; omitted: its position.
        """
        return cls(
            tasks=Labels.of(tasks),
            arms=Labels.of(arms),
            seeds=Labels.of([""] * len(tasks) if seeds is None else seeds),
            success=np.array([bool(x) for x in success], dtype=np.bool_),
            places=[f"row {i}" for i in range(1, len(tasks) + 1)] if places is None else places,
            missing=np.array([x is None for x in success], dtype=np.bool_) if None in success else None,
            clusters=None if clusters is None else Labels.of(clusters),
            reasons=None if reasons is None else Labels.of(reasons),
        )
