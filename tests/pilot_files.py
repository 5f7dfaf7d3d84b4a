"""A pilot described in files, made of forbear's own doubles: small, fast, and with every outcome known."""

import json
from pathlib import Path

TEXT = """\
environment = "forbear.testing:Corridor"

[agent]
use = "forbear.testing:CoinFlipAgent"
options = { weights = { open = 0.8, wait = 0.12, jump = 0.08 } }

[critic]
use = "forbear.testing:WordCritic"
options = { scores = { jump = 0.9, wait = 0.65, open = 0.2 } }

[tasks]
source = "tasks.jsonl"

[[arm]]
name = "rollback"
intervention = "rollback"
threshold = 0.7

[[arm]]
name = "append"
intervention = "append"

[[arm]]
intervention = "placebo"

[run]
max_steps = 6
seeds = [1]

[rule]
worthwhile = 0.05
"""


def write_pilot(folder: Path, *, tasks: int = 12, text: str = TEXT) -> Path:
    lines = [json.dumps({"id": f"t<b>{i}</b>", "stratum": "odd" if i % 2 else "even"}) for i in range(tasks)]
    (folder / "tasks.jsonl").write_text("\n".join(lines), encoding="utf-8")
    path = folder / "pilot.toml"
    path.write_text(text, encoding="utf-8")
    return path
