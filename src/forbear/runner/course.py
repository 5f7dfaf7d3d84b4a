"""How far a pilot's evidence has come, and which of its arms are over: a function of what the journal holds.

Evidence counts in the planned order, as its longest complete prefix: a task whose runs are not all over holds back
those behind it, however early they finished. So nothing that decides depends on how long runs take, on how many are
under way at a time, or on when a process was killed.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from forbear.errors import InvalidInput
from forbear.outcomes.clustered import MIN_CLUSTERS
from forbear.outcomes.missing import MissingOutcomes
from forbear.records.codec import EpisodeKey, config_digest
from forbear.records.journal import JournalContent, Stop
from forbear.runner.plan import FrozenPlan, is_control
from forbear.stats.decision import decide_arms
from forbear.stats.looks.betting import EProcess, watch_threshold
from forbear.stats.looks.looks import Looks
from forbear.stats.looks.sequential import SequentialOutcomes, sequential_outcomes, unit_differences
from forbear.stats.rule import DecisionRule
from forbear.stats.verdict import Verdict

WITH_THE_OTHERS = "with the others"
"""Why a control ends: it has nothing left to accompany."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """What decides when a pilot is over."""

    tasks: Sequence[str]
    """Ids, in the planned order."""
    clusters: Sequence[str] | None
    """By task; None where tasks are the unit."""
    seeds: Sequence[int]
    baseline: str
    candidates: Sequence[str]
    """The arms that may be deployed; they share α."""
    controls: Sequence[str]
    looks: Looks
    rule: DecisionRule

    @classmethod
    def of(cls, frozen: FrozenPlan) -> "Schedule":
        """The schedule of a plan."""
        plan, (baseline, *treated) = frozen.plan, frozen.arms
        clustered = any(task.cluster for task in plan.tasks)
        return cls(
            tasks=[task.id for task in plan.tasks],
            clusters=[task.cluster or task.id for task in plan.tasks] if clustered else None,
            seeds=plan.seeds,
            baseline=baseline.name,
            candidates=[arm.name for arm in treated if not is_control(arm)],
            controls=[arm.name for arm in treated if is_control(arm)],
            looks=frozen.looks,
            rule=plan.rule,
        )

    @classmethod
    def recorded(cls, record: Mapping[str, Any], *, where: str) -> "Schedule":
        """The schedule that a journal's `plan.json` tells of, without the parts that it named.

        Raises:
            InvalidInput: It is not a plan of this version.
        """
        if record.get("digest") != config_digest({key: value for key, value in record.items() if key != "digest"}):
            raise InvalidInput(
                f"{where}: plan.json is not what the pilot was started with (its digest differs). Restore the file "
                "from a copy."
            )
        try:
            tasks, arms = record["baseline"]["tasks"], record["arms"]
            clusters = [task[2] if len(task) > 2 else task[0] for task in tasks]
            looks = {**record["looks"], "tasks": tuple(record["looks"]["tasks"])}
            return cls(
                tasks=[task[0] for task in tasks],
                clusters=clusters if any(len(task) > 2 for task in tasks) else None,
                seeds=record["baseline"]["seeds"],
                baseline=next(name for name, arm in arms.items() if arm["kind"] == "baseline"),
                candidates=[name for name, arm in arms.items() if arm["kind"] == "policy" and not arm["control"]],
                controls=[name for name, arm in arms.items() if arm["control"]],
                looks=Looks(**looks),
                rule=DecisionRule(**record["rule"]),
            )
        except (KeyError, TypeError, IndexError, StopIteration) as error:
            raise InvalidInput(
                f"{where}: its plan.json does not say what a verdict needs ({type(error).__name__}: {error!s:.80}): a "
                "plan of this version has tasks, seeds, arms, a rule and declared looks. Decide with the version that "
                "ran it."
            ) from error

    @property
    def treated(self) -> list[str]:
        """All arms but the baseline."""
        return [*self.candidates, *self.controls]


class Course:
    """The evidence of a pilot so far.

    Args:
        schedule: Of the pilot.
        success: Of a cell (task, seed, arm): whether it succeeded; None where it will have no outcome. KeyError where
            it is not over.
        stops: What was found before and is final.
    """

    def __init__(
        self,
        schedule: Schedule,
        success: Callable[[EpisodeKey], bool | None],
        *,
        stops: Mapping[str, Stop] | None = None,
    ) -> None:
        self.schedule = schedule
        self._success = success
        self._known = dict(stops or {})
        self.stops: dict[str, Stop] = {}
        """By treated arm that is over."""
        self.tasks = 0
        """Of the complete prefix."""
        self._outcomes: dict[str, list[list[bool | None]]] = {arm: [] for arm in (schedule.baseline, *schedule.treated)}
        looks, rule = schedule.looks, schedule.rule
        several = len(schedule.seeds) > 1 or schedule.clusters is not None
        self._watch_threshold = 0.0
        self._watches: dict[str, EProcess] = {}
        if looks.watch and schedule.candidates:
            self._watch_threshold = watch_threshold(
                looks.planned, alpha=rule.harm_alpha / 2, margin=rule.worthwhile, several_seeds=several
            )
            self._watches = {
                arm: EProcess(margin=rule.worthwhile, alternative="less", several_seeds=several)
                for arm in schedule.candidates
            }

    @property
    def running(self) -> list[str]:
        """The treated arms that are not over."""
        return [arm for arm in self.schedule.treated if arm not in self.stops]

    @property
    def over(self) -> bool:
        """Whether nothing is left to run."""
        return not self.running or self.tasks == len(self.schedule.tasks)

    @property
    def looks_taken(self) -> int:
        """How many of the declared looks lie within the complete prefix."""
        return sum(n <= self.tasks for n in self.schedule.looks.tasks)

    def tasks_of(self, arm: str) -> int:
        """How many tasks, from the first on, are an arm's evidence."""
        if arm == self.schedule.baseline:
            return max((self.tasks_of(other) for other in self.schedule.treated), default=self.tasks)
        return self.stops[arm].tasks if arm in self.stops else self.tasks

    def wants(self, arm: str, place: int) -> bool:
        """Whether an arm's runs of the task at a place of the planned order, from 0 on, can still be evidence."""
        if arm == self.schedule.baseline:
            return any(self.wants(other, place) for other in self.schedule.treated) or not self.schedule.treated
        return arm not in self.stops or place < self.stops[arm].tasks

    def advance(self) -> list[Stop]:
        """Takes in what has become complete; returns the arms that this ends, in the order in which they end."""
        found: list[Stop] = []
        while not self.over and self._take_next():
            stops = self._judge()
            self.stops |= {stop.arm: stop for stop in stops}
            if not any(arm in self.schedule.candidates for arm in self.running) and self.schedule.candidates:
                stops += [Stop(arm=arm, tasks=self.tasks, reason=WITH_THE_OTHERS) for arm in self.running]
                self.stops |= {stop.arm: stop for stop in stops}
            found += stops
        return found

    def _take_next(self) -> bool:
        """Takes the next task where all its runs are over."""
        task = self.schedule.tasks[self.tasks]
        arms = [self.schedule.baseline, *self.running]
        try:
            row = {arm: [self._success((task, seed, arm)) for seed in self.schedule.seeds] for arm in arms}
        except KeyError:
            return False
        for arm, outcomes in row.items():
            self._outcomes[arm].append(outcomes)
        self.tasks += 1
        return True

    def _judge(self) -> list[Stop]:
        """Which arms end after this task."""
        running = [arm for arm in self.running if arm in self.schedule.candidates]
        known = {arm: self._known[arm] for arm in running if arm in self._known}
        stops = [stop for stop in known.values() if stop.tasks == self.tasks]
        watched = [arm for arm in running if self._watch_stops(arm)]
        asked = [arm for arm in watched if arm not in known]
        if self.tasks in self.schedule.looks.tasks:
            asked = [arm for arm in running if arm not in known]
        if asked:
            verdicts = self.verdicts()
            for arm in asked:
                stopped = verdicts[arm].look if arm in verdicts else None
                if stopped is not None and stopped["stopped"] is not None:
                    stops.append(Stop(arm=arm, tasks=self.tasks, reason=str(stopped["stopped"])))
        return stops

    def _watch_stops(self, arm: str) -> bool:
        """Feeds the watch with the task just taken, and says whether it stops the arm."""
        if arm not in self._watches:
            return False
        clusters = self.schedule.clusters
        if clusters is None or clusters[self.tasks - 1 : self.tasks] != clusters[self.tasks : self.tasks + 1]:
            first = self.tasks - 1 if clusters is None else 0
            runs = self._outcomes[self.schedule.baseline][first:], self._outcomes[arm][first:]
            differences, weights = unit_differences(*runs, clusters)
            if not math.isnan(differences[-1]):
                self._watches[arm].update(float(differences[-1]), weight=float(weights[-1]))
        return float(self._watches[arm].log_value) >= self._watch_threshold and self._enough_clusters()

    def _enough_clusters(self) -> bool:
        clusters = self.schedule.clusters
        return clusters is None or len(set(clusters[: self.tasks])) >= MIN_CLUSTERS

    def outcomes(self, arm: str) -> tuple[SequentialOutcomes | None, MissingOutcomes[SequentialOutcomes] | None]:
        """An arm's evidence so far; None where no pair of it has outcomes."""
        tasks, schedule = self.tasks_of(arm), self.schedule
        return sequential_outcomes(
            baseline=self._outcomes[schedule.baseline][:tasks],
            treated=self._outcomes[arm][:tasks],
            looks=schedule.looks,
            clusters=schedule.clusters,
            arms=max(1, len(schedule.candidates)),
            names=(schedule.baseline, arm),
        )

    def verdicts(self) -> dict[str, Verdict]:
        """Of the candidates that have a pair, as things stand; an arm that is over stays in the family."""
        known = {arm: outcomes for arm in self.schedule.candidates if (outcomes := self.outcomes(arm)[0]) is not None}
        try:
            return decide_arms(known, self.schedule.rule) if known else {}
        except InvalidInput:  # too little to say anything, such as a single task with several seeds
            return {}


