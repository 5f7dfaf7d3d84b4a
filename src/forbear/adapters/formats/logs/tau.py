"""tau-bench (a list of trials) and tau2-bench (simulations with their tasks).

A reward within 1e-6 of 1 is a success (tau-bench's `run.py`, tau2's `metrics/agent_metrics.py`). In tau2 what ended a
simulation tells what broke outside the agent; those of tau-bench are stored with reward 0 and the exception as their
info.
"""

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct

from forbear.adapters.formats.logs.chat import NOTHING, told
from forbear.adapters.formats.logs.choice import Choice
from forbear.adapters.formats.logs.model import Fault, Log, Run
from forbear.adapters.formats.logs.probe import Probe
from forbear.wording import shown

_OUTSIDE = frozenset({"infrastructure_error", "unexpected_error", "user_error", "error", "user_simulator_error"})
"""Ends of a tau2 simulation that are not the agent's."""


class _Reward(Struct):
    reward: float | None = None


class _Simulation(Struct):
    task_id: str | int
    messages: msgspec.Raw = NOTHING
    id: str = ""
    trial: int | None = None
    seed: int | None = None
    reward_info: _Reward | None = None
    termination_reason: str | None = None
    start_time: str | None = None


class _Agent(Struct):
    implementation: str | None = None
    llm: str | None = None
    llm_args: dict[str, Any] | None = None


class _Environment(Struct):
    domain_name: str | None = None


class _Info(Struct):
    agent_info: _Agent | None = None
    environment_info: _Environment | None = None


class _Results(Struct):
    simulations: list[_Simulation]
    info: _Info | None = None
    timestamp: str | None = None


class _Trial(Struct):
    task_id: int | str
    reward: float | None = None
    trial: int | None = None
    info: Any = None
    traj: msgspec.Raw = NOTHING


def matches_tau(probe: Probe) -> bool:
    """Whether this is a checkpoint of tau-bench."""
    return probe.kind == "list" and probe.has("task_id", "reward", "traj")


def matches_tau2(probe: Probe) -> bool:
    """Whether these are results of tau2-bench."""
    if probe.kind != "object":
        return False
    return (probe.has("simulations") and (probe.has("info") or probe.has("tasks"))) or _is_single(probe)


def _is_single(probe: Probe) -> bool:
    """Whether this is one simulation, in a file of its own."""
    return probe.has("task_id", "reward_info", "termination_reason")


def read_tau(probe: Probe, choice: Choice) -> Iterable[Log]:
    """Reads one checkpoint."""
    runs = []
    for number, trial in enumerate(probe.decoded(list[_Trial])):
        fault, reason = _fault_of_tau(trial)
        opening, steps = told(trial.traj, choice, where=f"{probe.name}, [{number}].traj")
        runs.append(
            Run(
                task=str(trial.task_id),
                repeat=trial.trial,
                success=_full(trial.reward),
                scores={"reward": trial.reward},
                fault=fault,
                reason=reason,
                place=f"[{number}]",
                opening=opening,
                steps=steps,
            )
        )
    return [Log(format="tau_bench", path=probe.path, runs=runs, main="reward", field="reward = 1", full=True)]


def _fault_of_tau(trial: _Trial) -> tuple[Fault, str]:
    if trial.reward is None:
        return "missing", "no reward"
    # run.py stores an exception as {"error": ..., "traceback": ...}, with an empty trajectory.
    if isinstance(trial.info, dict) and "error" in trial.info and "traceback" in trial.info:
        return "error", shown(str(trial.info["error"]).split("(", 1)[0].split("\n", 1)[0], limit=60) or "error"
    return "", ""


def read_tau2(probe: Probe, choice: Choice) -> Iterable[Log]:
    """Reads one file of results."""
    single = _is_single(probe)
    whole = _Results(simulations=[probe.decoded(_Simulation)]) if single else probe.decoded(_Results)
    folder = probe.path.absolute().parent
    folder = folder.parent if folder.name == "simulations" else folder
    info = whole.info or _Info()
    agent = info.agent_info or _Agent()
    domain = info.environment_info.domain_name if info.environment_info is not None else None
    runs = []
    for number, one in enumerate(whole.simulations):
        reward = one.reward_info.reward if one.reward_info is not None else None
        why = one.termination_reason or ""
        opening, steps = told(one.messages, choice, where=f"{probe.name}, simulations[{number}].messages")
        fault: Fault = "error" if why in _OUTSIDE else "missing" if reward is None else ""
        runs.append(
            Run(
                task=str(one.task_id),
                group=domain or "",
                repeat=one.trial,
                success=_full(reward),
                scores={"reward": reward},
                fault=fault,
                reason=(why or "no reward") if fault else "",
                place=f"simulations[{number}]",
                uid=one.id,
                started=one.start_time or "",
                opening=opening,
                steps=steps,
            )
        )
    args = ",".join(f"{key}={value}" for key, value in sorted((agent.llm_args or {}).items()))[:200]
    config = {"agent": agent.implementation, "model": agent.llm, "args": args}
    return [
        Log(
            format="tau2_bench",
            path=folder if single else probe.path,
            together=str(folder) if single else "",
            runs=runs,
            config={key: value for key, value in config.items() if value},
            main="reward",
            field="reward = 1",
            full=True,
            started=whole.timestamp or "",
        )
    ]


def _full(reward: float | None) -> bool | None:
    return None if reward is None else 1 - 1e-6 <= reward <= 1 + 1e-6
