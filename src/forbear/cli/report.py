"""`forbear report`: a pilot's journal as one page, to look at and to send."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from forbear.cli.decide_options import charts_option
from forbear.errors import OutputUnwritable
from forbear.wording import counted, shown

if TYPE_CHECKING:
    from forbear.report.pictures import Picture
    from forbear.report.pilot_view import PilotView

_HELP = """Write the report of a pilot's journal: one HTML page, nothing loaded.

The page is made from the journal alone, as `forbear pilot run` makes it;
pilots that their host runs (ask, tell) have theirs by this command. It carries
its verdicts: forbear decide report.html reads them. --charts writes its
pictures as files too: SVG, and PNG with the extra charts. --format md is for
a pull request or a mail, printed where -o names no file.

\b
Examples:
    forbear report runs/pilot
    forbear report runs/pilot -o for-my-colleague.html
    forbear report runs/pilot --charts pictures/
    forbear report runs/pilot --format md | gh pr comment --body-file -

Exit codes: 0 done, 2 no journal, or no look taken yet, 3 cannot be written.
"""


@click.command(help=_HELP, short_help="A pilot's journal as one HTML page.")
@click.argument("journal", metavar="JOURNAL", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="[default: JOURNAL/report.html]")
@click.option("--title", help="Of the page. [default: Pilot and the journal's name]")
@click.option(
    "--format",
    "form",
    type=click.Choice(["html", "md"]),
    default="html",
    show_default=True,
    help="A page, or Markdown.",
)
@charts_option
def report(journal: Path, output: Path | None, title: str | None, form: str, charts: Path | None) -> None:
    """Reads, analyses, writes."""
    from forbear.analysis.evidence import evidence_of
    from forbear.analysis.result import analyse_journal
    from forbear.records.journal import Journal
    from forbear.report.pilot_view import pilot_view

    path = journal / "report.html" if output is None and form == "html" else output
    result = analyse_journal(Journal(journal))
    view = pilot_view(
        result,
        evidence_of(result),
        title=f"Pilot {journal.resolve().name}" if title is None else title,
        journal=str(journal),
        report=None if path is None else str(path),
        command=shlex.join(["forbear", "report", str(journal)]),
    )
    if form == "md":
        from forbear.report.markdown import pilot_markdown

        text = pilot_markdown(view)
        if path is None:
            click.echo(text, nl=False)
        else:
            write_page(str(path), text)
    elif path is not None and (problem := write_report(view, path)) is not None:
        raise problem
    if path is not None:
        click.echo(view["overview"]["text"])
        click.echo(f"Report:  {shown(str(path), limit=200)}" + ("  (open it in a browser)" if form == "html" else ""))
    if charts is not None:
        from forbear.report import pictures

        note = f"{view['title']}: plan {view['plan_digest'][:12]}, {view['made_by']}"
        click.echo(write_charts(charts, pictures.pilot_pictures(view), note=note), err=path is None)


def write_charts(folder: Path, pictures: Iterable[tuple[str, Picture]], *, note: str) -> str:
    """Writes pictures as files; says in a line what was written, and why no PNG."""
    from forbear.report.picture_files import why_no_png, write_pictures

    files, why = write_pictures(folder, pictures, note=note), why_no_png()
    said = f"Charts:  {shown(str(folder), limit=200)}  ({counted(len(files), 'file')})"
    return said if why is None else f"{said}  {why}"


def write_page(path: str, text: str) -> None:
    """Writes a page, whole or not at all.

    Raises:
        OutputUnwritable: It cannot be written.
    """
    from forbear.files import write_whole

    try:
        write_whole(Path(path), text.encode("utf-8", "replace"))
    except OSError as error:
        raise OutputUnwritable(
            f"{shown(path, limit=200)}: the report cannot be written ({error.strerror}). The verdict stands."
        ) from None


def write_report(view: PilotView, path: Path) -> Exception | None:
    """Writes the page, or says why there is none: that must not cost the verdict."""
    from forbear.files import write_whole
    from forbear.report.html import pilot_html

    try:
        write_whole(path, pilot_html(view).encode("utf-8", "replace"))
    except OSError as error:
        return OutputUnwritable(
            f"{shown(view['report'] or path.name, limit=200)}: the report cannot be written ({error.strerror}). The "
            "verdict stands and its episodes are kept; the same command, once it can be written, writes it."
        )
    except Exception as error:  # a page that cannot be made is a bug, which is told after the verdict
        return error
    return None
