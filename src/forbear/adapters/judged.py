"""CRITIC and EPISODES of the command line: which critic is meant, what it has seen, and what it says of the runs."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from forbear.adapters.critic_folder import learned_failure_rate, made, open_folder, read_record, task_key, tasks_seen
from forbear.adapters.formats.episodes import read_runs
from forbear.adapters.parts import BUILT_IN
from forbear.contracts.critic import Critic
from forbear.critics.runs import JudgedRun
from forbear.critics.scored import ScoredRuns, scored_now
from forbear.errors import InvalidInput
from forbear.wording import counted, described, listed, shown

_RECORDED = "recorded"
_MOST = 1e300


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedCritic:
    """A critic as the command line names it."""

    name: str
    critic: Critic | None
    """None: its scores are in the files."""
    recorded: str | None = None
    """Whose scores; None with `recorded` alone: the only one's that scored."""
    folder: Path | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    seen: frozenset[str] = frozenset()
    """Tasks that it learned from: ids, or their keys."""
    seen_is_known: bool = True
    """Whether `seen` is all that it learned from: nobody says so of somebody's own code, or of recorded scores."""
    failure_rate: float | None = None
    """In the runs that it learned from, where its folder says."""


def named_critic(name: str, *, options: Mapping[str, Any]) -> NamedCritic:
    """Finds the critic: a folder, a built-in name, `module:factory`, or `recorded[:NAME]`.

    Raises:
        InvalidInput: It is none of these, or cannot be made.
    """
    kind, _, of = name.partition(":")
    if kind == _RECORDED:
        return NamedCritic(name=name, critic=None, recorded=of or None, seen_is_known=False)
    folder = Path(name)
    if folder.is_dir():
        record = read_record(folder)
        return NamedCritic(
            name=name,
            critic=open_folder(folder, critic=options.get("critic"), options=options.get("critic_options")),
            folder=folder,
            seen=tasks_seen(record),
            failure_rate=learned_failure_rate(record),
        )
    if name == "chat":
        raise InvalidInput(
            "the critic 'chat' needs a language model, which a pilot gives it: pilot it, then judge the scores in the "
            "journal: forbear critic evaluate recorded:chat runs/pilot"
        )
    if name not in BUILT_IN["critic"] and ":" not in name:
        raise InvalidInput(
            f"'{shown(name, limit=200)}' is no folder of a critic, no built-in one (they are "
            f"{listed(sorted(BUILT_IN['critic']), limit=20)}), not of the form module:factory, and not recorded:NAME."
        )
    critic = made(name, options, place="CRITIC")
    return NamedCritic(name=name, critic=critic, options=options, seen_is_known=name in BUILT_IN["critic"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Runs, scored."""

    name: str
    """The critic's; of recorded scores the whole name in the journal."""
    scored: ScoredRuns
    left_out: Mapping[str, int]
    """Why, in words: how many."""
    overlap: frozenset[str]
    """Tasks among them that the critic has seen; empty unless that was allowed."""


def judge(
    named: NamedCritic,
    paths: Sequence[str],
    *,
    arms: Collection[str] = (),
    ordinal: bool = False,
    allow_overlap: bool = False,
) -> Judged:
    """Reads the runs and asks the critic about each of their steps, or takes what it said when they were run.

    Raises:
        InvalidInput: As `read_runs`, and: the critic has seen some of the tasks, it gave no score, no scores are
            recorded.
    """
    read = read_runs(paths, arms=arms)
    left_out = dict(read.left_out)
    names = {name for run in read.runs for name in (run.task, run.group)} if named.seen else set()
    overlap = frozenset(name for name in names if name in named.seen or task_key(name) in named.seen)
    if overlap and not allow_overlap:
        tasks = counted(len(overlap), "task")
        raise InvalidInput(
            f"the critic has learned from {tasks} of these runs ({listed(sorted(overlap))}): what it says of them "
            "flatters it. Name runs of other tasks, or say that you know: --allow-overlap."
        )
    if named.critic is None:
        recorded, scored = _recorded(read.runs, named.recorded, left_out, ordinal=ordinal)
        name = f"{_RECORDED}:{recorded}"
    else:
        name = named.name
        scored = scored_now(named.critic, read.runs, name=named.name, ordinal=ordinal)
    return Judged(name=name, scored=scored, left_out={why: n for why, n in left_out.items() if n}, overlap=overlap)


def _recorded(
    runs: Sequence[JudgedRun], wanted: str | None, left_out: dict[str, int], *, ordinal: bool
) -> tuple[str, ScoredRuns]:
    kept = tuple(run for run in runs if not run.changed)
    if len(kept) < len(runs):
        left_out["changed by an intervention"] = len(runs) - len(kept)
    name = _one_of({name for run in kept for said in run.recorded for name in said}, wanted)
    scores = tuple(
        tuple(_score(run, step, said.get(name), ordinal=ordinal) for step, said in enumerate(run.recorded))
        or (None,) * len(run.trajectory.steps)
        for run in kept
    )
    return name, ScoredRuns(runs=kept, scores=scores, ordinal=ordinal)


def _score(run: JudgedRun, step: int, said: object, *, ordinal: bool) -> float | None:
    if said is None:
        return None
    if isinstance(said, int | float) and not isinstance(said, bool) and abs(said) <= _MOST:
        if ordinal or 0 <= said <= 1:
            return float(said)
        raise InvalidInput(
            f"{run.place}: the score at step {step} is {said:g}, no probability. Grades of any range: --ordinal."
        )
    raise InvalidInput(
        f"{run.place}: the score at step {step} must be a number or null, got {described(said)}. Mend the file."
    )


def _one_of(names: Collection[str], wanted: str | None) -> str:
    found = sorted(name for name in names if wanted is None or wanted in (name, name.partition(":")[0]))
    if len(found) == 1:
        return found[0]
    if not names:
        raise InvalidInput("no critic scored a run that no intervention changed.")
    asked = (
        "say whose scores" if wanted is None else f"'{shown(wanted)}' is " + ("several" if found else "none of them")
    )
    raise InvalidInput(f"critics that scored: {listed(sorted(names))}; {asked}: recorded:NAME.")
