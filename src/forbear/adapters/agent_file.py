"""An agent described in a file, for a benchmark to play: those tables of a pilot's file that make an agent.

```toml
name = "gpt"                    # in tables, and of its journal's folder

[model]
use = "openai"
options = { model = "..." }

[agent]
use = "chat"
options = { mode = "text", legal = "hint" }
```
"""

import re
from dataclasses import dataclass
from pathlib import Path

from forbear.adapters.models import Models, prices_of
from forbear.adapters.parts import Factory
from forbear.adapters.pilot_file import MAX_BYTES, budget_of
from forbear.adapters.toml_section import Section
from forbear.errors import InvalidInput
from forbear.models.session import ModelSettings
from forbear.runner.ledger import Budget
from forbear.wording import shown

_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,39}")


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentFile:
    """What a file describes."""

    name: str
    agent: Factory
    budget: Budget | None
    """What may be paid for over all resumes."""
    models: ModelSettings


def read_agent_file(path: str | Path) -> AgentFile:
    """Reads an agent and imports what makes it; one is made when it is asked for.

    Args:
        path: The TOML file, at most 1 MiB, with `agent` and, as the agent needs them, `model` or `models`, `prices`,
            `budget`. Modules that it names may lie beside it.

    Raises:
        InvalidInput: The file, a key, or a part that it names cannot be used; the message names the key and the line.
    """
    file = Path(path).absolute()
    try:
        top = Section.of_file(file, limit=MAX_BYTES)
    except OSError as error:
        raise InvalidInput(f"{shown(str(path), limit=200)}: cannot be read ({error.strerror}).") from None
    name = top.take("name", str, "agent")
    if not _NAME.fullmatch(name):
        raise top.error("name", message="expected up to 40 letters, digits, dots, dashes and underscores")
    part = top.part("agent")
    assert part is not None, "it is not optional"
    described = AgentFile(
        name=name,
        agent=Models.of(top, file.parent).factory(part),
        budget=budget_of(top),
        models=ModelSettings(prices=prices_of(top)),
    )
    top.close()
    return described
