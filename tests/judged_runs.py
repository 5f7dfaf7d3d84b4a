"""Logs of runs for critics, written as files: failing runs repeat themselves, and a hostile name is among them."""

import json
from pathlib import Path

import numpy as np


def write_runs(
    path: Path,
    *,
    tasks: int = 80,
    first: int = 0,
    seeds: int = 1,
    failing: float = 0.5,
    seed: int = 0,
    model: str = "m<b>",
) -> Path:
    """Runs of tasks `t<first>` on: whether one fails is told by how often it does the same again."""
    rng, lines = np.random.default_rng(seed), []
    for task in range(first, first + tasks):
        for number in range(seeds):
            failed = bool(rng.random() < failing)
            steps = [
                {"action": "again" if rng.random() < (0.7 if failed else 0.3) else f"do {step}", "observation": "seen"}
                for step in range(int(rng.integers(2, 9)))
            ]
            row = {"task_id": f"t{task}", "seed": number, "success": not failed, "task": "do it", "steps": steps}
            lines.append(json.dumps({**row, "model": model}))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
