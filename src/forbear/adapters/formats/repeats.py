"""A run that stands in a table twice: in which columns its rows differ, and which options tell them apart."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice, pairwise

import numpy as np
from numpy.typing import NDArray

from forbear.adapters.formats.rows import Rows
from forbear.adapters.formats.tabular_columns import GUESSES, Layout, folded
from forbear.errors import InvalidInput
from forbear.outcomes.table import Labels
from forbear.wording import counted, listed, shown

_RUNS = frozenset(
    {folded(name) for names in GUESSES["seed"] for name in names}
    | {"attempt", "iteration", "try", "runid", "sampleindex", "replica", "seedid", "randomseed", "trialid", "index"}
)
"""Folded names of columns that tell the runs of a task apart, rather than ways to look at one run."""
_ARMS = frozenset(folded(name) for names in GUESSES["arm"] for name in names)
_MOST_COLUMNS = 60
_MOST_ROWS = 20_000
_FEW = 20
"""Different values of a column by which one chooses."""

_Batches = Callable[..., Iterator[tuple[Mapping[str, Sequence[str]], Sequence[int]]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """What names a run: each row's task, arm, seed and group."""

    tasks: Labels
    arms: Labels
    seeds: Labels
    groups: Labels

    def repeated(self) -> NDArray[np.intp]:
        """The rows whose name others bear too, those of one name together and in their order."""
        columns = [self.tasks, self.arms, self.seeds, self.groups]
        rows, size = len(self.tasks.codes), 1
        key = np.zeros(rows, np.int64)
        for labels in columns:
            size *= max(1, len(labels.names))
            if size >= 1 << 62:  # more names than rows: number what there is afresh
                key = np.unique(key, return_inverse=True)[1].astype(np.int64)
                size = rows * max(1, len(labels.names))
            key = key * max(1, len(labels.names)) + labels.codes
        if not rows or (size <= 8 * rows and np.bincount(key).max() < 2):
            return np.zeros(0, np.intp)
        order = np.argsort(key, kind="stable")
        alike = key[order][1:] == key[order][:-1]
        found: NDArray[np.intp] = order[np.append(False, alike) | np.append(alike, False)]
        return found

    def same(self, first: int, second: int) -> bool:
        """Whether two rows have the same name."""
        return all(
            labels.codes[first] == labels.codes[second] for labels in (self.tasks, self.arms, self.seeds, self.groups)
        )


def refuse_repeats(
    keys: Keys, rows: Rows, layout: Layout, name: str, lines: Sequence[Sequence[int]], batches: _Batches
) -> None:
    """Refuses a run that is there twice.

    Args:
        keys: Of the rows of one source.
        rows: That source.
        layout: Its columns.
        name: Its name.
        lines: The number of each row, in parts.
        batches: Gives the columns of the same rows again, and others that are named.

    Raises:
        InvalidInput: One is, with the columns in which its rows differ and what tells them apart.
    """
    repeated = keys.repeated()
    if not repeated.size:
        return
    at = list(chain.from_iterable(lines))
    some = repeated[:_MOST_ROWS].tolist()
    first, second = min((pair for pair in pairwise(some) if keys.same(*pair)), key=lambda pair: pair[1])
    names = [f"task '{_of(keys.tasks, first)}'"]
    names += [f"arm '{_of(keys.arms, first)}'"] if layout.arm or layout.arms else []
    names += [f"seed '{_of(keys.seeds, first)}'"] if layout.seed else []
    raise InvalidInput(
        f"{name}: {', '.join(names)} is there twice, in {rows.unit}s {at[first]} and {at[second]}. "
        f"{_what_differs(keys, repeated, rows, layout, batches)}"
    )


def _of(labels: Labels, row: int) -> str:
    return shown(labels.names[int(labels.codes[row])])


def _what_differs(keys: Keys, repeated: NDArray[np.intp], rows: Rows, layout: Layout, batches: _Batches) -> str:
    used = {layout.task, layout.arm, layout.seed, layout.by, *layout.arms, *(one.column for one in layout.where)}
    others = [name for name in dict.fromkeys(islice(rows.names, 10 * _MOST_COLUMNS)) if name not in used]
    others = [name for name in others if rows.find(name) == 1][:_MOST_COLUMNS]
    chosen = repeated[:_MOST_ROWS].tolist()
    values = _values(others, chosen, batches, outcomes=len(layout.outcomes))
    starts = [i for i in range(len(chosen)) if not i or not keys.same(chosen[i - 1], chosen[i])]
    groups = [chosen[low:high] for low, high in zip(starts, [*starts[1:], len(chosen)], strict=True)]
    groups = [group for group in groups if len(group) > 1]
    differing, telling = [], []
    for name in others:
        told = [len({values[name][row] for row in group}) for group in groups]
        if any(number > 1 for number in told):
            differing.append(name)
        if all(number == len(group) for number, group in zip(told, groups, strict=True)):
            telling.append(name)
    runs = "--number-runs if they are separate runs of the agent"
    if not differing:
        return (
            f"The rows are alike in every column, as are {counted(len(groups), 'such run')} in all: drop the copies if "
            f"one run was stored twice, or {runs}."
        )
    known = {name: list(dict.fromkeys(values[name][row] for row in chosen)) for name in telling}
    one_arm = len(np.unique(keys.arms.codes)) == 1
    hints = [hint for name in telling[:6] if (hint := _hint(name, known[name], layout, one_arm=one_arm))]
    where = f"They differ in {listed(differing)}."
    return f"{where} Choose what is meant: {'; '.join([*dict.fromkeys(hints), runs])}."


def _hint(name: str, values: Sequence[str], layout: Layout, *, one_arm: bool) -> str:
    """The options by which a column that tells rows apart does so; none in place of a column that does so too."""
    column = _quoted(name)
    if folded(name) in _RUNS:
        return "" if layout.seed else f"--seed-col {column}"
    if len(values) > _FEW or folded(name) in {folded(x) for names in GUESSES["success"] for x in names}:
        return ""
    hint = f"--where {_quoted(f'{name}={values[0]}')} (of {len(values)} values)"
    hint += "" if layout.by else f" or --by {column}"
    return f"{hint} or --arm-col {column}" if one_arm and folded(name) in _ARMS else hint


def _quoted(text: str) -> str:
    word = shown(text, limit=50)
    return word if all(ch.isalnum() or ch in "_-.=/:" for ch in word) else f"'{word}'"


def _values(
    names: Sequence[str], chosen: Sequence[int], batches: _Batches, *, outcomes: int
) -> dict[str, dict[int, str]]:
    """The values of some columns in some rows. Of a wide table each row stands for as many as it has outcomes."""
    wanted, since = set(chosen), 0
    values: dict[str, dict[int, str]] = {name: {} for name in names}
    for found, lines in batches(*names):
        for row in range(since, since + len(lines) * outcomes):
            if row in wanted:
                for name in names:
                    values[name][row] = found[name][(row - since) % len(lines)]
        since += len(lines) * outcomes
    return values
