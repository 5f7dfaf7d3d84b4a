"""A critic behind an address of its own, in any language: one POST of JSON for each score."""

import http.client
import json
import math
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from forbear.contracts.critic import Score
from forbear.contracts.draw import Draw
from forbear.errors import InvalidInput, ProviderError
from forbear.models.session import in_thread
from forbear.records.model import JSON, Action, Step, Trajectory, Usage
from forbear.wording import described, shown

_MOST = 1 << 20
"""Bytes of an answer that are read."""


class HTTPCritic:
    """Asks a server: it gets what a critic gets, and answers with what a critic answers.

    It is sent `{"task": {"id", "payload"}, "steps": [{"index", "observation", "payload", "messages", "executed",
    "irreversible", "legal_actions"}, ...], "proposed": {"text", "payload", "rationale", "logprobs"}, "seed": ...}`;
    what was executed is of the form of what is proposed, null in the last step, which is open; equal questions have
    equal seeds. It answers with status 200 and `{"p_fail": 0.3}`: a number in [0, 1] or null to abstain, and, where it
    likes, `"why"` (a text) and `"usage"` (`input_tokens`, `output_tokens`, `cost`). It is not followed elsewhere.
    """

    def __init__(self, url: str, *, name: str = "http-critic", version: int | str = 1, timeout_s: float = 20.0) -> None:
        """Says where it is.

        Args:
            url: http or https, without user and password: it is written into plans.
            name: In records and reports.
            version: Another one where the server scores otherwise: it says nothing of itself.
            timeout_s: After which it is down.

        Raises:
            InvalidInput: No such address, or a time that is none.
        """
        if not isinstance(url, str) or not _is_address(url):
            raise InvalidInput(f"url must be an http or https address without user and password, got {described(url)}.")
        if isinstance(timeout_s, bool) or not isinstance(timeout_s, int | float) or not 0 < timeout_s < math.inf:
            raise InvalidInput(f"timeout_s must be a number of seconds above 0, got {described(timeout_s)}.")
        self._url, self._name, self._version, self._timeout_s = url, name, version, timeout_s

    async def score(self, trajectory: Trajectory, proposed: Action, *, draw: Draw) -> Score:
        """Returns the server's score.

        Raises:
            ProviderError: It is down, or answers with an error.
            InvalidInput: It answers with something else.
        """
        asked = {
            "task": {"id": trajectory.task.id, "payload": trajectory.task.payload},
            "steps": [_step(step) for step in trajectory.steps],
            "proposed": _action(proposed),
            "seed": draw.integer() & 0x7FFFFFFF,
        }
        body = json.dumps(asked).encode()
        return _score(await in_thread(lambda: self._post(body)))

    def _post(self, body: bytes) -> bytes:
        request = urllib.request.Request(self._url, data=body, headers={"Content-Type": "application/json"})
        over = time.monotonic() + self._timeout_s
        try:
            with urllib.request.build_opener(_Stay).open(request, timeout=self._timeout_s) as answer:
                read = bytearray()
                while len(read) <= _MOST and (piece := answer.read1(1 << 16)):
                    read += piece
                    if time.monotonic() > over:
                        raise TimeoutError(f"no whole answer within {self._timeout_s:g} s")
                return bytes(read)
        except (OSError, ValueError, http.client.HTTPException) as error:
            if isinstance(error, urllib.error.HTTPError):
                error.close()
            raise ProviderError(f"critic at {shown(self._url)}: {shown(str(error), limit=200)}") from None

    def config(self) -> Mapping[str, JSON]:
        """Returns name, version and address."""
        return {"name": self._name, "version": self._version, "url": self._url}


class _Stay(urllib.request.HTTPRedirectHandler):
    """Goes nowhere else: a POST that is redirected would arrive as a GET without its question."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        """Leaves the redirect an error."""


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return False
    return known and "@" not in parts.netloc and url.isprintable() and url.isascii() and " " not in url


def _step(step: Step) -> dict[str, Any]:
    return {
        "index": step.index,
        "observation": step.observation,
        "payload": step.payload,
        "messages": list(step.messages),
        "executed": None if step.executed is None else _action(step.executed),
        "irreversible": step.irreversible,
        "legal_actions": None if step.legal_actions is None else list(step.legal_actions),
    }


def _action(action: Action) -> dict[str, Any]:
    return {
        "text": action.text,
        "payload": action.payload,
        "rationale": action.rationale,
        "logprobs": None if action.logprobs is None else list(action.logprobs),
    }


def _score(body: bytes) -> Score:
    try:
        if len(body) > _MOST:
            raise ValueError
        answer = json.loads(body)
        usage = {key: value for key, value in (answer.get("usage") or {}).items() if key in Usage.__struct_fields__}
        return Score(answer["p_fail"], answer.get("why"), Usage(**usage))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        told = shown(body[:200].decode("utf-8", "replace"), limit=200)
        raise InvalidInput(f"the critic's server must answer {{\"p_fail\": a number or null}}, got '{told}'.") from None
