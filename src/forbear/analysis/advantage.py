"""What stepping in was worth, by where a run was first touched: both runs of a pair have all before that in common."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from forbear.analysis.pairing import pair_episodes
from forbear.analysis.result import PilotResult
from forbear.errors import InvalidInput
from forbear.records.codec import EpisodeKey
from forbear.records.model import Episode
from forbear.stats.inference import inference
from forbear.stats.intervals import Estimate
from forbear.wording import points, points_confidence

STEPS = (0, 2, 5, 9)
"""Indices at which ranges of steps begin; the last one has no end."""
_TENTHS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstTouch:
    """Where an arm first stepped in, in one run."""

    key: EpisodeKey
    """Of the treated run."""
    step: int
    score: float | None
    """What the arm's critic said of the proposal there, its p_fail; None where it gave none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Touched:
    """The runs that an arm first touched within a range, beside the baseline's of the same task and seed."""

    runs: int
    recovered: int
    disrupted: int
    gain: Estimate | None
    """In success among these runs, treated minus baseline; None where they are too few for an interval."""
    is_harmful: bool
    """Whether touching them is shown to do net harm: by the test and by the interval, as a verdict is."""

    def __str__(self) -> str:
        """The counts, with their difference and its interval."""
        counts = f"{self.recovered} recovered, {self.disrupted} disrupted of {self.runs}"
        gain = self.gain
        if gain is None:
            return counts
        return f"{counts} ({points(gain.value)}, {points_confidence(gain.low, gain.high, confidence=gain.confidence)})"

    def values(self) -> dict[str, object]:
        """The numbers, by the names that they have in JSON."""
        return {
            "runs": self.runs,
            "recovered": self.recovered,
            "disrupted": self.disrupted,
            "gain": None if self.gain is None else self.gain.to_dict(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """The runs first touched within a range of steps, or of scores."""

    begin: float
    end: float | None
    """The first that is no part of it (of scores 1 is part of the last); None: it has no end."""
    touched: Touched


@dataclass(frozen=True, slots=True, kw_only=True)
class Advantage:
    """An arm's advantage over going on from the same prefix."""

    all: Touched
    by_step: tuple[Range, ...]
    by_score: tuple[Range, ...]
    """In tenths."""


def advantage_of(result: PilotResult, arm: str) -> Advantage | None:
    """The gain among the runs that an arm touched, by the step and the score of its first touch.

    Each range's interval is that of a verdict of its runs by themselves, its tasks the unit, at a single look and not
    corrected for their number: they say where to look in a new pilot, and decide nothing.

    Args:
        result: Of a pilot.
        arm: A treated arm.

    Returns:
        Ranges without a run are left out. None where the design is not coupled: apart from its baseline a run that is
        touched early began badly. None too where nothing was touched.

    Checked: sums and gains by hand, intervals against `decide` on the same pairs (tests/analysis/test_advantage.py).
    """
    touches = list(first_touches(result, arm))
    if result.design != "coupled" or not touches:
        return None
    alpha = result.plan.rule.alpha

    def among(chosen: Callable[[FirstTouch], bool]) -> Touched:
        return touched_runs(result, arm, {one.key for one in touches if chosen(one)}, alpha=alpha)

    by_step, by_score = list[Range](), list[Range]()
    for begin, end in zip(STEPS, (*STEPS[1:], None), strict=True):
        found = among(lambda one, begin=begin, end=end: begin <= one.step and (end is None or one.step < end))  # type: ignore[misc]
        by_step.append(Range(begin=begin, end=end, touched=found))
    for tenth in range(_TENTHS):
        found = among(lambda one, tenth=tenth: one.score is not None and _tenth(one.score) == tenth)  # type: ignore[misc]
        by_score.append(Range(begin=tenth / _TENTHS, end=(tenth + 1) / _TENTHS, touched=found))
    return Advantage(
        all=among(lambda _: True),
        by_step=tuple(one for one in by_step if one.touched.runs),
        by_score=tuple(one for one in by_score if one.touched.runs),
    )


def _tenth(score: float) -> int:
    return min(int(score * _TENTHS), _TENTHS - 1)


def first_touches(result: PilotResult, arm: str) -> Iterator[FirstTouch]:
    """Where an arm first stepped in, in each of its runs whose baseline has an outcome too."""
    critic = result.plan.arms[arm].critic or ""
    for key, episode in result.episodes.items():
        if key[2] != arm or (key[0], key[1], result.plan.baseline_arm) not in result.episodes:
            continue
        found = next(((s.index, p) for s in episode.steps for p in s.proposals if p.intervened), None)
        if found is not None:
            yield FirstTouch(key=key, step=found[0], score=found[1].p_fail.get(critic))


def touched_runs(result: PilotResult, arm: str, keys: Collection[EpisodeKey], *, alpha: float) -> Touched:
    """Counts some of an arm's runs beside those of the baseline.

    Args:
        result: Of a pilot.
        arm: Whose runs they are.
        keys: What names them; each has a baseline with an outcome.
        alpha: Of the test of harm; the interval has 1 − 2·alpha.
    """
    plan, episodes = result.plan, list[Episode]()
    cells = list[tuple[bool, bool]]()
    for key in result.episodes:  # in the planned order, whatever order the keys have
        if key in keys:
            before, after = result.episodes[key[0], key[1], plan.baseline_arm], result.episodes[key]
            cells.append((before.success is True, after.success is True))
            episodes += [before, after]
    gain, is_harmful = None, False
    if cells:
        try:
            pairs = pair_episodes(episodes, baseline=plan.baseline_arm, treated=arm).binary
            found = inference(pairs, guarantee=plan.rule.guarantee)
            gain = found.gain(1 - 2 * alpha)
            is_harmful = gain.high < 0 and found.pvalue(0.0, "less") <= alpha
        except InvalidInput:  # too few tasks or clusters
            gain = None
    return Touched(
        runs=len(cells),
        recovered=cells.count((False, True)),
        disrupted=cells.count((True, False)),
        gain=gain,
        is_harmful=is_harmful,
    )
