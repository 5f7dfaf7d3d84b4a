"""The runs of two arms laid out task by task: by seed where both ran the same seeds. Whole columns at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from forbear.errors import InvalidInput
from forbear.outcomes.table import IntArray, OutcomeTable
from forbear.wording import listed, shown

_SPARSE = 8
"""Up to so many runs that there could be for each that there is, all of them are laid out instead of being sorted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """The rows of one arm."""

    rows: IntArray
    row: IntArray
    """(tasks of the table,): a row of each task in this arm, −1 where it has none."""
    tasks: int
    repeated: bool
    """Whether a task has several rows."""


def arm_of(table: OutcomeTable, name: str) -> Arm:
    """The rows of one arm; none where no row bears its name."""
    code = table.arms.find(name)
    rows = np.flatnonzero(table.arms.codes == (-1 if code is None else code))
    tasks = table.tasks.codes[rows]
    row = np.full(len(table.tasks.names), -1, dtype=np.int64)
    row[tasks] = rows
    # A task that came twice kept one of its rows, so one of them does not find itself again.
    return Arm(rows=rows, row=row, tasks=rows.size, repeated=bool((row[tasks] != rows).any()))


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRuns:
    """The runs of the tasks that both arms have, in the order in which those tasks first appear in the table."""

    baseline: list[list[bool | None]]
    """Tasks × seeds, None where the run has no outcome."""
    treated: list[list[bool | None]]
    clusters: list[str] | None
    """One label per task, where tasks come in groups."""
    found: Mapping[str, int]
    """By arm: its tasks, those without a partner included."""
    common: int
    """Tasks that both arms have."""
    dropped: int
    """Runs left out for want of a partner with their seed."""
    differing: int
    """Pairs whose runs bear different seeds."""


def planned_runs(table: OutcomeTable, *, baseline: str, treated: str) -> PlannedRuns:
    """Lays out the runs of two arms task by task: by seed where the arms ran the same seeds.

    Raises:
        InvalidInput: As `pair_arms`.
    """
    arms = [arm_of(table, name) for name in (baseline, treated)]
    for name, arm in zip((baseline, treated), arms, strict=True):
        if arm.repeated:
            refuse_repeats(table, name, arm.rows)
    tasks, first_row = np.unique(table.tasks.codes, return_index=True)
    tasks = tasks[np.argsort(first_row)]
    common = tasks[(arms[0].row[tasks] >= 0) & (arms[1].row[tasks] >= 0)]
    if not common.size:
        raise InvalidInput(
            f"the arms '{shown(baseline)}' and '{shown(treated)}' have no task in common. "
            "Pairs need the same task ids in both arms."
        )
    place = np.full(len(table.tasks.names), -1, dtype=np.int64)
    place[common] = np.arange(common.size)
    # Runs of the common tasks, task by task and seed by seed.
    rows = [_in_order(table, arm.rows, place) for arm in arms]
    seeds = [np.unique(table.seeds.codes[arm.rows]) for arm in arms]
    dropped = 0
    if np.array_equal(seeds[0], seeds[1]):
        # Both arms were to run these seeds: what one of them lacks has no partner.
        each = [np.bincount(place[table.tasks.codes[one]], minlength=common.size) for one in rows]
        runs = each[0] + each[1]
        key = [place[table.tasks.codes[one]] * len(table.seeds.names) + table.seeds.codes[one] for one in rows]
        kept = [
            np.isin(mine, other, assume_unique=True) | (runs[place[table.tasks.codes[one]]] <= 2)
            for one, mine, other in zip(rows, key, key[::-1], strict=True)
        ]
        dropped = sum(int(np.count_nonzero(~one)) for one in kept)
        rows = [one[chosen] for one, chosen in zip(rows, kept, strict=True)]
    counts = [np.bincount(place[table.tasks.codes[one]], minlength=common.size) for one in rows]
    some = np.flatnonzero(counts[0])
    return PlannedRuns(
        baseline=_split(_outcomes(table, rows[0]), counts[0][some]),
        treated=_split(_outcomes(table, rows[1]), counts[1][some]),
        clusters=None if table.clusters is None else _clusters(table, [arm.rows for arm in arms], place, some),
        found={name: _number_of_tasks(arm) for name, arm in zip((baseline, treated), arms, strict=True)},
        common=int(common.size),
        dropped=dropped,
        differing=_differing([table.seeds.codes[one] for one in rows], counts),
    )


