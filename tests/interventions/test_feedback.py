import asyncio

import pytest

from forbear.adapters.agents.chat import ChatAgent
from forbear.adapters.pilot_file import read_pilot_file
from forbear.contracts.critic import Score
from forbear.contracts.draw import Draw
from forbear.contracts.intervention import Continue, Retry
from forbear.errors import AgentError, InvalidInput, ProviderError
from forbear.interventions.feedback import ChatFeedback
from forbear.models.chat import Completion
from forbear.policy.arm import Arm
from forbear.policy.policy import InterventionPolicy
from forbear.records.journal import Journal
from forbear.records.model import Action, Step, Task, Trajectory
from forbear.runner.plan import PilotPlan
from forbear.testing import Corridor, InterventionContract, ScriptedModel, WordCritic
from pilot_files import TEXT, write_pilot
from runner.pilots import digest, run, tasks

OPEN = Trajectory(task=Task(id="t"), steps=(Step(index=0, observation="door 1"),))
JUMP = Action("jump")
DRAW = Draw(task_id="t", seed=1, role="intervention")


def apply(model, *, why="it falls", **options):
    feedback = ChatFeedback(model=model, **options)
    return asyncio.run(feedback.apply(OPEN, JUMP, score=Score(0.9, why), draw=DRAW))


class TestTheContract(InterventionContract):
    def make(self):
        return ChatFeedback(model=ScriptedModel(["Mind the gap."]))

    def variants(self):
        model = ScriptedModel(["Mind the gap."])
        return [
            ChatFeedback(model=model, then="append"),
            ChatFeedback(model=model, prompt="{action}?"),
            ChatFeedback(model=model, temperature=1.0),
            ChatFeedback(model=model, max_tokens=9),
            ChatFeedback(model=model, last_steps=2),
            ChatFeedback(model=ScriptedModel([""], name="other")),
        ]

    def proposals(self):
        return [(OPEN, JUMP), (OPEN, Action("open"))]


def test_the_agent_is_told_what_the_model_wrote():
    model = ScriptedModel([" Mind {the} gap.\n"])
    assert apply(model) == Retry(message="Mind {the} gap.")
    assert apply(model, then="append") == Continue(message="Mind {the} gap.")
    assert "door 1\n\nNext action: jump" in model.asked[0].last
    assert (model.asked[0].options.max_tokens, model.asked[0].draw) == (120, DRAW)


def test_the_reason_is_the_users_choice():
    model = ScriptedModel(["Hm."])
    apply(model)
    assert "it falls" not in model.asked[0].last
    apply(model, prompt="{why} ({p_fail}): {history}|{action}")
    assert model.asked[1].last == "it falls (90%): door 1|jump"
    apply(model, why=None, prompt="{why}")
    assert model.asked[2].last == "no reason given"


@pytest.mark.parametrize("said", ["", " \n", Completion(refusal="I will not"), Completion(text="No", refusal="x")])
def test_without_words_there_is_no_feedback(said):
    with pytest.raises(AgentError, match="the model wrote no feedback"):
        apply(ScriptedModel([said]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"then": "stop"}, "then is rollback or append, got 'stop'"),
        ({"max_tokens": 0}, "max_tokens must be a whole number"),
        ({"last_steps": 0}, "last_steps must be a whole number"),
        ({"prompt": "{seen}"}, "nothing fills {seen}; known are {history}, {action}, {why}, {p_fail}"),
    ],
)
def test_options_that_mean_nothing_are_refused(options, message):
    with pytest.raises(InvalidInput, match=message):
        ChatFeedback(model=ScriptedModel([""]), **options)


# --- In a pilot ---------------------------------------------------------------------------------------------


def answer(asked):
    if "Tell the agent" in str(asked.messages[0]["content"]):
        return "Do not jump."
    return "open" if "Do not jump." in str(asked.messages) else "jump"


