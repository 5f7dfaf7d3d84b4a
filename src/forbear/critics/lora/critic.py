"""A LoRA critic that scores: one loaded model in a process for each, in a thread of its own."""

import asyncio
import atexit
import math
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from forbear.contracts.draw import Draw
from forbear.critics.lora.base import Scorer, libraries
from forbear.critics.lora.folder import (
    ADAPTER,
    LoraSettings,
    adapter_bytes,
    base_of,
    read_card,
    scorer_of,
    settings_of,
)
from forbear.critics.lora.prompt import FORM, prompt_tokens
from forbear.errors import InvalidInput
from forbear.records.model import JSON, Action, Trajectory
from forbear.wording import shown


class _Engine:
    """A loaded critic. Its thread alone uses the model, so that scores come one after the other."""

    def __init__(self, critic: "LoraCritic") -> None:
        self.thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="forbear-lora")
        self._critic = critic
        self._scorer: Scorer | None = None

    def logit(self, trajectory: Trajectory, proposed: Action) -> float:
        import torch

        critic = self._critic
        if self._scorer is None:
            base = base_of(critic.card, model=critic.model, where=shown(critic.path, limit=200))
            content = adapter_bytes(Path(critic.path), critic.card)
            self._scorer = scorer_of(content, critic.settings, base, device=critic.device)
        tokens = prompt_tokens(trajectory, proposed, encode=self._scorer.encode, most=critic.settings.max_tokens)
        with torch.inference_mode():
            raw = float(self._scorer.logits([tokens])[0])
        return critic.settings.slope * raw + critic.settings.shift


_engines: dict[tuple[int, str, str, str | None, str], _Engine] = {}
"""By process: a fork has no threads of its parent."""


def _close() -> None:
    for key in [key for key in _engines if key[0] == os.getpid()]:
        _engines.pop(key).thread.shutdown(cancel_futures=True)


atexit.register(_close)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraCritic:
    """p_fail of a language model with adapters; draws nothing, never abstains. The model is loaded when first asked."""

    path: str
    model: str | None
    """Where the model below is, if not where the card says."""
    device: str
    settings: LoraSettings
    sha256: str
    """Of its adapters."""
    base_sha256: str
    """Of the model below."""
    card: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: str | Path, *, model: str | None = None, device: str = "cpu") -> "LoraCritic":
        """Reads a critic's folder, and looks whether what it needs is there.

        Args:
            folder: That `forbear critic train --backend lora` wrote.
            model: Where the model below is; None: where the folder says.
            device: `cpu` or `cuda`.

        Raises:
            InvalidInput: Not such a folder; files that do not belong together or are damaged; the model below is
                missing or another one; or the extra `hf` is not installed.
        """
        libraries()
        where = shown(str(folder), limit=200)
        if device not in ("cpu", "cuda"):
            raise InvalidInput(f"device must be cpu or cuda, got '{shown(str(device))}'.")
        card = read_card(Path(folder))
        settings = settings_of(card, where=where)
        base = base_of(card, model=model, where=where)
        adapter_bytes(Path(folder), card)
        return cls(
            path=str(folder),
            model=model,
            device=device,
            settings=settings,
            sha256=str(card["sha256"]),
            base_sha256=base.sha256,
            card=card,
        )

    def _engine(self) -> _Engine:
        key = (os.getpid(), self.path, self.sha256, self.model, self.device)
        if key not in _engines:
            _engines[key] = _Engine(self)
        return _engines[key]

    async def score(self, trajectory: Trajectory, proposed: Action, *, draw: Draw) -> float:
        """Returns the probability that the run will fail."""
        engine = self._engine()
        loop = asyncio.get_running_loop()
        return _probability(await loop.run_in_executor(engine.thread, engine.logit, trajectory, proposed))

    def p_fail(self, trajectory: Trajectory, proposed: Action) -> float:
        """Returns the same, for callers that can wait."""
        engine = self._engine()
        return _probability(engine.thread.submit(engine.logit, trajectory, proposed).result())

    def config(self) -> Mapping[str, JSON]:
        """Returns its kind, and the hashes of its adapters and of the model below."""
        return {
            "name": "lora",
            "prompt": FORM,
            "sha256": self.sha256,
            "base": self.base_sha256,
            "max_tokens": self.settings.max_tokens,
            "dtype": self.settings.dtype,
            "calibration": [self.settings.slope, self.settings.shift],
        }


def _probability(logit: float) -> float:
    return 1 / (1 + math.exp(-min(max(logit, -30.0), 30.0)))


def lora_critic(path: str, model: str | None = None, device: str = "cpu") -> LoraCritic:
    """Makes the critic of a folder, for pilot files.

    Args:
        path: The folder.
        model: Where the model below is; None: where the folder says.
        device: `cpu` or `cuda`.

    Raises:
        InvalidInput: As `LoraCritic.load`.
    """
    if not isinstance(path, str) or not path:
        raise InvalidInput(f"path must name the folder of a LoRA critic, which holds {ADAPTER}.")
    return LoraCritic.load(path, model=model, device=device)
