"""`forbear critic evaluate`: how good a critic's scores are, beside controls that know nothing."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from forbear.cli.critic_options import WHICH, judged, judging, numbers
from forbear.cli.screen import columns
from forbear.errors import OutputUnwritable
from forbear.wording import shown

_HELP = f"""Judge a critic on runs that are over.

{WHICH}
Every measure has an interval over tasks: steps of a task are no independent
evidence. Beside it stand controls on the same steps: never, always, a coin, one
that fires as often, a clock, repeated actions, the mere number of the step. A
critic that does not beat them knows nothing of the run. None of it says whether
acting on the critic helps: that takes a pilot.

\b
Examples:
    forbear critic evaluate critics/mine runs.jsonl
    forbear critic evaluate step-count runs.jsonl --html critic.html
    forbear critic evaluate recorded:household runs/pilot --json

Exit codes: 0 done, 1 a bug, 2 bad input, 3 the page cannot be written,
130 Ctrl-C.
"""


@click.command(help=_HELP, short_help="Judge a critic on runs, beside controls.")
@judging
@click.option("--threshold", type=float, default=0.6, show_default=True, help="Acting is p_fail above this.")
@click.option("--thresholds", metavar="T,T,...", help="At which runs touched are counted. [default: 0.3 to 0.9]")
@click.option("--min-step", type=click.IntRange(0), default=0, help="Before this step nobody steps in.")
@click.option("--after-step", type=click.IntRange(0), default=5, show_default=True, help="Of the control with a clock.")
@click.option(
    "--rate", type=click.FloatRange(0, 1), default=0.1, show_default=True, help="Of the control that is a coin."
)
@click.option("--ordinal", is_flag=True, help="Scores are grades of any range, e.g. 0 to 16: only their order counts.")
@click.option("--resamples", type=click.IntRange(100, 100_000), default=1000, show_default=True, help="Of tasks.")
@click.option("--html", type=click.Path(path_type=Path), metavar="FILE", help="Also write a page with the curves.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def evaluate(
    critic: str,
    episodes: tuple[str, ...],
    arms: tuple[str, ...],
    allow_overlap: bool,
    options: str,
    threshold: float,
    thresholds: str | None,
    min_step: int,
    after_step: int,
    rate: float,
    ordinal: bool,
    resamples: int,
    html: Path | None,
    as_json: bool,
) -> None:
    """Reads, scores, measures, prints."""
    from forbear.critics.evaluation import THRESHOLDS, evaluate_on_runs
    from forbear.report.critic_view import critic_json, critic_view

    with judged(critic, episodes, arms=arms, options=options, allow_overlap=allow_overlap, ordinal=ordinal) as (
        named,
        found,
        out,
    ):
        usual = () if ordinal else THRESHOLDS
        at = usual if thresholds is None else numbers(thresholds, name="--thresholds")
        evaluation = evaluate_on_runs(
            found.scored,
            critic=found.name,
            threshold=threshold,
            thresholds=at,
            min_step=min_step,
            after_step=after_step,
            rate=rate,
            resamples=resamples,
        )
        view = critic_view(
            evaluation,
            left_out=found.left_out,
            overlap=len(found.overlap),
            seen_is_known=named.seen_is_known,
            learned_failure_rate=named.failure_rate,
        )
        if as_json:
            click.echo(json.dumps(critic_json(view), indent=2, allow_nan=False), file=out)
        else:
            from forbear.cli.decide import color
            from forbear.report.critic_text import critic_text

            click.echo(critic_text(view, width=columns(), color=color()), nl=False, color=True, file=out)
        if html is not None:
            from forbear.files import write_whole
            from forbear.report.critic_html import critic_html

            try:
                write_whole(html, critic_html(view).encode("utf-8", "replace"))
            except OSError as error:
                raise OutputUnwritable(
                    f"{shown(os.fspath(html), limit=200)}: the page cannot be written ({error.strerror})."
                ) from None
