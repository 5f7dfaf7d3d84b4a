"""Critics without a model, as people really ship them: rules of thumb, clocks and coins.

A coin and a clock know nothing of the run: what they do to an agent is what stepping in does, whoever steps in.
"""

import functools
import inspect
import math
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from forbear.contracts.critic import Score
from forbear.contracts.draw import Draw
from forbear.errors import InvalidInput
from forbear.models.session import in_thread
from forbear.records.journal import Journal
from forbear.records.model import JSON, Action, Trajectory
from forbear.wording import counted, described


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatedAction:
    """Expects failure where the agent does again what it did: the commonest sign of being stuck."""

    times: int = 2
    """How often an action stands in the window, the proposed one included, before it is a repetition."""
    window: int = 5
    """Of the last executed actions."""

    def __post_init__(self) -> None:
        _require_count(self.times, "times", least=2)
        _require_count(self.window, "window", least=1)

    async def score(self, trajectory: Trajectory, proposed: Action, *, draw: Draw) -> Score:
        """Returns 1 for a repetition, else 0."""
        last = [step.executed for step in trajectory.steps if step.executed is not None][-self.window :]
        before = last.count(proposed)
        if before + 1 < self.times:
            return Score(0.0)
        return Score(1.0, f"of the last {counted(len(last), 'action')} {before} were the same as this one")

    def config(self) -> Mapping[str, JSON]:
        """Returns its options."""
        return {"name": "repeated-action", "times": self.times, "window": self.window}


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCount:
    """Expects failure of long runs: p_fail grows with the step, and is .5 at `half`."""

    half: float = 8.0
    """The step index at which success and failure are equally likely."""
    width: float = 3.0
    """Steps over which it rises from .27 to .73 (a logistic curve)."""

    def __post_init__(self) -> None:
        for name, value in (("half", self.half), ("width", self.width)):
            if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < 1e6:
                raise InvalidInput(f"{name} must be a number of steps above 0, got {described(value)}.")

    async def score(self, trajectory: Trajectory, proposed: Action, *, draw: Draw) -> Score:
        """Returns the curve at the open step's index."""
        index = len(trajectory.steps) - 1
        away = min(max(2 * (index - self.half) / self.width, -50.0), 50.0)
        return Score(1 / (1 + math.exp(-away)), f"{counted(index, 'step')} taken so far")

    def config(self) -> Mapping[str, JSON]:
        """Returns its options."""
        return {"name": "step-count", "half": float(self.half), "width": float(self.width)}


_ERROR_WORDS = ("error", "exception", "traceback", "failed", "invalid", "not found", "denied", "nothing happens")


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorWords:
    """Expects failure where what was seen last holds a word of trouble."""

    words: tuple[str, ...] = _ERROR_WORDS
    """Whole words, in any case."""
    last: int = 1
    """How many of the latest observations are read."""

    def __post_init__(self) -> None:
        given = tuple(self.words) if isinstance(self.words, list | tuple) else ()  # a file gives a list
        if not given or not all(isinstance(word, str) and word.strip() for word in given):
            raise InvalidInput(f"words must be a list of texts, at least one, got {described(self.words)}.")
        object.__setattr__(self, "words", given)
        _require_count(self.last, "last", least=1)

    async def score(self, trajectory: Trajectory, proposed: Action, *, draw: Draw) -> Score:
        """Returns 1 where a word is found, else 0."""
        either = "|".join(map(re.escape, self.words))
        pattern = re.compile(rf"(?<!\w)(?:{either})(?!\w)", re.IGNORECASE)
        for step in trajectory.steps[-self.last :]:
            if found := pattern.search(step.observation):
                return Score(1.0, f"'{found[0][:60]}' was seen")
        return Score(0.0)

    def config(self) -> Mapping[str, JSON]:
        """Returns its options."""
        return {"name": "error-words", "words": list(self.words), "last": self.last}


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomCritic:
    """Fires at random: what stepping in does by itself, at the rate of a critic that it is compared with."""

    rate: float = 0.1
    """The share of proposals for which it says 1; for the others it says 0."""

    def __post_init__(self) -> None:
        if not isinstance(self.rate, int | float) or isinstance(self.rate, bool) or not 0 <= self.rate <= 1:
            raise InvalidInput(f"rate must be a number in [0, 1], got {described(self.rate)}.")

    async def score(self, trajectory: Trajectory, proposed: Action, *, draw: Draw) -> float:
        """Returns 1 with probability `rate`, else 0."""
        return float(draw.uniform() < self.rate)

    def config(self) -> Mapping[str, JSON]:
        """Returns the rate."""
        return {"name": "random", "rate": float(self.rate)}


