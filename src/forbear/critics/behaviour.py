"""How a run goes, in numbers: repetition, loops, trouble, steps of no effect, lengths; for any agent's texts.

All are functions of the prefix and the proposal alone. The step's index is among them, how many steps there will be is
not. Messages of interventions are not read: critics are trained on runs without any.
"""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from forbear.records.model import Action, Trajectory

TEXT_LIMIT = 16_000
"""Characters that are read of one text: half of them from its start, half from its end."""

_RECENT = 5
"""Steps back, where only the latest count."""

_WORD = re.compile(r"\w+")
_DIGITS, _CAPITALS = b"0123456789", b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_MARKS = bytes(c for c in range(33, 127) if not chr(c).isalnum())


@dataclass(frozen=True, slots=True)
class _Signs:
    """Words of one meaning, in lower case."""

    words: frozenset[str]
    ends: tuple[str, ...] = ()
    begins: tuple[str, ...] = ()
    phrases: tuple[str, ...] = ()

    def count(self, counts: Mapping[str, int], text: str) -> int:
        found = sum(counts[word] for word in self.words & counts.keys())
        if any(map(text.__contains__, self.ends)):  # most texts have none: then no word is looked at
            found += sum(n for word, n in counts.items() if word.endswith(self.ends))
        if any(map(text.__contains__, self.begins)):
            found += sum(n for word, n in counts.items() if word.startswith(self.begins))
        return found + sum(map(text.count, self.phrases))


_TROUBLE = _Signs(
    frozenset(
        [
            "traceback",
            "fail",
            "fails",
            "failed",
            "failure",
            "invalid",
            "denied",
            "refused",
            "cannot",
            "unable",
            "undefined",
            "unexpected",
            "timeout",
        ]
    ),
    ends=("error", "exception"),
    phrases=("timed out", "not found", "not defined", "not allowed", "not recognized"),
)
_NO_EFFECT = _Signs(
    frozenset(["unchanged", "empty", "none"]),
    phrases=("nothing happens", "no output", "no effect", "no change", "no result", "no match", "no such"),
)
_WRONG = _Signs(frozenset(["wrong", "incorrect", "rejected", "mismatch"]), phrases=("not correct",))
_RIGHT = _Signs(
    frozenset(["success", "successful", "successfully", "passed", "correct", "done", "ok", "complete", "completed"])
)
_REGRET = _Signs(
    frozenset(["sorry", "oops", "unfortunately", "forgot", "overlooked"]), begins=("apolog", "mistak", "misund")
)
_AGAIN = _Signs(
    frozenset(["again", "retry", "instead", "another", "different", "differently", "still"]),
    begins=("reexamin", "recheck", "reconsider", "rethink", "reevaluat", "revisit", "rerun"),
    phrases=("re-",),
)
_DOUBT = _Signs(
    frozenset(["maybe", "perhaps", "might", "unsure", "seem", "seems", "guess", "probably", "possibly"]),
    begins=("assum",),
)


def clipped(text: str) -> str:
    """The text as far as it is read: its start and its end, where it is longer than `TEXT_LIMIT`."""
    half = TEXT_LIMIT // 2
    return text if len(text) <= TEXT_LIMIT else f"{text[:half]}\n{text[-half:]}"


@dataclass(frozen=True, slots=True)
class _Facts:
    """What is counted in one text."""

    words: frozenset[str]
    count: int
    """Words, each as often as it occurs."""
    lines: int
    digits: float
    capitals: float
    marks: float
    """Shares of its bytes; marks are those of ASCII that are neither letters nor digits."""
    trouble: int
    no_effect: int
    wrong: int
    right: int
    regret: int
    again: int
    doubt: int


@lru_cache(maxsize=1024)
def _facts(text: str) -> _Facts:
    lower = text.lower()
    counts = Counter(_WORD.findall(lower))
    raw = text.encode("utf-8", "replace")
    size = max(1, len(raw))
    return _Facts(
        words=frozenset(counts),
        count=counts.total(),
        lines=text.count("\n") + 1,
        digits=1 - len(raw.translate(None, _DIGITS)) / size if raw else 0.0,
        capitals=1 - len(raw.translate(None, _CAPITALS)) / size if raw else 0.0,
        marks=1 - len(raw.translate(None, _MARKS)) / size if raw else 0.0,
        trouble=_TROUBLE.count(counts, lower),
        no_effect=_NO_EFFECT.count(counts, lower),
        wrong=_WRONG.count(counts, lower),
        right=_RIGHT.count(counts, lower),
        regret=_REGRET.count(counts, lower),
        again=_AGAIN.count(counts, lower),
        doubt=_DOUBT.count(counts, lower),
    )


def behaviour(trajectory: Trajectory, proposed: Action) -> list[float]:
    """Returns the numbers, in the order of `BEHAVIOUR`; the last step of the trajectory is open."""
    observations = [clipped(step.observation) for step in trajectory.steps] or [""]
    actions = [clipped(step.executed.text) for step in trajectory.steps if step.executed is not None]
    proposal = clipped(proposed.text)
    # What was seen first is the task, not an answer to an action.
    answers = observations[1:]
    task, now = _facts(observations[0]), _facts(proposal)
    return [
        *_progress(len(answers)),
        *_of_text(now),
        *_of_text(task)[:6],
        *_repetition(proposal, actions, answers),
        *_answers([_facts(answer) for answer in answers[-_MOST:]], now, task),
        *_history([_facts(action) for action in actions[-_MOST:]], now),
    ]


