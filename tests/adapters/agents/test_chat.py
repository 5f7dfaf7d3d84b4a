import asyncio
import hashlib
import json
import math
import time

import pytest

from forbear.adapters.agents.chat import ChatAgent
from forbear.adapters.agents.tools import ToolSet
from forbear.contracts.border import checked_action
from forbear.contracts.draw import Draw
from forbear.contracts.environment import Observation
from forbear.critics.heuristic import RandomCritic
from forbear.errors import AgentError, InvalidInput
from forbear.interventions import Rollback
from forbear.models.chat import Completion, Token, ToolCall
from forbear.models.client import OpenAIChat
from forbear.policy.arm import Arm
from forbear.policy.policy import InterventionPolicy
from forbear.records.model import Action, Step, Task, Termination, Trajectory
from forbear.runner.plan import PilotPlan
from forbear.testing import AgentContract, Corridor, ScriptedModel, WordCritic
from forbear.testing.chat_server import ChatServer, answer, called
from runner.pilots import run, tasks

DRAW = Draw(task_id="t", seed=1, role="agent")
LEGAL = ("open", "wait", "jump")


def seen(*steps, payload=None, legal=LEGAL, first="door 1", messages=()):
    """A trajectory: executed actions with what was seen then; the last step is open."""
    shown = [first, *(observation for _, observation in steps)]
    done = [action if isinstance(action, Action) else Action(action) for action, _ in steps]
    made = [
        Step(index=i, observation=shown[i], executed=done[i], payload=payload if i == 0 else None)
        for i in range(len(done))
    ]
    opened = Step(index=len(done), observation=shown[-1], legal_actions=legal, messages=messages)
    if not done and payload is not None:
        opened = Step(index=0, observation=first, legal_actions=legal, messages=messages, payload=payload)
    return Trajectory(task=Task(id="t"), steps=(*made, opened))


def act(model, trajectory=None, *, excluded=(), draw=DRAW, **options):
    agent = ChatAgent(model, **options)
    return asyncio.run(agent.act(trajectory or seen(), draw=draw, excluded=excluded))


def call(name, arguments, text=""):
    return Completion(text=text, tool_calls=(ToolCall(id="c", name=name, arguments=arguments),))


def tool(name, *required):
    parameters = {"type": "object", "properties": {one: {"type": "string"} for one in required}}
    return {"type": "function", "function": {"name": name, "parameters": {**parameters, "required": list(required)}}}


WORLD = {"tools": [tool("search", "text"), tool("book", "from", "to")]}


class TestTheContract(AgentContract):
    def make(self):
        return ChatAgent(ScriptedModel(lambda asked: f"open {asked.draw.integer() % 3}"), mode="line")

    def variants(self):
        model = ScriptedModel(["open"])
        return [
            ChatAgent(model, mode="text"),
            ChatAgent(model),
            ChatAgent(model, mode="line", legal="hint"),
            ChatAgent(model, mode="line", legal="grammar"),
            ChatAgent(model, mode="line", system="Go."),
            ChatAgent(model, mode="line", system=""),
            ChatAgent(model, mode="line", temperature=0.5),
            ChatAgent(model, mode="line", max_tokens=9),
            ChatAgent(model, mode="line", logprobs=True),
            ChatAgent(model, mode="line", history_steps=2),
            ChatAgent(model, mode="line", name="other"),
            ChatAgent(ScriptedModel(["open"], name="other"), mode="line"),
        ]

    def trajectories(self):
        return [seen(), seen(("open", "door 2"))]


# --- What it proposes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "text", "thought"),
    [
        ("Action: open", "open", None),
        ("It is shut.\nAction: open\n", "open", "It is shut."),
        ("action:open", "open", None),
        ("Action 3: search[Rome]", "search[Rome]", None),
        ("**Action:** open", "open", None),
        ("**Action: open**", "open", None),
        ("> Action: `ls *`", "ls *", None),
        ("Action: ls *", "ls *", None),
        ("Action: [1, 2]", "[1, 2]", None),
        ("Action:\nopen", "open", None),
        ("Action:\r\nopen\r\n", "open", None),
        ("Action: a\nAction: b", "a", None),
        ("The reaction: none.\nAction: open", "open", "The reaction: none."),
        ("Action: open\x1b[31m\u202e", "open\x1b[31m\u202e", None),
    ],
)
def test_text_mode_takes_the_first_line_of_an_action(said, text, thought):
    model = ScriptedModel([said])
    proposed = act(model, mode="text")
    assert (proposed.text, proposed.rationale) == (text, thought)
    assert len(model.asked) == 1


