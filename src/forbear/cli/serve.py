"""`forbear serve`: journals in a browser."""

from __future__ import annotations

from pathlib import Path

import click

from forbear.cli.listening import HOST, TOKEN, listening
from forbear.errors import InvalidInput
from forbear.wording import shown

_HELP = """Look at journals in a browser: how far, reports, episodes, arms side by side.

DIR is a folder with journals below it, or one journal. Nothing is written and
nothing is run. It listens on this machine alone; --host 0.0.0.0 lets others
in, who need the token that is printed, or the one that --token states.

\b
Examples:
    forbear serve runs
    forbear serve runs --port 8000
    forbear serve runs --host 0.0.0.0 --token something-long

Needs the extra: pip install 'forbear[serve]'.
Exit codes: 0 stopped by Ctrl-C, 2 no such folder, a port that is taken.
"""


@click.command(help=_HELP, short_help="Journals in a browser: progress, reports, episodes.")
@click.argument("directory", metavar="DIR", default="runs", type=click.Path(path_type=Path))
@HOST
@click.option("--port", type=click.IntRange(0, 65535), default=8765, show_default=True, help="0: any that is free.")
@TOKEN
def serve(directory: Path, host: str, port: int, token: str | None) -> None:
    """Serves until it is stopped."""
    try:
        import uvicorn

        from forbear.web.app import make_app
    except ImportError as error:
        raise InvalidInput(
            f"a viewer needs the extra serve ({error.name or error} is missing): pip install 'forbear[serve]'."
        ) from None
    if not directory.is_dir():
        raise InvalidInput(f"{shown(str(directory), limit=200)}: no such folder. Name one that has journals below it.")
    with listening(host, port, token) as place:
        app = make_app(directory, hosts=place.hosts, token=place.token)
        click.echo(f"{place.url}/" + (f"?token={place.token}" if place.token else "") + "  (Ctrl-C stops it)")
        uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False, lifespan="off")).run(
            sockets=[place.socket]
        )
