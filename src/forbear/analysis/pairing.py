"""From outcomes by task, arm and seed to the paired 2×2: every row is used, counted as unpaired, or an error.

The only bridge between what happened (tasks, arms, episodes) and statistics (counts). Columns of arrays rather than
rows of objects: a million pairs take a fraction of a second.
"""

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from forbear.analysis.planned_runs import Arm, PlannedRuns, arm_of, planned_runs, refuse_repeats
from forbear.errors import InvalidInput
from forbear.outcomes.clustered import ClusteredOutcomes
from forbear.outcomes.graded import GradedOutcomes
from forbear.outcomes.missing import MissingOutcomes, Outcomes, graded_outcomes, planned_outcomes, planned_pairs
from forbear.outcomes.paired import PairedOutcomes
from forbear.outcomes.table import IntArray, OutcomeTable
from forbear.records.codec import EpisodeKey
from forbear.records.model import Episode
from forbear.stats.verdict import Remark
from forbear.wording import listed, shown

MOST_ARMS = 100
"""More treated arms are a wrong arm column, not an experiment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """The pairs of two arms, and what could not be paired."""

    baseline: str
    treated: str
    pairs: PairedOutcomes | ClusteredOutcomes | GradedOutcomes
    """A plain table where every task has one pair, else the runs of each task, or their scores."""
    unpaired: Mapping[str, int]
    """By arm: its tasks that were left out because one of the arms has no outcome for them. Both arms are named."""
    cautions: tuple[Remark, ...] = ()
    missing: MissingOutcomes[Outcomes | GradedOutcomes] | None = None
    """Runs that are there without an outcome, and how far they could move the gain; None where there is none."""

    @property
    def binary(self) -> Outcomes:
        """The pairs, where they are successes and failures.

        Raises:
            InvalidInput: They are graded scores, which neither recover nor are disrupted.
        """
        if isinstance(self.pairs, GradedOutcomes):
            raise InvalidInput(
                "--mix, --at and churn speak of successes and failures, which graded scores are not. Make them so: "
                "--threshold T."
            )
        return self.pairs

    @property
    def tasks(self) -> int:
        """Tasks that have rows in both arms, those without an outcome included."""
        return _tasks_of(self.pairs if self.missing is None else self.missing.worst)

    def cautioned(self, *remarks: Remark) -> Self:
        """The pairing with more to be said beside its verdict, such as the gain elsewhere (`gain_at`)."""
        return replace(self, cautions=(*self.cautions, *remarks))


def compare(
    table: OutcomeTable, *, baseline: str | None = None, treated: str | None = None, only_arm_tested: bool = False
) -> tuple[Pairing, ...]:
    """Pairs the baseline with every treated arm: all of them share one error rate, whichever is asked about.

    Args:
        table: At least one row.
        baseline: Its name; omitted: the arm called `baseline`.
        treated: The arm that is asked about, to stand first; omitted: in order of appearance.
        only_arm_tested: Whether the other treated arms were never candidates for `treated`'s place: they are left out,
            and a caution says that this was stated.

    Returns:
        One pairing per treated arm, at least one.

    Raises:
        InvalidInput: As `choose_arms` and `pair_arms`, or an only arm that is not named.
    """
    if only_arm_tested and treated is None:
        raise InvalidInput("the only arm tested must be named: --treated NAME with --only-arm-tested.")
    baseline, chosen = choose_arms(table, baseline=baseline, treated=treated, only_arm_tested=only_arm_tested)
    passed_over = len(np.unique(table.arms.codes)) - 1 - len(chosen)
    pairings = (pair_arms(table, baseline=baseline, treated=name) for name in chosen)
    if not passed_over:
        return tuple(pairings)
    picked = Remark(
        code="only_arm_tested",
        text=f"Stated: of {passed_over + 1} treated arms only '{shown(chosen[0])}' was a candidate. If others were, or "
        "it was picked after an outcome was seen, false verdicts are more frequent than said.",
        values={"arm": chosen[0], "of": passed_over + 1},
    )
    return tuple(replace(one, cautions=(picked, *one.cautions)) for one in pairings)


def choose_arms(
    table: OutcomeTable, *, baseline: str | None = None, treated: str | None = None, only_arm_tested: bool = False
) -> tuple[str, tuple[str, ...]]:
    """Says which arm is the baseline and which are treated.

    Args:
        table: At least one row.
        baseline: Its name; omitted: the arm called `baseline`.
        treated: The treated arm that comes first; omitted: in order of appearance.
        only_arm_tested: Whether it is the only one.

    Returns:
        The baseline and at least one treated arm.

    Raises:
        InvalidInput: An unknown name, one name for both, or nothing left to compare.
    """
    arms = [table.arms.names[code] for code in np.unique(table.arms.codes).tolist()]
    for option, name in (("--baseline", baseline), ("--treated", treated)):
        if name is not None and name not in arms:
            raise InvalidInput(f"there is no arm '{shown(name)}'; the arms are {listed(arms)}. Correct {option}.")
    if baseline is None:
        if "baseline" not in arms and len(arms) > 1:
            raise InvalidInput(
                f"no arm is called 'baseline'; the arms are {listed(arms)}. Say which one is: --baseline NAME."
            )
        baseline = "baseline" if "baseline" in arms else arms[0]
    if treated == baseline:
        raise InvalidInput(f"baseline and treated are both '{shown(baseline)}'. Name two different arms.")
    others = tuple(sorted((name for name in arms if name != baseline), key=lambda name: name != treated))
    if only_arm_tested:
        others = others[:1]
    if not others:
        raise InvalidInput(
            f"'{shown(baseline)}' is the only arm; a comparison needs a second one. "
            "Add the rows of the treated runs, or give them as a second file."
        )
    if len(others) > MOST_ARMS:
        raise InvalidInput(
            f"there are {len(others):,} treated arms ({listed(others)}); at most {MOST_ARMS} are compared at once. "
            "Is this the arm column? Name it: --arm-col NAME; or, if one alone was a candidate: --treated NAME "
            "--only-arm-tested."
        )
    return baseline, others


def pair_arms(table: OutcomeTable, *, baseline: str, treated: str) -> Pairing:
    """Pairs two arms by task id, on the tasks that both have.

    Args:
        table: Other arms may be present; they are not looked at.
        baseline: The arm without intervention.
        treated: The arm with it.

    Raises:
        InvalidInput: An unknown arm, no common task, a duplicated (task, arm, seed), or a task in two clusters.
    """
    before, after = (_arm(table, name) for name in (baseline, treated))
    if before.repeated or after.repeated or table.clusters is not None or table.graded:
        return _pair_runs(table, baseline=baseline, treated=treated)
    common = (before.row >= 0) & (after.row >= 0)
    pairs = int(np.count_nonzero(common))
    if not pairs:
        raise InvalidInput(
            f"the arms '{shown(baseline)}' and '{shown(treated)}' have no task in common: e.g. "
            f"{_examples(table, before)} against {_examples(table, after)}. "
            "Pairs need the same task ids in both arms."
        )
    first, second = before.row[common], after.row[common]
    outcome = table.success.astype(np.int8)
    if table.missing is not None:
        outcome[table.missing] = 2
    counts = np.bincount(3 * outcome[first] + outcome[second], minlength=9).reshape(3, 3)
    observed, missing = planned_pairs(counts.tolist(), arms=(baseline, treated))
    if observed is None:
        raise _nothing_known(baseline, treated)
    apart = {name: arm.tasks - pairs for name, arm in ((baseline, before), (treated, after))}
    return Pairing(
        baseline=baseline,
        treated=treated,
        pairs=observed,
        unpaired={name: tasks + pairs - observed.pairs for name, tasks in apart.items()},
        cautions=(
            *_unpaired_cautions(apart),
            *_seed_cautions(table.seeds.codes[first] != table.seeds.codes[second]),
        ),
        missing=missing,
    )


def _nothing_known(baseline: str, treated: str) -> InvalidInput:
    return InvalidInput(
        f"no task has an outcome under both '{shown(baseline)}' and '{shown(treated)}': nothing to compare."
    )


def stratify(table: OutcomeTable, *, baseline: str, treated: str) -> dict[str, PairedOutcomes | ClusteredOutcomes]:
    """The pairs of two arms by stratum; strata without a pair are left out.

    Raises:
        InvalidInput: There is no column of strata, or as `pair_arms`.
    """
    if table.graded:
        _ = pair_arms(table, baseline=baseline, treated=treated).binary  # says why not
    if table.strata is None:
        raise InvalidInput("a mix needs the stratum of each task: a column 'stratum', or --stratum-col NAME.")
    pairs = {}
    for code in np.unique(table.strata.codes).tolist():
        rows = np.flatnonzero(table.strata.codes == code)
        part = replace(table.only(rows), clusters=None, strata=None)  # a stratum rarely has ten clusters
        present = {table.arms.names[arm] for arm in np.unique(part.arms.codes).tolist()}
        if {baseline, treated} <= present:
            with contextlib.suppress(InvalidInput):  # no task in common, or none with both outcomes: no pair here
                pairs[table.strata.names[code]] = pair_arms(part, baseline=baseline, treated=treated).binary
    return pairs


def repeats_of(table: OutcomeTable, *, arm: str) -> list[list[bool]]:
    """The outcomes of one arm, task by task; runs without an outcome are left out.

    Raises:
        InvalidInput: An unknown arm, or one run that is there twice.
    """
    outcomes = repeats_by_task(table, arm=arm).values()
    return [known for task in outcomes if (known := [x for x in task if x is not None])]


def repeats_by_task(table: OutcomeTable, *, arm: str) -> dict[str, list[bool | None]]:
    """The outcomes of one arm by task, None where a run has none.

    Raises:
        InvalidInput: As `repeats_of`.
    """
    runs = _runs(table, arm, _arm(table, arm).rows)
    return {table.tasks.names[task]: [_outcome(table, row) for row in seeds.values()] for task, seeds in runs.items()}


def pair_episodes(
    episodes: Iterable[Episode],
    *,
    treated: str,
    baseline: str = "baseline",
    without_outcome: Iterable[EpisodeKey] = (),
    logged: Mapping[str, Sequence[bool]] = MappingProxyType({}),
) -> Pairing:
    """Pairs the episodes of two arms by task and seed; episodes without outcome leave their pair out and are bounded.

    Args:
        episodes: Of any arms, in any order.
        treated: The arm with the intervention.
        baseline: The arm without it.
        without_outcome: Planned episodes that are not among `episodes` because they will have no outcome.
        logged: By task, outcomes of further runs of the baseline.

    Raises:
        InvalidInput: As `pair_arms`.
    """
    chosen = [e for e in episodes if e.arm in (baseline, treated)]
    rows = [(e.task.id, e.arm, e.seed, e.success) for e in chosen]
    rows += [(task, arm, seed, None) for task, seed, arm in without_outcome if arm in (baseline, treated)]
    seeds = [str(seed) for _, _, seed, _ in rows]
    more = [(task, number, success) for task, runs in logged.items() for number, success in enumerate(runs)]
    rows += [(task, baseline, number, success) for task, number, success in more]
    seeds += [f"logged {number}" for _, number, _ in more]
    clusters = {e.task.id: e.task.cluster for e in chosen if e.task.cluster is not None}
    table = OutcomeTable.from_columns(
        tasks=[task for task, _, _, _ in rows],
        arms=[arm for _, arm, _, _ in rows],
        seeds=seeds,
        success=[success for _, _, _, success in rows],
        # A task without a cluster is one of its own.
        clusters=[clusters.get(task, task) for task, _, _, _ in rows] if clusters else None,
    )
    return pair_arms(table, baseline=baseline, treated=treated)


def _arm(table: OutcomeTable, name: str) -> Arm:
    found = arm_of(table, name)
    if not found.rows.size:
        choose_arms(table, baseline=name)  # says which arms there are
    return found


# --- Several runs per task, runs without an outcome, clusters -----------------------------------------------

Runs = dict[int, dict[int, int]]
"""Task code → seed code → row."""


def _pair_runs(table: OutcomeTable, *, baseline: str, treated: str) -> Pairing:
    """Pairs run by run: by seed where the arms ran the same seeds, else task by task."""
    runs = planned_runs(table, baseline=baseline, treated=treated)
    observed, missing = _read(runs, arms=(baseline, treated), graded=table.graded)
    if observed is None:
        raise _nothing_known(baseline, treated)
    used = _tasks_of(observed)
    unequal = isinstance(observed, ClusteredOutcomes) and not observed.paired_seeds
    return Pairing(
        baseline=baseline,
        treated=treated,
        pairs=observed,
        unpaired={name: tasks - used for name, tasks in runs.found.items()},
        cautions=(
            *_unpaired_cautions({name: tasks - runs.common for name, tasks in runs.found.items()}),
            *_run_cautions(runs.dropped, unequal=unequal),
            *(() if unequal else _seed_cautions(np.arange(sum(map(len, runs.baseline))) < runs.differing)),
        ),
        missing=missing,
    )


def _read(
    runs: PlannedRuns, *, arms: tuple[str, str], graded: bool
) -> tuple[Outcomes | GradedOutcomes | None, MissingOutcomes[Outcomes | GradedOutcomes] | None]:
    if graded:
        return graded_outcomes(baseline=runs.baseline, treated=runs.treated, clusters=runs.clusters, arms=arms)
    split = planned_outcomes(baseline=runs.baseline, treated=runs.treated, clusters=runs.clusters, arms=arms)
    return split.observed, split.missing


def _runs(table: OutcomeTable, arm: str, rows: IntArray) -> Runs:
    runs: Runs = {}
    for row in rows.tolist():
        task = runs.setdefault(int(table.tasks.codes[row]), {})
        if task.setdefault(int(table.seeds.codes[row]), row) != row:
            refuse_repeats(table, arm, rows)
    return runs


def _outcome(table: OutcomeTable, row: int) -> bool | None:
    """Of a table of scores the score: a float where the type says bool."""
    return None if table.missing is not None and table.missing[row] else table.success[row].item()


def _tasks_of(outcomes: Outcomes | GradedOutcomes) -> int:
    return outcomes.pairs if isinstance(outcomes, PairedOutcomes) else outcomes.tasks


def _run_cautions(dropped: int, *, unequal: bool) -> tuple[Remark, ...]:
    remarks = []
    if dropped:
        text = f"{dropped:,} runs have no partner with their seed in the other arm and were left out."
        remarks.append(Remark(code="unpaired_runs", text=text, values={"runs": dropped}))
    if unequal:
        text = (
            "The arms ran different numbers of seeds: success rates are compared task by task, without pairs of runs."
        )
        remarks.append(Remark(code="seeds_unpaired", text=text))
    return tuple(remarks)


def _unpaired_cautions(unpaired: Mapping[str, int]) -> tuple[Remark, ...]:
    if not any(unpaired.values()):
        return ()
    counts = " and ".join(f"{count:,} of '{shown(arm)}'" for arm, count in unpaired.items() if count)
    text = (
        f"Tasks without a partner in the other arm were left out: {counts}. "
        "If they are missing because of how the runs went, the gain is biased."
    )
    return (Remark(code="unpaired_tasks", text=text, values={"by_arm": dict(unpaired)}),)


def _seed_cautions(differs: NDArray[np.bool_]) -> tuple[Remark, ...]:
    count = int(np.count_nonzero(differs))
    if not count:
        return ()
    text = (
        f"In {count:,} of {differs.size:,} pairs the two arms ran under different seeds: "
        "part of what recovered and disrupted count is the agent's own run-to-run variation."
    )
    return (Remark(code="seeds_differ", text=text, values={"pairs": count, "of": differs.size}),)


def _examples(table: OutcomeTable, arm: Arm) -> str:
    return listed((table.tasks.names[code] for code in np.flatnonzero(arm.row >= 0)[:2].tolist()), limit=2)
