"""What the household's critic looks at. The regression itself is `forbear.critics.logistic`.

Looked at: how the proposed command stands to what was seen (the relations that the player knows too); what the task is
about and how far it is, as far as the transcript tells; how large the room is and how much of it was looked into; and
how the last few steps went: commands that did nothing, that only looked, that came again, places come back to, things
taken and put back.

Not looked at, so that no score counts down to the end: the index of the step, how many steps there were, the budget of
steps, whether the episode is over. Steps that bring nothing new change no score once they are older than
`features.RECENT`; a test holds that. How much of the room was looked into does grow as an episode goes on, as it does
for any reader of a transcript; that is why scores are reported by range of steps too. Messages of interventions are
not read either: the critic was trained on episodes without any.
"""

from forbear.critics.logistic import Features
from forbear.records.model import Action, Trajectory
from forbear.worlds.household.features import (
    Memory,
    Situation,
    changes_nothing,
    kind,
    parse_command,
    remember,
)


class HouseholdFeatures:
    """Features of a household's transcript, for `forbear.critics.logistic.LogisticCritic`."""

    name = "household-transcript-1"
    size = 12

    def __call__(self, trajectory: Trajectory, proposed: Action) -> Features:
        """Returns the features; the last step is open."""
        memory = remember(trajectory)
        command = parse_command(proposed.text)
        situation = Situation(memory)
        relation = situation.relation(command)
        mode, stage = memory.goal.mode, _stage(memory)
        again = situation.repeats(proposed.text)
        last = parse_command(memory.recent[-1][0]).verb if memory.recent else "start"
        names = [
            f"m={mode}",
            f"s={mode}|{stage}",
            f"r={relation}",
            f"rm={mode}|{relation}",
            f"n={again}|{command.verb}|{stage}",
            f"l={last}|{command.verb}",
            *(f"w={mode}|{word}" for word in sorted(memory.goal.words)),
        ]
        left = _left(memory)
        names += [f"u={stage}|{left}", f"um={mode}|{stage}|{left}", f"p={_pace(memory)}|{stage}"]
        if command.verb == "go to":
            names.append(f"h={memory.wanted}|{kind(command.place)}")
        return Features(names, [*_window(memory, again), *_room(memory)])


def _stage(memory: Memory) -> str:
    """How far the task is, as far as the transcript tells."""
    if memory.held:
        held = "wanted" if memory.goal.wants(memory.held) else "other"
        stage = f"{held}-{'ready' if memory.ready() else 'raw'}"
    else:
        stage = "found" if memory.wanted_places() else "searching"
    return f"{stage}|{len(memory.done)}|{'lit' if memory.lit else 'dark'}"


def _window(memory: Memory, again: int) -> list[float]:
    """Shares among the last `features.RECENT` steps, each in [0, 1]."""
    recent = memory.recent
    n = max(1, len(recent))
    commands = [parse_command(text) for text, _ in recent]
    places = [command.place for command in commands if command.verb == "go to"]
    return [
        sum(answer.startswith("Nothing happens") for _, answer in recent) / n,
        sum(changes_nothing(command) for command in commands) / n,
        (len(recent) - len({text for text, _ in recent})) / n,
        (len(places) - len(set(places))) / max(1, len(places)),
        sum(command.verb in ("take", "move") for command in commands) / n,
        sum(command.verb == "close" for command in commands) / n,
        again / 2,
    ]


def _room(memory: Memory) -> list[float]:
    """The size of the task: receptacles in the room, those that may be the right ones, those not yet looked into."""
    room, unseen = memory.receptacles, memory.receptacles - memory.seen.keys()
    named = sum(memory.goal.names(place) for place in room)
    wanted = sum(memory.goal.wants(t) and t not in memory.done for things in memory.seen.values() for t in things)
    return [
        min(1.0, len(room) / 40),
        min(1.0, named / 10),
        len(unseen) / max(1, len(room)),
        sum(place in memory.closed for place in unseen) / max(1, len(room)),
        min(1.0, wanted / 3),
    ]


def _left(memory: Memory) -> str:
    """How many receptacles are not yet looked into, by doublings."""
    return str((len(memory.receptacles - memory.seen.keys())).bit_length())


def _pace(memory: Memory) -> str:
    """What the last four steps were: N going or opening, T a thing taken or put, C a treatment; a dot: of no effect."""
    marks = []
    for text, answer in memory.recent:
        command = parse_command(text)
        if answer.startswith("Nothing happens") or changes_nothing(command) or command.verb == "close":
            marks.append(".")
        elif command.verb in ("take", "move"):
            marks.append("T")
        else:
            marks.append("N" if command.verb in ("go to", "open") else "C")
    return "".join(marks[-4:])