def test_line_mode_takes_the_first_line_that_says_anything():
    assert act(ScriptedModel(["\n  \n open \nthe rest"]), mode="line") == Action("open")


def test_tools_of_the_world():
    proposed = act(ScriptedModel([call("search", '{"text": "Rome"}', "Look it up.")]), seen(payload=WORLD))
    assert proposed == Action("search[Rome]", payload={"tool": "search", "arguments": {"text": "Rome"}})
    assert proposed.rationale == "Look it up."
    model = ScriptedModel([call("book", '{"to": "B", "from": "A"}')])
    assert act(model, seen(payload=WORLD)).text == 'book({"from": "A", "to": "B"})'
    assert list(model.asked[0].options.tools) == WORLD["tools"]


def test_a_world_without_tools_has_one_that_takes_a_text():
    model = ScriptedModel([call("act", '{"action": " open "}')])
    assert act(model) == Action("open")
    (offered,) = model.asked[0].options.tools
    assert offered["function"]["parameters"]["properties"]["action"]["enum"] == list(LEGAL)


@pytest.mark.parametrize(
    ("first", "complaint", "shown"),
    [
        (Completion(text="I open it."), "no call of a tool", "I open it."),
        (Completion(), "no call of a tool", "(no action)"),
        (call("search", "{broken"), "no JSON object", "search({broken)"),
        (call("search", '["x"]'), "no JSON object", 'search(["x"])'),
        (call("search", '{"text": NaN}'), "no JSON object", 'search({"text": NaN})'),
        (call("search", '{"text": 1e999}'), "no JSON object", 'search({"text": 1e999})'),
        (call("search", '{"text": ' + "9" * 400 + "}"), "no JSON object", "search({"),
        (call("search", '{"text": ' + "[" * 200 + "]" * 200 + "}"), "no JSON object", "search({"),
        (call("search", "[" * 100_000), "no JSON object", "search([["),
        (call("search", "{}"), "lacks 'text'", "search({})"),
        (call("search", ""), "lacks 'text'", "search()"),
        (call("dig\x1b[2J", "{}"), "no tool 'dig\\x1b[2J'; there are 'search', 'book'", "dig"),
    ],
)
def test_what_is_no_usable_call_is_asked_about_once_and_then_the_step_counts(first, complaint, shown):
    model = ScriptedModel([first, call("search", '{"text": "Rome"}')])
    assert act(model, seen(payload=WORLD)).text == "search[Rome]"
    *_, answered, asked = model.asked[1].messages
    assert answered["content"].startswith(shown)
    assert complaint in asked["content"]
    assert model.asked[0].draw != model.asked[1].draw
    stubborn = ScriptedModel([first])
    proposed = checked_action(act(stubborn, seen(payload=WORLD)))
    assert proposed.text.startswith(shown)
    assert proposed.payload is None
    assert len(stubborn.asked) == 2


@pytest.mark.parametrize("arguments", ['{"action": null}', '{"action": " "}', '{"action": {"x": 1}}', '{"action": 5}'])
def test_an_action_that_is_no_text_is_asked_about(arguments):
    model = ScriptedModel([call("act", arguments), call("act", '{"action": "open"}')])
    assert act(model) == Action("open")
    assert "must be a text" in model.asked[1].last


@pytest.mark.parametrize("mode", ["text", "line", "tools"])
@pytest.mark.parametrize("said", ["", " \n\t\u3000\n"])
def test_an_empty_answer_is_asked_about_once_and_is_then_no_action(mode, said):
    model = ScriptedModel([said])
    assert act(model, mode=mode) == Action("(no action)")
    assert len(model.asked) == 2
    assert model.asked[1].messages[-2] == {"role": "assistant", "content": "(no action)"}


@pytest.mark.parametrize("mode", ["text", "line", "tools", "choice"])
@pytest.mark.parametrize(("refusal", "text"), [("I cannot do that.", "I cannot do that."), (" ", "(no action)")])
def test_a_refusal_is_the_action_and_is_not_argued_with(mode, refusal, text):
    model = ScriptedModel([Completion(refusal=refusal)])
    assert act(model, mode=mode).text == text
    assert len(model.asked) == 1


