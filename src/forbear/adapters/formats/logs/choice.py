"""What a user chooses of a log, and how scores become outcomes."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from forbear.adapters.formats.logs.model import Log, Run
from forbear.errors import InvalidInput
from forbear.wording import counted, listed, shown

ArmsBy = Literal["auto", "config", "file"]

WORDS: dict[str, float | None] = {
    **dict.fromkeys(("c", "correct", "pass", "passed", "true", "yes", "y", "success", "successful", "succeeded"), 1.0),
    **dict.fromkeys(("resolved", "solved", "ok", "good"), 1.0),
    **dict.fromkeys(("i", "incorrect", "fail", "failed", "false", "no", "n", "failure", "unsuccessful", "wrong"), 0.0),
    **dict.fromkeys(("unresolved", "unsolved", "bad"), 0.0),
    **dict.fromkeys(("p", "partial"), 0.5),
    **dict.fromkeys(("", "nan", "none", "null", "n/a", "unknown", "unsure"), None),
}
"""Scores in words, in any case. C, I, P and N are Inspect's: correct, incorrect, partial, no answer."""

_USUAL = ("success", "correct", "resolved", "passed", "solved", "accuracy", "exact_match", "task_success", "reward")
"""Scores that are outcomes by their name."""
_NEARLY = 1 - 1e-6
"""tau-bench calls a reward within 1e-6 of one a success."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What the user says where a log cannot.

    Raises:
        InvalidInput: A threshold that is no number.
    """

    scorer: str | None = None
    """The score, metric or feedback that is the outcome."""
    threshold: float | None = None
    """Scores of at least this are successes."""
    lower_is_better: bool = False
    """Whether low scores are the good ones: up to the threshold, or 0 where scores are 0 and 1."""
    arms_by: ArmsBy = "auto"
    """`config`: logs of the same model and agent are repeats of one arm; `file`: each file is an arm."""

    episodes: bool = False
    """Whether what the agent did is wanted, too."""

    def __post_init__(self) -> None:
        if self.threshold is not None and not math.isfinite(self.threshold):
            raise InvalidInput(f"threshold is a score, got {self.threshold!r}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A log whose every run has an outcome or the reason why it has none."""

    log: Log
    said: str
    """What made the outcome."""
    partial: int
    """Scores between failure and full success that count as failures."""


def score(logs: Sequence[Log], choice: Choice) -> list[Scored]:
    """Turns the scores of logs into outcomes.

    Raises:
        InvalidInput: There are several scores, or scores that are neither 0 nor 1, and nobody said which or from
            where on; or the named one is not there.
    """
    names = _names(logs)
    if choice.scorer is not None and choice.scorer not in names:
        found = f"the scores are {listed(names, limit=20)}" if names else "these logs hold no scores by name"
        raise InvalidInput(f"there is no score '{shown(choice.scorer)}'; {found}.")
    return [_scored(log, choice, _picked(log, names, choice)) for log in logs]


def _names(logs: Iterable[Log]) -> Counter[str]:
    return Counter(name for log in logs for run in log.runs for name in run.scores)


def _picked(log: Log, names: Counter[str], choice: Choice) -> str:
    """The score that is the outcome of this log; "" where the tool itself says it or there is none."""
    if choice.scorer is not None:
        return choice.scorer
    if log.main:
        return log.main if choice.threshold is not None or choice.lower_is_better else ""
    if all(run.success is not None or run.fault for run in log.runs) or not names:
        if choice.threshold is not None and not names:
            raise InvalidInput(f"{_name(log)}: --threshold needs a score, and this log holds none.")
        return "" if choice.threshold is None else _only(log, names, usual=False)
    return _only(log, names, usual=log.named)


def _only(log: Log, names: Counter[str], *, usual: bool) -> str:
    own = list(_names([log])) or list(names)
    known = [name for name in own if name.lower().replace(" ", "_").replace("-", "_") in _USUAL]
    if len(own) == 1 and (known or not usual):
        return own[0]
    if len(own) == 1:
        raise InvalidInput(
            f"{_name(log)}: the score '{shown(own[0])}' may be an outcome or a judgement of something else; say "
            f"--scorer {shown(own[0])} if it is the outcome (and --lower-is-better if 0 is good)."
        )
    raise InvalidInput(
        f"{_name(log)} holds {len(own)} scores, {listed(sorted(own), limit=20)}; say which is the outcome: "
        "--scorer NAME."
    )


def _scored(log: Log, choice: Choice, name: str) -> Scored:
    if not name:
        found = ", ".join(sorted({one.field for one in (log,) if one.field}))
        return Scored(log=replace(log, runs=[_settled(run) for run in log.runs]), said=found, partial=_partial(log))
    values = [None if run.fault else _number(run, name, log) for run in log.runs]
    cut = _cut(values, name, log, choice)
    runs = [_judged(run, value, cut, lower=choice.lower_is_better) for run, value in zip(log.runs, values, strict=True)]
    sign = "≤" if choice.lower_is_better else "≥"
    said = f"score '{shown(name)}'" + (f" {sign} {cut:g}" if choice.threshold is not None else "")
    said += " = 0" if choice.lower_is_better and choice.threshold is None else ""
    between = 0 if choice.threshold is not None else sum(value is not None and 0 < value < _NEARLY for value in values)
    return Scored(log=replace(log, runs=runs), said=said, partial=between)


def _partial(log: Log) -> int:
    """Runs that the tool calls failures although their score is above 0."""
    scores = (run.scores.get(log.main) for run in log.runs if log.main and run.success is False)
    return sum(isinstance(value, int | float) and 0 < value < _NEARLY for value in scores)


def _settled(run: Run) -> Run:
    if run.success is None and not run.fault:
        return replace(run, fault="missing", reason=run.reason or "not scored")
    return replace(run, success=None) if run.fault else run


def _judged(run: Run, value: float | None, cut: float, *, lower: bool) -> Run:
    if run.fault:
        return replace(run, success=None)
    if value is None:
        return replace(run, success=None, fault="missing", reason=run.reason or "not scored")
    return replace(run, success=value <= cut if lower else value >= cut)


def _cut(values: Sequence[float | None], name: str, log: Log, choice: Choice) -> float:
    """From which score on (up to which, where lower is better) a run succeeds."""
    if choice.threshold is not None:
        return choice.threshold
    there = [value for value in values if value is not None]
    strange = [value for value in there if not (value in (0.0, 1.0) or _NEARLY <= value <= 2 - _NEARLY)]
    if strange and not (log.full and min(strange) >= 0 and max(strange) <= 1 and not choice.lower_is_better):
        words = {str(run.scores.get(name)).strip().lower() for run in log.runs}
        if not (words & {"p", "partial"} and all(value == 0.5 for value in strange)):
            raise InvalidInput(
                f"{_name(log)}: of '{shown(name)}' {counted(len(strange), 'score')} of {len(there):,} neither 0 nor 1 "
                f"(from {min(there):g} to {max(there):g}); say from where on it is a success: --threshold T."
            )
    return 0.0 if choice.lower_is_better else _NEARLY


def _number(run: Run, name: str, log: Log) -> float | None:
    value = run.scores.get(name)
    if value is None or isinstance(value, bool):
        return None if value is None else float(value)
    if isinstance(value, str):
        word = value.strip().lower()
        if word in WORDS:
            return WORDS[word]
        try:
            value = float(word)
        except ValueError:
            raise InvalidInput(
                f"{_name(log)}, {run.place}: the score '{shown(name)}' holds '{shown(str(value))}', which is neither "
                "a number nor a known word (correct, incorrect, pass, fail, ...); name another with --scorer NAME."
            ) from None
    return float(value) if math.isfinite(value) else None


def _name(log: Log) -> str:
    return shown(log.path.name, limit=80)
