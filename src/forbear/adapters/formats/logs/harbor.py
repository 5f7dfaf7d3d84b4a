"""Harbor: the `result.json` of each trial of a job.

It writes rewards for trials that never ran, too. Harbor itself says of some exceptions that the reward beside them is
not valid (`error_policy.py` of 0.26.0). A command of the agent that exits with an error keeps its reward there, also
where the agent never started; here it has an outcome only where something shows that the agent worked.
"""

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from msgspec import Struct

from forbear.adapters.formats.logs.choice import Choice
from forbear.adapters.formats.logs.model import Fault, Log, Run
from forbear.adapters.formats.logs.probe import Probe
from forbear.wording import shown

_INVALID = frozenset(
    [
        "EnvironmentStartTimeoutError",
        "SandboxBuildFailedError",
        "AgentSetupTimeoutError",
        "HealthcheckError",
        "SandboxLikelyOutOfMemoryError",
        "MemoryLimitExceededError",
        "SSHAccessError",
        "GKEExecStreamClosedError",
        "GKEPodNotFoundError",
        "RuntimeRequestError",
        "AddTestsDirError",
        "DownloadVerifierDirError",
        "ApiError",
        "ApiRateLimitError",
        "ApiInternalServerError",
        "ApiOverloadedError",
        "ApiConnectionClosedError",
        "ApiResponseStalledError",
        "UnknownApiError",
        "NetworkConnectionError",
        "ApiConnectionError",
        "ApiUsageLimitError",
        "RateLimitError",
        "InternalServerError",
        "ServiceUnavailableError",
        "APIConnectionError",
        "APIError",
        "Timeout",
        "UnsupportedModelParametersError",
        "BadRequestError",
        "UnprocessableEntityError",
        "UnsupportedParamsError",
        "APIResponseValidationError",
        "BudgetExceededError",
        "VerifierTimeoutError",
        "RewardFileNotFoundError",
        "RewardFileEmptyError",
        "VerifierOutputParseError",
        "AgentAuthenticationError",
        "ModelNotFoundError",
        "ApiProviderResourceNotFoundError",
        "AuthenticationError",
        "PermissionDeniedError",
        "NotFoundError",
        "ServiceOperationsUnsupportedError",
        "VercelScopeError",
        "DspyImportError",
        "MissingExtraError",
        "RegradeError",
        "CancelledError",
        "DaytonaError",
        "ConnectionError",
        "APIStatusError",
        "EnvironmentBuildTimeoutError",
        "AgentInstallationError",
    ]
)
"""Exceptions after which a reward says nothing: Harbor's own table, and names of its earlier versions."""

_AGENTS = frozenset(
    [
        "AgentTimeoutError",
        "ContextWindowExceededError",
        "OutputTokenExceededError",
        "ContextLengthExceededError",
        "OutputLengthExceededError",
        "AgentSafetyRefusalError",
        "ContentPolicyViolationError",
    ]
)
"""Those that are the agent's own."""

_PROVIDER = re.compile(
    r"rate.?limit|overloaded|too many requests|\b(429|500|502|503|529)\b|internal server error|service unavailable|"
    r"connection (error|refused|reset)|ECONN|ETIMEDOUT|unauthori[sz]ed|authentication|api.?key|quota|credit balance|"
    r"insufficient|no such command|command not found|no such file|not found in path|permission denied|modulenotfound",
    re.I,
)
_WORKED_S = 30.0
"""An agent that says nothing of its tokens and ran for less than this is taken never to have started."""


class _Exception(Struct):
    exception_type: str = ""
    exception_message: str = ""


class _Verified(Struct):
    rewards: dict[str, float | None] | None = None
    reward: float | None = None


class _Worked(Struct):
    n_input_tokens: int | None = None
    n_output_tokens: int | None = None
    cost_usd: float | None = None


class _Timing(Struct):
    started_at: str | None = None
    finished_at: str | None = None


class _Step(Struct):
    exception_info: _Exception | None = None
    agent_result: _Worked | None = None


class _Model(Struct):
    name: str | None = None
    provider: str | None = None


class _Agent(Struct):
    name: str | None = None
    model_info: _Model | None = None


class _AgentConfig(Struct):
    name: str | None = None
    import_path: str | None = None
    model_name: str | None = None
    kwargs: dict[str, Any] | None = None


class _Config(Struct):
    agent: _AgentConfig | None = None
    trials_dir: str = ""


