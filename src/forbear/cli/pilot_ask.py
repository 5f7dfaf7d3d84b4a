"""`forbear pilot ask` and `tell`: a pilot whose loop is somebody else's, in any language."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from forbear.cli.pilot_options import FILE, JOURNAL, JSON, again, directory_of
from forbear.errors import InvalidInput
from forbear.wording import shown

if TYPE_CHECKING:
    from forbear.records.model import Episode
    from forbear.runner.ask_tell import Assignment, HostPilot

_WAIT_S = 60.0
"""For processes that ask and tell at the same time: each holds the journal for a moment."""
_MAX_EPISODE_BYTES = 64 << 20

_ASK_HELP = """Say what to run next, and remember that it was given out.

Prints one assignment: task, seed, arm, and how to tell what came of it.
Several processes may ask; none gets what another one has, unless nobody told
within [run] lease_s seconds. Nothing left is exit code 0 too: with --json
`task` is null, and `over` says whether to ask again later.

\b
Examples:
    forbear pilot ask pilot.toml
    forbear pilot ask pilot.toml --json > assignment.json

Exit codes: 0 done, 1 a bug, 2 bad input, changed plan or locked journal,
3 could not complete (a full disk), 130 Ctrl-C.
"""

_TELL_HELP = """Tell what came of an assignment.

Say one of --success, --failure, --no-outcome and --episode. Telling the same
twice is fine. What has no outcome is asked for again, and given up after
[run] retries more tries, or at once with --final; it never is a failure.

\b
Examples:
    forbear pilot tell pilot.toml --task t07 --seed 42 --arm critic --success
    forbear pilot tell pilot.toml --assignment assignment.json --failure
    forbear pilot tell pilot.toml --assignment assignment.json --no-outcome "provider down"