def plan(model, *, arms=("one", "two"), **options):
    policies = {
        name: InterventionPolicy(
            critic=WordCritic({"jump": 0.9}), intervention=ChatFeedback(model=model, **options), threshold=threshold
        )
        for name, threshold in zip(arms, (0.6, 0.7), strict=False)
    }
    return PilotPlan(
        tasks=tasks(3),
        agent=lambda: ChatAgent(model, mode="line", system=""),
        environment=lambda: Corridor(doors=2),
        arms=[Arm.baseline(), *[Arm(name, policy) for name, policy in policies.items()]],
        max_steps=4,
    )


def feedback(directory):
    episodes = Journal(directory).read().episodes.values()
    return {
        arm: [(e.usage.feedback.paid.calls, e.usage.feedback.reused.calls) for e in episodes if e.arm == arm]
        for arm in ("baseline", "one", "two")
    }


def test_what_it_took_is_counted_once_and_answers_that_are_taken_again_are_free(tmp_path):
    model = ScriptedModel(answer)
    result = run(plan(model), tmp_path / "a")
    written = [asked for asked in model.asked if asked.draw.role.startswith("intervention")]
    assert len(written) == 3
    assert feedback(tmp_path / "a") == {"baseline": [(0, 0)] * 3, "one": [(1, 0)] * 3, "two": [(0, 1)] * 3}
    assert result.arms["one"].usage.feedback.paid.tokens == 3 * 12
    assert result.arms["two"].usage.feedback.paid.tokens is None
    (proposal, *_) = result.episodes["t00", 42, "one"].steps[0].proposals
    assert (proposal.decision, proposal.feedback.input_tokens) == ("feedback", 10)
    assert result.episodes["t00", 42, "one"].success
    before, asked = digest(tmp_path / "a"), len(model.asked)
    (tmp_path / "a" / "episodes.jsonl").unlink()
    run(plan(model), tmp_path / "a")
    assert (digest(tmp_path / "a"), len(model.asked)) == (before, asked)


def test_a_model_that_writes_nothing_is_refused_and_the_agent_goes_on(tmp_path):
    model = ScriptedModel(lambda asked: "" if asked.draw.role.startswith("intervention") else "jump")
    run(plan(model, arms=("one",)), tmp_path)
    (*_, episode) = [e for e in Journal(tmp_path).read().episodes.values() if e.arm == "one"]
    (proposal,) = episode.steps[0].proposals
    assert (proposal.decision, proposal.refusal) == ("refused", "error: AgentError: the model wrote no feedback")
    assert episode.success is False
    assert episode.usage.feedback.paid.calls == 1


def test_an_outage_of_the_model_that_writes_leaves_the_run_without_outcome(tmp_path):
    down = ProviderError("down")
    model = ScriptedModel(lambda asked: down if asked.draw.role.startswith("intervention") else "jump")
    with pytest.raises(ProviderError, match="intervention 'feedback': provider: ProviderError: down"):
        run(plan(model, arms=("one",)), tmp_path)
    assert {key[2] for key in Journal(tmp_path).read().episodes} == {"baseline"}


MODEL = """
[model]
use = "openai"
options = { model = "small", base_url = "http://127.0.0.1:1/v1" }
"""


def test_a_file_names_it(tmp_path):
    (tmp_path / "mine.txt").write_text("{action}!")
    text = TEXT.replace("[tasks]", f"{MODEL}\n[tasks]").replace(
        'intervention = "append"', 'intervention = "feedback"\nthen = "append"\nprompt = "mine.txt"'
    )
    made = read_pilot_file(write_pilot(tmp_path, text=text)).plan.arms[2].policy.intervention
    assert (made.then, made.text, made.model.name) == ("append", "{action}!", "small")
    with pytest.raises(InvalidInput, match="'feedback' asks a language model, and this file names none"):
        read_pilot_file(write_pilot(tmp_path, text=text.replace(MODEL, "")))
    with pytest.raises(InvalidInput, match=r"line 27: arm.the: unknown key 'the'; did you mean 'then'"):
        read_pilot_file(write_pilot(tmp_path, text=text.replace("then =", "the =")))
