"""llama.cpp in this process (`xllamacpp`): one engine for each file of weights, and the same as a server for others.

An engine answers one request at a time, in a thread of its own, with one slot and without a cache of prompts: what was
asked before leaves nothing behind, so that the same request and seed give the same bytes in any order of calls.
"""

import atexit
import contextlib
import http.client
import importlib
import importlib.metadata
import json
import os
import secrets
import socket
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from msgspec import Struct

from forbear.errors import InvalidInput, ProviderError
from forbear.wording import shown

PACKAGE = "xllamacpp"
_HEALTHY_S = 60.0
"""A server that has not loaded its model until then will not."""


class Settings(Struct, frozen=True, kw_only=True):
    """What an engine is made from; two that are equal are one engine."""

    path: Path
    context: int
    """Tokens that a prompt and its answer may have together; llama.cpp rounds up to a multiple of 256."""
    threads: int


class Engine:
    """A loaded model. Made by `engine_of`, loaded when first used, closed when the process ends."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="forbear-llama")
        self._key = secrets.token_hex(16)
        self._server: Any = None
        self._tells_tools: bool | None = None

    @property
    def thread(self) -> ThreadPoolExecutor:
        """The only thread that may call the other methods, so that answers come one after the other."""
        return self._thread

    def answer(self, request: Mapping[str, Any]) -> Any:
        """What llama.cpp answers to the body of a chat completion; its own errors are answers too.

        Raises:
            InvalidInput: The model cannot be loaded.
            ValueError: The request is malformed.
            RuntimeError: As well.
        """
        return self._loaded().handle_chat_completions(request)

    def tells_tools(self) -> bool:
        """Whether the model's chat template shows it the tools; else it never learns of them."""
        if self._tells_tools is None:
            answer = _get(self._loaded().listening_address, "/props", key=self._key)
            self._tells_tools = bool(answer.get("chat_template_caps", {}).get("supports_tools"))
        return self._tells_tools

    def close(self) -> None:
        """Waits for the answer under way and frees the memory."""
        self._thread.shutdown(cancel_futures=True)
        self._server = None

    def _loaded(self) -> Any:
        if self._server is None:
            # The engine always listens on some port of this machine: nobody but us can know the key.
            self._server = _started(self._settings, port=0, key=self._key)
        return self._server


_engines: dict[tuple[int, Settings], Engine] = {}
"""By process: what a fork finds here has its threads elsewhere, and dropping it would wait for them for ever.

A fork has to end as those of multiprocessing do, by `os._exit`: at any other end llama.cpp waits for them as well.
"""


def engine_of(settings: Settings) -> Engine:
    """The engine of this process for these settings."""
    key = (os.getpid(), settings)
    if key not in _engines:
        _engines[key] = Engine(settings)
    return _engines[key]


def close_engines() -> None:
    """Closes all of this process; those that are used again are loaded again."""
    for key in [key for key in _engines if key[0] == os.getpid()]:
        _engines.pop(key).close()


atexit.register(close_engines)


@contextlib.contextmanager
def serve(path: Path, *, port: int = 0, context: int = 2048, threads: int = 1, key: str | None = None) -> Iterator[str]:
    """Serves a model as an OpenAI-compatible endpoint on 127.0.0.1, until the block ends.

    Args:
        path: A GGUF.
        port: 0 takes a free one.
        context: As in `Settings`.
        threads: As well.
        key: What callers have to give as their API key; None: nothing.

    Yields:
        Its base URL, "http://127.0.0.1:PORT/v1", when it is ready to answer.

    Raises:
        InvalidInput: The engine is not installed, the model cannot be loaded, or the port is taken.
        ProviderError: It was not ready within a minute.
    """
    server = _started(Settings(path=path, context=context, threads=threads), port=port, key=key)
    try:
        _wait_for(server.listening_address)
        yield f"{server.listening_address}/v1"
    finally:
        del server  # what ends it


def engine_version() -> str:
    """The version of the installed engine.

    Raises:
        InvalidInput: It is not installed.
    """
    try:
        return importlib.metadata.version(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        raise InvalidInput(
            f"a local model runs in {PACKAGE}, which is not installed: pip install 'forbear[local]'."
        ) from None


def _started(settings: Settings, *, port: int, key: str | None) -> Any:
    engine_version()
    if not settings.path.is_file():
        raise InvalidInput(f"there is no model '{shown(str(settings.path), limit=200)}'. Give the path of a GGUF.")
    llama = importlib.import_module(PACKAGE)
    parameters = llama.CommonParams()
    parameters.model.path = str(settings.path)
    parameters.model_alias = {settings.path.stem}
    parameters.n_ctx = settings.context
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = settings.threads
    parameters.n_parallel, parameters.n_gpu_layers = 1, 0
    parameters.cache_prompt, parameters.cache_ram_mib, parameters.n_ctx_checkpoints = False, 0, 0
    parameters.warmup, parameters.ui, parameters.verbosity = False, False, -1
    parameters.port = port
    if key is not None:
        parameters.api_keys = [key]
    try:
        return llama.Server(parameters)
    except RuntimeError:
        if _is_taken(port):
            raise InvalidInput(f"port {port} of 127.0.0.1 is taken; choose another, or 0 for any.") from None
        raise InvalidInput(
            f"the engine cannot load '{shown(settings.path.name)}': it must be a whole GGUF of a model that answers "
            f"in text, and fit into memory."
        ) from None


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def _wait_for(address: str) -> None:
    until = time.monotonic() + _HEALTHY_S
    while True:
        with contextlib.suppress(OSError, http.client.HTTPException, ProviderError):
            _get(address, "/health")
            return
        if time.monotonic() > until:
            raise ProviderError(f"the local server was not ready within {_HEALTHY_S:g} s.")
        time.sleep(0.05)


def _get(address: str, path: str, *, key: str | None = None) -> Any:
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=10)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {key}"} if key else {})
        answer = connection.getresponse()
        if answer.status != http.HTTPStatus.OK:
            raise ProviderError(f"the local server answered {answer.status} to {path}.")
        return json.loads(answer.read())
    finally:
        connection.close()
