"""From outcomes by task, arm and seed to the paired 2×2: every row is used, counted as excluded, or an error.

The only bridge between what happened (tasks, arms, episodes) and statistics (counts). Columns of arrays rather than
rows of objects: a million pairs take a fraction of a second.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from forbear.errors import InvalidInput, listed, shown
from forbear.records.model import Episode
from forbear.stats.paired import PairedOutcomes
from forbear.stats.verdict import Remark

IntArray = NDArray[np.integer]

_MOST_ARMS = 100
"""More treated arms are a wrong arm column, not an experiment."""


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
    success: NDArray[np.bool_]
    places: Sequence[str]
    """Where each row came from ("outcomes.csv, line 7"), for messages."""

    def __post_init__(self) -> None:
        lengths = [len(x) for x in (self.tasks.codes, self.arms.codes, self.seeds.codes, self.success, self.places)]
        if len(set(lengths)) > 1:
            raise InvalidInput(
                "the columns task, arm, seed, success and place must have one entry per row, "
                f"got lengths {', '.join(map(str, lengths))}."
            )

    @classmethod
    def from_columns(
        cls,
        *,
        tasks: Sequence[str],
        arms: Sequence[str],
        success: Sequence[bool],
        seeds: Sequence[str] | None = None,
        places: Sequence[str] | None = None,
    ) -> Self:
        """Builds a table from plain lists, one entry per episode.

        Args:
            tasks: Task ids.
            arms: Arm names.
            success: True where the episode succeeded.
            seeds: Seed names; omitted where there is one run per task and arm.
            places: Where each row came from, for messages; omitted: its position.
        """
        return cls(
            tasks=Labels.of(tasks),
            arms=Labels.of(arms),
            seeds=Labels.of([""] * len(tasks) if seeds is None else seeds),
            success=np.array([bool(x) for x in success], dtype=np.bool_),
            places=[f"row {i}" for i in range(1, len(tasks) + 1)] if places is None else places,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """The pairs of two arms, and what could not be paired."""

    baseline: str
    treated: str
    pairs: PairedOutcomes
    excluded: Mapping[str, int]
    """By arm: its tasks that were left out because the other arm has no outcome for them. Both arms are named."""
    cautions: tuple[Remark, ...] = ()


def compare(table: OutcomeTable, *, baseline: str | None = None, treated: str | None = None) -> tuple[Pairing, ...]:
    """Pairs the baseline with every treated arm, or with the one that is named.

    Args:
        table: At least one row.
        baseline: Its name; omitted: the arm called `baseline`.
        treated: The one treated arm; omitted: every other arm, in order of appearance.

    Returns:
        One pairing per treated arm, at least one.

    Raises:
        InvalidInput: As `choose_arms` and `pair_arms`.
    """
    baseline, chosen = choose_arms(table, baseline=baseline, treated=treated)
    passed_over = len(np.unique(table.arms.codes)) - 1 - len(chosen)
    pairings = (pair_arms(table, baseline=baseline, treated=name) for name in chosen)
    if not passed_over:
        return tuple(pairings)
    picked = Remark(
        code="arm_picked",
        text=f"'{shown(chosen[0])}' was picked among {passed_over + 1} treated arms: the verdict holds if it was "
        "picked before any outcome was seen. Otherwise decide on all of them together.",
    )
    return tuple(replace(one, cautions=(picked, *one.cautions)) for one in pairings)


def choose_arms(
    table: OutcomeTable, *, baseline: str | None = None, treated: str | None = None
) -> tuple[str, tuple[str, ...]]:
    """Says which arm is the baseline and which are treated.

    Args:
        table: At least one row.
        baseline: Its name; omitted: the arm called `baseline`.
        treated: The one treated arm; omitted: every other arm, in order of appearance.

    Returns:
        The baseline and at least one treated arm.

    Raises:
        InvalidInput: An unknown name, one name for both, or nothing left to compare.
    """
    arms = [table.arms.names[code] for code in np.unique(table.arms.codes).tolist()]
    for option, name in (("--baseline", baseline), ("--treated", treated)):
        if name is not None and name not in arms:
            raise InvalidInput(f"there is no arm '{shown(name)}'; the arms are {listed(arms)}. Correct {option}.")
    if baseline is None:
        if "baseline" not in arms:
            raise InvalidInput(
                f"no arm is called 'baseline'; the arms are {listed(arms)}. Say which one is: --baseline NAME."
            )
        baseline = "baseline"
    if treated == baseline:
        raise InvalidInput(f"baseline and treated are both '{shown(baseline)}'. Name two different arms.")
    others = tuple(name for name in arms if name != baseline) if treated is None else (treated,)
    if not others:
        raise InvalidInput(
            f"'{shown(baseline)}' is the only arm; a comparison needs a second one. "
            "Add the rows of the treated runs, or give them as a second file."
        )
    if len(others) > _MOST_ARMS:
        raise InvalidInput(
            f"there are {len(others):,} treated arms ({listed(others)}); at most {_MOST_ARMS} are compared at once. "
            "Is this the arm column? Name it: --arm-col NAME; or name one arm: --treated NAME."
        )
    return baseline, others


def pair_arms(table: OutcomeTable, *, baseline: str, treated: str) -> Pairing:
    """Pairs two arms by task id, on the tasks that both have.

    Args:
        table: Other arms may be present; they are not looked at.
        baseline: The arm without intervention.
        treated: The arm with it.

    Raises:
        InvalidInput: An unknown arm, no common task, a duplicated (task, arm, seed), or several seeds per task.
    """
    before, after = (_arm(table, name) for name in (baseline, treated))
    common = (before.row >= 0) & (after.row >= 0)
    pairs = int(np.count_nonzero(common))
    if not pairs:
        raise InvalidInput(
            f"the arms '{shown(baseline)}' and '{shown(treated)}' have no task in common: e.g. "
            f"{_examples(table, before)} against {_examples(table, after)}. "
            "Pairs need the same task ids in both arms."
        )
    excluded = {name: arm.tasks - pairs for name, arm in ((baseline, before), (treated, after))}
    first, second = before.row[common], after.row[common]
    cell = np.bincount(2 * table.success[first].astype(np.int8) + table.success[second], minlength=4)
    return Pairing(
        baseline=baseline,
        treated=treated,
        pairs=PairedOutcomes(
            both_fail=int(cell[0]), recovered=int(cell[1]), disrupted=int(cell[2]), both_succeed=int(cell[3])
        ),
        excluded=excluded,
        cautions=(
            *_unpaired_cautions(excluded),
            *_seed_cautions(table.seeds.codes[first] != table.seeds.codes[second]),
        ),
    )


def pair_episodes(episodes: Iterable[Episode], *, treated: str, baseline: str = "baseline") -> Pairing:
    """Pairs the episodes of two arms by task; episodes without outcome leave their pair out, and are counted.

    Args:
        episodes: Of any arms, in any order.
        treated: The arm with the intervention.
        baseline: The arm without it.

    Raises:
        InvalidInput: As `pair_arms`.
    """
    chosen = [e for e in episodes if e.arm in (baseline, treated) and e.success is not None]
    table = OutcomeTable.from_columns(
        tasks=[e.task.id for e in chosen],
        arms=[e.arm for e in chosen],
        seeds=[str(e.seed) for e in chosen],
        success=[e.success is True for e in chosen],
    )
    return pair_arms(table, baseline=baseline, treated=treated)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Arm:
    row: IntArray
    """(tasks of the table,): the row of each task in this arm, −1 where it has none."""
    tasks: int


def _arm(table: OutcomeTable, name: str) -> _Arm:
    code = table.arms.find(name)
    rows = np.flatnonzero(table.arms.codes == (-1 if code is None else code))
    if not rows.size:
        choose_arms(table, baseline=name)  # says which arms there are
    tasks = table.tasks.codes[rows]
    row = np.full(len(table.tasks.names), -1, dtype=np.int64)
    row[tasks] = rows
    # A task that came twice kept one of its rows, so one of them does not find itself again.
    repeated = row[tasks] != rows
    if repeated.any():
        _refuse_repeats(table, name, rows)
    return _Arm(row=row, tasks=rows.size)


def _refuse_repeats(table: OutcomeTable, arm: str, rows: IntArray) -> None:
    """Raises: two rows of one task are either one run written twice or several seeds."""
    first: dict[tuple[int, int], int] = {}
    for row in rows.tolist():
        key = (int(table.tasks.codes[row]), int(table.seeds.codes[row]))
        if key in first:
            task, seed = shown(table.tasks.names[key[0]]), shown(table.seeds.names[key[1]])
            hint = (
                "Keep one of the two rows."
                if seed
                else "Keep one of the two rows, or name the column that tells the runs apart: --seed-col NAME."
            )
            raise InvalidInput(
                f"task '{task}', arm '{shown(arm)}', seed '{seed}' is there twice: {table.places[first[key]]} and "
                f"{table.places[row]}. {hint}"
            )
        first[key] = row
    seeds = (table.seeds.names[code] for code in np.unique(table.seeds.codes[rows]).tolist())
    raise InvalidInput(
        f"arm '{shown(arm)}' has several seeds per task ({listed(seeds)}); runs of one task are not independent pairs. "
        "Decide on one seed: keep the rows of one seed per arm."
    )


def _unpaired_cautions(excluded: Mapping[str, int]) -> tuple[Remark, ...]:
    if not any(excluded.values()):
        return ()
    counts = " and ".join(f"{count:,} of '{shown(arm)}'" for arm, count in excluded.items() if count)
    text = (
        f"Tasks without a partner in the other arm were left out: {counts}. "
        "If they are missing because of how the runs went, the gain is biased."
    )
    return (Remark(code="unpaired_tasks", text=text),)


def _seed_cautions(differs: NDArray[np.bool_]) -> tuple[Remark, ...]:
    count = int(np.count_nonzero(differs))
    if not count:
        return ()
    text = (
        f"In {count:,} of {differs.size:,} pairs the two arms ran under different seeds: "
        "part of what recovered and disrupted count is the agent's own run-to-run variation."
    )
    return (Remark(code="seeds_differ", text=text),)


def _examples(table: OutcomeTable, arm: _Arm) -> str:
    return listed((table.tasks.names[code] for code in np.flatnonzero(arm.row >= 0)[:2].tolist()), limit=2)