class _Trial(Struct):
    task_name: str
    trial_name: str
    id: str = ""
    source: str | None = None
    config: _Config | None = None
    agent_info: _Agent | None = None
    agent_result: _Worked | None = None
    verifier_result: _Verified | None = None
    exception_info: _Exception | None = None
    started_at: str | None = None
    finished_at: str | None = None
    agent_execution: _Timing | None = None
    step_results: list[_Step] | None = None


def matches(probe: Probe) -> bool:
    """Whether this is the result of a trial."""
    return probe.kind == "object" and probe.has("task_name", "trial_name") and probe.has("verifier_result")


def is_job(probe: Probe) -> bool:
    """Whether this is the result of a whole job, which only adds up."""
    return probe.kind == "object" and probe.has("n_total_trials", "stats")


def read(probe: Probe, choice: Choice) -> Iterable[Log]:
    """Reads one trial, of the job whose folder it lies in."""
    if is_job(probe):
        said = f"{probe.name} only adds up; give the folder of the job, whose trials hold a result.json each."
        return [Log(format="harbor", path=probe.path, runs=[], remarks=(said,))]
    trial = probe.decoded(_Trial)
    rewards = _rewards(trial)
    main = "reward" if "reward" in rewards or not rewards else (next(iter(rewards)) if len(rewards) == 1 else "")
    reward = rewards.get(main)
    fault, reason = _fault(trial, reward if choice.scorer is None else rewards.get(choice.scorer, 0.0))
    if not fault and not any(value is not None for value in rewards.values()):
        fault, reason = "error" if trial.exception_info else "missing", "no reward"
    run = Run(
        task=trial.task_name,
        success=None if reward is None else bool(reward >= 1 - 1e-6),
        scores=dict(rewards),
        fault=fault,
        reason=reason,
        place=f"trial {shown(trial.trial_name)}",
        uid=trial.id,
        started=trial.started_at or "",
    )
    job = probe.path.absolute().parent.parent
    started = trial.started_at or ""
    config = _configuration(trial)
    return [
        Log(
            format="harbor",
            path=job,
            runs=[run],
            config=config,
            main=main,
            field=f"{shown(main)} = 1" if main else "",
            # A job may run several agents: each is a run of its own.
            together=str(job.joinpath(*(part.replace("/", "-") for part in config.values()))),
            full=True,
            started=started,
        )
    ]


def _rewards(trial: _Trial) -> dict[str, float | None]:
    found = trial.verifier_result
    if found is None:
        return {}
    if found.rewards is not None:
        return {name: value for name, value in found.rewards.items() if value is None or value == value}
    return {} if found.reward is None else {"reward": found.reward}


def _configuration(trial: _Trial) -> dict[str, str]:
    info, config = trial.agent_info, trial.config.agent if trial.config is not None else None
    model = (config.model_name if config is not None else None) or ""
    if not model and info is not None and info.model_info is not None:
        model = "/".join(filter(None, (info.model_info.provider, info.model_info.name)))
    agent = (info.name if info is not None else None) or (
        config.name or config.import_path if config is not None else ""
    )
    kwargs = config.kwargs if config is not None and config.kwargs else {}
    extra = ",".join(f"{key}={value}" for key, value in sorted(kwargs.items()))[:200]
    return {key: value for key, value in {"model": model, "agent": agent or "", "kwargs": extra}.items() if value}


def _fault(trial: _Trial, reward: float | None) -> tuple[Fault, str]:
    found = [one for one in [trial.exception_info, *(step.exception_info for step in trial.step_results or [])] if one]
    full = (reward or 0) >= 1 - 1e-6
    for one in found:
        kind = one.exception_type
        if kind in _INVALID:
            return "error", kind
        if kind in _AGENTS or full:
            continue
        if not _worked(trial) or _PROVIDER.search(one.exception_message[:20_000]):
            return "error", kind or "exception"
    return "", ""


def _worked(trial: _Trial) -> bool:
    """Whether anything shows that the agent did something."""
    for one in [trial.agent_result, *(step.agent_result for step in trial.step_results or [])]:
        if one is not None and (one.n_input_tokens or one.n_output_tokens or one.cost_usd):
            return True
    timing = trial.agent_execution or _Timing()
    try:
        begun, ended = (datetime.fromisoformat(str(one)) for one in (timing.started_at, timing.finished_at))
        return (ended - begun).total_seconds() >= _WORKED_S
    except (ValueError, TypeError):
        return False
