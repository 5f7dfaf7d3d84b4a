"""What a model reads of a step, in so many tokens: the task, the latest steps, what was seen last, the proposal."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

from forbear.critics.behaviour import clipped
from forbear.records.model import Action, Trajectory

Encode: TypeAlias = Callable[[str], list[int]]
"""From a text to its tokens, without any that a tokenizer would put around it."""

MIN_TOKENS = 64
FORM = "forbear-lora-prompt-1"
"""Names this form; an adapter that learned another one is not for it."""

_GAP = " … "
_LEAST = 12
"""Tokens of an earlier step below which nothing of it is shown."""


def prompt_tokens(trajectory: Trajectory, proposed: Action, *, encode: Encode, most: int) -> list[int]:
    """The tokens of one step.

    The task, what was seen last and the proposal share the room evenly: what one does not need, the others have. What
    they leave goes to the steps before, the latest first. Of a text that is too long its start and its end are kept.

    Args:
        trajectory: Its last step is open.
        proposed: What is proposed there.
        encode: The tokenizer.
        most: Tokens in all, at least `MIN_TOKENS`.
    """
    steps = trajectory.steps
    index = max(0, len(steps) - 1)
    seen = steps[-1].observation if index else ""
    heads = [encode(head) for head in ("Task:\n", f"\n\nStep {index}, seen:\n" if index else "", "\n\nProposed:\n")]
    end = encode("\n\nWill the run fail?")
    texts = [encode(_clean(text)) for text in (steps[0].observation if steps else "", seen, proposed.text)]
    room = most - sum(map(len, heads)) - len(end)
    gap = encode(_GAP)
    task, last, proposal = (
        [*head, *_cut(text, share, gap)]
        for head, text, share in zip(heads, texts, _shares([len(text) for text in texts], room), strict=True)
    )
    room = most - len(task) - len(last) - len(proposal) - len(end)
    earlier: list[list[int]] = []
    for number in range(index - 1, -1, -1):
        if room < _LEAST:
            break
        shown = _cut(encode(_earlier(trajectory, number)), room, gap)
        room -= len(shown)
        earlier.append(shown)
    return [*task, *(token for shown in reversed(earlier) for token in shown), *last, *proposal, *end]


def _earlier(trajectory: Trajectory, number: int) -> str:
    step = trajectory.steps[number]
    seen = f"\n\nStep {number}, seen:\n{_clean(step.observation)}" if number else ""
    return f"{seen}\n\nStep {number}, done:\n{_clean(step.executed.text if step.executed else '')}"


def _clean(text: str) -> str:
    """As far as it is read; a half of a surrogate pair, which no tokenizer takes, is a question mark."""
    return clipped(text).encode("utf-8", "replace").decode("utf-8")


def _shares(lengths: Sequence[int], room: int) -> list[int]:
    """Room for each, evenly, where nobody has more than it needs (max-min fair)."""
    shares, left = list(lengths), max(0, room)
    order = sorted(range(len(lengths)), key=lambda at: lengths[at])
    for position, at in enumerate(order):
        shares[at] = min(lengths[at], left // (len(order) - position))
        left -= shares[at]
    return shares


def _cut(tokens: Sequence[int], most: int, gap: Sequence[int]) -> list[int]:
    if len(tokens) <= most:
        return list(tokens)
    kept = most - len(gap)
    if kept < 2:
        return list(tokens[: max(0, most)])
    return [*tokens[: (kept + 1) // 2], *gap, *tokens[len(tokens) - kept // 2 :]]