def test_log_probabilities_go_with_the_action():
    said = Completion(text="open", tokens=(Token("op", -0.5), Token("en", -0.1)))
    model = ScriptedModel([said])
    assert act(model, mode="line", logprobs=True).logprobs == (-0.5, -0.1)
    assert model.asked[0].options.logprobs


# --- Legal actions ------------------------------------------------------------------------------------------


def test_hints_stand_behind_what_was_seen():
    model = ScriptedModel(["open"])
    act(model, mode="line", legal="hint", excluded=(Action("jump"),))
    assert model.asked[0].last == "door 1\n\nPossible actions: open; wait; jump\nDo not do this: jump"


def test_a_grammar_admits_nothing_but_the_legal_actions():
    odd = ('say "hi"', "two\nlines", "back\\slash", "bell\x07\x0c", "é")
    model = ScriptedModel(["Action: two\nlines"])
    assert act(model, seen(legal=odd), mode="text", legal="grammar") == Action("two\nlines")
    assert model.asked[0].options.grammar == (
        'root ::= "Action: " ("say \\x22hi\\x22" | "two\\x0Alines" | "back\\x5Cslash" | "bell\\x07\\x0C" | "é")'
    )
    line = ScriptedModel(["two\nlines"])
    assert act(line, seen(legal=odd), mode="line", legal="grammar") == Action("two\nlines")
    assert line.asked[0].options.grammar.startswith('root ::= "say \\x22hi\\x22" | "two\\x0Alines" | ')
    assert act(ScriptedModel(["go"]), seen(legal=None), mode="line", legal="grammar") == Action("go")


def letters(**logprobs):
    first = Token("A", logprobs.get("A", -9.0), logprobs)
    return Completion(text="A", tokens=(first,))


def test_choice_draws_by_the_log_probabilities_of_the_letters():
    model = ScriptedModel([letters(A=math.log(0.2), B=math.log(0.7), C=math.log(0.1))])
    chosen = [act(model, mode="choice", draw=Draw(task_id="t", seed=seed, role="agent")).text for seed in range(400)]
    assert [chosen.count(one) / 400 for one in LEGAL] == pytest.approx([0.2, 0.7, 0.1], abs=0.08)
    assert model.asked[0].last == "door 1\n\nA. open\nB. wait\nC. jump"
    greedy = {act(model, mode="choice", temperature=0, draw=DRAW.sample(n)).text for n in range(20)}
    assert greedy == {"wait"}
    assert act(model, mode="choice", excluded=(Action("wait"),)).text in ("open", "jump")
    assert act(model, mode="choice", excluded=tuple(map(Action, LEGAL))).text in LEGAL


def test_a_choice_that_is_none_of_the_letters_is_what_was_said():
    assert act(ScriptedModel([Completion(text="?", tokens=(Token("?", -0.1),))]), mode="choice").text == "?"
    assert act(ScriptedModel([Completion(tokens=())]), mode="choice").text == "(no action)"


@pytest.mark.parametrize(
    ("legal", "said", "message"),
    [
        (tuple(map(str, range(21))), letters(A=-1.0), "takes 1 to 20 legal actions, this world offers 21 here"),
        ((), letters(A=-1.0), "offers 0"),
        (None, letters(A=-1.0), "offers 0"),
        (LEGAL, Completion(text="A"), "needs log-probabilities"),
    ],
)
def test_a_choice_that_cannot_be_made_is_the_agents_failure(legal, said, message):
    with pytest.raises(AgentError, match=message):
        act(ScriptedModel([said]), seen(legal=legal), mode="choice")


# --- What it sees -------------------------------------------------------------------------------------------


def roles(conversation):
    return [message["role"] for message in conversation]


