import asyncio
import math
import time

import pytest

from forbear.contracts.draw import Draw
from forbear.critics.chat import ChatCritic, UnreadableReply, _of_number, _of_tokens
from forbear.errors import InvalidInput
from forbear.interventions import Rollback
from forbear.models.chat import Completion, Token
from forbear.policy.arm import Arm
from forbear.policy.policy import InterventionPolicy
from forbear.records.model import Action, Step, Task, Trajectory
from forbear.runner.plan import PilotPlan
from forbear.testing import Corridor, CriticContract, ScriptedAgent, ScriptedModel
from runner.pilots import run, tasks

DRAW = Draw(task_id="t", seed=1, role="critic:chat-critic")
SEEN = Trajectory(
    task=Task(id="t"),
    steps=(
        Step(index=0, observation="door 1", executed=Action("open")),
        Step(index=1, observation="door 2", messages=("Careful.",)),
    ),
)
JUMP = Action("jump")


def of(text, *tops, **top):
    """A reply whose first tokens have these alternatives, by their probabilities."""
    return Completion(
        text=text,
        tokens=tuple(
            Token(next(iter(one)), math.log(next(iter(one.values()))), {k: math.log(p) for k, p in one.items()})
            for one in (tops or (top,))
        ),
    )


def score(model, **options):
    return asyncio.run(ChatCritic(model, **options).score(SEEN, JUMP, draw=DRAW))


class TestTheContract(CriticContract):
    def make(self):
        return ChatCritic(ScriptedModel(lambda asked: of("Yes", Yes=0.3, No=0.6)))

    def variants(self):
        model = ScriptedModel([""])
        return [
            ChatCritic(model, mode="number"),
            ChatCritic(model, mode="logprob"),
            ChatCritic(model, prompt="{action}?"),
            ChatCritic(model, explain=True),
            ChatCritic(model, temperature=None),
            ChatCritic(model, max_tokens=5),
            ChatCritic(model, last_steps=3),
            ChatCritic(model, name="other"),
            ChatCritic(ScriptedModel([""], name="other")),
        ]

    def proposals(self):
        return [(SEEN, JUMP), (SEEN, Action("open"))]


# --- Yes or no ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "p_fail"),
    [
        (of("Yes", Yes=0.6, No=0.2), 0.75),
        (of("No", {"No": 0.6, "Yes": 0.2}), 0.25),
        (of(" yes.", {" yes.": 0.5, "NO": 0.25, "Maybe": 0.25}), 2 / 3),
        (of("Yes", {"Yes": 0.3, " Yes": 0.2, "yes": 0.1, '"YES"': 0.1, "No": 0.1, "▁no": 0.1, "Ġno": 0.1}), 0.7),
        (of("Yes", {"Y": 0.6, "N": 0.2}, {"es": 0.9}), 0.75),
        (of("yes", {"ye": 0.6, "no": 0.2}, {"s": 0.9}), 0.75),
        (of(" \nYes", {" \n": 0.9}, {"**": 0.9}, {"Yes": 0.6, "No": 0.2}), 0.75),
        (of("Yes", {"Yes": 0.9, "Nothing": 0.05, "Yesterday": 0.05}), 1.0),
        (of("No", {"No": 1.0}), 0.0),
    ],
)
def test_p_fail_is_yes_against_no_at_the_first_word(reply, p_fail):
    model = ScriptedModel([reply])
    assert score(model).p_fail == pytest.approx(p_fail)
    (asked,) = model.asked
    assert (asked.options.logprobs, asked.options.top_logprobs, asked.options.max_tokens) == (True, 20, 1)


def test_the_prompt_holds_what_the_agent_saw():
    model = ScriptedModel([of("No", No=1.0)])
    score(model)
    assert "door 1\nAction: open\nObservation: door 2\nCareful.\n\nNext action: jump" in model.asked[0].last
    score(model, prompt="{task}|{seen}|{action}|{history}", last_steps=1)
    assert model.asked[-1].last.startswith("t|door 1|jump|door 1\nAction: open")


def test_a_reply_that_says_neither_is_asked_about_once():
    model = ScriptedModel([of("Perhaps", Perhaps=0.9), of("Yes", Yes=0.9, No=0.1)])
    assert score(model).p_fail == pytest.approx(0.9)
    first, second = model.asked
    assert [m["role"] for m in second.messages] == ["user", "assistant", "user"]
    assert second.last == "Answer with one word: Yes or No."
    assert first.draw != second.draw


@pytest.mark.parametrize("mode", ["auto", "logprob", "number"])
@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("I'd rather\x1b[2J not\n", r"said 'I'd rather�\[2J not'"),
        ("", "said ''"),
        ("x" * 100_000, "x{199}…'"),
        ("\ud800", "said '�'"),
    ],
)
def test_a_reply_that_cannot_be_read_twice_is_an_error_that_holds_it(mode, said, shown):
    with pytest.raises(UnreadableReply, match=shown):
        score(ScriptedModel([Completion(text=said, tokens=(Token("I", -0.1),))]), mode=mode)


