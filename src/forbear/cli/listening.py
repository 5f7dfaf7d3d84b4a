"""Where the commands that serve listen: on this machine alone, or, with a token, where others can reach them."""

import contextlib
import secrets
import socket
from collections.abc import Iterator
from dataclasses import dataclass

import click

from forbear.errors import InvalidInput
from forbear.wording import shown

HOST = click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
TOKEN = click.option("--token", help="What visitors have to bring; without --host none is needed.")

_LOOPBACK = ("127.0.0.1", "localhost", "[::1]", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where one listens."""

    socket: socket.socket
    """From here on visitors wait instead of being refused."""
    url: str
    """As others name it, without a path."""
    hosts: frozenset[str]
    """What a request's Host may say, with its port."""
    token: str | None
    """What visitors have to bring; None: nothing."""


@contextlib.contextmanager
def listening(host: str, port: int, token: str | None) -> Iterator[Place]:
    """Listens.

    Args:
        host: Where; this machine alone, or an address by which others reach it.
        port: 0: any that is free.
        token: What visitors have to bring; None: nothing on this machine alone, else a new one.

    Raises:
        InvalidInput: A token that is too short, an address or a port that cannot be had.
    """
    is_local = host in _LOOPBACK
    if not is_local and token is None:
        token = secrets.token_urlsafe(16)
    if token is not None and len(token) < 8:
        raise InvalidInput("--token needs at least 8 characters: it is all that keeps others out.")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named as TCP: of other sockets asyncio leaves Nagle's algorithm on, and each answer comes 40 ms late.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((host.strip("[]"), port))
            bound.listen(64)
        except OSError as error:
            why = error.strerror or str(error)
            raise InvalidInput(
                f"cannot listen at {shown(host)}:{port} ({why}). Take another --host or --port."
            ) from None
        port = bound.getsockname()[1]
        names = _LOOPBACK if is_local else (*_LOOPBACK, host, socket.gethostname().lower(), _address())
        hosts = {f"{name}:{port}" for name in names} | (set(names) if port == 80 else set())
        url = f"http://{host if is_local else _address()}:{port}"
        yield Place(socket=bound, url=url, hosts=frozenset(hosts), token=token)


def _address() -> str:
    """This machine's address in its network, as others would name it; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            address: str = probe.getsockname()[0]
        except OSError:
            return "127.0.0.1"
        return address
