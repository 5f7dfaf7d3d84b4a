"""Outcomes in tables: CSV, TSV or JSONL with the columns `task_id, arm, seed, success` (docs/formats.md)."""

import csv
import io
import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path

import numpy as np

from forbear.adapters.formats.columnar import read_columnar
from forbear.adapters.formats.reading import Reading
from forbear.adapters.formats.source import Source, read_source
from forbear.adapters.formats.tabular_rows import Content, read_rows
from forbear.adapters.formats.understood import cautions, counted_as_failures, understood
from forbear.errors import InvalidInput
from forbear.outcomes.table import Labels, OutcomeTable
from forbear.stats.verdict import Remark
from forbear.wording import listed, shown

_MIX_LIMIT = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class TabularOutcomes:
    """What was read from one file, or from two."""

    table: OutcomeTable
    baseline: str | None
    """The baseline's name where the files say it: with two files, the arm of the first."""
    ignored: tuple[str, ...]
    """Columns that were there and not used."""
    notes: tuple[Remark, ...] = ()
    """What has to be said of any verdict on them, as its cautions."""
    understood: tuple[Remark, ...] = ()
    """What was read in another way than as it stands there: names that were guessed, rows that were left out, ..."""


def read_outcomes(
    sources: str | Path | Sequence[str | Path], *, reading: Reading | None = None, needs_arm: bool = True
) -> TabularOutcomes:
    """Reads outcomes by task, arm and seed.

    Args:
        sources: One file with both arms, or two files with one arm each, baseline first; `-` is standard input.
        reading: How they are read, where that is not as usual.
        needs_arm: Whether one file has to have a column of arms; without, the name of its only arm is "".

    Raises:
        InvalidInput: Unreadable, not text, a missing column, a ragged row, a success that is neither 0 nor 1, ...:
            one line that names the file and the line.
    """
    paths = [sources] if isinstance(sources, str | Path) else list(sources)
    if not 1 <= len(paths) <= 2:
        raise InvalidInput(f"expected one file, or two with the baseline first, got {len(paths)}.")
    if len(paths) == 2 and str(paths[0]) == "-" == str(paths[1]):
        raise InvalidInput("standard input can be read once only; give at least one of the two as a file.")
    reading = reading or Reading()
    needs_arm, guess_arm = needs_arm and len(paths) == 1, len(paths) == 1
    columnar = read_columnar(paths, reading, needs_arm=needs_arm, guess_arm=guess_arm)
    names: list[str] = []

    def each() -> Iterator[Source]:
        for path in paths:
            source = read_source(path)
            names.append(source.name)
            yield source
            del source  # before the next one is read

    if columnar is not None:
        content, names = columnar
    else:
        content = read_rows(each(), reading, needs_arm=needs_arm, guess_arm=guess_arm)
    baseline = None
    if len(paths) == 2:
        arms, baseline = _arms_of_two(content, names)
        content = replace(content, arms=arms)
    seeds, dropped = _seeds(content)
    table = OutcomeTable(
        tasks=content.tasks,
        arms=content.arms,
        seeds=seeds,
        success=content.success,
        places=_Places(names, content.lines, content.units),
        missing=content.missing,
        clusters=content.clusters,
        strata=content.strata,
        reasons=content.reasons,
        groups=content.groups,
    )
    notes = cautions(content)
    if reading.failures:
        table, by_arm = table.failing(reading.failures)
        notes = (counted_as_failures(reading.failures, by_arm), *notes)
    return TabularOutcomes(
        table=table,
        baseline=baseline,
        ignored=tuple(dict.fromkeys(name for layout in content.layouts for name in layout.ignored)),
        notes=notes,
        understood=understood(content, reading, sources=names, seeds_dropped=dropped),
    )


def _seeds(content: Content) -> tuple[Labels, bool]:
    """The seeds; none where a guessed column of them tells no runs of an arm apart, and whether that is so."""
    seeds = content.seeds
    if not any("seed" in layout.guessed for layout in content.layouts):
        return seeds, False
    for arm in np.unique(content.arms.codes).tolist():
        if len(np.unique(seeds.codes[content.arms.codes == arm])) > 1:
            return seeds, False
    return Labels(codes=np.zeros_like(seeds.codes), names=[""]), True


def read_mix(source: str | Path) -> dict[str, float]:
    """Reads a deployment's mix: CSV with the columns `stratum,weight`; weights are scaled to add up to 1.

    Raises:
        InvalidInput: Unreadable, larger than 1 MiB, a missing column, a stratum twice, or a weight that is no number
            from 0 on.
    """
    text = read_source(source, limit=_MIX_LIMIT).text()
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    name = shown(str(source))
    mix: dict[str, float] = {}
    try:
        if not {"stratum", "weight"} <= set(reader.fieldnames or ()):
            raise InvalidInput(f"{name} needs the columns stratum,weight; it has {listed(reader.fieldnames or ())}.")
        for row in reader:
            stratum, place = (row["stratum"] or "").strip(), f"{name}, line {reader.line_num}"
            try:
                weight = float(row["weight"] or "")
            except ValueError:
                weight = -1.0
            if not (stratum and 0 <= weight < math.inf) or stratum in mix:
                raise InvalidInput(f"{place}: each stratum needs one row with a name and a weight of 0 or more.")
            mix[stratum] = weight
    except csv.Error as error:
        raise InvalidInput(f"{name}, line {reader.line_num}: cannot be read as CSV ({shown(str(error))}).") from None
    total = sum(mix.values())
    if not 0 < total < math.inf:
        raise InvalidInput(f"{name} holds no weight above 0, or weights too large to add.")
    return {stratum: weight / total for stratum, weight in mix.items()}


def _arms_of_two(content: Content, sources: Sequence[str]) -> tuple[Labels, str]:
    """Each of two files is one arm: called as its arm column says, else baseline and treated."""
    first = len(content.lines[0])
    arms: list[str] = []
    for source, codes in zip(sources, (content.arms.codes[:first], content.arms.codes[first:]), strict=True):
        names = [content.arms.names[code] for code in np.unique(codes).tolist()]
        if len(names) > 1:
            raise InvalidInput(
                f"with two files each is one arm, but {source} holds the arms {listed(names)}. "
                f"Choose those of one: --where {shown(content.layouts[len(arms)].arm or 'arm', limit=30)}=NAME, "
                "or give one file with both."
            )
        arms.append(names[0])
    if arms[1] == "baseline" and arms[0] not in ("", "baseline"):
        raise InvalidInput(
            f"with two files the baseline comes first, but {sources[0]} holds the arm '{shown(arms[0])}' and "
            f"{sources[1]} the arm 'baseline'. Swap them."
        )
    if not all(layout.arm for layout in content.layouts) or arms[0] == arms[1]:
        arms = ["baseline", "treated"]
    codes = np.repeat(np.array([0, 1], dtype=np.int8), [first, len(content.lines[1])])
    return Labels(codes=codes, names=arms), arms[0]


class _Places(Sequence[str]):
    """Where each row came from ("outcomes.csv, line 7"), written when asked for."""

    def __init__(self, sources: Sequence[str], lines: Sequence[Sequence[int]], units: Sequence[str]) -> None:
        self._sources, self._lines, self._units = sources, lines, units
        self._ends = list(accumulate(len(one) for one in lines))

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, row: int) -> str:  # type: ignore[override]  # no slices: places are asked for one by one
        which = bisect_right(self._ends, row)
        lines = self._lines[which]
        return f"{self._sources[which]}, {self._units[which]} {lines[row - self._ends[which]]}"
