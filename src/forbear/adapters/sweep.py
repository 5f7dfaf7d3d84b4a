"""An arm of a pilot's file whose settings are lists: one arm for each combination, named by what differs.

```toml
[[arm]]
intervention = ["rollback", "append"]
threshold = [0.4, 0.6, 0.8]
budget = 3
```

makes six arms, `rollback threshold 0.4` to `append threshold 0.8`. All take from one baseline what they have in common
with it and with each other, and share one error rate, as any arms do that may be deployed.
"""

import itertools
from typing import Any

from forbear.adapters.toml_section import Section
from forbear.wording import described

SWEPT = ("intervention", "threshold", "up_to", "min_step", "budget", "cooldown")
"""Keys that may be lists, in the order in which arms are named."""

MOST_ARMS = 200
"""Of one table; more is a slip, and no pilot could tell them apart."""


def spread(section: Section) -> list[Section]:
    """Returns the tables that a table of an arm stands for: itself where no setting is a list.

    Raises:
        InvalidInput: An empty list, the same setting twice, or more than `MOST_ARMS` combinations.
    """
    lists: dict[str, list[Any]] = {key: section.table[key] for key in SWEPT if isinstance(section.table.get(key), list)}
    if not lists:
        return [section]
    combinations = 1
    for key, values in lists.items():
        if not values:
            raise section.error(key, message="a list of settings needs at least one")
        if any(value in values[:number] for number, value in enumerate(values)):
            raise section.error(key, message=f"a setting stands twice in {described(values, limit=60)}")
        combinations *= len(values)
        if combinations > MOST_ARMS:
            raise section.error(key, message=f"the lists of this arm make more than {MOST_ARMS} arms; take fewer")
    return [
        Section(
            {**section.table, **chosen, "name": _name(section, chosen)},
            name=section.name,
            lines=section.lines,
            at=section.at,
        )
        for values in itertools.product(*lists.values())
        for chosen in [dict(zip(lists, values, strict=True))]
    ]


def _name(section: Section, chosen: dict[str, Any]) -> str:
    base = section.take("name", str) if "name" in section.table else None
    kind = chosen.get("intervention", section.table.get("intervention"))
    words = [base] if base is not None else []
    if base is None or "intervention" in chosen:
        words.append(str(kind).rpartition(":")[2])
    words += [f"{key} {_short(value)}" for key, value in chosen.items() if key != "intervention"]
    return " ".join(words)


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
