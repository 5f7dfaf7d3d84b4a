"""A pilot of an agent that its own framework runs: every arm runs every task from its start."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from forbear.adapters.frameworks.capabilities import AT_THE_MODEL
from forbear.adapters.frameworks.seam import Watch
from forbear.analysis.evidence import Evidence, evidence_of
from forbear.errors import InvalidInput, ProviderError, brief_error
from forbear.models.prices import NO_PRICES, Prices
from forbear.policy.policy import InterventionPolicy
from forbear.records.journal import Journal
from forbear.records.model import JSON, Task
from forbear.runner.ask_tell import HostPilot
from forbear.runner.host_plan import HostArm, HostPlan


def run_hosted(
    run: Callable[[Task, Watch], bool | None],
    *,
    tasks: Sequence[Task | str],
    policies: Mapping[str, InterventionPolicy],
    journal: str | Path,
    host: Mapping[str, JSON],
    prices: Prices = NO_PRICES,
    **options: Any,
) -> Evidence:
    """Runs a pilot to its verdict, one episode after the other; called again, it goes on where it was stopped.

    Args:
        run: Makes a fresh agent around the watch, runs it on the task and returns whether that was done; None: the
            world outside broke it. What it raises is the agent's failure; a `ProviderError`, and whatever its model
            raised in its last call, leaves no outcome.
        tasks: Tasks, or texts that name them.
        policies: By arm, when to intervene.
        journal: The directory in which everything is kept.
        host: What runs the tasks, in your words: framework, model, versions. Going on under others is refused.
        prices: What models cost.
        **options: Of `HostPlan`: `looks`, `rule`, `seeds`, `rerun`, ...

    Returns:
        Verdicts by arm.

    Raises:
        InvalidInput: A policy needs what the adapter cannot do, or an option is none.
        ProviderError: The world outside seems to be down; call it again when it is not.
    """
    for policy in policies.values():
        AT_THE_MODEL.require(policy)
    plan = HostPlan(
        tasks=[Task(id=task) if isinstance(task, str) else task for task in tasks],
        arms=[HostArm(name, config=policy.config()) for name, policy in policies.items()],
        host=host,
        **options,
    )
    with HostPilot(plan, Journal(journal)) as pilot:
        for lost in pilot.outstanding:
            pilot.tell(lost.key, None, reason="the process was stopped")
        while (it := pilot.ask()) is not None:
            watch = Watch.of(it, policy=policies.get(it.runs_as), prices=prices)
            success, reason = None, ""
            try:
                success = run(it.task, watch)
            except InvalidInput:
                raise
            except ProviderError as error:
                reason = brief_error(error)
            except Exception as error:
                watch.crashed(error)
            pilot.tell(it, watch.episode(success, reason=reason))
        return evidence_of(pilot.result())
