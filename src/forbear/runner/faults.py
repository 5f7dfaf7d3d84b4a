"""When the agent or a critic breaks too often for a pilot to say anything: something is broken, and it stops."""

from collections import Counter, defaultdict
from collections.abc import Iterable

from forbear.errors import TooManyAgentErrors, TooManyCriticFaults
from forbear.records.model import Episode, Step
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


LEAST_SCORES = 20
"""Scores of a critic that have been asked for before a share of them is judged."""


class CriticFaults:
    """Counts, by critic, the scores that it owed: it raised, was late, or answered with something else."""

    def __init__(self, limit: float | None) -> None:
        """Starts at zero.

        Args:
            limit: A share in [0, 1] of the scores that a critic was asked for; None: any share is fine.
        """
        self._limit = limit
        self._scores: Counter[str] = Counter()
        self._faults: Counter[str] = Counter()
        self._causes: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def add(self, steps: Iterable[Step]) -> None:
        """Counts what critics said of the proposals of one episode.

        Raises:
            TooManyCriticFaults: One of them owed too many.
        """
        for step in steps:
            for proposal in step.proposals:
                self._scores.update(proposal.p_fail.keys())
                for critic in proposal.faults:
                    self._faults[critic] += 1
                    self._causes[critic][proposal.why.get(critic, "")] += 1
        for critic, faults in self._faults.items():
            asked = self._scores[critic]
            if self._limit is not None and asked >= LEAST_SCORES and faults > self._limit * asked:
                cause, times = self._causes[critic].most_common(1)[0]
                raise TooManyCriticFaults(
                    f"critic {shown(repr(critic))} gave no score in {faults} of {counted(asked, 'case')}, more than "
                    f"{share(self._limit)} of them (max_critic_faults): {times} times {shown(cause, limit=400)}. A "
                    "pilot of a critic that does not answer says nothing of it. The pilot stopped and kept what it "
                    "found; mend the critic and start afresh in another journal, or, where this is how it will be in "
                    "production, raise max_critic_faults and run the same again."
                )
