"""Logs of other tools as outcomes: files are found by content, read by their format's reader, and named."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from forbear.adapters.formats.logs.arms import Named, named
from forbear.adapters.formats.logs.choice import Choice, Scored, score
from forbear.adapters.formats.logs.model import Fault, Log, Run
from forbear.adapters.formats.logs.probe import Probe, opened, short
from forbear.adapters.formats.logs.registry import FORMATS, Format, by_name, format_of
from forbear.adapters.formats.reading import Reading
from forbear.errors import InvalidInput
from forbear.outcomes.table import OutcomeTable
from forbear.wording import counted, listed, shown

_MOST_FILES = 200_000
"""Of a folder; more is taken for a mistake (a whole disk)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmCounts:
    """What became of the runs of one arm."""

    success: int = 0
    failure: int = 0
    error: int = 0
    missing: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    """Why runs have no outcome: how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadLogs:
    """What was read from logs, and how it was understood."""

    rows: Sequence[Named]
    """In the order of arms, tasks, repeats."""
    formats: tuple[str, ...]
    files: tuple[str, ...]
    """Those that were read."""
    passed_over: int
    """Files of a folder that are no logs of outcomes."""
    said: tuple[str, ...]
    """What made the outcomes: the field or the score, with its threshold."""
    arms: Mapping[str, ArmCounts]
    tasks: int
    repeats: int
    """The most runs of a task in one arm."""
    baseline: str | None
    """The arm of the first of two files, where each holds one."""
    remarks: tuple[str, ...]

    def episodes(self) -> Iterator[dict[str, object]]:
        """What agents did, as `forbear critic train` reads it; runs without a step are left out."""
        for row in self.rows:
            if row.run.steps:
                steps = [{"action": action, "observation": seen} for action, seen in row.run.steps]
                yield {
                    "task_id": row.task,
                    "seed": row.seed,
                    "success": row.run.success,
                    "agent": row.arm,
                    "task": row.run.opening,
                    "steps": [{**step, "p_fail": said} for step, said in zip(steps, row.run.said, strict=True)]
                    if row.run.said
                    else steps,
                }

    def table(self) -> OutcomeTable:
        """As outcomes to decide on; without seeds, where no log has an index and each task was run once."""
        indexed = self.repeats > 1 or any(row.run.repeat is not None for row in self.rows)
        return OutcomeTable.from_columns(
            tasks=[row.task for row in self.rows],
            arms=[row.arm for row in self.rows],
            seeds=[row.seed if indexed else "" for row in self.rows],
            success=[row.run.success for row in self.rows],
            reasons=[row.run.reason if row.run.fault else "" for row in self.rows],
            places=[f"{self.files[row.log]}, {row.run.place}" for row in self.rows],
        )


def read_logs(sources: Sequence[str | Path], *, choice: Choice | None = None, of: str | None = None) -> ReadLogs:
    """Reads the outcomes of logs.

    Args:
        sources: Files, and folders whose files are looked through.
        choice: What the user says where the logs cannot.
        of: The name of the format; omitted: it is found by content.

    Returns:
        The runs, at least one.

    Raises:
        InvalidInput: Nothing that is known; a file that does not fit its format, with the place; several formats in
            one folder, or scores among which somebody has to choose.
    """
    choice = Choice() if choice is None else choice
    wanted = None if of is None else by_name(of)
    found, passed_over = _found(sources, wanted)
    logs = _together([log for probe, kind in found for log in _read(probe, kind, choice)])
    if not any(log.runs for log in logs):
        why = [remark for log in logs for remark in log.remarks]
        raise InvalidInput(f"{_which(sources)} no outcome of any task. {' '.join(dict.fromkeys(why))}".rstrip())
    logs, doubled = _once([log for log in logs if log.runs])
    scored = score(logs, choice)
    complete, supplied = _absent([one.log for one in scored])
    rows, remarks = named(complete, by=choice.arms_by)
    return _summed(scored, complete, rows, passed_over, sources, [*doubled, *supplied, *remarks])


def _read(probe: Probe, kind: Format, choice: Choice) -> list[Log]:
    try:
        return list(kind.read(probe, choice))
    except RecursionError:
        raise InvalidInput(f"{probe.name}: nested too deeply to be a log.") from None


def is_log(path: str | Path) -> bool:
    """Whether a file is one of the formats, or a folder holds one; False where it cannot be read."""
    try:
        return any(True for _ in _probed(_files(path), None))
    except (OSError, InvalidInput):
        return False


def are_logs(paths: Sequence[str | Path], reading: Reading) -> bool:
    """Whether these are to be read as logs: what is said of a table (its columns, its rows) is not said of them.

    Raises:
        InvalidInput: Options of both.
    """
    of_logs, of_a_table = reading.of_logs, reading.of_a_table
    if of_logs and of_a_table:
        raise InvalidInput(f"{of_logs[0]} is for logs and {of_a_table[0]} for tables; drop one of them.")
    if of_logs:
        return True
    folder = next((path for path in paths if os.path.isdir(path)), None)
    if of_a_table and folder is not None:
        raise InvalidInput(f"{of_a_table[0]} is for tables, and '{short(folder)}' is a folder; name one file.")
    if of_a_table or not paths:
        return False
    found = [is_log(path) for path in paths]
    for path, known in zip(paths, found, strict=True):
        if not known and os.path.isdir(path):
            raise InvalidInput(f"cannot read '{short(path)}': Is a directory, and {_unknown(path, None)}")
    return all(found)


def _files(path: str | Path) -> list[Path]:
    if not os.path.isdir(path):
        return [Path(path)]
    files: list[Path] = []
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        files += [Path(folder, name) for name in sorted(names) if not name.startswith(".") or name.endswith(".json")]
        if len(files) > _MOST_FILES:
            raise InvalidInput(f"{short(path)} holds more than {_MOST_FILES:,} files; name fewer.")
    return files


def _probed(files: Iterable[Path], wanted: Format | None) -> Iterable[tuple[Probe, Format]]:
    for file in files:
        if not file.is_file():  # a pipe can be read once only, and not by one who only asks what it is
            continue
        probe = opened(file)
        kind = format_of(probe, wanted)
        if kind is not None:
            yield probe, kind


def _found(sources: Sequence[str | Path], wanted: Format | None) -> tuple[list[tuple[Probe, Format]], int]:
    """The logs among the files, and how many files are none."""
    if not sources:
        raise InvalidInput("nothing to read: name files or folders of logs.")
    found: list[tuple[Probe, Format]] = []
    looked_at = 0
    for source in sources:
        try:
            files = _files(source)
            here = list(_probed(files, wanted))
        except OSError as error:
            where = short(error.filename or source)
            raise InvalidInput(f"cannot read '{where}': {error.strerror or type(error).__name__}.") from None
        if not here:
            raise InvalidInput(_unknown(source, wanted))
        found += here
        looked_at += len(files)
    kinds = {kind.name: kind for _, kind in found}
    covered = {name for kind in kinds.values() for name in kind.covers}
    kept = [(probe, kind) for probe, kind in found if kind.name not in covered]
    names = list(dict.fromkeys(kind.name for _, kind in kept))
    if len(names) > 1:
        raise InvalidInput(
            f"{_which(sources)} logs of {len(names)} formats, {listed(names)}; they may tell of the same runs. "
            f"Say which to read: --from {names[0]}."
        )
    return kept, looked_at - len(kept)


def _unknown(source: str | Path, wanted: Format | None) -> str:
    where = short(source)
    if not os.path.exists(source):
        return f"cannot read '{where}': No such file or directory."
    if wanted is not None:
        return f"'{where}' holds no {wanted.name} log: {wanted.looks}."
    return (
        f"'{where}' holds no log of a known format ({', '.join(kind.name for kind in FORMATS)}). Bring a table with "
        "the columns task_id, arm, seed, success."
    )


def _which(sources: Sequence[str | Path]) -> str:
    one = f"'{short(sources[0])}' holds"
    return one if len(sources) == 1 else f"the {len(sources)} files and folders hold"


def _together(logs: Sequence[Log]) -> list[Log]:
    """Logs of one run of a benchmark in one: a folder with a file per task."""
    joined: dict[tuple[str, str], Log] = {}
    for number, log in enumerate(logs):
        key = (log.format, log.together or f"\0{number}")
        if (before := joined.get(key)) is None:
            joined[key] = log
        else:
            # Of the same run the configuration that says more.
            config = before.config if len(before.config) >= len(log.config) else log.config
            before.runs.extend(log.runs)
            joined[key] = replace(before, config=config, remarks=before.remarks + log.remarks)
    return list(joined.values())


def _once(logs: Sequence[Log]) -> tuple[list[Log], list[str]]:
    """Each run once: of one that is stored twice the last that has an outcome."""
    order = sorted(range(len(logs)), key=lambda n: (logs[n].started, n))
    best: dict[tuple[str, str], tuple[int, bool, int, int]] = {}
    for rank, n in enumerate(order):
        for k, run in enumerate(logs[n].runs):
            if run.uid:
                told = not run.fault and (run.success is not None or bool(run.scores))
                seen = best.get((logs[n].format, run.uid))
                best[logs[n].format, run.uid] = max(seen or (-1, False, -1, -1), (logs[n].weight, told, rank, k))
    kept, dropped = [], 0
    ranks = {n: rank for rank, n in enumerate(order)}
    for n, log in enumerate(logs):
        runs = [run for k, run in enumerate(log.runs) if not run.uid or best[log.format, run.uid][2:] == (ranks[n], k)]
        dropped += len(log.runs) - len(runs)
        kept.append(replace(log, runs=runs))
    said = [
        f"{counted(dropped, 'run')} {'is' if dropped == 1 else 'are'} stored twice (one run in two files, or a "
        "restarted one): counted once."
    ]
    return [log for log in kept if log.runs], said if dropped else []


def _absent(logs: Sequence[Log]) -> tuple[list[Log], list[str]]:
    """The tasks that only other logs list, where a format says what their absence means."""
    if not any(log.absent for log in logs):
        return list(logs), []
    every = {run.key or run.task: run for log in logs for run in log.runs}
    complete, counts = [], Counter[str]()
    for log in logs:
        there = {run.key or run.task for run in log.runs}
        lacking = [run for key, run in every.items() if key not in there] if log.absent else []
        failed = log.absent == "failure"
        fault: Fault = "" if failed else "missing"
        success, reason = (False, "") if failed else (None, "not in this report")
        more = [
            Run(
                task=one.task,
                key=one.key,
                group=one.group,
                success=success,
                fault=fault,
                reason=reason,
                place="not listed",
            )
            for one in lacking
        ]
        complete.append(replace(log, runs=[*log.runs, *more]))
        counts[log.absent] += len(more)
    said = {
        "failure": "that one report does not list, but another does, count as failures: only successes are listed.",
        "missing": "that one report does not list, but another does, have no outcome there.",
    }
    return complete, [f"{counted(counts[kind], 'task')} {text}" for kind, text in said.items() if counts[kind]]


def _summed(
    scored: Sequence[Scored],
    logs: Sequence[Log],
    rows: list[Named],
    passed_over: int,
    sources: Sequence[str | Path],
    remarks: list[str],
) -> ReadLogs:
    order = {arm: number for number, arm in enumerate(dict.fromkeys(row.arm for row in rows))}
    rows.sort(key=lambda row: order[row.arm])
    partial = sum(one.partial for one in scored)
    if partial:
        remarks.append(
            f"{counted(partial, 'score')} between failure and full success: counted as failures; --threshold T says "
            "from where on one is a success."
        )
    remarks += [remark for log in logs for remark in log.remarks]
    arms = {arm: _counts(row.run for row in rows if row.arm == arm) for arm in order}
    cells = Counter((row.arm, row.task) for row in rows)
    two = len(sources) == 2 and len(arms) == 2 and len(logs) == 2 and not os.path.isdir(sources[0])
    return ReadLogs(
        rows=tuple(rows),
        formats=tuple(dict.fromkeys(log.format for log in logs)),
        files=tuple(shown(str(log.path), limit=200) for log in logs),
        passed_over=passed_over,
        said=tuple(dict.fromkeys(one.said for one in scored if one.said)),
        arms=arms,
        tasks=len({row.task for row in rows}),
        repeats=max(cells.values()),
        # A shell's *.eval puts files into an order of its own; what is called the baseline is it.
        baseline=rows[0].arm if two and all(row.arm != "baseline" for row in rows) else None,
        remarks=tuple(dict.fromkeys(remarks)),
    )


def _counts(runs: Iterable[Run]) -> ArmCounts:
    counts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for run in runs:
        counts[run.fault or ("success" if run.success else "failure")] += 1
        if run.fault:
            reasons[run.reason or run.fault] += 1
    return ArmCounts(
        success=counts["success"],
        failure=counts["failure"],
        error=counts["error"],
        missing=counts["missing"],
        reasons=dict(reasons.most_common()),
    )