def test_the_conversation_in_each_mode():
    done = Action("open", rationale="Why not.")
    trajectory = seen((done, "door 2"), messages=("Careful.",))
    model = ScriptedModel(["Action: open"])
    act(model, trajectory, mode="text", system="Task {task}.")
    assert model.asked[0].messages == (
        {"role": "system", "content": "Task t."},
        {"role": "user", "content": "door 1"},
        {"role": "assistant", "content": "Why not.\nAction: open"},
        {"role": "user", "content": "Observation: door 2\n\nCareful."},
    )
    act(model, trajectory, mode="line", system="")
    assert model.asked[-1].messages == (
        {"role": "user", "content": "door 1"},
        {"role": "assistant", "content": "open"},
        {"role": "user", "content": "door 2\n\nCareful."},
    )
    tools = ScriptedModel([call("act", '{"action": "open"}')])
    act(tools, trajectory)
    _, _, called, answered, told = tools.asked[0].messages
    assert called["tool_calls"][0]["function"] == {"name": "act", "arguments": '{"action": "open"}'}
    assert (called["content"], answered["tool_call_id"]) == ("Why not.", called["tool_calls"][0]["id"])
    assert told == {"role": "user", "content": "Careful."}


def test_a_worlds_own_call_and_what_replaced_one_are_shown_as_calls():
    own = Action("search[Rome]", payload={"tool": "search", "arguments": {"text": "Rome"}})
    odd = Action("book", payload={"tool": "book", "arguments": None})
    trajectory = seen((own, "found"), ("say hi", "hi"), (odd, "?"), payload=WORLD)
    model = ScriptedModel([call("search", '{"text": "x"}')])
    act(model, trajectory)
    functions = [m["tool_calls"][0]["function"] for m in model.asked[0].messages if m.get("tool_calls")]
    assert [(f["name"], json.loads(f["arguments"])) for f in functions] == [
        ("search", {"text": "Rome"}),
        ("act", {"action": "say hi"}),
        ("book", {}),
    ]


@pytest.mark.parametrize("mode", ["text", "line", "tools"])
def test_no_message_is_empty(mode):
    model = ScriptedModel([call("act", '{"action": "open"}', "Action: open")])
    act(model, seen(("open", ""), ("open", " \n"), first=""), mode=mode)
    assert all(m["content"] or m.get("tool_calls") for m in model.asked[0].messages)
    assert roles(model.asked[0].messages)[:2] == ["system", "user"]


def test_the_latest_steps_and_what_was_seen_first():
    trajectory = seen(*[("open", f"door {n}") for n in range(2, 6)])
    model = ScriptedModel(["open"])
    act(model, trajectory, mode="line", system="", history_steps=1)
    assert [m["content"] for m in model.asked[0].messages] == [
        "door 1\n\n(... 3 steps left out ...)",
        "open",
        "door 5",
    ]
    act(model, trajectory, mode="line", system="", history_steps=9)
    assert "left out" not in str(model.asked[-1].messages)


def test_after_a_rollback_it_is_told_and_draws_again(tmp_path):
    def answer(asked):
        return "open" if "not jump" in str(asked.last) else "jump"

    model = ScriptedModel(answer)
    policy = InterventionPolicy(critic=WordCritic({"jump": 0.9}), intervention=Rollback(message="not {action}"))
    plan = PilotPlan(
        tasks=tasks(2),
        agent=lambda: ChatAgent(model, mode="line", system=""),
        environment=lambda: Corridor(doors=1),
        arms=[Arm.baseline(), Arm("rollback", policy)],
        max_steps=3,
    )
    result = run(plan, tmp_path)
    assert {e.success for (_, _, arm), e in result.episodes.items() if arm == "rollback"} == {True}
    told = [asked for asked in model.asked if "not jump" in str(asked.last)]
    assert {asked.last for asked in told} == {"You stand at door 1 of 1.\n\nnot jump"}
    assert {asked.draw.attempt for asked in told} == {1}


# --- What is hostile ----------------------------------------------------------------------------------------

