"""The real package, its agent, its scripted models, and commands that really run."""

import os

import pytest

os.environ.setdefault("MSWEA_SILENT_STARTUP", "1")
pytest.importorskip("minisweagent", reason="it is not installed: pip install 'forbear[mini-swe-agent]'")

from minisweagent.agents.default import DefaultAgent
from minisweagent.environments.local import LocalEnvironment
from minisweagent.exceptions import FormatError
from minisweagent.models.test_models import (
    DeterministicModel,
    DeterministicResponseAPIToolcallModel,
    DeterministicToolcallModel,
    make_output,
    make_response_api_output,
    make_toolcall_output,
)

from forbear.adapters.frameworks import Watch
from forbear.adapters.frameworks.mini_swe_agent import WatchedModel
from forbear.errors import AgentError
from forbear.interventions import Append, Rollback, Stop
from forbear.policy.policy import InterventionPolicy
from forbear.records.model import Task, Termination

pytestmark = pytest.mark.filterwarnings("default")

END = "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT; cat notes"


def text(command):
    said = make_output(f"THOUGHT: so. {command}", [{"command": command}], cost=0.5)
    said["extra"]["response"] = {
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}}
    }
    return said


def called(command):
    calls = [{"id": "1", "type": "function", "function": {"name": "bash", "arguments": ""}}]
    return make_toolcall_output(None, calls, [{"command": command, "tool_call_id": "1"}])


def responded(command):
    return make_response_api_output("so", [{"command": command, "tool_call_id": "1"}])


class Heard:
    """A scripted model that keeps what it was asked; it raises its errors first."""

    def __init__(self, kind, outputs):
        self.errors = [one for one in outputs if isinstance(one, Exception)]
        self.inner, self.heard = kind(outputs=[one for one in outputs if isinstance(one, dict)]), []
        self.config = self.inner.config

    def query(self, messages, **options):
        self.heard.append([str(one.get("content", one.get("output"))) for one in messages])
        if self.errors:
            raise self.errors.pop(0)
        return self.inner.query(messages, **options)

    def __getattr__(self, name):
        return getattr(self.inner, name)


class Dislikes:
    async def score(self, trajectory, proposed, *, draw):
        return 0.9 if "rm" in proposed.text else 0.1

    def config(self):
        return {"name": "dislikes"}


def watching(intervention, **options):
    policy = InterventionPolicy(critic=Dislikes(), intervention=intervention, threshold=0.5, **options)
    return Watch(Task(id="t"), policy=policy)


def agent_of(watch, folder, outputs, kind=DeterministicModel, **options):
    model = Heard(kind, outputs)
    environment = LocalEnvironment(cwd=str(folder))
    templates = {"system_template": "You act.", "instance_template": "{{task}}"}
    return DefaultAgent(WatchedModel(model, watch), environment, **templates, **options), model


def test_a_dropped_command_is_not_run_is_no_step_and_is_metered_where_the_agent_hides_it(tmp_path):
    watch = watching(Rollback(), budget=2)
    outputs = [text("echo a >> notes"), text("rm notes"), text("rm notes"), text("echo b >> notes"), text(END)]
    agent, _ = agent_of(watch, tmp_path, outputs, step_limit=3)
    assert agent.run("take notes")["submission"] == "a\nb\n"
    assert (agent.n_calls, agent.cost) == (3, 1.5)
    paid = watch.episode(True).usage.agent.paid
    assert (paid.calls, paid.input_tokens, paid.cached_tokens, paid.cost) == (5, 50, 20, 2.5)
    assert (watch.dropped.calls, watch.dropped.tokens, watch.dropped.cost) == (2, 30, 1.0)
    assert watch.episode(True).rollback_noops == 1
    first, second, _ = watch.episode(True).steps
    assert (first.observation, first.executed.text) == ("You act.\ntake notes", "bash[echo a >> notes]")
    assert "<returncode>0" in second.observation


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (DeterministicModel, text),
        (DeterministicToolcallModel, called),
        (DeterministicResponseAPIToolcallModel, responded),
    ],
)
def test_a_warning_is_shown_in_every_later_call_at_its_place_whatever_the_models_interface(kind, says, tmp_path):
    watch = watching(Append(message="Careful!"), budget=1)
    agent, model = agent_of(watch, tmp_path, [says("rm -f notes"), says("echo a > notes"), says(END)], kind)
    assert agent.run("take notes")["submission"] == "a\n"
    places = [[n for n, one in enumerate(said) if "Careful!" in one] for said in model.heard]
    assert places == [[], [4], [4]]
    assert not any("Careful!" in str(one) for one in agent.messages)
    steps = watch.episode(True).steps
    assert [step.messages for step in steps] == [(), ("Careful!",), ()]
    assert "<returncode>0" in steps[2].observation


def test_an_answer_that_is_no_command_is_metered_and_no_outage(tmp_path):
    watch = watching(Rollback())
    error = FormatError({"role": "user", "content": "One command, please.", "extra": {"cost": 0.25}})
    agent, _ = agent_of(watch, tmp_path, [error] * 3, max_consecutive_format_errors=3)
    assert agent.run("take notes")["exit_status"] == "RepeatedFormatError"
    assert (watch.episode(False).success, watch.episode(False).usage.agent.paid.cost) == (False, 0.75)


def test_who_is_stopped_has_failed(tmp_path):
    watch = watching(Stop())
    agent, _ = agent_of(watch, tmp_path, [text("rm notes")])
    with pytest.raises(AgentError, match="ended this episode"):
        agent.run("take notes")
    assert watch.episode(True).termination is Termination.STOPPED


class ContextWindowExceededError(Exception):
    """As LiteLLM calls it."""


@pytest.mark.parametrize(
    ("error", "termination"),
    [
        (ConnectionError("down"), Termination.PROVIDER_ERROR),
        (ContextWindowExceededError("10 tokens"), Termination.AGENT_ERROR),
    ],
)
def test_a_model_that_is_down_leaves_no_outcome_and_a_conversation_too_long_is_a_failure(error, termination, tmp_path):
    watch = watching(Rollback())
    agent, _ = agent_of(watch, tmp_path, [error])
    with pytest.raises((ConnectionError, AgentError)) as raised:
        agent.run("take notes")
    watch.crashed(raised.value)
    assert watch.episode(None).termination is termination
