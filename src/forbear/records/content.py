"""What a journal says, and what it cannot say: a cell that the plan does not have, or a second outcome for one."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from forbear.errors import InvalidInput
from forbear.records.chain import named_cell
from forbear.records.codec import ArmEnd, EpisodeKey, HandedOut, Missing, Record, episode_key
from forbear.records.model import JSON, Episode
from forbear.records.planned import Planned
from forbear.wording import shown


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalContent:
    """What a journal says; grows as its writer appends."""

    plan: Mapping[str, JSON]
    """What is being run; the journal itself knows its cells only (`analysis.plan_record` knows the rest)."""
    episodes: dict[EpisodeKey, Episode] = field(default_factory=dict)
    """Those with an outcome, in the order in which they were written."""
    broken: dict[EpisodeKey, int] = field(default_factory=dict)
    """How often the outside world broke an episode; it was or will be tried again, or is missing."""
    rows: dict[tuple[str, int], list[Episode]] = field(default_factory=dict)
    """By task id and seed: all that was written, broken ones included, in order."""
    missing: dict[EpisodeKey, Missing] = field(default_factory=dict)
    ends: dict[str, ArmEnd] = field(default_factory=dict)
    """By arm that is over before its last task."""
    handed_out: dict[EpisodeKey, HandedOut] = field(default_factory=dict)
    """What a host was given to run and has not told of since."""
    broken_in_a_row: list[EpisodeKey] = field(default_factory=list)
    """What broke since the last episode with an outcome, in order."""
    planned: Planned = field(init=False, repr=False)
    """The cells of the plan."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "planned", Planned.of(self.plan, where="the journal"))

    def last_attempts(self) -> Iterator[Episode]:
        """Of each cell that was begun, the episode with its outcome, or else the last attempt that broke.

        Which holds what was paid for in it: an attempt goes on from those before it, and is charged with what they
        paid. Only where a world can be neither restored nor replayed does each begin afresh; there it is left out.
        """
        for row in self.rows.values():
            last: dict[str, Episode] = {}
            for episode in row:
                if episode.arm not in last or last[episode.arm].success is None:
                    last[episode.arm] = episode
            yield from last.values()

    def add(self, record: Record, *, where: str) -> None:
        """Takes in one record.

        Raises:
            InvalidInput: It contradicts what was there before, or the plan.
        """
        self.require_possible(record, where=where)
        if isinstance(record, Missing):
            self.missing[record.key] = record
            self.handed_out.pop(record.key, None)
        elif isinstance(record, ArmEnd):
            self.ends[record.arm] = record
        elif isinstance(record, HandedOut):
            if record.key not in self.episodes and record.key not in self.missing:
                self.handed_out[record.key] = record
        else:
            key = episode_key(record)
            self.rows.setdefault(key[:2], []).append(record)
            self.handed_out.pop(key, None)
            if record.success is None:
                self.broken[key] = self.broken.get(key, 0) + 1
                self.broken_in_a_row.append(key)
            else:
                self.episodes[key] = record
                self.broken_in_a_row.clear()

    def require_possible(self, record: Record, *, where: str, earlier: Sequence[Record] = ()) -> None:
        """Refuses what `add` would refuse.

        Args:
            record: What is to be added.
            where: Names its place in errors.
            earlier: What will be added before it.

        Raises:
            InvalidInput: The plan has no such cell or arm, or its cell or arm is over.
        """
        if isinstance(record, ArmEnd):
            self._require_first_end(record, where=where, earlier=earlier)
            return
        key = episode_key(record) if isinstance(record, Episode) else record.key
        planned = self.planned
        if key[0] not in planned.tasks or key[1] not in planned.seeds or key[2] not in planned.arms:
            raise InvalidInput(f"{where}: the plan has no {named_cell(key)}.")
        final = _final_key(record) is not None
        if final and (key in self.episodes or key in self.missing or any(_final_key(one) == key for one in earlier)):
            raise InvalidInput(f"{where}: {named_cell(key)} had its outcome, or was given up, before.")

    def _require_first_end(self, end: ArmEnd, *, where: str, earlier: Sequence[Record]) -> None:
        if end.arm not in self.planned.arms or end.tasks > len(self.planned.tasks):
            raise InvalidInput(
                f"{where}: arm '{shown(end.arm)}' ended after {end.tasks} tasks; the plan has no such arm, or fewer."
            )
        before = [self.ends.get(end.arm), *(one for one in earlier if isinstance(one, ArmEnd) and one.arm == end.arm)]
        for other in before:
            if other not in (None, end):
                raise InvalidInput(f"{where}: arm '{shown(end.arm)}' ended before, after {other.tasks} tasks.")


def _final_key(record: Record) -> EpisodeKey | None:
    """The cell that a record ends."""
    if isinstance(record, Missing):
        return record.key
    return episode_key(record) if isinstance(record, Episode) and record.success is not None else None
