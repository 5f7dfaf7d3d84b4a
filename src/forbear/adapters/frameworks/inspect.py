"""Inspect AI: tasks whose solvers ask a judged model, so that `inspect eval` runs the pilot and `decide` ends it.

The model of a task is one of ours around the one that is evaluated: whatever solves (`react`, `basic_agent`,
`generate()`, a foreign agent behind `agent_bridge`) gets its answers when they have been judged, and Inspect's log
holds every call. While a sample is scored nothing is judged: the watch is begun in the task's setup, whose context
ends with its solvers (inspect-ai 0.3.285, `_eval/task/run.py`).
"""

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from copy import copy
from typing import Any

import msgspec

from forbear.adapters.frameworks.book import Told
from forbear.adapters.frameworks.capabilities import AT_THE_MODEL, Sampled
from forbear.adapters.frameworks.proposals import action_of, needed, text_of
from forbear.adapters.frameworks.seam import Watch
from forbear.errors import AgentError, InvalidInput
from forbear.models.chat import Message
from forbear.models.prices import NO_PRICES, Prices
from forbear.policy.policy import InterventionPolicy
from forbear.records.model import PROCEED, Task, Usage
from forbear.wording import described

_BASELINE = "baseline"
_WATCH: ContextVar["_Watching | None"] = ContextVar("forbear_watch", default=None)
"""Of the sample that is being solved; None while it is scored, and while something else is asked for its sake."""


def pilot_tasks(task: Any, policies: Mapping[str, InterventionPolicy], **options: Any) -> list[Any]:
    """Returns the task once without intervention and once for each arm, for `inspect_ai.eval`.

    Args:
        task: A task of Inspect's; it is left as it is.
        policies: By arm, when to intervene.
        **options: As of `watched_task`.

    Raises:
        InvalidInput: As of `watched_task`, or an arm is called "baseline".
    """
    if _BASELINE in policies:
        raise InvalidInput(f"{_BASELINE!r} is the arm without intervention; call the policy's arm otherwise.")
    arms = {_BASELINE: None, **policies}
    made = [watched_task(task, policy, arm=arm, **options) for arm, policy in arms.items()]
    for arm, one in zip(arms, made, strict=True):
        _needed("inspect_ai").task_with(one, name=f"{task.name}_{arm}")
    return made


def watched_task(
    task: Any,
    policy: InterventionPolicy | None = None,
    *,
    arm: str | None = None,
    model: Any = None,
    prices: Prices = NO_PRICES,
) -> Any:
    """Returns a copy of a task whose solvers are answered by a judged model; the log says which arm it is.

    Dropped answers become no messages of the agent's; they are in the log as calls of the model, with their tokens.
    What interventions tell is sent as the user's words at its place, in every later call too; the agent's messages do
    not hold it. Every call of the evaluated model while a sample is solved is a proposal; those of other models are
    not. Samples are runs: their id is the task, their epoch the seed.

    Args:
        task: A task of Inspect's; it is left as it is.
        policy: When to intervene; None: the baseline.
        arm: What the log calls it. None: "baseline", or the intervention's name.
        model: A model or its name. None: the one that `inspect eval --model` evaluates, known inside a `@task`.
        prices: What models cost, for the critic's account.

    Raises:
        InvalidInput: Inspect is not installed, the policy needs what no call of a model can do, or no model is known.
    """
    inspect_ai, models = _needed("inspect_ai"), _needed("inspect_ai.model")
    if not isinstance(task, inspect_ai.Task):
        raise InvalidInput(f"expected a Task of Inspect's, got {described(task)}; call your @task function.")
    if policy is not None:
        AT_THE_MODEL.require(policy)
        arm = policy.intervention.name if arm is None else arm
    try:
        own = models.get_model(model)
    except ValueError as error:
        raise InvalidInput(
            f"no model is being evaluated here ({str(error)[:100]}). Call this inside a @task function that `inspect "
            'eval --model` loads, or name it: model="openai/...".'
        ) from None
    arm = arm or _BASELINE
    begin, check = _solvers(arm, policy, prices)
    before = [] if task.setup is None else [task.setup] if callable(task.setup) else list(task.setup)
    about = {"arm": arm, "task": task.name, "policy": None if policy is None else policy.digest()}
    return inspect_ai.task_with(
        copy(task),
        model=_watched_model(own),
        setup=[*before, begin],
        solver=_needed("inspect_ai.solver").chain(task.solver, check),
        metadata={**(task.metadata or {}), "forbear": about},
    )


