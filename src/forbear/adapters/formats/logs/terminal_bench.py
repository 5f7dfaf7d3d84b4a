"""Terminal-Bench's own harness (terminal-bench 0.2.18): `results.json` of a run, and of a single trial.

`is_resolved` is null where the tests did not run to an end, or the agent's container broke; the tool itself counts
that as unresolved. A trial whose agent ran out of time is tested all the same, and may be resolved.
"""

import re
from collections.abc import Iterable
from pathlib import Path

import msgspec
from msgspec import Struct

from forbear.adapters.formats.logs.choice import Choice
from forbear.adapters.formats.logs.model import Fault, Log, Run
from forbear.adapters.formats.logs.probe import Probe
from forbear.errors import InvalidInput
from forbear.files import read_bounded
from forbear.wording import shown

_INDEX = re.compile(r"\.(?P<k>\d+)-of-\d+(\.|$)")
_NEVER_RAN = frozenset({"agent_installation_failed"})
_METADATA = 1 << 20


class _Trial(Struct):
    task_id: str
    trial_name: str = ""
    id: str = ""
    is_resolved: bool | None = None
    failure_mode: str | None = None
    total_input_tokens: int | None = None
    total_output_tokens: int | None = None
    trial_started_at: str | None = None


class _Results(Struct):
    results: list[_Trial]
    id: str = ""


class _Metadata(Struct):
    agent_name: str = ""
    model_name: str | None = None
    run_id: str = ""


def matches(probe: Probe) -> bool:
    """Whether this is the result of a run or of a trial."""
    if probe.kind != "object":
        return False
    if probe.has("task_id", "is_resolved", "failure_mode"):
        return True
    return probe.has("results") and {"task_id", "is_resolved"} <= probe.first_of("results").keys()


def read(probe: Probe, choice: Choice) -> Iterable[Log]:
    """Reads one file; a trial's belongs to the run whose folder it lies in."""
    del choice
    path = probe.path.absolute()
    if probe.has("results"):
        trials, folder = probe.decoded(_Results).results, path.parent
    else:
        # <run>/<task>/<trial>/results.json
        trials, folder = [probe.decoded(_Trial)], path.parents[min(2, len(path.parents) - 1)]
    config = _config(folder)
    return [
        Log(
            format="terminal_bench",
            path=probe.path if probe.has("results") and not config else folder,
            runs=[_run(number, trial) for number, trial in enumerate(trials)],
            config=config,
            field="is_resolved",
            together=str(folder) if config or not probe.has("results") else "",
        )
    ]


def _config(folder: Path) -> dict[str, str]:
    """The agent and model of a run, which stand beside it."""
    try:
        data = read_bounded(folder / "run_metadata.json", limit=_METADATA)
        found = msgspec.json.decode(data, type=_Metadata)
    except (OSError, InvalidInput, msgspec.MsgspecError, RecursionError):
        return {}
    told = {"model": found.model_name or "", "agent": found.agent_name}
    return {key: value for key, value in told.items() if value}


def _run(number: int, trial: _Trial) -> Run:
    index = _INDEX.search(trial.trial_name)
    fault, reason = _fault(trial)
    return Run(
        task=trial.task_id,
        repeat=int(index["k"][:9]) if index else None,
        success=trial.is_resolved,
        fault=fault,
        reason=reason,
        place=f"results[{number}], trial {shown(trial.trial_name)}",
        uid=trial.id,
        started=trial.trial_started_at or "",
    )


def _fault(trial: _Trial) -> tuple[Fault, str]:
    mode = trial.failure_mode or "unset"
    if trial.is_resolved is None:
        return "error", mode if mode not in ("unset", "none") else "not tested"
    if trial.is_resolved:
        return "", ""
    if mode in _NEVER_RAN:
        return "error", mode
    # The harness keeps no tokens of an agent that broke before it had asked its model.
    if mode == "unknown_agent_error" and not (trial.total_input_tokens or trial.total_output_tokens):
        return "error", mode
    return "", ""