_MOST = 200
"""Steps whose texts are counted, so that a step of an endless run does not cost more and more."""


def _progress(index: int) -> list[float]:
    return [math.log1p(index), 1.0 / (index + 1), min(index, 50) / 10]


def _of_text(facts: _Facts) -> list[float]:
    return [
        math.log1p(facts.count),
        math.log1p(facts.lines),
        facts.digits,
        facts.capitals,
        facts.marks,
        len(facts.words) / max(1, facts.count),
        math.log1p(facts.regret),
        math.log1p(facts.again),
        math.log1p(facts.doubt),
        math.log1p(facts.trouble + facts.wrong),
        math.log1p(facts.right),
        float(facts.count == 0),
    ]


def _repetition(proposal: str, actions: Sequence[str], answers: Sequence[str]) -> list[float]:
    now, recent = _facts(proposal).words, actions[-_RECENT:]
    alike = [_alike(now, _facts(action).words) for action in recent]
    return [
        math.log1p(actions.count(proposal)),
        float(bool(actions) and actions[-1] == proposal),
        float(len(actions) > 1 and actions[-2] == proposal),
        recent.count(proposal) / _RECENT,
        max(alike, default=0.0),
        alike[-1] if alike else 0.0,
        sum(alike) / max(1, len(alike)),
        1.0 - len(set(actions)) / max(1, len(actions)),
        float(bool(actions) and _head(actions[-1]) == _head(proposal)),
        math.log1p(answers[:-1].count(answers[-1])) if answers else 0.0,
        float(len(answers) > 1 and answers[-1] == answers[-2]),
        1.0 - len(set(answers)) / max(1, len(answers)),
    ]


def _answers(answers: Sequence[_Facts], now: _Facts, task: _Facts) -> list[float]:
    last, n, recent = answers[-1] if answers else _facts(""), max(1, len(answers)), answers[-_RECENT:]
    few = max(1, len(recent))
    return [
        math.log1p(last.count),
        math.log1p(last.lines),
        last.digits,
        float(bool(answers) and not last.count),
        math.log1p(last.trouble),
        math.log1p(last.no_effect),
        math.log1p(last.wrong),
        math.log1p(last.right),
        sum(each.trouble > 0 for each in answers) / n,
        sum(each.trouble > 0 for each in recent) / few,
        math.log1p(sum(each.trouble > 0 for each in answers)),
        sum(each.no_effect > 0 or not each.count for each in answers) / n,
        math.log1p(sum(each.wrong > 0 for each in answers)),
        sum(each.right > 0 for each in answers) / n,
        _alike(answers[-1].words, answers[-2].words) if len(answers) > 1 else 0.0,
        _alike(now.words, last.words),
        _alike(now.words, task.words),
        math.log1p(sum(each.count for each in answers) / n),
    ]


def _history(actions: Sequence[_Facts], now: _Facts) -> list[float]:
    n = max(1, len(actions))
    mean = sum(each.count for each in actions) / n
    return [
        math.log1p(mean),
        math.log((now.count + 5) / (mean + 5)) if actions else 0.0,
        math.log((now.count + 5) / (actions[-1].count + 5)) if actions else 0.0,
        math.log1p(sum(each.regret for each in actions)),
        math.log1p(sum(each.again for each in actions)),
        math.log1p(sum(each.doubt for each in actions)),
    ]


def _alike(one: frozenset[str], other: frozenset[str]) -> float:
    """Words that both have, over words that either has."""
    both = len(one & other)
    return both / (len(one) + len(other) - both) if both else 0.0


def _head(text: str) -> str:
    """The first word: of many agents the command."""
    found = _WORD.search(text)
    return found[0].lower() if found else ""


_TEXT = [
    "words",
    "lines",
    "digits",
    "capitals",
    "marks",
    "distinct",
    "regret",
    "again",
    "doubt",
    "trouble",
    "right",
    "empty",
]
BEHAVIOUR: tuple[str, ...] = (
    *("log_index", "inverse_index", "index"),
    *(f"proposal_{name}" for name in _TEXT),
    *(f"task_{name}" for name in _TEXT[:6]),
    *("times_before", "same_as_last", "same_as_last_but_one", "times_recently", "most_alike", "alike_last"),
    *("alike_recently", "repeated_share", "same_command", "answer_before", "answer_same", "answers_repeated"),
    *("answer_words", "answer_lines", "answer_digits", "answer_empty", "answer_trouble", "answer_no_effect"),
    *("answer_wrong", "answer_right", "trouble_share", "trouble_recently", "trouble_times", "no_effect_share"),
    *("wrong_times", "right_share", "answers_alike", "proposal_like_answer", "proposal_like_task", "mean_answer"),
    *("mean_action", "longer_than_mean", "longer_than_last", "regret_before", "again_before", "doubt_before"),
)
"""Names of the numbers; part of a trained critic's settings, so that one of another version is refused."""
