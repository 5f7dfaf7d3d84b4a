"""Tasks split by their names alone: the same split whatever their order, their outcomes and whatever else is run."""

import hashlib
from collections.abc import Sequence
from typing import TypeAlias

Groups: TypeAlias = frozenset[str]


def split_tasks(groups: Sequence[str], *, share: float) -> tuple[Groups, Groups]:
    """Splits tasks in two, the second with this share of them: the same whatever their order, and whatever is run."""
    order = sorted(set(groups), key=lambda group: (stable_number(group, "split"), group))
    away = round(share * len(order))
    return frozenset(order[away:]), frozenset(order[:away])


def stable_number(text: str, purpose: str) -> int:
    """A number that depends on the text and the purpose and on nothing else."""
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8, person=purpose.encode())
    return int.from_bytes(digest.digest())
