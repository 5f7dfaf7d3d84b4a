"""A critic behind an address of its own, in any language: one POST of JSON for each score."""

import asyncio
import json
import math
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from msgspec import to_builtins

from forbear.contracts.critic import Score
from forbear.contracts.draw import Draw
from forbear.errors import InvalidInput, ProviderError
from forbear.records.model import JSON, Action, Trajectory, Usage
from forbear.wording import described, shown

_MOST = 1 << 20
"""Bytes of an answer that are read."""


class HTTPCritic:
    """Asks a server: it gets what a critic gets, and answers with what a critic answers.

    It is sent `{"task": {"id", "payload"}, "steps": [{"index", "observation", "payload", "messages", "executed"}, ...],
    "proposed": {"text", "payload", "rationale", "logprobs"}, "seed": ...}`; the last step is open (nothing is executed
    in it), and equal questions have equal seeds. It answers 200 with `{"p_fail": 0.3}`: a number in [0, 1] or null to
    abstain, and, where it likes, `"why"` (a text) and `"usage"` (`input_tokens`, `output_tokens`, `cost`).
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
        if not isinstance(url, str) or not url.startswith(("http://", "https://")) or "@" in url:
            raise InvalidInput(f"url must be an http or https address without user and password, got {described(url)}.")
        if not 0 < timeout_s < math.inf:
            raise InvalidInput(f"timeout_s must be a number of seconds above 0, got {timeout_s!r:.60}.")
        self._url, self._name, self._version, self._timeout_s = url, name, version, timeout_s

    async def score(self, trajectory: Trajectory, proposed: Action, *, draw: Draw) -> Score:
        """Returns the server's score.

        Raises:
            ProviderError: It is down, or answers with an error.
            InvalidInput: It answers with something else.
        """
        steps: list[dict[str, Any]] = to_builtins(trajectory.steps)
        for shown_step, step in zip(steps, trajectory.steps, strict=True):
            shown_step["executed"] = None if step.executed is None else _action(step.executed)
        body = {
            "task": {"id": trajectory.task.id, "payload": trajectory.task.payload},
            "steps": steps,
            "proposed": _action(proposed),
            "seed": draw.integer() & 0x7FFFFFFF,
        }
        return _score(await asyncio.to_thread(self._post, json.dumps(body).encode()))

    def _post(self, body: bytes) -> bytes:
        request = urllib.request.Request(self._url, data=body, headers={"Content-Type": "application/json"})
        try:
            # The address was checked to be http or https.
            with urllib.request.urlopen(request, timeout=self._timeout_s) as answer:  # nosec B310
                read: bytes = answer.read(_MOST + 1)
                return read
        except (OSError, ValueError) as error:  # HTTPError and URLError among them
            raise ProviderError(f"critic at {self._url}: {shown(str(error), limit=200)}") from None

    def config(self) -> Mapping[str, JSON]:
        """Returns name, version and address."""
        return {"name": self._name, "version": self._version, "url": self._url}


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
