"""Everything that forbear raises on purpose.

    ForbearError
    ├── InvalidInput      what the user brought is not usable (also a ValueError)
    ├── PlanChanged       the journal belongs to another plan
    ├── JournalLocked     another process writes this journal
    ├── JournalUnwritable the disk is full or failed; what was written is kept
    ├── OutputUnwritable  a report or another file of ours cannot be written; what was found is kept
    ├── NotReproducible   an agent or a world did not repeat what it did under the same draws
    ├── TooManyAgentErrors  an agent failed by exception so often that something is broken
    ├── TooManyCriticFaults a critic owed so many scores that something is broken
    ├── BudgetSpent       the pilot may pay for no more; what was found is kept
    ├── AgentError        the agent failed: the episode is a failure, it counts
    └── ProviderError     the outside world failed: the episode has no outcome
        └── ModelUnusable   a model's provider refuses us (key, name, address): waiting mends nothing, the pilot stops

Messages say what was got, what was expected and what to do. What they quote came from agents and files, so it is
bounded and inert: `forbear.wording`.
"""

import re


class ForbearError(Exception):
    """Root of the tree; the command line prints it as one line and exits with `exit_code`."""

    exit_code = 2


class InvalidInput(ForbearError, ValueError):
    """An argument, a file or a configuration that cannot be used as it is."""


class PlanChanged(ForbearError):
    """A journal was started under another plan; the message shows what differs."""


class JournalLocked(ForbearError):
    """A second process tried to write a journal that has a writer."""


class JournalUnwritable(ForbearError):
    """The disk is full or failed while a journal was written; what was written before is kept."""

    exit_code = 3


class OutputUnwritable(ForbearError):
    """A report, or another file that was to be written, cannot be; what was found is kept."""

    exit_code = 3


class NotReproducible(ForbearError):
    """An agent or an environment did not repeat what it did under the same draws; coupling would be a fiction."""


class TooManyAgentErrors(ForbearError):
    """More of an arm's runs than `max_agent_errors` ended with an exception of the agent; what was found is kept."""

    exit_code = 3


class TooManyCriticFaults(ForbearError):
    """A critic owed a larger share of its scores than `max_critic_faults`; what was found is kept."""

    exit_code = 3


class BudgetSpent(ForbearError):
    """A pilot has reached its budget; what was found is kept, and under a larger one it goes on."""

    exit_code = 3


class AgentError(ForbearError):
    """The agent itself failed. Raised by agents; the runner records a failed episode, as for any other exception."""


class ProviderError(ForbearError):
    """The outside world failed (provider, environment). The runner retries, then records no outcome."""

    exit_code = 3


class ModelUnusable(ProviderError):
    """A provider refuses the key, does not know the model, or is at no such address: every further call would fail."""


_CAUSE_LENGTH = 300
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{4,}")


def brief_error(error: BaseException) -> str:
    """What a record says of an error: its kind and a bounded part of its text, on one line, the same in every run."""
    try:
        text = str(error)[:_CAUSE_LENGTH]
    except BaseException:  # a hostile __str__ must not replace what it was to tell of
        text = "its text could not be read"
    text = "".join(c if c.isprintable() else " " for c in _ADDRESS.sub("0x...", text))
    return f"{type(error).__name__}: {text}".rstrip(": ")
