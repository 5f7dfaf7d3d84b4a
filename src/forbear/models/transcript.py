"""What an agent saw and did, as a text that a model reads."""

from forbear.records.model import Trajectory
from forbear.wording import counted


def transcript(trajectory: Trajectory, *, last_steps: int | None = None, most: int = 20_000) -> str:
    """Words a trajectory: what was seen first, then actions, observations and what interventions said, in order.

    Args:
        trajectory: Its last step is open.
        last_steps: How many of the latest steps are told, at least 1; what was seen first is told always. None: all.
        most: Characters, about; what is in the middle of the text goes first.
    """
    steps = trajectory.steps
    begin = 0 if last_steps is None else max(0, len(steps) - 1 - max(last_steps, 1))
    lines = [steps[0].observation] if steps else []
    if begin > 0:
        lines.append(f"(... {counted(begin, 'step')} left out ...)")
    for before, step in zip(steps[begin:], steps[begin + 1 :], strict=False):
        lines += [*before.messages, f"Action: {before.executed.text if before.executed else ''}"]
        lines.append(f"Observation: {step.observation}")
    if steps:
        lines += steps[-1].messages
    text = "\n".join(lines)
    if len(text) <= most:
        return text
    return f"{text[: most // 3]}\n(... {len(text) - most:,} characters left out ...)\n{text[-(most - most // 3) :]}"