def matched_random(journal: str, critic: str, threshold: float = 0.6) -> RandomCritic:
    """Makes a coin that fires as often as a critic did on the baseline of another pilot.

    Args:
        journal: Directory of that pilot's journal.
        critic: Its name in records, or the part before the colon.
        threshold: That of the policy which it is compared with.

    Raises:
        InvalidInput: No readable journal, or none in which that critic scored.
    """
    scores: list[float | None] = []
    for episode in Journal(journal).read().episodes.values():
        if episode.interventions:
            continue
        for step in episode.steps:
            for proposal in step.proposals:
                scores += [p for name, p in proposal.p_fail.items() if critic in (name, name.partition(":")[0])]
    if not scores:
        raise InvalidInput(f"no critic {described(critic)} scored in the journal {described(journal)}.")
    return RandomCritic(rate=matched_rate(scores, threshold=threshold))


@dataclass(frozen=True, slots=True, kw_only=True)
class AfterStep:
    """Fires at every proposal from a step on."""

    step: int = 5

    def __post_init__(self) -> None:
        _require_count(self.step, "step", least=0)

    async def score(self, trajectory: Trajectory, proposed: Action, *, draw: Draw) -> float:
        """Returns 1 from that index on, else 0."""
        return float(len(trajectory.steps) - 1 >= self.step)

    def config(self) -> Mapping[str, JSON]:
        """Returns the step."""
        return {"name": "after-step", "step": self.step}


@dataclass(frozen=True, slots=True, kw_only=True)
class EveryK:
    """Fires at every k-th step: the reflection loop that many frameworks run."""

    k: int = 3

    def __post_init__(self) -> None:
        _require_count(self.k, "k", least=1)

    async def score(self, trajectory: Trajectory, proposed: Action, *, draw: Draw) -> float:
        """Returns 1 at indices k, 2k, 3k, ..., else 0."""
        index = len(trajectory.steps) - 1
        return float(index > 0 and index % self.k == 0)

    def config(self) -> Mapping[str, JSON]:
        """Returns k."""
        return {"name": "every-k", "k": self.k}


@dataclass(frozen=True, slots=True)
class FunctionCritic:
    """A function as a critic: of the trajectory, the proposal and, if it asks, the `draw`.

    One that is no `async def` is called in a thread, since it may block.
    """

    function: Callable[..., Awaitable[Score | float | None] | Score | float | None]
    """Returns the probability that the episode will fail; None abstains."""
    name: str
    version: int | str = 1
    """Another one for another behaviour: a function says nothing of itself."""

    async def score(self, trajectory: Trajectory, proposed: Action, *, draw: Draw) -> Score | float | None:
        """Returns what the function returns."""
        more = {"draw": draw} if _takes_draw(self.function) else {}
        if inspect.iscoroutinefunction(self.function):
            said: object = self.function(trajectory, proposed, **more)
        else:
            said = await in_thread(lambda: self.function(trajectory, proposed, **more))
        return await said if inspect.isawaitable(said) else said  # type: ignore[return-value]  # the border checks it

    def config(self) -> Mapping[str, JSON]:
        """Returns name and version."""
        return {"name": self.name, "version": self.version}


@functools.lru_cache(maxsize=64)
def _takes_draw(function: Callable[..., object]) -> bool:
    try:
        return "draw" in inspect.signature(function).parameters
    except (TypeError, ValueError):  # of some built-in functions nothing is known
        return False


def _require_count(value: object, name: str, *, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InvalidInput(f"{name} must be a whole number of at least {least}, got {described(value)}.")


def matched_rate(p_fail: Sequence[float | None], *, threshold: float) -> float:
    """Returns the `rate` at which a `RandomCritic` steps in as often as a critic did: the share of scores above.

    Args:
        p_fail: What the critic said, abstentions included.
        threshold: Of its policy; what does not exceed it lets the agent go on.

    Raises:
        InvalidInput: No scores.
    """
    if not p_fail:
        raise InvalidInput("there are no scores to match a rate to.")
    return sum(p is not None and p > threshold for p in p_fail) / len(p_fail)