LONG = 100_000
HOSTILE = {
    "line breaks": "\n" * LONG,
    "marks": "*" * LONG,
    "lines of marks": "* \n" * (LONG // 3),
    "action and blanks": "action" + " " * LONG,
    "action, colon and blanks": "action:" + " " * LONG,
    "action and colons": "action" + ":" * LONG,
    "actions without colon": "action\n" * (LONG // 7),
    "actions with marks": ("*" * 12 + "action" + "*" * 4 + "\n") * (LONG // 23),
    "many actions": "Action: x\n" * (LONG // 10),
    "one line": "Action: " + "x" * LONG,
    "surrogates": "Action: " + "\ud800" * LONG,
    "escape sequences": "\x1b[2J\x00" * (LONG // 5),
}


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("mode", ["text", "line", "tools"])
def test_hostile_answers_are_read_at_once(kind, mode):
    agent = ChatAgent(ScriptedModel([HOSTILE[kind]]), mode=mode)
    said = Completion(text=HOSTILE[kind])
    started = time.process_time()
    agent._read(said, ToolSet({}, ()), LEGAL)
    assert time.process_time() - started < 0.05
    checked = checked_action(asyncio.run(agent.act(seen(), draw=DRAW)))
    assert checked.text.strip()
    checked.text.encode()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "tool"}, "mode is tools, text, line or choice"),
        ({"legal": "hints"}, "legal is ignore, hint or grammar"),
        ({"legal": "grammar"}, "goes with mode text or line"),
        ({"history_steps": 0}, "history_steps must be a whole number of at least 1"),
        ({"history_steps": True}, "history_steps must be"),
        ({"max_tokens": 0}, "max_tokens must be a whole number of at least 1"),
        ({"temperature": -0.1}, "temperature must be a number of at least 0, got -0.1"),
        ({"system": "{goal}"}, "nothing fills {goal}; known are {task}"),
    ],
)
def test_options_that_mean_nothing_are_refused(options, message):
    with pytest.raises(InvalidInput, match=message):
        ChatAgent(ScriptedModel([""]), **options)


# --- A server that answers anything -------------------------------------------------------------------------


class Library:
    """A world with tools of its own, done when Rome is found."""

    replay_safe = True

    async def reset(self, task, *, draw):
        return Observation(text="", payload=WORLD)

    async def step(self, action, *, draw):
        done = action.payload == {"tool": "search", "arguments": {"text": "Rome"}}
        return Observation(text=f"You did {action.text[:20]}.", done=done, success=done or None, legal_actions=LEGAL)

    def config(self):
        return {"name": "library"}


ANYTHING = [
    answer("Action: open"),
    answer("open"),
    answer(""),
    answer(" \n\x00\x1b[2J\u202e"),
    answer("Action:\n" * 500),
    answer("\ud800 \udfff"),
    answer("", refusal="I will not.\ud800"),
    answer("x" * 50_000, finish_reason="length"),
    answer("", tool_calls=[]),
    answer("", tool_calls=[called("search", '{"text": "Rome"}')]),
    answer("I look.", tool_calls=[called("search", '{"text": "\\ud800"}')]),
    answer("", tool_calls=[called("search", "[" * 10_000)]),
    answer("", tool_calls=[called("book", '{"from": {"a": [1, 2.5, null]}, "to": "x"}')]),
    answer("", tool_calls=[called("act", '{"action": "open"}'), called("act", '{"action": "jump"}')]),
    answer("", tool_calls=[called("", ""), called("search", "{}")]),
    answer(
        "", tool_calls=[{"id": None, "type": "function", "function": {"name": "act", "arguments": {"action": "open"}}}]
    ),
    answer("open", logprobs=[{"token": "B", "logprob": -9999.0, "top_logprobs": []}]),
    answer("A", logprobs=[]),
]


def anything(request):
    number = int.from_bytes(hashlib.sha256(json.dumps(request, sort_keys=True).encode()).digest()[:4], "big")
    return ANYTHING[number % len(ANYTHING)]


@pytest.mark.parametrize("mode", ["text", "line", "tools"])
@pytest.mark.parametrize("world", [Library, Corridor])
def test_a_pilot_ends_whatever_the_model_says(tmp_path, mode, world):
    with ChatServer(anything) as server:
        model = OpenAIChat("test", base_url=server.url, timeout_s=5.0, patience_s=3.0)
        policy = InterventionPolicy(
            critic=RandomCritic(rate=0.3), intervention=Rollback(message="\x1b no", exclude=True)
        )
        plan = PilotPlan(
            tasks=tasks(6),
            agent=lambda: ChatAgent(model, mode=mode, legal="hint", logprobs=True),
            environment=world,
            arms=[Arm.baseline(), Arm("rollback", policy)],
            max_steps=5,
        )
        result = run(plan, tmp_path)
        asked = len(server.requests)
        assert {e.termination for e in result.episodes.values()} <= {Termination.FINISHED, Termination.STEP_LIMIT}
        steps = [step for e in result.episodes.values() for step in e.steps]
        assert all(step.executed.text.strip() for step in steps if step.executed)
        (tmp_path / "episodes.jsonl").unlink()
        assert run(plan, tmp_path).episodes.keys() == result.episodes.keys()
        assert len(server.requests) == asked