class _Watching:
    """A watch, and what stands in the log of it."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.lock = _needed("anyio").Lock()  # a watch takes one call at a time; branches of a sample share it
        self._told = 0

    def write(self) -> None:
        """Says in the sample's log what was done, as it is done: a limit may end the sample after any call."""
        episode = self.watch.episode(True)
        proposals = [(step.index, one) for step in episode.steps for one in step.proposals]
        for index, one in proposals[self._told :]:
            if one.decision != PROCEED or one.faults:
                scores = {"p_fail": dict(one.p_fail), "advantage": dict(one.advantage), "faults": dict(one.faults)}
                said = {"step": index, "attempt": one.attempt, "decision": one.decision, "refusal": one.refusal}
                _needed("inspect_ai.log").transcript().info(
                    {**said, **scores, "proposal": one.action.text[:2000]}, source="forbear"
                )
        self._told = len(proposals)
        usage = {"dropped": self.watch.dropped, "critic": episode.usage.critic.paid}
        _needed("inspect_ai.util").store().set(
            "forbear",
            {
                "arm": self.watch.arm,
                "proposals": len(proposals),
                "interventions": episode.interventions,
                "rollback_noops": episode.rollback_noops,
                **{name: msgspec.to_builtins(one) for name, one in usage.items()},
            },
        )


def _solvers(arm: str, policy: InterventionPolicy | None, prices: Prices) -> tuple[Any, Any]:
    """What begins a watch before a sample is solved, also under `--solver`, and what sees that it was asked."""

    async def begin(state: Any, generate: Any) -> Any:
        sample = Task(id=str(state.sample_id))
        _WATCH.set(_Watching(Watch(sample, seed=state.epoch, arm=arm, policy=policy, prices=prices)))
        return state

    async def check(state: Any, generate: Any) -> Any:
        if state.store.get("forbear") is None and any(one.role == "assistant" for one in state.messages):
            raise InvalidInput(
                "the solver asked a model of its own and forbear saw nothing of it: have it ask the evaluated one "
                "(react() without model=, get_model() without a name), and name that to watched_task(model=...)."
            )
        return state

    solver: Any = _needed("inspect_ai.solver").solver
    return solver(name="forbear_watch")(lambda: begin)(), solver(name="forbear_check")(lambda: check)()


def _watched_model(model: Any) -> Any:
    """A model of Inspect's that stands for another one; where nothing is solved it is that one."""
    base: Any = _needed("inspect_ai.model").Model

    class WatchedModel(base):  # type: ignore[misc]  # known where the package is
        async def generate(self, input: Any, *given: Any, on_stream: Any = None, **options: Any) -> Any:
            watching = _WATCH.get()
            if watching is None:
                return await super().generate(input, *given, on_stream=on_stream, **options)
            user = _needed("inspect_ai.model").ChatMessageUser
            messages = [user(content=input)] if isinstance(input, str) else list(input)
            options |= dict(zip(("tools", "tool_choice", "config", "cache"), given, strict=False))
            ask, asked = super().generate, 0

            async def sample(told: Sequence[Told]) -> Sampled[Any]:
                nonlocal asked
                # A stream would show what is dropped.
                said = await ask(_woven(messages, told, user), **(self._again(options, asked) if asked else options))
                asked += 1
                return _sampled(said, watching.watch, model=str(self))

            async with watching.lock:
                # What the critic asks this model is no proposal.
                token = _WATCH.set(None)
                try:
                    return await watching.watch.propose([_message(one) for one in messages], sample)
                except AgentError as error:  # an intervention ended the episode: it is scored as it stands
                    limit = _needed("inspect_ai.util").LimitExceededError
                    raise limit("custom", value=1, limit=1, message=f"forbear: {error}") from error
                finally:
                    _WATCH.reset(token)
                    watching.write()

        def _again(self, options: Mapping[str, Any], number: int) -> dict[str, Any]:
            """The same request, which no cache and no seed may answer as before."""
            config = options.get("config") or _needed("inspect_ai.model").GenerateConfig()
            seed = self._resolve_config(config).seed
            again = config if seed is None else config.model_copy(update={"seed": seed + number})
            return {**options, "config": again, "cache": False}

    watched = WatchedModel(model.api, model.config, model.model_args)
    watched.__dict__.update(model.__dict__)
    return watched


def _sampled(said: Any, watch: Watch, *, model: str) -> Sampled[Any]:
    message = said.choices[0].message if said.choices else None
    calls = [(call.function, call.arguments) for call in getattr(message, "tool_calls", None) or ()]
    tokens, usage = said.usage, Usage(calls=1)
    if tokens is not None:  # Inspect's input leaves out what a cache was read for or written
        cached = tokens.input_tokens_cache_read
        read = tokens.input_tokens + (cached or 0) + (tokens.input_tokens_cache_write or 0)
        usage = Usage(calls=1, input_tokens=read, output_tokens=tokens.output_tokens, cached_tokens=cached)
    text = "" if message is None else message.text
    return Sampled(said, action_of(text, calls, usage=watch.priced(usage, model=model)))


def _message(one: Any) -> Message:
    """A message as others have it."""
    content = one.content if isinstance(one.content, str) else [part.model_dump() for part in one.content]
    return {"role": one.role, "content": text_of(content)}


def _woven(messages: Sequence[Any], told: Sequence[Told], user: Any) -> list[Any]:
    woven = list(messages)
    for one in reversed(told):
        woven.insert(one.at, user(content=one.text))
    return woven


def _needed(module: str) -> Any:
    return needed(module, package="Inspect AI", extra="inspect")
