"""Names of arms, tasks and repeats over several logs, so that equal names mean the same and others do not."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from forbear.adapters.formats.logs.choice import ArmsBy
from forbear.adapters.formats.logs.model import Log, Run

_GENERIC = frozenset(
    {"result", "results", "report", "output", "out", "log", "logs", "benchmark", "eval_results", "preds"}
)
"""Names of files that say nothing of what is in them."""

_SUFFIXES = frozenset({"json", "jsonl", "eval", "xml", "csv", "traj", "log", "txt", "trace", "gz"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """One run with its final names."""

    task: str
    arm: str
    seed: str
    run: Run
    log: int
    """Which of the logs it is from."""


def named(logs: Sequence[Log], *, by: ArmsBy) -> tuple[list[Named], list[str]]:
    """Names every run.

    Args:
        logs: In the order in which they were given.
        by: What makes an arm, as `Choice.arms_by`.

    Returns:
        The runs, in the order of logs, and remarks on how arms were told apart.
    """
    arms, remarks = _arms(logs, by)
    tasks = _tasks(logs)
    cells: dict[tuple[str, str], list[tuple[int, Run]]] = {}
    for number, log in enumerate(logs):
        for run in log.runs:
            cells.setdefault((arms[number, run.arm], tasks[_identity(run)]), []).append((number, run))
    rows = []
    for (arm, task), runs in cells.items():
        numbers = {run.repeat for _, run in runs}
        if None in numbers or len(numbers) < len(runs):
            runs.sort(key=lambda one: (one[1].started, logs[one[0]].started, one[0]))
            seeds = [str(k) for k in range(len(runs))]
        else:
            runs.sort(key=lambda one: one[1].repeat or 0)
            seeds = [str(run.repeat) for _, run in runs]
        rows += [Named(task=task, arm=arm, seed=s, run=run, log=n) for s, (n, run) in zip(seeds, runs, strict=True)]
    return rows, remarks


def _identity(run: Run) -> tuple[str, str]:
    return ("", run.key) if run.key else (run.group, run.task)


def _tasks(logs: Sequence[Log]) -> dict[tuple[str, str], str]:
    """A name for each task: its own; where several are called alike, with its benchmark's."""
    first: dict[tuple[str, str], Run] = {}
    for log in logs:
        for run in log.runs:
            first.setdefault(_identity(run), run)
    alike = Counter(run.task for run in first.values())
    several = any(count > 1 for count in alike.values())
    names: dict[tuple[str, str], str] = {}
    taken: Counter[str] = Counter()
    for identity, run in first.items():
        name = f"{run.group}/{run.task}" if several and run.group else run.task
        taken[name] += 1
        names[identity] = name if taken[name] == 1 else f"{name} ({taken[name]})"
    return names


def _arms(logs: Sequence[Log], by: ArmsBy) -> tuple[dict[tuple[int, str], str], list[str]]:
    labels = labels_of([log.path for log in logs])
    units = [(n, arm) for n, log in enumerate(logs) for arm in dict.fromkeys(run.arm for run in log.runs)]
    told = _configs(logs)
    plain = {n: next(iter(config.values()), "") for n, config in enumerate(told)}
    names = _named_by([((n, arm), {**({"": arm} if arm else {}), **told[n]}) for n, arm in units])
    # Of two logs one may say nothing where the other does: then the first thing that it says.
    names = {unit: name or plain[unit[0]] for unit, name in names.items()}
    if by == "file":
        return {(n, arm): " ".join(filter(None, (arm, labels[n]))) for n, arm in units}, []
    bearing: dict[str, list[tuple[int, str]]] = {}
    for unit, name in names.items():
        bearing.setdefault(name, []).append(unit)
    remarks = []
    for name, same in bearing.items():
        if not name or (len(same) > 1 and by == "auto" and not _may_join(logs, same)):
            for n, arm in same:
                names[n, arm] = " ".join(filter(None, (arm, labels[n])))
            if name:
                remarks.append(
                    f"{len(same)} logs are of the same configuration, '{name}', and are taken as arms of their own; "
                    "--arms-by config makes them repeats of one arm."
                )
        elif len(same) > 1 and not _apart(logs, same):
            remarks.append(f"{len(same)} logs hold the arm '{name}': repeats of it. --arms-by file tells them apart.")
    return names, remarks


def _configs(logs: Sequence[Log]) -> list[Mapping[str, str]]:
    """What the logs say of their arms; that a benchmark is another one says nothing, where its tasks are others too."""
    told = [dict(log.config) for log in logs]
    alike: dict[tuple[tuple[str, str], ...], list[int]] = {}
    for number, config in enumerate(told):
        alike.setdefault(tuple(pair for pair in config.items() if pair[0] != "task"), []).append(number)
    for numbers in alike.values():
        if _apart(logs, [(n, arm) for n in numbers for arm in {run.arm for run in logs[n].runs}]):
            for n in numbers:
                told[n].pop("task", None)
    return list(told)


def _may_join(logs: Sequence[Log], units: Sequence[tuple[int, str]]) -> bool:
    """Whether logs of one name are one arm: their files name arms themselves, or they hold different tasks."""
    return all(logs[n].repeats for n, _ in units) or _apart(logs, units)


def _apart(logs: Sequence[Log], units: Sequence[tuple[int, str]]) -> bool:
    seen: set[tuple[str, str]] = set()
    for n, arm in units:
        tasks = {_identity(run) for run in logs[n].runs if run.arm == arm}
        if tasks & seen:
            return False
        seen |= tasks
    return True


def _named_by(
    units: Sequence[tuple[tuple[int, str], Mapping[str, str]]], used: Sequence[str] = ()
) -> dict[tuple[int, str], str]:
    """Names by as few values of the configuration as tell the units apart, the most telling first."""
    keys = list(dict.fromkeys(key for _, config in units for key in config if key not in used))
    telling = next((key for key in keys if len({config.get(key, "") for _, config in units}) > 1), None)
    if telling is None:  # nothing tells them apart: what they are, where nothing was said before
        return {unit: "" if used else next(iter(config.values()), "") for unit, config in units}
    names: dict[tuple[int, str], str] = {}
    for value in {config.get(telling, "") for _, config in units}:
        below = _named_by([one for one in units if one[1].get(telling, "") == value], (*used, telling))
        names |= {unit: " ".join(filter(None, (value, name))) for unit, name in below.items()}
    return names


def labels_of(paths: Sequence[Path]) -> list[str]:
    """A short name for each file: its stem, or the folder that tells it from the others."""
    parts = [
        [_stem(path.name), *(part for part in reversed(path.parts[:-1]) if part not in ("/", "."))] for path in paths
    ]
    if len(paths) == 1:
        return [next((part for part in parts[0] if part.lower() not in _GENERIC), parts[0][0])]
    for depth in range(max(len(part) for part in parts)):
        column = [part[depth] if depth < len(part) else "" for part in parts]
        if len(set(column)) == len(paths):
            return column
    varying = [
        depth for depth in reversed(range(min(len(part) for part in parts))) if len({part[depth] for part in parts}) > 1
    ]
    joined = ["/".join(part[depth] for depth in varying) or part[0] for part in parts]
    taken: Counter[str] = Counter()
    for number, name in enumerate(joined):
        taken[name] += 1
        joined[number] = name if taken[name] == 1 else f"{name} ({taken[name]})"
    return joined


def _stem(name: str) -> str:
    """A file's name without what says that it is a file; the dots of a model's name stay."""
    stem, dot, suffix = name.rpartition(".")
    return _stem(stem) if dot and stem and suffix.lower() in _SUFFIXES else name
