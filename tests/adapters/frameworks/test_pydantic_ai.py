"""The real package, its agent and its own model of a function."""

import asyncio

import pytest

pytest.importorskip("pydantic_ai", reason="pydantic_ai is not installed: pip install 'forbear[pydantic-ai]'")

from pydantic_ai import Agent
from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import FunctionModel
from pydantic_ai.usage import RequestUsage

from forbear.adapters.frameworks import Watch
from forbear.adapters.frameworks.pydantic_ai import watched_model
from forbear.errors import AgentError, InvalidInput
from forbear.interventions import Append, Rollback, Stop
from forbear.policy.policy import InterventionPolicy
from forbear.records.model import Task, Termination

pytestmark = pytest.mark.filterwarnings("default")


class Dislikes:
    async def score(self, trajectory, proposed, *, draw):
        return 0.9 if "wipe" in proposed.text else 0.1

    def config(self):
        return {"name": "dislikes"}


def run(intervention, *said, **options):
    """Runs an agent on a script; returns its result, the watch, what the model heard and what tools did."""
    policy = InterventionPolicy(critic=Dislikes(), intervention=intervention, threshold=0.5, **options)
    watch, left, heard, done = Watch(Task(id="t"), policy=policy), list(said), [], []

    def script(messages, info):
        heard.append([[getattr(part, "content", None) for part in one.parts] for one in messages])
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        parts = [TextPart(answer[1:])] if answer.startswith("=") else [ToolCallPart(answer, {})]
        return ModelResponse(parts=parts, usage=RequestUsage(input_tokens=10, output_tokens=5))

    agent = Agent(instructions="Be brief.")
    for name in ("wipe", "add"):
        agent.tool_plain(lambda name=name: done.append(name) or f"{name} done", name=name)
    result, error = None, None
    try:
        result = asyncio.run(agent.run("go", model=watched_model(FunctionModel(script), watch)))
    except Exception as raised:
        error = raised
    return result, error, watch, heard, done


def test_a_dropped_call_is_not_run_and_is_metered_where_the_framework_hides_it():
    result, _, watch, _, done = run(Rollback(), "wipe", "add", "=end")
    assert (result.output, done) == ("end", ["add"])
    usage = result.usage
    assert (usage.input_tokens, watch.episode(True).usage.agent.paid.input_tokens) == (20, 30)
    assert watch.dropped.tokens == 15
    steps = watch.episode(True).steps
    assert [step.observation for step in steps] == ["Be brief.\ngo", "add done"]
    assert [step.executed.text for step in steps] == ["add({})", "end"]


def test_a_warning_is_sent_at_its_place_in_every_later_call_and_not_kept():
    result, _, _, heard, done = run(Append(message="Careful!"), "wipe", "add", "=end", budget=1)
    assert done == ["wipe", "add"]
    assert heard[1][2] == ["wipe done", "Careful!"]
    assert heard[2][2] == ["wipe done", "Careful!"]
    assert "Careful!" not in str(result.all_messages())


def test_an_intervention_that_stops_ends_the_run():
    _, error, watch, _, done = run(Stop(), "wipe")
    assert isinstance(error, AgentError)
    assert (watch.episode(True).termination, done) == (Termination.STOPPED, [])


def test_a_model_that_is_down_leaves_no_outcome():
    _, error, watch, _, _ = run(Rollback(), ConnectionError("down"))
    assert error is not None
    assert watch.episode(False).termination is Termination.PROVIDER_ERROR


def test_streams_are_refused():
    async def stream():
        async with Agent(watched_model(FunctionModel(lambda messages, info: None), Watch(Task(id="t")))).run_stream(
            "go"
        ):
            raise AssertionError("it has been streamed")

    with pytest.raises(InvalidInput, match="not as a stream"):
        asyncio.run(stream())
