"""`forbear convert`: logs of other tools as one table of outcomes."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from forbear.cli.table_options import table_options
from forbear.errors import InvalidInput, OutputUnwritable
from forbear.wording import counted, shown

if TYPE_CHECKING:
    from forbear.adapters.formats.reading import Reading
    from forbear.outcomes.table import OutcomeTable

_HELP = """Turn logs of other tools into a table of outcomes.

FILES are logs, or folders that are looked through. Their format is found by
content: Inspect, SWE-bench, lm-eval, promptfoo, Harbor, Terminal-Bench,
tau-bench and tau2, JUnit, Langfuse, LangSmith, Braintrust, MLflow,
OpenTelemetry, skill evals and others (docs/logs.md). --from says it instead.

What is written is CSV: task_id,arm,seed,success, where success is empty for a
run without an outcome: an error of the infrastructure is never a failure, and
never left out. What was understood is printed beside it, on standard error.
--episodes writes what agents did instead, as JSON Lines that critics are
trained and judged on (Inspect, tau-bench and tau2, InterCode).

\b
Examples:
    forbear convert logs/ -o outcomes.csv
    forbear convert base.eval critic.eval -o outcomes.csv --scorer match
    forbear convert jobs/ --from harbor --arms-by config -o outcomes.csv
    forbear convert eval_results/ --scorer gpt_relevance --threshold 4

Exit codes: 0 done, 1 a bug, 2 bad input, 3 the table cannot be written, 130
Ctrl-C.
"""


@click.command(help=_HELP, short_help="Logs of other tools as a table of outcomes.")
@click.argument("files", nargs=-1, required=True, metavar="FILES...")
@click.option("-o", "--out", metavar="FILE", help="Where to write the table. [default: standard output]")
@click.option("--reasons", is_flag=True, help="Add a column 'reason': why a run has no outcome.")
@click.option("--episodes", is_flag=True, help="Write what agents did, a run a line, instead of the table.")
@table_options
@click.option("--json", "as_json", is_flag=True, help="Say what was understood as one JSON object.")
def convert(
    files: tuple[str, ...], out: str | None, reasons: bool, episodes: bool, reading: Reading, as_json: bool
) -> None:
    """Reads, writes the table, says what was understood."""
    from forbear.adapters.formats.logs.said import as_data, understood
    from forbear.adapters.formats.tabular import read_outcomes

    if as_json and out is None:
        raise click.UsageError("--json and the table cannot both stand on standard output; say -o FILE.")
    read = read_outcomes(files, reading=replace(reading, episodes=episodes))
    done = tuple(read.logs.episodes()) if episodes and read.logs is not None else ()
    seeds = None if read.logs is None else [row.seed for row in read.logs.rows]
    text = _lines(done) if episodes else _csv(read.table, seeds=seeds, reasons=reasons)
    said = understood(read.logs) if read.logs is not None else [remark.text for remark in read.understood]
    if out is None:
        click.echo(text, nl=False)
    else:
        _write(out, text)
        rows = len(done) if episodes else len(read.table.success)
        said.append(f"{shown(out, limit=200)}: {counted(rows, 'episode' if episodes else 'row')}")
    if as_json:
        about = as_data(read.logs) if read.logs is not None else {"notes": said}
        click.echo(json.dumps(about, ensure_ascii=False, indent=2))
    for line in said:
        click.echo(line, err=True)


def _lines(episodes: Sequence[Mapping[str, object]]) -> str:
    if not episodes:
        raise InvalidInput(
            "these hold no steps of any run: --episodes reads inspect, tau_bench, tau2_bench, intercode."
        )
    return "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in episodes)


def _csv(table: OutcomeTable, *, seeds: Sequence[str] | None, reasons: bool) -> str:
    """The table as text; of a score its number."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["task_id", "arm", "seed", "success", *(["reason"] if reasons else [])])
    columns = (table.tasks, table.arms)
    names = [[str(name) for name in labels.names] for labels in columns]
    seeds = [str(table.seeds.names[code]) for code in table.seeds.codes] if seeds is None else seeds
    why = None if table.reasons is None else [str(name) for name in table.reasons.names]
    for row in range(len(table.success)):
        cells = [texts[labels.codes[row]] for texts, labels in zip(names, columns, strict=True)]
        missing = table.missing is not None and bool(table.missing[row])
        value = "" if missing else f"{float(table.success[row]):g}"
        reason = [why[table.reasons.codes[row]] if why is not None and table.reasons is not None else ""]
        writer.writerow([*cells, seeds[row], value, *(reason if reasons else [])])
    return buffer.getvalue()


def _write(out: str, text: str) -> None:
    from forbear.files import write_whole

    try:
        write_whole(Path(out), text.encode("utf-8", "replace"))
    except OSError as error:
        raise OutputUnwritable(f"cannot write '{shown(out, limit=200)}': {error.strerror}.") from None
