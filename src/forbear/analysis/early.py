"""What stepping in early does, against stepping in later: the net effect by where a run was first touched."""

from dataclasses import dataclass

from forbear.analysis.pairing import pair_episodes
from forbear.analysis.result import PilotResult
from forbear.errors import InvalidInput
from forbear.records.codec import EpisodeKey
from forbear.records.model import Episode
from forbear.stats.inference import inference
from forbear.stats.intervals import Estimate
from forbear.stats.verdict import Remark
from forbear.wording import points, points_confidence

EARLY_STEPS = 2
"""Steps 0 and 1, where the study found every one of its regressions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Touched:
    """The runs that an arm first touched within a range of steps, beside the baseline's of the same task and seed."""

    runs: int
    recovered: int
    disrupted: int
    gain: Estimate | None
    """In success among these runs; None where they are too few for an interval."""
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


def early_harm(result: PilotResult, arm: str) -> list[Remark]:
    """Advises a larger `min_step` where early touches are shown to do net harm; else says nothing.

    Counting the disruptions that began early is not enough: the same touches recover runs, and where those are more, a
    larger `min_step` costs. Coupled designs only: apart from its baseline, a run that is touched early began badly.
    """
    if result.design != "coupled":
        return []
    early, later = touched(result, arm, later=False), touched(result, arm, later=True)
    if not early.is_harmful:
        return []
    text = (
        f"First touched at step 0 or 1: {early}; later: {later}. Early touches do net harm: try a min_step of "
        f"{EARLY_STEPS}, in a new pilot."
    )
    values = {"early": early.values(), "later": later.values(), "min_step": EARLY_STEPS}
    return [Remark(code="early_harm", text=text, values=values)]


def touched(result: PilotResult, arm: str, *, later: bool) -> Touched:
    """Counts the runs of an arm that were first touched at the early steps, or later.

    Both runs of a pair share what came before the touch, so that their difference is what it did. The interval is that
    of a verdict of these runs by themselves, at a single look; arms that may be deployed share alpha evenly, so
    that several of them give no more false advice than one.
    """
    plan, episodes = result.plan, list[Episode]()
    cells: dict[EpisodeKey, tuple[bool, bool]] = {}
    for (task, seed, name), episode in result.episodes.items():
        first = episode.first_intervention if name == arm else None
        before = result.episodes.get((task, seed, plan.baseline_arm))
        if first is not None and before is not None and (first >= EARLY_STEPS) is later:
            cells[task, seed, name] = (before.success is True, episode.success is True)
            episodes += [before, episode]
    gain, is_harmful, alpha = None, False, plan.rule.alpha / max(1, len(plan.candidates))
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
        recovered=sum(cell == (False, True) for cell in cells.values()),
        disrupted=sum(cell == (True, False) for cell in cells.values()),
        gain=gain,
        is_harmful=is_harmful,
    )
