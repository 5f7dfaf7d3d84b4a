"""How far a pilot's evidence has come, and which of its arms are over: a function of plan record and journal.

Evidence counts in the planned order, as its longest complete prefix: a task whose runs are not all over holds back
those behind it, however early they finished. So nothing that decides depends on how long runs take, on how many are
under way at a time, or on when a process was killed.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

from forbear.analysis.plan_record import PlanRecord
from forbear.errors import InvalidInput
from forbear.outcomes.clustered import MIN_CLUSTERS
from forbear.outcomes.missing import MissingOutcomes
from forbear.records.codec import ArmEnd, EpisodeKey
from forbear.records.journal import JournalContent
from forbear.stats.decision import decide_arms
from forbear.stats.looks.betting import EProcess
from forbear.stats.looks.sequential import SequentialOutcomes, sequential_outcomes, unit_differences
from forbear.stats.looks.watch import watch_bets, watch_threshold
from forbear.stats.verdict import Verdict

WITH_THE_OTHERS = "with the others"
"""Why a control ends: it has nothing left to accompany."""
NOT_CHOSEN = "not chosen"
"""Why an arm of a ladder ends: another one had the larger gain at the first look."""


class Monitor:
    """The evidence of a pilot so far.

    Args:
        plan: Of the pilot.
        success: Of a cell (task, seed, arm): whether it succeeded; None where it will have no outcome. KeyError where
            it is not over.
        ends: What was found before and is final.

    Raises:
        InvalidInput: An end of an arm that the plan does not have, or after more tasks than it has.
    """

    def __init__(
        self,
        plan: PlanRecord,
        success: Callable[[EpisodeKey], bool | None],
        *,
        ends: Mapping[str, ArmEnd] | None = None,
    ) -> None:
        self.plan = plan
        self._treated, self._candidates, self._baseline = plan.treated, plan.candidates, plan.baseline_arm
        self._clusters = plan.clusters
        self._success = success
        self._known = dict(ends or {})
        for end in self._known.values():
            if end.arm not in self._treated or not 1 <= end.tasks <= len(plan.tasks):
                raise InvalidInput(
                    f"the journal says that arm {end.arm!r:.60} ended after {end.tasks} tasks; the plan has no such "
                    "arm or not so many tasks. Restore the file from a copy."
                )
        self.ends: dict[str, ArmEnd] = {}
        """By treated arm that is over."""
        self.tasks = 0
        """Of the complete prefix."""
        self._outcomes: dict[str, list[list[bool | None]]] = {arm: [] for arm in (self._baseline, *self._treated)}
        self.chosen: str | None = None
        """The arm of the ladder that goes on, from the first look on; None before, and where there is no ladder."""
        self._ladder = plan.ladder
        self._begin = plan.looks.tasks[0] if self._ladder else 0
        looks, rule = plan.confirming, plan.rule
        self._looks = looks
        self._logged = plan.logged
        several = len(plan.seeds) > 1 or self._clusters is not None or bool(self._logged)
        self._watch_threshold = 0.0
        self._watches: dict[str, EProcess] = {}
        if looks.watch and self._candidates:
            self._watch_threshold = watch_threshold(
                looks, alpha=rule.harm_alpha, margin=rule.worthwhile, several_seeds=several
            )
            bets = watch_bets(several_seeds=several)
            self._watches = {
                arm: EProcess(margin=rule.worthwhile, alternative="less", bets=bets) for arm in self._candidates
            }

    @property
    def running(self) -> list[str]:
        """The treated arms that are not over."""
        return [arm for arm in self._treated if arm not in self.ends]

    @property
    def over(self) -> bool:
        """Whether nothing is left to run."""
        return not self.running or self.tasks == len(self.plan.tasks)

    @property
    def looks_taken(self) -> int:
        """How many of the declared looks lie within the complete prefix."""
        return sum(n <= self.tasks for n in self.plan.looks.tasks)

    def counted(self, arm: str) -> int:
        """How many tasks, from the first on, are an arm's evidence.

        Those to its end where it is over, else those to the last declared look that was taken, whatever was run since;
        of the baseline as many as of the arm that has most.
        """
        if arm == self._baseline and self._treated:
            return max(self.counted(other) for other in self._treated)
        if arm in self.ends:
            return self.ends[arm].tasks
        if self.over:
            return self.tasks
        return max((n for n in self.plan.looks.tasks if n <= self.tasks), default=0)

    def wants(self, arm: str, position: int) -> bool:
        """Whether an arm's runs of the task at a position of the planned order, from 0 on, can still be evidence."""
        if arm == self._baseline:
            return any(self.wants(other, position) for other in self._treated) or not self._treated
        return arm not in self.ends or position < self.ends[arm].tasks

    def advance(self) -> list[ArmEnd]:
        """Takes in what has become complete; returns the arms that this ends, in the order in which they end."""
        found: list[ArmEnd] = []
        while not self.over and self._take_next():
            ends = self._judge()
            self.ends |= {end.arm: end for end in ends}
            if not any(arm in self._candidates for arm in self.running) and self._candidates:
                ends += [ArmEnd(arm=arm, tasks=self.tasks, reason=WITH_THE_OTHERS) for arm in self.running]
                self.ends |= {end.arm: end for end in ends}
            found += ends
        return found

    def _take_next(self) -> bool:
        """Takes the next task where all its runs are over."""
        task = self.plan.tasks[self.tasks].id
        arms = [self._baseline, *self.running]
        try:
            row = {arm: [self._success((task, seed, arm)) for seed in self.plan.seeds] for arm in arms}
        except KeyError:
            return False
        row[self._baseline] += self._logged.get(task, ())
        for arm, outcomes in row.items():
            self._outcomes[arm].append(outcomes)
        self.tasks += 1
        return True

    def _judge(self) -> list[ArmEnd]:
        """Which arms end after this task."""
        if self._ladder and self.tasks <= self._begin:
            return self._choose() if self.tasks == self._begin else []
        running = [arm for arm in self.running if arm in self._candidates]
        known = {arm: self._known[arm] for arm in running if arm in self._known}
        ends = [end for end in known.values() if end.tasks == self.tasks]
        asked = [arm for arm in running if arm not in known and self._watch_stops(arm)]
        if self.tasks in self.plan.looks.tasks:
            asked = [arm for arm in running if arm not in known]
        if asked:
            verdicts = self._verdicts()
            for arm in asked:
                stopped = verdicts[arm].look if arm in verdicts else None
                if stopped is not None and stopped.stopped is not None:
                    ends.append(ArmEnd(arm=arm, tasks=self.tasks, reason=stopped.stopped))
        return ends

    def _choose(self) -> list[ArmEnd]:
        """Chooses the arm of the ladder with the largest gain so far, the first of several; the others end.

        From here on the chosen one alone is tested, on the tasks to come, so that nothing that chose it counts for it.
        """
        gains = self.ladder_gains()
        self.chosen = max(self._ladder, key=lambda arm: gains[arm])
        self._candidates = [self.chosen]
        return [ArmEnd(arm=arm, tasks=self.tasks, reason=NOT_CHOSEN) for arm in self._ladder if arm != self.chosen]

    def ladder_gains(self) -> dict[str, float]:
        """By arm of the ladder, its gain over the baseline on the tasks to the first look; 0 where no pair is known."""
        gains = {}
        for arm in self._ladder:
            before, after = (self._outcomes[name][: self._begin] for name in (self._baseline, arm))
            differences, _ = unit_differences(before, after, None)
            known = [float(d) for d in differences if not math.isnan(d)]
            gains[arm] = math.fsum(known) / len(known) if known else 0.0
        return gains

    def span(self, arm: str) -> tuple[int, int]:
        """The tasks of the planned order that are an arm's evidence: from the first of them, to before the second.

        With a ladder those behind the first look; of an arm that was not chosen, and of all where none was run since,
        those that it was chosen by.
        """
        end = self.counted(arm)
        return (0 if end <= self._begin else self._begin, end)

    def _watch_stops(self, arm: str) -> bool:
        """Feeds the watch with the task just taken, and says whether it stops the arm."""
        if arm not in self._watches:
            return False
        clusters = self._clusters
        if clusters is None or clusters[self.tasks - 1 : self.tasks] != clusters[self.tasks : self.tasks + 1]:
            first = self.tasks - 1 if clusters is None else 0
            runs = self._outcomes[self._baseline][first:], self._outcomes[arm][first:]
            differences, weights = unit_differences(*runs, clusters)
            if not math.isnan(differences[-1]):
                self._watches[arm].update(float(differences[-1]), weight=float(weights[-1]))
        return float(self._watches[arm].log_value) >= self._watch_threshold and self._enough_clusters()

    def _enough_clusters(self) -> bool:
        clusters = self._clusters
        return clusters is None or len(set(clusters[: self.tasks])) >= MIN_CLUSTERS

    def outcomes(
        self, arm: str, *, against: str | None = None, tasks: int | None = None
    ) -> tuple[SequentialOutcomes | None, MissingOutcomes[SequentialOutcomes] | None]:
        """An arm's evidence; None where no pair of it has outcomes.

        Args:
            arm: A treated arm.
            against: The arm that it is compared with, on the tasks that count of both; None: the baseline, and the arm
                shares α with the other candidates.
            tasks: How many tasks of it; omitted: those that are counted.
        """
        begin, end = self.span(arm) if tasks is None else (self._begin, tasks)
        if against is not None:
            end = min(end, self.counted(against))
        other = self._baseline if against is None else against
        looks = self._looks
        if self._ladder and begin < self._begin:  # what it was chosen by, at the only look that it had
            looks = replace(looks, tasks=(self._begin,), watch=False)
        return sequential_outcomes(
            baseline=self._outcomes[other][begin:end],
            treated=self._outcomes[arm][begin:end],
            looks=looks,
            clusters=self._clusters,
            arms=max(1, len(self._candidates)) if against is None else 1,
            names=(other, arm),
        )

    def _verdicts(self) -> dict[str, Verdict]:
        """Of the candidates that have a pair, as things stand; an arm that is over stays in the family."""
        known, missing = {}, {}
        for arm in self._candidates:
            outcomes, holes = self.outcomes(arm, tasks=self.ends[arm].tasks if arm in self.ends else self.tasks)
            if outcomes is not None:
                known[arm], missing[arm] = outcomes, holes
        try:
            return decide_arms(known, self.plan.rule, missing=missing) if known else {}
        except InvalidInput:  # too little to say anything, such as a single task with several seeds
            return {}


def monitor_of(plan: PlanRecord, content: JournalContent) -> Monitor:
    """The monitor of a pilot, brought as far as its journal is.

    Raises:
        InvalidInput: The journal holds an end that the plan cannot have.
    """

    def success(key: EpisodeKey) -> bool | None:
        return None if key in content.missing else content.episodes[key].success

    monitor = Monitor(plan, success, ends=content.ends)
    monitor.advance()
    return monitor