def test_a_refusal_is_told():
    with pytest.raises(UnreadableReply, match="said 'I do not judge'"):
        score(ScriptedModel([Completion(refusal="I do not judge", tokens=())]))


def test_without_log_probabilities_it_asks_for_a_number_or_says_so():
    model = ScriptedModel(["Yes", "It will fall.\nFAILURE: 80"])
    said = score(model)
    assert (said.p_fail, said.why) == (0.8, "It will fall.")
    assert not model.asked[1].options.logprobs
    assert model.asked[0].draw != model.asked[1].draw
    with pytest.raises(UnreadableReply, match=r"gives no log-probabilities; ask for numbers \(mode = 'number'\)"):
        score(ScriptedModel(["Yes"]), mode="logprob")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Yes. It jumps.", "It jumps."),
        ("**Yes** - it jumps.", "it jumps."),
        ("yes", None),
        ("Yesterday it jumped.", "Yesterday it jumped."),
    ],
)
def test_the_reason_is_what_follows(text, why):
    model = ScriptedModel([of(text, Yes=0.9, No=0.1)])
    assert score(model, explain=True).why == why
    assert model.asked[0].options.max_tokens == 120


def test_the_reason_reaches_the_agent(tmp_path):
    model = ScriptedModel(lambda asked: of("Yes. It {jumps}.", Yes=0.9, No=0.1))
    critic = ChatCritic(model, explain=True)
    policy = InterventionPolicy(critic=critic, intervention=Rollback(message="Because: {why}"), budget=1)
    plan = PilotPlan(
        tasks=tasks(1),
        agent=lambda: ScriptedAgent(["open"]),
        environment=lambda: Corridor(doors=1),
        arms=[Arm.baseline(), Arm("told", policy)],
        max_steps=2,
    )
    episodes = run(plan, tmp_path).episodes
    (told,) = [e for (_, _, arm), e in episodes.items() if arm == "told"]
    assert told.steps[0].messages == ("Because: It {jumps}.",)
    assert told.usage.critic.calls == len(told.steps[0].proposals) == 2


# --- Numbers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "p_fail"),
    [
        ("FAILURE: 0", 0.0),
        ("FAILURE: 100", 1.0),
        ("FAILURE: 1", 0.01),
        ("failure = 42 %", 0.42),
        ("**FAILURE: 42**\n", 0.42),
        ("**FAILURE**: 42.5%.", 0.425),
        ("FAILURE: 20\nNo, wait.\nFAILURE: 80\n\n", 0.8),
        ("FAILURE: 101", None),
        ("FAILURE: 999999999", None),
        ("FAILURE: -5", None),
        ("FAILURE: 0.8", None),
        ("FAILURE: 1.0", None),
        ("FAILURE: 8/10", None),
        ("FAILURE: 80 or 90", None),
        ("FAILURE: 1e2", None),
        ("FAILURE: ٣", None),
        ("FAILURE: nan", None),
        ("FAILURE:", None),
        ("FAILURE:\n80", None),
        ("The risk of FAILURE: 80", None),
        ("80", None),
        ("FAILURE: 20\nFAILURE: 300", None),
    ],
)
def test_numbers_are_read_strictly(text, p_fail):
    said = _of_number(text)
    assert (None if said is None else said.p_fail) == p_fail


def test_a_number_that_cannot_be_read_is_asked_about_once():
    model = ScriptedModel(["FAILURE: 0.8", "FAILURE: 80"])
    assert score(model, mode="number").p_fail == 0.8
    assert model.asked[1].last.startswith("End with one line")


LONG = 100_000


@pytest.mark.parametrize(
    "text",
    [
        "\n" * LONG,
        " \n" * (LONG // 2),
        "*" * LONG,
        "FAILURE" + " " * LONG,
        "FAILURE:" + " " * LONG + "x",
        "FAILURE: 5" + " " * LONG + "x",
        "FAILURE: 5" + "*" * LONG,
        "FAILURE\n" * (LONG // 8),
        "FAILURE: x\n" * (LONG // 11),
        "FAILURE: " + "9" * LONG,
        "yes" * (LONG // 3),
        "\x00" * LONG,
    ],
)
def test_hostile_replies_are_read_at_once(text):
    started = time.process_time()
    assert _of_number(text) is None
    _of_tokens([Token("yes", -0.1)], text)
    assert time.process_time() - started < 0.05


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "logprobs"}, "mode must be auto, logprob or number"),
        ({"last_steps": 0}, "last_steps must be a whole number of at least 1"),
        ({"max_tokens": 0}, "max_tokens must be a whole number of at least 1"),
        ({"prompt": "{act}"}, r"nothing fills {act}; .*did you mean {action}\?"),
    ],
)
def test_options_that_mean_nothing_are_refused(options, message):
    with pytest.raises(InvalidInput, match=message):
        ChatCritic(ScriptedModel([""]), **options)
