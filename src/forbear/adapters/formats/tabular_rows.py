"""The careful reader of the tabular layout: any CSV, TSV or JSONL, row by row, and every error with its line."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from forbear.adapters.formats.source import Source
from forbear.adapters.formats.tabular_columns import (
    BLANKS,
    SUCCESS,
    TWICE,
    Columns,
    Content,
    locate,
    missing_column,
    not_binary,
    success_of,
)
from forbear.errors import InvalidInput
from forbear.outcomes.table import Labels
from forbear.wording import shown

_MANY = 50
_MOST_LINES = 20_000_000
"""Minutes of reading; also the end of an endless stream of blank lines."""


@dataclass(slots=True, kw_only=True)
class _Columns:
    """The rows read so far, column by column."""

    tasks: list[str] = field(default_factory=list)
    arms: list[str] = field(default_factory=list)
    seeds: list[str] = field(default_factory=list)
    success: list[bool | None] = field(default_factory=list)
    clusters: list[str] = field(default_factory=list)
    strata: list[str] = field(default_factory=list)
    present: set[str] = field(default_factory=set)
    """Which of the optional columns `clusters` and `strata` any source has."""
    lines: list[list[int]] = field(default_factory=list)
    has_arm: list[bool] = field(default_factory=list)
    ignored: dict[str, None] = field(default_factory=dict)

    def add(
        self,
        task: str,
        arm: str | None,
        seed: str,
        success: bool | None,
        cluster: str | None,
        stratum: str | None,
        line: int,
        source: str,
    ) -> None:
        task = task.strip(BLANKS)
        if not task:
            raise InvalidInput(f"{source}, line {line}: the task id is empty. Every row needs one.")
        if arm is not None:
            arm = arm.strip(BLANKS)
            if not arm:
                raise InvalidInput(f"{source}, line {line}: the arm is empty. Every row needs one.")
        self.tasks.append(task)
        self.arms.append(arm or "")
        self.seeds.append(seed.strip(BLANKS))
        self.success.append(success)
        for name, label in (("clusters", cluster), ("strata", stratum)):
            getattr(self, name).append((label or "").strip(BLANKS))
            if label is not None:
                self.present.add(name)
        self.lines[-1].append(line)


def read_rows(sources: Sequence[Source], columns: Columns, *, needs_arm: bool) -> Content:
    """Reads whole tables row by row.

    Raises:
        InvalidInput: Whatever keeps a row from being read, with source and line.
    """
    rows = _Columns()
    for source in sources:
        rows.lines.append([])
        if source.line_of(source.end) > _MOST_LINES:
            raise InvalidInput(f"{source.name} has more than {_MOST_LINES:,} lines, and not all are plain rows.")
        text = source.text()
        if text.lstrip()[:1] == "{":
            _read_jsonl(text, rows, columns, source=source.name, needs_arm=needs_arm)
        elif text.lstrip()[:1] == "[":
            raise InvalidInput(f"{source.name} is a JSON array. Write one JSON object per line (JSONL), or CSV.")
        else:
            _read_csv(text, rows, columns, source=source.name, needs_arm=needs_arm)
        if not rows.lines[-1]:
            raise InvalidInput(f"{source.name} holds no outcomes, only a header. Add one row per task and arm.")
    return Content(
        tasks=Labels.of(rows.tasks),
        arms=Labels.of(rows.arms),
        seeds=Labels.of(rows.seeds),
        success=np.array([x is True for x in rows.success], dtype=np.bool_),
        missing=np.array([x is None for x in rows.success], dtype=np.bool_),
        clusters=Labels.of(rows.clusters) if "clusters" in rows.present else None,
        strata=Labels.of(rows.strata) if "strata" in rows.present else None,
        lines=rows.lines,
        has_arm=rows.has_arm,
        ignored=tuple(rows.ignored),
    )


def delimiter_of(header: str) -> str:
    """Tab where the header line holds one, else a comma."""
    return "\t" if "\t" in header else ","


def _records(text: str, *, source: str) -> Iterator[tuple[int, list[str]]]:
    """The records of a CSV or TSV that are not blank, each with the line on which it starts."""
    stream = io.StringIO(text, newline="")
    delimiter = delimiter_of(next((line for line in stream if line.strip()), ""))
    stream.seek(0)
    # strict: without it a quote that is never closed would swallow the rest of the file in silence.
    reader = csv.reader(stream, delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise InvalidInput(
                f"{source}, line {line}: cannot be read as {'TSV' if delimiter == chr(9) else 'CSV'} "
                f"({shown(str(error), limit=80)}). Check its quotes and its length."
            ) from None
        if record and (record[0].strip(BLANKS) or any(value.strip(BLANKS) for value in record)):
            yield line, record


def _read_csv(text: str, rows: _Columns, columns: Columns, *, source: str, needs_arm: bool) -> None:
    records = _records(text, source=source)
    _, header = next(records, (0, []))
    if not header:
        raise InvalidInput(f"{source} is empty. Expected a header (task_id,arm,seed,success) and one row per outcome.")
    header = [name.strip(BLANKS) for name in header]
    at = locate(header, columns, source=source, needs_arm=needs_arm)
    rows.has_arm.append(at.arm is not None)
    rows.ignored.update(dict.fromkeys(at.ignored))
    width = len(header)
    for line, record in records:
        if len(record) != width:
            fields = f"{len(record)} field{'s' if len(record) > 1 else ''}"
            raise InvalidInput(
                f"{source}, line {line} has {fields}, the header has {width}. "
                "Quote fields that hold the separator; fill the missing ones."
            )
        success = SUCCESS.get(record[at.success])
        if success is None:  # in another case, padded, or wrong
            success = success_of(record[at.success].strip(BLANKS), place=f"{source}, line {line}")
        arm = None if at.arm is None else record[at.arm]
        seed = "" if at.seed is None else record[at.seed]
        cluster = None if at.cluster is None else record[at.cluster]
        stratum = None if at.stratum is None else record[at.stratum]
        rows.add(record[at.task], arm, seed, success, cluster, stratum, line, source)


def _read_jsonl(text: str, rows: _Columns, columns: Columns, *, source: str, needs_arm: bool) -> None:
    task, arm, seed, success = columns.task, columns.arm or "arm", columns.seed or "seed", columns.success
    cluster = columns.cluster or "cluster"
    stratum = columns.stratum or "stratum"
    known = {task, arm, seed, success, cluster, stratum}
    if len(known) < 6:
        raise InvalidInput(TWICE.format(source=source))
    needed = {task: "--task-col", success: "--success-col"} | ({seed: "--seed-col"} if columns.seed else {})
    needed |= {cluster: "--cluster-col"} if columns.cluster else {}
    needed |= {stratum: "--stratum-col"} if columns.stratum else {}
    with_arm: bool | None = None
    for line, raw in enumerate(text.split("\n"), start=1):
        if not raw or raw.isspace():
            continue
        place = f"{source}, line {line}"
        record = _object(raw, place=place)
        if with_arm is None:
            # The first object says whether there are arms; from then on all must agree.
            with_arm = needs_arm or columns.arm is not None or arm in record
            needed |= {arm: "--arm-col"} if with_arm else {}
        if not needed.keys() <= record.keys():
            name = next(name for name in needed if name not in record)
            raise InvalidInput(missing_column(name, list(record), source=place, option=needed[name]))
        if len(record) > len(needed) and len(rows.ignored) < _MANY:
            rows.ignored.update(dict.fromkeys([name for name in record if name not in known][:_MANY]))
        run = record.get(seed)
        rows.add(
            _name(record[task], column=task, place=place),
            _name(record[arm], column=arm, place=place) if with_arm else None,
            "" if run is None else _name(run, column=seed, place=place),
            _json_success(record[success], place=place),
            _name(record[cluster], column=cluster, place=place) if record.get(cluster) is not None else None,
            _name(record[stratum], column=stratum, place=place) if record.get(stratum) is not None else None,
            line,
            source,
        )
    rows.has_arm.append(bool(with_arm))


def _object(raw: str, *, place: str) -> dict[str, object]:
    try:
        value = _DECODER.decode(raw)
    except json.JSONDecodeError as error:
        what = f"{error.msg} at character {error.pos + 1}"
    except (ValueError, RecursionError) as error:  # a key twice; a number of thousands of digits; nested too deeply
        what = str(error)
    else:
        if isinstance(value, dict):
            return value
        what = f"it is {shown(raw.strip())}"
    raise InvalidInput(f"{place} is not a JSON object ({shown(what, limit=100)}). Write one object per line.")


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    record = dict(pairs)
    if len(record) < len(pairs):
        raise ValueError("a key stands there twice")
    return record


_DECODER = json.JSONDecoder(object_pairs_hook=_unique)


def _name(value: object, *, column: str, place: str) -> str:
    """A task id, arm or seed: text, or a whole number."""
    if isinstance(value, str):
        if value.isascii():
            return value
        try:
            value.encode()
        except UnicodeEncodeError:
            raise InvalidInput(f"{place}: '{shown(column)}' holds half a character (a lone surrogate).") from None
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise InvalidInput(f"{place}: '{shown(column)}' is {shown(json.dumps(value))}; expected text or a whole number.")


def _json_success(value: object, *, place: str) -> bool | None:
    if value is None:
        return None
    if isinstance(value, str):
        return success_of(value.strip(BLANKS), place=place)
    if isinstance(value, bool | int | float) and value in (0, 1):
        return bool(value)
    raise InvalidInput(not_binary(json.dumps(value), place=place))
