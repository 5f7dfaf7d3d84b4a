"""The real package, its agents and a scripted model of its own kind."""

import pytest

smolagents = pytest.importorskip("smolagents", reason="smolagents is not installed: pip install 'forbear[smolagents]'")

from smolagents.models import ChatMessage, Model, TokenUsage  # noqa: E402
from smolagents.monitoring import LogLevel  # noqa: E402

from forbear.adapters.frameworks import Watch  # noqa: E402
from forbear.adapters.frameworks.smolagents import WatchedModel  # noqa: E402
from forbear.errors import AgentError  # noqa: E402
from forbear.interventions import Append, Rollback, Stop  # noqa: E402
from forbear.policy.policy import InterventionPolicy  # noqa: E402
from forbear.records.model import Task, Termination  # noqa: E402

pytestmark = pytest.mark.filterwarnings("default")


class Script(Model):
    """Says one thing after the other."""

    def __init__(self, *said):
        super().__init__(model_id="script")
        self.said, self.heard = list(said), []

    def generate(self, messages, stop_sequences=None, **options):
        self.heard.append(messages)
        said = self.said.pop(0)
        if isinstance(said, Exception):
            raise said
        usage = TokenUsage(10, 5)
        if isinstance(said, str):
            return ChatMessage(role="assistant", content=said, token_usage=usage)
        call = {"id": "1", "type": "function", "function": {"name": said[0], "arguments": said[1]}}
        return ChatMessage(role="assistant", tool_calls=[call], token_usage=usage)


class Counter(smolagents.Tool):
    name, description, inputs, output_type = "add", "Adds one.", {}, "string"

    def __init__(self):
        super().__init__()
        self.count = 0

    def forward(self):
        self.count += 1
        return f"count is {self.count}"


class Dislikes:
    def __init__(self, word):
        self.word = word

    async def score(self, trajectory, proposed, *, draw):
        return 0.9 if self.word in proposed.text else 0.1

    def config(self):
        return {"name": "dislikes", "word": self.word}


def watching(intervention, word="add", **options):
    return Watch(
        Task(id="t"),
        policy=InterventionPolicy(critic=Dislikes(word), intervention=intervention, threshold=0.5, **options),
    )


END = ("final_answer", {"answer": "done"})


def agent_of(kind, script, watch, tool, **options):
    return kind(tools=[tool], model=WatchedModel(script, watch), verbosity_level=LogLevel.OFF, **options)


def test_a_dropped_call_is_not_run_is_no_step_and_is_metered_where_the_framework_hides_it():
    script, watch, tool = Script(("add", {}), ("add", {}), END), watching(Rollback(), budget=1), Counter()
    agent = agent_of(smolagents.ToolCallingAgent, script, watch, tool, max_steps=2)
    result = agent.run("count", return_full_result=True)
    assert (result.output, tool.count) == ("done", 1)
    assert (result.token_usage.input_tokens, watch.episode(True).usage.agent.paid.input_tokens) == (20, 30)
    assert watch.dropped.tokens == 15
    assert watch.episode(True).rollback_noops == 1
    assert [step.executed.text for step in watch.episode(True).steps] == ["add({})", "final_answer[done]"]
    assert "count is 1" in watch.episode(True).steps[1].observation


def test_a_warning_is_shown_in_every_later_call_at_its_place():
    script, watch, tool = (
        Script(("add", {}), ("add", {}), END),
        watching(Append(message="Careful!"), budget=1),
        Counter(),
    )
    agent_of(smolagents.ToolCallingAgent, script, watch, tool).run("count")
    places = [[n for n, one in enumerate(said) if "Careful!" in str(one.content)] for said in script.heard]
    assert places[0] == []
    assert len(places[1]) == 1
    assert places[2] == places[1]
    assert tool.count == 2


def test_code_is_judged_before_it_runs():
    script = Script("<code>\nadd()\n</code>", "<code>\nfinal_answer('done')\n</code>")
    watch, tool = watching(Rollback()), Counter()
    assert agent_of(smolagents.CodeAgent, script, watch, tool).run("count") == "done"
    assert tool.count == 0
    assert watch.dropped.calls == 1


def test_a_plan_is_metered_and_not_judged():
    script, watch = Script("add add add", END), watching(Rollback())
    agent_of(smolagents.ToolCallingAgent, script, watch, Counter(), planning_interval=3).run("count")
    assert watch.episode(True).usage.agent.paid.calls == 2
    assert [len(step.proposals) for step in watch.episode(True).steps] == [1]


def test_an_intervention_that_stops_ends_the_run():
    watch = watching(Stop())
    with pytest.raises(smolagents.AgentError, match="ended this episode"):
        agent_of(smolagents.ToolCallingAgent, Script(("add", {})), watch, Counter()).run("count")
    assert watch.episode(True).termination is Termination.STOPPED


def test_a_model_that_is_down_leaves_no_outcome_also_where_the_framework_answers_by_itself():
    script, watch = Script(("add", {}), ConnectionError("down")), watching(Rollback(), word="nothing")
    agent = agent_of(smolagents.ToolCallingAgent, script, watch, Counter(), max_steps=1)
    assert "down" in str(agent.run("count"))  # its forced answer tells of the error as if it were one
    assert watch.episode(True).termination is Termination.PROVIDER_ERROR


def test_streaming_is_refused_by_the_agent():
    with pytest.raises(ValueError, match="generate_stream"):
        agent_of(smolagents.ToolCallingAgent, Script(), watching(Rollback()), Counter(), stream_outputs=True)


def test_a_conversation_that_is_too_long_is_the_agents_failure():
    watch = watching(Rollback())
    with pytest.raises(smolagents.AgentError) as raised:
        agent_of(smolagents.ToolCallingAgent, Script(AgentError("too long")), watch, Counter()).run("count")
    watch.crashed(raised.value)
    assert watch.episode(None).termination is Termination.AGENT_ERROR
