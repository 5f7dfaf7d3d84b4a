"""Episodes for critics to be trained and judged on: journals, `forbear-episode` files, and logs of other harnesses.

Of each kind only what a critic would have seen is taken in: the observations before each action, and the actions.
What came after the last action (a final evaluation, the mark of an end) and every field that this module does not name
(why it ended, an exit status, feedback, a right answer) is never read, so that no feature can be made of it.
"""

import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from forbear.adapters.formats.source import read_source
from forbear.critics.runs import JudgedRun
from forbear.errors import InvalidInput
from forbear.records.codec import EpisodeKey, decode_record
from forbear.records.journal import Journal
from forbear.records.model import Action, Episode, Step, Task, Trajectory
from forbear.wording import listed, shown

BASELINE = "baseline"
"""The arm that is read of `forbear-episode` files, where none is named; of a journal it is that of its plan."""


LOGGED = "p_fail"
"""The critic whose scores the steps of a log hold without its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRuns:
    """What was read, and what was left out of it."""

    runs: tuple[JudgedRun, ...]
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Why, in words: how many."""


class _LoggedStep(Struct):
    action: str | None = None
    observation: str | None = None
    p_fail: Any = None
    """What a critic said of the action; or critics, by name."""


class _LoggedRun(Struct):
    """A line of the trajectory layout; other keys are ignored."""

    task_id: str | int
    success: bool | int | None
    steps: list[_LoggedStep]
    task: str | None = None
    seed: str | int | None = None
    model: str | None = None
    agent: str | None = None


class _Format(Struct):
    format: Any = None


def read_runs(paths: Sequence[str | Path], *, arms: Collection[str] = ()) -> ReadRuns:
    """Reads runs from any number of journals and files.

    Args:
        paths: Directories of journals; files of `forbear-episode` lines (a `.json` may be one episode); JSONL of the
            trajectory layout, `{"task_id", "seed", "success", "task", "steps": [{"action", "observation"}]}`, where an
            observation follows its action, and `p_fail` of a step is what a critic said of it (or critics, by name). In
            the latter the first thing that is seen is the task's text, and a first step without an action (the user's
            opening) belongs to it.
        arms: Which arms of journals and episodes; none: the baseline.

    Returns:
        The runs in the order of the files. Those without outcome or without a step are left out, and counted.

    Raises:
        InvalidInput: A file that cannot be read, is too large, is not UTF-8 or does not fit, with its line; a run that
            is there twice; no run at all.
    """
    runs: list[JudgedRun] = []
    left_out: Counter[str] = Counter()
    arms_met: dict[str, None] = {}
    for path in paths:
        runs += _runs_of(Path(path) if str(path) != "-" else path, frozenset(arms), left_out, arms_met)
    if not runs:
        names = listed([os.fspath(path) for path in paths])
        met = f"; the arms there are {listed(arms_met)}, choose some by name" if arms_met else ""
        raise InvalidInput(f"{names or 'no file'}: no run with an outcome and a step in it{met}.")
    _require_once(runs)
    return ReadRuns(runs=tuple(runs), left_out=dict(left_out))


def _runs_of(
    path: str | Path, arms: frozenset[str], left_out: Counter[str], arms_met: dict[str, None]
) -> Iterator[JudgedRun]:
    if isinstance(path, Path) and path.is_dir():
        journal = Journal(path)
        content = journal.read()
        left_out["without an outcome"] += len(content.missing)
        agent, model = _names_of(content.plan)
        wanted = arms or frozenset([content.planned.baseline or BASELINE])
        met = ((episode, shown(str(path), limit=200)) for episode in content.episodes.values())
        yield from _of_episodes(met, wanted, left_out, arms_met, agent=agent, model=model)
        return
    source = read_source(path)
    whole = str(path).endswith(".json")
    lines = [(1, source.text())] if whole else list(_lines(source.pieces()))
    if not lines:
        raise InvalidInput(f"{source.name} is empty. Expected one run a line, as JSON.")
    first = f"{source.name}, line {lines[0][0]}"
    if _format_of(lines[0][1], place=first) is not None:
        decoded = _decoded(lines, name=source.name, left_out=left_out)
        yield from _of_episodes(decoded, arms or frozenset([BASELINE]), left_out, arms_met)
        return
    for number, line in lines:
        run = _logged(line, place=f"{source.name}, line {number}", left_out=left_out)
        if run is not None:
            yield run


def _lines(pieces: Iterable[str]) -> Iterator[tuple[int, str]]:
    number = 1
    for text in pieces:
        for line in text.split("\n"):
            if line and not line.isspace():
                yield number, line
            number += 1
        number -= text.endswith("\n")  # what follows a piece's last line break is the next piece


# --- Episodes of forbear ----------------------------------------------------------------------------------


def _decoded(lines: Iterable[tuple[int, str]], *, name: str, left_out: Counter[str]) -> Iterator[tuple[Episode, str]]:
    """The episodes among the records of a journal."""
    known: dict[EpisodeKey, Episode] = {}
    for number, line in lines:
        place = f"{name}, line {number}"
        record = decode_record(line, where=place, parents=known)
        if not isinstance(record, Episode):
            continue
        if record.success is not None:
            known[(record.task.id, record.seed, record.arm)] = record
        yield record, place