def _in_order(table: OutcomeTable, rows: IntArray, place: IntArray) -> IntArray:
    """Those rows whose task has a place, by it and by seed."""
    where = place[table.tasks.codes[rows]]
    chosen, where = rows[where >= 0], where[where >= 0]
    seeds, codes = len(table.seeds.names), table.seeds.codes[chosen]
    ordered: IntArray
    if len(place) * seeds <= _SPARSE * len(rows):  # a place for each run there can be: no sorting
        at = np.full(len(place) * seeds, -1, dtype=np.int64)
        at[where * seeds + codes] = chosen
        ordered = at[at >= 0]
    else:
        ordered = chosen[np.lexsort((codes, where))]
    return ordered


def _outcomes(table: OutcomeTable, rows: IntArray) -> list[bool | None]:
    """Of a table of scores the scores: floats where the type says bool."""
    if table.missing is None or not table.missing[rows].any():
        known: list[bool | None] = table.success[rows].tolist()
        return known
    outcomes = table.success[rows].astype(object)
    outcomes[table.missing[rows]] = None
    found: list[bool | None] = outcomes.tolist()
    return found


def _split(values: list[bool | None], counts: IntArray) -> list[list[bool | None]]:
    ends = np.cumsum(counts).tolist()
    return [values[low:high] for low, high in zip([0, *ends[:-1]], ends, strict=True)]


def _differing(seeds: Sequence[IntArray], counts: Sequence[IntArray]) -> int:
    """How many of the pairs, run by run of each task, bear different seeds."""
    least = np.minimum(*counts)
    paired = []
    for codes, count in zip(seeds, counts, strict=True):
        within = np.arange(len(codes)) - np.repeat(np.cumsum(count) - count, count)
        paired.append(codes[within < np.repeat(least, count)])
    return int(np.count_nonzero(paired[0] != paired[1]))


def _number_of_tasks(arm: Arm) -> int:
    return int(np.count_nonzero(arm.row >= 0))


def _clusters(table: OutcomeTable, rows: Sequence[IntArray], place: IntArray, some: IntArray) -> list[str]:
    """The cluster of each of some tasks, by their places; of all rows of the task, those without a partner too.

    Raises:
        InvalidInput: A task is in several, or in none.
    """
    assert table.clusters is not None, "asked only where there are clusters"
    both = np.concatenate(rows)
    where, codes = place[table.tasks.codes[both]], table.clusters.codes[both]
    both, where, codes = both[where >= 0], where[where >= 0], codes[where >= 0]
    least = np.full(int(place.max()) + 1, len(table.clusters.names), dtype=np.int64)
    most = np.full(least.size, -1, dtype=np.int64)
    np.minimum.at(least, where, codes)
    np.maximum.at(most, where, codes)
    names = table.clusters.names
    unnamed = table.clusters.find("")
    wrong = some[(least[some] != most[some]) | (least[some] == (-1 if unnamed is None else unnamed))]
    if wrong.size:
        row = both[where == wrong[0]]
        met = sorted({names[code] for code in codes[where == wrong[0]].tolist()})
        what = f"is in the clusters {listed(met)}" if len(met) > 1 else "has no cluster"
        raise InvalidInput(
            f"task '{shown(table.tasks.names[int(table.tasks.codes[row[0]])])}' {what} ({table.places[int(row[0])]}). "
            "Every task belongs to one cluster."
        )
    return [names[code] for code in least[some].tolist()]


def refuse_repeats(table: OutcomeTable, arm: str, rows: IntArray) -> None:
    """Raises: one run is there twice, if it is."""
    key = table.tasks.codes[rows].astype(np.int64) * len(table.seeds.names) + table.seeds.codes[rows]
    if len(table.tasks.names) * len(table.seeds.names) <= _SPARSE * len(rows) and np.bincount(key).max() < 2:
        return
    order = np.argsort(key, kind="stable")
    again = order[1:][key[order][1:] == key[order][:-1]]
    if not again.size:
        return
    second = again.min()
    first, row = int(rows[np.flatnonzero(key == key[second])[0]]), int(rows[second])
    task, seed = (shown(labels.names[int(labels.codes[row])]) for labels in (table.tasks, table.seeds))
    hint = (
        "Keep one of the two rows."
        if seed
        else "Keep one of the two rows, or name the column that tells the runs apart: --seed-col NAME."
    )
    raise InvalidInput(
        f"task '{task}', arm '{shown(arm)}', seed '{seed}' is there twice: {table.places[first]} and "
        f"{table.places[row]}. {hint}"
    )
