"""A real OpenAI-compatible server on this machine, which answers as a test says, faults included."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self, TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the server sends."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    """Bytes of the body after which the connection is dropped."""
    stall_s: float = 0.0
    """How long it waits before it sends anything."""


def answer(
    text: str = "",
    *,
    tool_calls: list[dict[str, Any]] | None = None,
    logprobs: list[dict[str, Any]] | None = None,
    finish_reason: str = "stop",
    refusal: str | None = None,
    usage: tuple[int, int] = (10, 2),
    cached: int = 0,
) -> Reply:
    """A completion as OpenAI sends it; `usage` is tokens in and out."""
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": refusal}
    if tool_calls is not None:
        message["tool_calls"] = tool_calls
    choice: dict[str, Any] = {"index": 0, "message": message, "finish_reason": finish_reason}
    if logprobs is not None:
        choice["logprobs"] = {"content": logprobs}
    counted = {
        "prompt_tokens": usage[0],
        "completion_tokens": usage[1],
        "total_tokens": sum(usage),
        "prompt_tokens_details": {"cached_tokens": cached},
    }
    whole = {"id": "a", "object": "chat.completion", "created": 0, "model": "test", "choices": [choice]}
    return Reply(body=json.dumps({**whole, "usage": counted}).encode())


def called(name: str, arguments: str, *, id: str = "call-1") -> dict[str, Any]:
    """A tool call inside `answer(tool_calls=[...])`; the arguments as the model would write them."""
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def refused(status: int, message: str = "no", *, code: str = "", retry_after: str | None = None) -> Reply:
    """An error as OpenAI sends it."""
    body = json.dumps({"error": {"message": message, "code": code, "type": "error"}}).encode()
    return Reply(status=status, body=body, headers={} if retry_after is None else {"Retry-After": retry_after})


Respond: TypeAlias = Callable[[dict[str, Any]], Reply]
"""From the request's JSON body, on any thread."""


class ChatServer:
    """The server, while it is open as a context manager."""

    def __init__(self, respond: Respond) -> None:
        """Says what it answers.

        Args:
            respond: Called for each request, by several threads at a time.
        """
        self._respond = respond
        self.requests: list[dict[str, Any]] = []
        """Bodies of what was asked, in order."""
        self.headers: list[dict[str, str]] = []
        """Of what was asked, their names in lower case."""
        self.answered = 0
        """Replies with status 200 that were sent whole: what a provider bills."""
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @property
    def url(self) -> str:
        """For `base_url`."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def reply_to(self, request: dict[str, Any], headers: Mapping[str, str]) -> Reply:
        """Notes a request, and finds its reply."""
        with self._lock:
            self.requests.append(request)
            self.headers.append({name.lower(): value for name, value in headers.items()})
        return self._respond(request)

    def note_answered(self) -> None:
        """Counts a reply that was sent whole."""
        with self._lock:
            self.answered += 1


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no news."""


def _handler(owner: ChatServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            reply = owner.reply_to(json.loads(body), dict(self.headers))
            if reply.stall_s:
                time.sleep(reply.stall_s)
            head = {"Content-Type": "application/json", **reply.headers, "Content-Length": str(len(reply.body))}
            lines = [f"HTTP/1.1 {reply.status} said", *(f"{name}: {value}" for name, value in head.items()), "", ""]
            whole = "\r\n".join(lines).encode() + reply.body
            if reply.cut_after is not None:
                self.wfile.write(whole[: len(whole) - len(reply.body) + reply.cut_after])
                self.close_connection = True
                return
            if reply.status == 200:  # before it is sent: who reads it must find it counted
                owner.note_answered()
            self.wfile.write(whole)

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    return Handler
