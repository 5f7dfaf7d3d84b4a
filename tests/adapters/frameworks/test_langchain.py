"""The real package, its agent and a scripted model of its own kind."""

import asyncio

import pytest

pytest.importorskip("langchain.agents.middleware", reason="langchain is missing: pip install 'forbear[langchain]'")

from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import tool

from forbear.adapters.frameworks import Watch
from forbear.adapters.frameworks.langchain import watching
from forbear.errors import AgentError
from forbear.interventions import Append, Rollback, Stop
from forbear.policy.policy import InterventionPolicy
from forbear.records.model import Task, Termination

pytestmark = pytest.mark.filterwarnings("default")


class Script(BaseChatModel):
    said: list
    heard: list

    @property
    def _llm_type(self):
        return "script"

    def bind_tools(self, tools, **options):
        return self

    def _generate(self, messages, stop=None, run_manager=None, **options):
        self.heard.append([one.content for one in messages])
        said = self.said.pop(0)
        if isinstance(said, Exception):
            raise said
        calls = [] if said.startswith("=") else [{"name": said, "args": {}, "id": f"c{len(self.heard)}"}]
        usage = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
        message = AIMessage(content=said[1:] if not calls else "", tool_calls=calls, usage_metadata=usage)
        return ChatResult(generations=[ChatGeneration(message=message)])


class Dislikes:
    async def score(self, trajectory, proposed, *, draw):
        return 0.9 if "wipe" in proposed.text else 0.1

    def config(self):
        return {"name": "dislikes"}


def run(intervention, *said, waits=False):
    """Runs an agent on a script: its messages, the error, the watch, what the model heard and what tools did."""
    policy = InterventionPolicy(critic=Dislikes(), intervention=intervention, threshold=0.5, budget=1)
    watch, done, model = Watch(Task(id="t"), policy=policy), [], Script(said=list(said), heard=[])

    @tool
    def wipe() -> str:
        """Wipes."""
        done.append("wipe")
        return "wipe done"

    @tool
    def add() -> str:
        """Adds."""
        done.append("add")
        return "add done"

    agent = create_agent(model, [wipe, add], middleware=[watching(watch)])
    asked, state, error = {"messages": [{"role": "user", "content": "go"}]}, None, None
    try:
        state = asyncio.run(agent.ainvoke(asked)) if waits else agent.invoke(asked)
    except Exception as raised:
        error = raised
    return state and state["messages"], error, watch, model.heard, done


@pytest.mark.parametrize("waits", [False, True])
def test_a_dropped_call_is_not_run_and_enters_no_state_but_is_metered(waits):
    messages, error, watch, _, done = run(Rollback(), "wipe", "add", "=end", waits=waits)
    assert error is None
    assert (messages[-1].content, done) == ("end", ["add"])
    assert len(messages) == 4
    assert watch.episode(True).usage.agent.paid.tokens == 45
    assert watch.dropped.tokens == 15
    assert [step.observation for step in watch.episode(True).steps] == ["go", "add done"]


def test_a_warning_is_sent_at_its_place_in_every_later_call_and_not_kept():
    messages, _, _, heard, done = run(Append(message="Careful!"), "wipe", "add", "=end")
    assert done == ["wipe", "add"]
    assert heard[1][2:] == ["wipe done", "Careful!"]
    assert heard[2][2:] == ["wipe done", "Careful!", "", "add done"]
    assert "Careful!" not in str(messages)


def test_an_intervention_that_stops_ends_the_run():
    _, error, watch, _, done = run(Stop(), "wipe")
    assert isinstance(error, AgentError)
    assert (watch.episode(True).termination, done) == (Termination.STOPPED, [])


def test_a_model_that_is_down_leaves_no_outcome():
    _, error, watch, _, _ = run(Rollback(), ConnectionError("down"))
    assert error is not None
    assert watch.episode(False).termination is Termination.PROVIDER_ERROR
