"""When the agent breaks too often for its failures to say anything: something is broken, and the pilot stops."""

from collections import Counter, defaultdict

from forbear.errors import TooManyAgentErrors
from forbear.records.model import Episode
from forbear.wording import counted, share, shown

LEAST_RUNS = 10
"""Runs of an arm that have ended before a share of them is judged."""


class AgentFaults:
    """Counts, by arm, the runs that ended with an exception, a timeout or a wrong answer of the agent."""

    def __init__(self, limit: float | None) -> None:
        """Starts at zero.

        Args:
            limit: At least 0. Below 1 a share of an arm's runs, from 1 on a number of them; None: any number is fine.
        """
        self._limit = limit
        self._runs: Counter[str] = Counter()
        self._faults: Counter[str] = Counter()
        self._causes: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def add(self, episode: Episode) -> None:
        """Counts one run that has an outcome.

        Raises:
            TooManyAgentErrors: Its arm has too many.
        """
        arm = episode.arm
        self._runs[arm] += 1
        if not episode.termination.is_agent_fault:
            return
        self._faults[arm] += 1
        self._causes[arm][episode.cause or ""] += 1
        runs, faults, limit = self._runs[arm], self._faults[arm], self._limit
        if limit is None or (limit < 1 and runs < LEAST_RUNS) or faults <= (limit * runs if limit < 1 else limit):
            return
        cause, times = self._causes[arm].most_common(1)[0]
        most = f"{share(limit)} of them" if limit < 1 else f"{limit:g}"
        example = f"task {shown(repr(episode.task.id), limit=80)}, seed {episode.seed}"
        raise TooManyAgentErrors(
            f"in {faults} of {counted(runs, 'run')} of arm {shown(repr(arm))} the agent broke, more than {most} "
            f"(max_agent_errors): {times} times {shown(cause, limit=300)}; the last one was {example}. The pilot "
            "stopped and kept what it found, these runs as failures. If they are the agent's own, raise "
            "max_agent_errors and run the same again; if something else is broken, mend it and start afresh in another "
            "journal."
        )
