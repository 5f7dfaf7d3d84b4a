"""`forbear serve`: journals in a browser."""

from __future__ import annotations

import secrets
import socket
from pathlib import Path

import click

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

_LOOPBACK = ("127.0.0.1", "localhost", "[::1]", "::1")


@click.command(help=_HELP, short_help="Journals in a browser: progress, reports, episodes.")
@click.argument("directory", metavar="DIR", default="runs", type=click.Path(path_type=Path))
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option("--port", type=click.IntRange(0, 65535), default=8765, show_default=True, help="0: any that is free.")
@click.option("--token", help="What visitors have to bring; without --host none is needed.")
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
    is_local = host in _LOOPBACK
    if not is_local and token is None:
        token = secrets.token_urlsafe(16)
    if token is not None and len(token) < 8:
        raise InvalidInput("--token needs at least 8 characters: it is all that keeps others out.")
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host.strip("[]"), port))
            listening.listen(64)  # from here on visitors wait instead of being refused
        except OSError as error:
            why = error.strerror or str(error)
            raise InvalidInput(
                f"cannot listen at {shown(host)}:{port} ({why}). Take another --host or --port."
            ) from None
        port = listening.getsockname()[1]
        names = _LOOPBACK if is_local else (*_LOOPBACK, host, socket.gethostname().lower(), _address())
        hosts = {f"{name}:{port}" for name in names} | (set(names) if port == 80 else set())
        app = make_app(directory, hosts=frozenset(hosts), token=token)
        address = host if is_local else _address()
        click.echo(f"http://{address}:{port}/" + (f"?token={token}" if token else "") + "  (Ctrl-C stops it)")
        uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False, lifespan="off")).run(
            sockets=[listening]
        )


def _address() -> str:
    """This machine's address in its network, as others would name it; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            address: str = probe.getsockname()[0]
        except OSError:
            return "127.0.0.1"
        return address