def course_in(frozen: FrozenPlan, content: JournalContent) -> Course:
    """The course of a plan as far as a journal holds it.

    Raises:
        InvalidInput: The journal was started under another plan.
    """
    if content.plan != json.loads(json.dumps(frozen.record)):
        raise InvalidInput("the journal was started under another plan than this one. Go back to that plan.")
    return _advanced(Schedule.of(frozen), content, tasks=len(frozen.plan.tasks))


def _advanced(schedule: Schedule, content: JournalContent, *, tasks: int) -> Course:
    """The course of the first tasks."""
    kept = frozenset(schedule.tasks[:tasks])

    def success(key: EpisodeKey) -> bool | None:
        if key[0] not in kept:
            raise KeyError(key)
        return None if key in content.exclusions else content.episodes[key].success

    course = Course(schedule, success, stops=content.stops)
    course.advance()
    return course


def journal_verdicts(content: JournalContent, *, where: str) -> tuple[str, dict[str, Verdict]]:
    """What a journal's own plan says of what it holds: verdicts at the last declared look that was taken, or at stops.

    Returns:
        The name of the baseline, and the verdict of each arm that may be deployed.

    Raises:
        InvalidInput: No declared look was reached and no arm is over, or there is no arm to deploy.
    """
    schedule = Schedule.recorded(content.plan, where=where)
    looks, course = schedule.looks.tasks, _advanced(schedule, content, tasks=len(schedule.tasks))
    if not schedule.candidates:
        raise InvalidInput(f"{where}: the plan has no arm that may be deployed, only controls.")
    taken = course.looks_taken
    if not course.over and not taken and not course.stops:
        raise InvalidInput(
            f"{where}: {course.tasks} tasks are complete, and the plan declares "
            f"{'its only look' if len(looks) == 1 else 'its first look'} at {looks[0]}. Deciding before, and again "
            "when the journal has grown, makes false verdicts: testing at 50, then 100, then 200 tasks, each at .05, "
            "deploys a useless arm 9.8 % of the time. Go on with forbear pilot run."
        )
    # An arm that is over keeps its end; the others are as at the last look, whatever was run since.
    at_look = _advanced(schedule, content, tasks=looks[taken - 1]) if taken and not course.over else course
    found = {arm: (course if arm in course.stops else at_look).outcomes(arm) for arm in schedule.candidates}
    known = {arm: outcomes for arm, (outcomes, _) in found.items() if outcomes is not None}
    if not known:
        raise InvalidInput(f"{where}: no task has an outcome under both arms.")
    return schedule.baseline, decide_arms(known, schedule.rule, missing={arm: found[arm][1] for arm in known})
