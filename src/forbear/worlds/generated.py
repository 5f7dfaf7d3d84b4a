"""Tasks that a generator makes from a seed: found by their ids, and of seeds that nothing learned from."""

import re
from collections.abc import Iterator, Mapping
from typing import ClassVar, Protocol, TypeVar

from forbear.errors import InvalidInput

_ID = re.compile(r"[a-z_]+/(-?[0-9]{1,20})/([0-9]{1,12})")


class Identified(Protocol):
    """Something that a generator makes."""

    @property
    def id(self) -> str:
        """`family/seed/index`."""
        ...


_T = TypeVar("_T", bound=Identified)


class Generated(Mapping[str, _T]):
    """All that a generator can make by ids "family/seed/index", made when asked for; there is no last one."""

    of: ClassVar[str]
    """What they are, in messages."""

    def made(self, seed: int, index: int) -> _T:
        """Makes one; a pilot comes back to the same ones."""
        raise NotImplementedError

    def __getitem__(self, key: str) -> _T:
        """Returns the one of this id; KeyError where there is none."""
        found = _ID.fullmatch(key)
        if found is None:
            raise KeyError(key)
        one = self.made(int(found[1]), int(found[2]))
        if one.id != key:
            raise KeyError(key)
        return one

    def __iter__(self) -> Iterator[str]:
        """Refused: there is no last one."""
        raise InvalidInput(f"generated {self.of} are endless; ask for them by id.")

    def __len__(self) -> int:
        """Refused: there is no number of them."""
        raise InvalidInput(f"generated {self.of} are endless; ask for them by id.")


def require_unused(seed: int, *, used: Mapping[str, int], n: int, of: str) -> None:
    """Refuses what no pilot may be made of.

    Args:
        seed: Of a generator.
        used: The seeds that were learned from, by use.
        n: How many tasks are wanted.
        of: What they are.

    Raises:
        InvalidInput: n below 1, or a used seed.
    """
    if n < 1:
        raise InvalidInput(f"a pilot needs at least 1 task, got n = {n}.")
    uses = [use for use, taken in used.items() if taken == seed]
    if uses:
        raise InvalidInput(
            f"the {of} of seed {seed} were used for the shipped parts ({uses[0]}); an evaluation on them would "
            "flatter. Take another seed."
        )
