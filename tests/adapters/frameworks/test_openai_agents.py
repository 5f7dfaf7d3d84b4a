"""The real package, its runner and its own scripted model."""

import asyncio

import pytest

pytest.importorskip("agents.testing", reason="openai-agents is not installed: pip install 'forbear[openai-agents]'")

from agents import Agent, RunConfig, Runner, function_tool
from agents.testing import ScriptedModel, assistant_message, function_call

from forbear.adapters.frameworks import Watch
from forbear.adapters.frameworks.openai_agents import watched_model
from forbear.errors import AgentError, InvalidInput
from forbear.interventions import Append, Rollback, Stop
from forbear.policy.policy import InterventionPolicy
from forbear.records.model import Task, Termination

pytestmark = pytest.mark.filterwarnings("default")

QUIET = RunConfig(tracing_disabled=True)


class Dislikes:
    async def score(self, trajectory, proposed, *, draw):
        return 0.9 if "wipe" in proposed.text else 0.1

    def config(self):
        return {"name": "dislikes"}


def run(intervention, *said, **options):
    """Runs an agent on a script; returns its result, the error, the watch, its model and what tools did."""
    policy = InterventionPolicy(critic=Dislikes(), intervention=intervention, threshold=0.5, budget=1)
    watch, done = Watch(Task(id="t"), policy=policy), []

    @function_tool
    def wipe() -> str:
        """Wipes."""
        done.append("wipe")
        return "wipe done"

    @function_tool
    def add() -> str:
        """Adds."""
        done.append("add")
        return "add done"

    steps = [
        one if isinstance(one, Exception) else [assistant_message(one[1:]) if one[0] == "=" else call(one, n)]
        for n, one in enumerate(said)
    ]
    model = ScriptedModel(steps)
    agent = Agent(name="a", model=watched_model(model, watch), tools=[wipe, add])
    result, error = None, None
    try:
        result = asyncio.run(Runner.run(agent, "go", run_config=QUIET, **options))
    except Exception as raised:
        error = raised
    return result, error, watch, model, done


def call(name, number):
    return function_call(name, {}, call_id=f"call-{number}")


def test_a_dropped_call_is_not_run_and_is_metered_where_the_framework_hides_it():
    result, error, watch, _, done = run(Rollback(), "wipe", "add", "=end")
    assert error is None
    assert (result.final_output, done) == ("end", ["add"])
    assert result.context_wrapper.usage.requests == 2
    assert watch.episode(True).usage.agent.paid.calls == 3
    assert watch.dropped.calls == 1
    assert [step.observation for step in watch.episode(True).steps] == ["go", "add done"]
    assert [step.executed.text for step in watch.episode(True).steps] == ["add({})", "end"]


def test_a_warning_is_sent_at_its_place_in_every_later_call_and_not_kept():
    result, _, _, model, done = run(Append(message="Careful!"), "wipe", "add", "=end")
    assert done == ["wipe", "add"]
    told = [[n for n, one in enumerate(asked.input) if "Careful!" in str(one)] for asked in model.calls]
    assert told == [[], [3], [3]]
    assert "Careful!" not in str(result.to_input_list())


def test_an_intervention_that_stops_ends_the_run():
    _, error, watch, _, done = run(Stop(), "wipe")
    assert isinstance(error, AgentError)
    assert (watch.episode(True).termination, done) == (Termination.STOPPED, [])


def test_a_model_that_is_down_leaves_no_outcome():
    _, error, watch, _, _ = run(Rollback(), ConnectionError("down"))
    assert error is not None
    assert watch.episode(False).termination is Termination.PROVIDER_ERROR


def test_a_conversation_that_the_server_keeps_is_refused():
    _, error, _, _, _ = run(Rollback(), "=end", conversation_id="c")
    assert isinstance(error, InvalidInput)
    assert "the server keeps" in str(error)