def _of_episodes(
    episodes: Iterable[tuple[Episode, str]],
    arms: Collection[str],
    left_out: Counter[str],
    arms_met: dict[str, None],
    *,
    agent: str | None = None,
    model: str | None = None,
) -> Iterator[JudgedRun]:
    """Of each episode what stands at its end: what a rollback undid has no outcome of its own."""
    for episode, place in episodes:
        arms_met[episode.arm] = None
        if episode.arm not in arms:
            continue
        if episode.origin is not None and episode.origin.step is None and episode.origin.arm in arms:
            left_out["the same as a run of another arm"] += 1
            continue
        seen = episode.trajectory
        # The last step is open where the agent broke, or where the run was stopped before it acted.
        kept = seen.prefix(sum(step.executed is not None for step in seen.steps))
        if episode.success is None or not kept.steps:
            left_out["without an outcome" if episode.success is None else "without a step"] += 1
            continue
        yield JudgedRun(
            trajectory=kept,
            success=episode.success,
            run=str(episode.seed),
            arm=episode.arm,
            agent=agent,
            model=model,
            place=place,
            recorded=tuple(
                step.proposals[-1].p_fail if step.proposals else {} for step in episode.steps[: len(kept.steps)]
            ),
            changed=bool(episode.interventions),
        )


def _names_of(plan: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """What a plan calls its agent and that agent's model, where it does."""
    baseline = plan.get("baseline")
    config = baseline.get("agent") if isinstance(baseline, Mapping) else None
    if not isinstance(config, Mapping):
        return None, None
    model = config.get("model")
    if isinstance(model, Mapping):
        model = model.get("model", model.get("name"))
    name = config.get("name")
    return name if isinstance(name, str) else None, model if isinstance(model, str) else None


# --- Logs of others ---------------------------------------------------------------------------------------


def _logged(line: str, *, place: str, left_out: Counter[str]) -> JudgedRun | None:
    try:
        logged = _LOGGED.decode(line)
    except (ValueError, RecursionError) as error:  # all errors of msgspec are ValueErrors
        raise InvalidInput(
            f"{place}: {shown(str(error), limit=150)}. Expected a run of the trajectory layout: an object with "
            "task_id, success and steps of action and observation."
        ) from None
    if logged.success is None:
        left_out["without an outcome"] += 1
        return None
    if logged.success not in (0, 1):
        raise InvalidInput(f"{place}: success is {shown(str(logged.success))}; expected true, false, 1, 0 or null.")
    task = str(logged.task_id)
    if not task.strip():
        raise InvalidInput(f"{place}: the task id is empty. Every run needs one.")
    steps = _steps_of(logged)
    if not steps:
        left_out["without a step"] += 1
        return None
    said = [step.p_fail for step in logged.steps[len(logged.steps) - len(steps) :]]
    return JudgedRun(
        trajectory=Trajectory(task=Task(id=task), steps=steps),
        success=bool(logged.success),
        run="" if logged.seed is None else str(logged.seed),
        agent=logged.agent,
        model=logged.model,
        place=place,
        recorded=tuple(one if isinstance(one, dict) else {LOGGED: one} for one in said)
        if any(one is not None for one in said)
        else (),
    )


def _steps_of(logged: _LoggedRun) -> tuple[Step, ...]:
    """Each action with what was seen before it: an observation of the log belongs to the step after it."""
    seen, rest = logged.task or "", logged.steps
    if rest and not rest[0].action:
        seen, rest = "\n\n".join(filter(None, (seen, rest[0].observation))), rest[1:]
    before = [seen, *(step.observation or "" for step in rest)]
    return tuple(
        Step(index=index, observation=before[index], executed=Action(step.action or ""))
        for index, step in enumerate(rest)
    )


_LOGGED = msgspec.json.Decoder(_LoggedRun)
_FORMAT = msgspec.json.Decoder(_Format)


def _format_of(line: str, *, place: str) -> object:
    """What the line says of its format; None in the trajectory layout, which has none."""
    try:
        return _FORMAT.decode(line).format
    except (ValueError, RecursionError) as error:
        raise InvalidInput(
            f"{place} is not a JSON object ({shown(str(error), limit=100)}). Write one run a line, or name the "
            "directory of a journal."
        ) from None


def _require_once(runs: Sequence[JudgedRun]) -> None:
    met: dict[tuple[object, ...], list[JudgedRun]] = {}
    for run in runs:
        for other in met.setdefault((run.task, run.run, run.arm, run.agent, run.model), []):
            if other.trajectory == run.trajectory:
                raise InvalidInput(
                    f"{run.place}: the run of task '{shown(run.task)}' stands at {other.place} too. "
                    "Name each file once."
                )
        met[(run.task, run.run, run.arm, run.agent, run.model)].append(run)