Exit codes: 0 done, 1 a bug, 2 bad input, changed plan or locked journal,
3 could not complete (an outage, a full disk), 130 Ctrl-C.
"""


@click.command(help=_ASK_HELP, short_help="Say what the host is to run next.")
@FILE
@JOURNAL
@JSON
def ask(file: Path, journal: Path | None, as_json: bool) -> None:
    """Prints an assignment, or what to do where there is none."""
    from forbear.cli.foreign import foreign_output
    from forbear.runner.ask_tell import NOTHING_TO_RUN

    with foreign_output() as ours:
        with _opened(file, journal) as pilot:
            assignment = pilot.ask()
            state = {"format": "forbear-ask-1", **_state(pilot, file, journal)}
            waits = pilot.outstanding
        if as_json:
            fields = NOTHING_TO_RUN if assignment is None else assignment.to_dict()
            click.echo(json.dumps({**state, **fields}), file=ours.out)
        elif assignment is None:
            said = "over" if pilot.over else f"nothing to run now: {len(waits)} given out and not told"
            click.echo(f"{said}\nnext: {state['next']}", file=ours.out)
        else:
            click.echo(_text(assignment, file, journal), nl=False, file=ours.out)


def _text(assignment: Assignment, file: Path, journal: Path | None) -> str:
    rerun = "" if assignment.runs_as == assignment.arm else f" (run it as {shown(assignment.runs_as)})"
    rows = [
        f"task:    {shown(assignment.task.id, limit=400)}",
        f"seed:    {assignment.seed} (for draws: {assignment.draw_seed})",
        f"arm:     {shown(assignment.arm)}{rerun}",
    ]
    if assignment.task.payload is not None:
        rows.append(f"payload: {shown(json.dumps(assignment.task.payload, ensure_ascii=False), limit=2000)}")
    if assignment.config:
        rows.append(f"config:  {shown(json.dumps(assignment.config, ensure_ascii=False), limit=2000)}")
    names = f"--task={assignment.task.id}", f"--seed={assignment.seed}", f"--arm={assignment.arm}"
    command = f"forbear pilot tell {again(file, journal)} {shlex.join(names)}"
    tell_it = f"{shown(command, limit=1000)} --success"
    if not command.isprintable():
        tell_it = "the task's id cannot be typed: use --json here, and --assignment FILE to tell"
    rows.append(f"next:    {tell_it} (or --failure, --no-outcome REASON)")
    return "".join(f"{row}\n" for row in rows)


@click.command(help=_TELL_HELP, short_help="Tell what came of what was asked.")
@FILE
@JOURNAL
@click.option("--task", "task_id", metavar="ID", help="Of the assignment.")
@click.option("--seed", type=int, metavar="N", help="Of the assignment.")
@click.option("--arm", metavar="NAME", help="Of the assignment.")
@click.option(
    "--assignment", type=click.Path(path_type=Path), metavar="FILE.json", help="What `ask --json` printed, instead."
)
@click.option("--success", is_flag=True, help="The task was done.")
@click.option("--failure", is_flag=True, help="It was not.")
@click.option("--no-outcome", metavar="REASON", help="The outside world broke it.")
@click.option("--final", is_flag=True, help="With --no-outcome: do not ask for it again.")
@click.option(
    "--episode", type=click.Path(path_type=Path), metavar="FILE.json", help="All that happened: a forbear-episode-2."
)
@JSON
def tell(
    file: Path,
    journal: Path | None,
    task_id: str | None,
    seed: int | None,
    arm: str | None,
    assignment: Path | None,
    success: bool,
    failure: bool,
    no_outcome: str | None,
    final: bool,
    episode: Path | None,
    as_json: bool,
) -> None:
    """Writes an outcome down and says what became of it."""
    from forbear.cli.foreign import foreign_output

    if success + failure + (no_outcome is not None) + (episode is not None) != 1:
        raise click.UsageError("say one of --success, --failure, --no-outcome REASON and --episode FILE.json.")
    if final and no_outcome is None:
        raise click.UsageError("--final goes with --no-outcome.")
    if assignment is not None:
        if task_id is not None or seed is not None or arm is not None:
            raise click.UsageError("--assignment stands for --task, --seed and --arm; drop those.")
        key = _key_of(assignment)
    elif task_id is None or seed is None or arm is None:
        raise click.UsageError("say of what: --task, --seed and --arm, or --assignment FILE.json.")
    else:
        key = (task_id, seed, arm)
    outcome: bool | Episode | None = None if no_outcome is not None else success
    if episode is not None:
        outcome = _episode_of(episode)
    with foreign_output() as ours:
        with _opened(file, journal) as pilot:
            told = pilot.tell(key, outcome, reason=no_outcome or "", final=final)
            state = _state(pilot, file, journal)
        if as_json:
            names = {"task": key[0], "seed": key[1], "arm": key[2], "told": told}
            click.echo(json.dumps({"format": "forbear-tell-1", **state, **names}), file=ours.out)
        else:
            done = f"{state['tasks']} of {state['planned_tasks']} tasks are complete"
            over = "; over" if pilot.over else ""
            click.echo(f"{told}; {done}{over}\nnext: {state['next']}", file=ours.out)


def host_status(file: Path, journal: Path | None) -> None:
    """Says how far a pilot is that its host runs; reads its journal without holding it."""
    from forbear.adapters.host_file import read_host_file
    from forbear.analysis.monitor import monitor_of
    from forbear.analysis.plan_record import PlanRecord
    from forbear.cli.foreign import foreign_output
    from forbear.records.journal import Journal
    from forbear.report.pilot_text import status_text

    directory, absolute = directory_of(file, journal), directory_of(file, journal).absolute()
    with foreign_output() as ours:  # tasks may come from somebody's module
        record = read_host_file(file).plan.record()
        where = shown(str(directory), limit=200)
        if not Journal(absolute).started:
            raise InvalidInput(
                f"not started: there is no journal in {where}. forbear pilot ask {again(file, journal)} starts it."
            )
        content = Journal(absolute).read()
        record.require(PlanRecord.of(content.plan, where=where), where=where)
        click.echo(status_text(record, content, journal=str(directory)), nl=False, file=ours.out)
        if content.handed_out and not monitor_of(record, content).over:
            click.echo(f"given out and not told: {len(content.handed_out)}", file=ours.out)


def _opened(file: Path, journal: Path | None) -> HostPilot:
    from forbear.adapters.host_file import read_host_file
    from forbear.records.journal import Journal
    from forbear.runner.ask_tell import HostPilot

    directory = directory_of(file, journal).absolute()  # before anything of somebody else's is imported
    described = read_host_file(file)
    return HostPilot(
        described.plan,
        Journal(directory),
        retries=described.retries,
        outage_after=described.outage_after,
        lease_s=described.lease_s,
        wait_s=_WAIT_S,
    )


def _state(pilot: HostPilot, file: Path, journal: Path | None) -> dict[str, object]:
    directory = directory_of(file, journal)
    return {
        "over": pilot.over,
        "tasks": pilot.tasks,
        "planned_tasks": len(pilot.record.tasks),
        "outstanding": len(pilot.outstanding),
        "next": f"forbear decide {directory}" if pilot.over else f"forbear pilot ask {again(file, journal)}",
    }


def _key_of(path: Path) -> tuple[str, int, str]:
    name = shown(str(path), limit=200)
    raw = _bytes_of(path)
    try:
        given = json.loads(raw)
        key = (given["task"], given["seed"], given["arm"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InvalidInput(f"{name}: not what forbear pilot ask --json prints.") from None
    if not isinstance(key[0], str) or type(key[1]) is not int or not isinstance(key[2], str):
        raise InvalidInput(f"{name}: it holds no assignment (`task` is null where there was nothing to run).")
    return key


def _episode_of(path: Path) -> Episode:
    from forbear.records.codec import decode_record
    from forbear.records.model import Episode

    name = shown(str(path), limit=200)
    record = decode_record(_bytes_of(path), where=name)
    if not isinstance(record, Episode):
        raise InvalidInput(f"{name}: expected a forbear-episode-2, got another record of a journal.")
    return record


def _bytes_of(path: Path) -> bytes:
    from forbear.files import read_bounded

    try:
        return bytes(read_bounded(path, limit=_MAX_EPISODE_BYTES))
    except OSError as error:
        raise InvalidInput(f"{shown(str(path), limit=200)}: cannot be read ({error.strerror}).") from None
