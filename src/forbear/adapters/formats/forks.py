"""Forks from journals of coupled pilots, for critics that learn what stepping in is worth."""

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from forbear.analysis.plan_record import PlanRecord
from forbear.critics.forks import JudgedFork, forks_of, is_copy
from forbear.errors import InvalidInput
from forbear.records.journal import Journal
from forbear.wording import listed, shown


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadForks:
    """What was read."""

    forks: tuple[JudgedFork, ...]
    arms: tuple[str, ...]
    """Whose interventions they judge."""


def read_forks(paths: Sequence[str | Path], *, arms: Collection[str] = ()) -> ReadForks:
    """Reads the forks of an arm from any number of journals.

    Args:
        paths: Directories of journals of coupled pilots.
        arms: Whose; none: the one arm that stepped in there. Several are taken together: their interventions should be
            the same.

    Returns:
        In the order of the journals.

    Raises:
        InvalidInput: No journal, one of arms that share no prefix, several arms and none named, or no
            fork at all.
    """
    forks: list[JudgedFork] = []
    chosen: dict[str, None] = {}
    for path in map(Path, paths):
        name = shown(os.fspath(path), limit=200)
        if not path.is_dir():
            raise InvalidInput(f"{name} is no directory of a journal: what stepping in is worth is learned from forks.")
        content = Journal(path).read()
        plan = PlanRecord.of(content.plan, where=name)
        if plan.design != "coupled":
            raise InvalidInput(
                f"{name}: its arms were run apart and share no prefix, so that nobody knows what going on from there "
                'would have been worth. Pilot with design = "coupled".'
            )
        there = [arm for arm in plan.treated if plan.arms[arm].kind == "policy"]
        wanted = [arm for arm in there if arm in arms] if arms else there
        if not wanted or (not arms and len(wanted) > 1):
            raise InvalidInput(f"{name} has the arms {listed(there)}: name the one that is to be learned from (--arm).")
        for arm in wanted:
            chosen[arm] = None
            forks += forks_of(
                (content.episodes[key[0], key[1], plan.baseline_arm], episode)
                for key, episode in content.episodes.items()
                if key[2] == arm and (key[0], key[1], plan.baseline_arm) in content.episodes and not is_copy(episode)
            )
    if not forks:
        raise InvalidInput(f"{listed([os.fspath(path) for path in paths]) or 'no journal'}: nobody stepped in there.")
    return ReadForks(forks=tuple(forks), arms=tuple(chosen))
