"""A pilot that its host runs, described in files."""

import json
from pathlib import Path

TEXT = """\
[host]
agent = "mine 1.0"
model = { name = "small" }


[tasks]
source = "tasks.jsonl"

[[arm]]
name = "critic"

[arm.config]
threshold = 0.6

[[arm]]
name = "placebo"
is_control = true

[run]
seeds = [7]
looks = [4, 8]
futility = 0.0
lease_s = 600

[rule]
worthwhile = 0.05
"""


def write_host(folder: Path, *, ids: list[str] | None = None, text: str = TEXT) -> Path:
    ids = [f"t{n}" for n in range(8)] if ids is None else ids
    (folder / "tasks.jsonl").write_text("\n".join(json.dumps({"id": one}) for one in ids), encoding="utf-8")
    path = folder / "pilot.toml"
    path.write_text(text, encoding="utf-8")
    return path
