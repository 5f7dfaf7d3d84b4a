"""Runs of the agent alone, for a pilot to re-use: logged ones in a table as `decide` reads it, or a pilot's journal."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from forbear.adapters.formats.reading import Columns, Reading
from forbear.adapters.formats.tabular import read_outcomes
from forbear.adapters.toml_section import Section
from forbear.analysis.pairing import repeats_by_task
from forbear.analysis.plan_record import PlanRecord
from forbear.errors import InvalidInput
from forbear.files import read_bounded
from forbear.outcomes.logged import LoggedRuns
from forbear.records.journal import Journal
from forbear.runner.earlier import EarlierRuns, read_earlier
from forbear.wording import listed, shown

_LIMIT = 256 << 20
"""Bytes of a table."""
_COLUMNS = ("task", "arm", "seed", "success")


def read_logged(
    source: str | Path,
    *,
    arm: str | None = None,
    columns: Columns | None = None,
    seeds: Collection[int] = (),
    name: str | None = None,
) -> LoggedRuns:
    """Reads what was logged of an agent alone.

    Args:
        source: A table of outcomes (CSV, TSV, JSONL; docs/formats.md), which needs no column of arms, or the directory
            of a journal, of which baseline and reruns are read.
        arm: The arm of a table that is the agent alone; omitted: the only one, or the one called `baseline`.
        columns: Names of the columns of a table.
        seeds: Of the pilot: a journal's runs under these would be the very runs of the pilot, and are left out.
        name: What the source is called in the plan; omitted: the name of the file.

    Raises:
        InvalidInput: Nothing readable, no such arm, or no run with an outcome.
    """
    path = Path(source)
    label = path.name if name is None else name
    if path.is_dir():
        if arm is not None or columns is not None:
            raise InvalidInput(f"{shown(label)}: a journal knows its baseline; drop the names of arm and columns.")
        return _of_journal(Journal(path), seeds=seeds, name=label)
    try:
        digest = hashlib.sha256(read_bounded(path, limit=_LIMIT)).hexdigest()
    except OSError as error:
        raise InvalidInput(f"{shown(str(path), limit=150)}: cannot be read ({error.strerror}).") from None
    table = read_outcomes(path, reading=Reading(columns=columns or Columns()), needs_arm=False).table
    arms = [table.arms.names[code] for code in dict.fromkeys(table.arms.codes.tolist())]
    chosen = arm if arm is not None else arms[0] if len(arms) == 1 else "baseline"
    if chosen not in arms:
        raise InvalidInput(
            f"{shown(label)}: there is no arm '{shown(chosen)}'; the arms are {listed(arms)}. Say which one is the "
            "agent alone."
        )
    runs = repeats_by_task(table, arm=chosen)
    known = {task: [run for run in each if run is not None] for task, each in runs.items()}
    return _logged(known, name=label, digest=digest, without_outcome=sum(each.count(None) for each in runs.values()))


def logged_of(top: Section, folder: Path, *, seeds: Collection[int]) -> LoggedRuns | None:
    """What `[baseline]` of a pilot file names; None where there is no such table.

    Raises:
        InvalidInput: It cannot be used; the message names the place.
    """
    if "baseline" not in top.table:
        return None
    section = top.section("baseline")
    source = section.take("from", str)
    given: dict[str, Any] = section.take_all(dict.fromkeys(("arm", *(f"{name}_col" for name in _COLUMNS)), str))
    section.close()
    arm = given.pop("arm", None)
    columns = Columns(**{key.removesuffix("_col"): value for key, value in given.items()}) if given else None
    return section.guard(
        "from", make=lambda: read_logged(folder / source, arm=arm, columns=columns, seeds=seeds, name=source)
    )


def baseline_of(
    top: Section, folder: Path, *, seeds: Collection[int], design: str
) -> tuple[LoggedRuns | None, Sequence[EarlierRuns]]:
    """What `[baseline]` of a pilot file names: logged runs, or journals whose runs are taken.

    Args:
        top: Of the file.
        folder: In which it lies.
        seeds: Of the pilot.
        design: As the file says it, or `auto`. Where it is not `independent`, journals are taken from, since arms that
            share the baseline's chance share these very runs.

    Raises:
        InvalidInput: It cannot be used; the message names the place.
    """
    section = top.section("baseline", optional=True)
    named = section.table.get("from")
    names: list[Any] = named if isinstance(named, list) else [named]
    are_texts = all(isinstance(name, str) for name in names)
    is_journal = isinstance(named, list) or (are_texts and (folder / names[0]).is_dir())
    if design == "independent" or not is_journal:
        return logged_of(top, folder, seeds=seeds), ()
    section.known.add("from")
    section.close()
    if not names or not are_texts:
        raise section.error("from", message="expected a text, or a list of directories of journals")

    def read(name: str) -> EarlierRuns:
        return section.guard("from", make=lambda: read_earlier(folder / name, name=name))

    return None, [read(name) for name in names]


def _of_journal(journal: Journal, *, seeds: Collection[int], name: str) -> LoggedRuns:
    content = journal.read()
    plan = PlanRecord.of(content.plan, where=shown(name, limit=150))
    alone = {arm for arm, record in plan.arms.items() if record.kind in ("baseline", "rerun")}
    runs: dict[str, list[bool]] = {}
    for (task, seed, arm), episode in sorted(content.episodes.items()):
        if arm in alone and seed not in seeds and episode.success is not None:
            runs.setdefault(task, []).append(episode.success)
    if not runs and any(key[2] in alone for key in content.episodes):
        own = ", ".join(map(str, plan.seeds[:10]))
        raise InvalidInput(
            f"{shown(name)}: its runs have the seeds of this pilot ({own}), under which the "
            "same runs would come again. Give the pilot other seeds ([run] seeds)."
        )
    return _logged(
        runs,
        name=name,
        digest=hashlib.sha256(b"".join(line for _, line in journal.lines())).hexdigest(),
        without_outcome=sum(arm in alone and seed not in seeds for _, seed, arm in content.missing),
        ran_as={
            "agent": plan.baseline.agent,
            "environment": plan.baseline.environment,
            "max_steps": plan.baseline.max_steps,
        },
        tasks={task.id: task.digest for task in plan.tasks},
    )


def _logged(runs: Mapping[str, list[bool]], *, name: str, **more: Any) -> LoggedRuns:
    known = {task: each for task, each in runs.items() if each}
    if not known:
        raise InvalidInput(f"{shown(name)}: no run of the agent alone has an outcome.")
    return LoggedRuns(runs=known, source=name, **more)
