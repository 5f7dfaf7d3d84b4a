import pytest

from forbear.adapters.agents.tools import ToolSet
from forbear.models.chat import Completion, ToolCall
from forbear.records.model import Action, Step, Task, Trajectory


def of(payload):
    return ToolSet.of(Trajectory(task=Task(id="t"), steps=(Step(index=0, observation="", payload=payload),)))


def tool(name, **function):
    return {"type": "function", "function": {"name": name, **function}}


def said(name, arguments):
    return Completion(tool_calls=(ToolCall(id="", name=name, arguments=arguments),))


@pytest.mark.parametrize(
    "payload",
    [
        None,
        "tools",
        [],
        {},
        {"tools": None},
        {"tools": "search"},
        {"tools": 5},
        {"tools": {"function": {"name": "x"}}},
        {"tools": [None, "x", {}, {"function": "x"}, {"function": {"name": 5}}, {"function": {"name": ""}}]},
    ],
)
def test_what_holds_no_tools_leaves_the_generic_one(payload):
    tools = of(payload)
    assert tools.specs == ()
    assert tools.offered(None)[0]["function"]["name"] == "act"
    assert tools.read(said("act", '{"action": "go"}')) == ("go", None, None)


def test_no_steps_no_tools():
    assert ToolSet.of(Trajectory(task=Task(id="t"), steps=())).specs == ()


def test_entries_that_are_no_tools_and_second_ones_are_not_offered():
    first, second = tool("a", parameters={"required": ["x"]}), tool("b")
    tools = of({"tools": [first, "junk", tool("a", parameters={"required": ["y"]}), second]})
    assert tools.offered(None) == (first, second)
    assert tools.read(said("a", '{"x": "1"}')) == ("a[1]", {"tool": "a", "arguments": {"x": "1"}}, None)


@pytest.mark.parametrize("parameters", ["x", 5, None, [], {"required": "name"}, {"required": 5}, {"required": [1]}])
def test_parameters_that_are_no_schema_require_nothing(parameters):
    tools = of({"tools": [tool("a", parameters=parameters)]})
    assert tools.read(said("a", "{}")) == ("a({})", {"tool": "a", "arguments": {}}, None)


def test_an_unusable_call_is_cut():
    text, payload, complaint = of(None).read(said("act", "x" * 1_000_000))
    assert (len(text), payload) == (10_000, None)
    assert "no JSON object" in complaint


def test_the_generic_tool_names_legal_actions_once_and_not_when_they_are_many():
    tools = of(None)
    action = tools.offered(("a", "b", "a"))[0]["function"]["parameters"]["properties"]["action"]
    assert action["enum"] == ["a", "b"]
    many = tools.offered(tuple(map(str, range(101))))[0]["function"]["parameters"]["properties"]["action"]
    assert "enum" not in many


def test_an_action_of_another_world_is_shown_as_the_generic_call():
    called = of(None).call_of(Action("a", payload={"tool": "a", "arguments": {}}), id="7")
    assert (called["id"], called["function"]) == ("7", {"name": "act", "arguments": '{"action": "a"}'})
