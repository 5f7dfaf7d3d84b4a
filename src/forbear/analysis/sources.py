"""Where an arm's harm and help come from: its runs by when it first stepped in, how often it did, and kind of task."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from forbear.analysis.advantage import Touched, touched_runs
from forbear.analysis.result import PilotResult
from forbear.records.codec import EpisodeKey
from forbear.records.model import Episode


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Runs of an arm, beside the baseline's of the same task and seed."""

    runs: int
    recovered: int
    disrupted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """All runs of an arm whose baseline has an outcome too, put together in three ways."""

    by_step: Mapping[int, Changes]
    """By the step of the first intervention, in order; runs without one are left out."""
    by_interventions: Mapping[int, Changes]
    """By how many interventions were applied, in order, from 0 on."""
    by_stratum: Mapping[str, Touched]
    """By the kind of task, the one with the most runs first; empty where tasks are of fewer than two kinds."""


def sources_of(result: PilotResult, arm: str) -> Sources:
    """Counts where the changes of an arm come from.

    How often an arm stepped in is no cause: a run that goes badly is stepped into more often. Nor is the step, where
    arms share no prefix. A stratum's interval is that of a verdict of its runs by themselves, at a single look and not
    corrected for their number.

    Checked: sums and counts by hand, a stratum's interval against `decide` (tests/analysis/test_sources.py).
    """
    baseline = result.plan.baseline_arm
    pairs = {
        key: (result.episodes[key[0], key[1], baseline], episode)
        for key, episode in result.episodes.items()
        if key[2] == arm and (key[0], key[1], baseline) in result.episodes
    }
    return Sources(
        by_step=_changes(pairs.values(), lambda episode: episode.first_intervention),
        by_interventions=_changes(pairs.values(), lambda episode: episode.interventions),
        by_stratum=_by_stratum(result, arm, pairs),
    )


def _changes(pairs: Iterable[tuple[Episode, Episode]], group: Callable[[Episode], int | None]) -> Mapping[int, Changes]:
    counts: dict[int, list[int]] = {}
    for before, after in pairs:
        if (at := group(after)) is not None:
            count = counts.setdefault(at, [0, 0, 0])
            count[0] += 1
            count[1] += after.success is True and before.success is not True
            count[2] += before.success is True and after.success is not True
    return {at: Changes(runs=n, recovered=up, disrupted=down) for at, (n, up, down) in sorted(counts.items())}


def _by_stratum(
    result: PilotResult, arm: str, pairs: Mapping[EpisodeKey, tuple[Episode, Episode]]
) -> Mapping[str, Touched]:
    keys: dict[str, set[EpisodeKey]] = {}
    for key, (_, after) in pairs.items():
        if after.task.stratum is not None:
            keys.setdefault(after.task.stratum, set()).add(key)
    if len(keys) < 2:
        return {}
    ordered = sorted(keys, key=lambda name: (-len(keys[name]), name))
    return {name: touched_runs(result, arm, keys[name], alpha=result.plan.rule.alpha) for name in ordered}
