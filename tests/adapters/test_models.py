"""Language models in a pilot file: named once, shared by the parts that ask them, and every mistake has its place."""

import json
from dataclasses import replace

import pytest

from forbear.adapters.agents.chat import ChatAgent
from forbear.adapters.parts import placed
from forbear.adapters.pilot_file import read_pilot_file
from forbear.adapters.toml_section import Part
from forbear.critics.chat import ChatCritic
from forbear.critics.heuristic import RepeatedAction
from forbear.errors import InvalidInput
from forbear.models.client import OpenAIChat

TEXT = """\
environment = "forbear.testing:Corridor"

[model]
use = "openai"
options = { model = "small", base_url = "http://127.0.0.1:1/v1" }

[models.judge]
use = "openai"
options = { model = "large", base_url = "http://127.0.0.1:2/v1" }

[agent]
use = "chat"
options = { mode = "line", temperature = 0.7 }

[critic]
use = "chat"
options = { model = "judge" }

[tasks]
source = "tasks.jsonl"

[[arm]]
intervention = "rollback"

[[arm]]
name = "stuck"
intervention = "append"
critic = "repeated-action"

[prices]
small = { input = 0.15, output = 0.6, cached = 0.075 }

[budget]
max_cost = 5
max_calls = 100

[run]
responses = "answers.jsonl"
max_critic_faults = 0.25
"""

MINE = """
class Part:
    def __init__(self, model):
        self.model = model
    async def act(self, trajectory, *, draw, excluded=()): ...
    def config(self):
        return {"model": self.model if isinstance(self.model, str) or self.model is None else self.model.name}

def needs(model):
    return Part(model)

def named(model="gpt-9"):
    return Part(model)

def may(model=None):
    return Part(model)

def takes_any(**options):
    return Part(str(sorted(options)))
"""


def read(folder, *changes, **files):
    text = TEXT
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    (folder / "tasks.jsonl").write_text(json.dumps({"id": "t"}))
    for name, content in files.items():
        (folder / f"{name}.txt").write_text(content)
    (folder / "pilot.toml").write_text(text)
    return read_pilot_file(folder / "pilot.toml")


def test_parts_ask_the_model_that_they_name(tmp_path):
    described = read(tmp_path)
    agent, plan = described.plan.agent(), described.plan
    assert isinstance(agent, ChatAgent)
    assert (agent.config()["model"]["name"], agent.config()["temperature"]) == ("small", 0.7)
    assert agent._model is plan.agent()._model
    assert isinstance(agent._model, OpenAIChat)
    critics = [arm.policy.critic for arm in plan.arms[1:]]
    assert [type(critic) for critic in critics] == [ChatCritic, RepeatedAction]
    assert critics[0].config()["model"]["name"] == "large"


def test_money_faults_and_answers(tmp_path):
    described = read(tmp_path)
    assert described.models.prices.models["small"].cached == 0.075
    assert (described.budget.max_cost, described.budget.max_calls, described.budget.max_tokens) == (5, 100, None)
    assert described.max_critic_faults == 0.25
    assert described.models.responses == tmp_path / "answers.jsonl"


def test_without_a_word_nothing_is_limited(tmp_path):
    text = TEXT[TEXT.index("[prices]") :]
    described = read(tmp_path, (text, ""))
    assert (described.budget, described.models.responses, described.max_critic_faults) == (None, None, 0.1)
    assert described.models.prices.models == {}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            '{ model = "judge" }',
            '{ model = "jugde" }',
            "line 15: critic: there is no model 'jugde'; the file has 'model', 'judge'; did you mean 'judge'?",
        ),
        ('{ model = "judge" }', "{ model = 5 }", "line 15: critic: there is no model '5'"),
        ('mode = "line"', 'mod = "line"', "line 13: agent.options: 'chat' has no option 'mod'; did you mean 'mode'?"),
        (
            'mode = "line"',
            'zzz = "line"',
            "line 13: agent.options: 'chat' has no option 'zzz'; its options are model, mode, legal",
        ),
        ('mode = "line"', 'mode = "lines"', "line 11: agent: the chat agent's mode is tools, text, line or choice"),
        ('mode = "line"', 'system = "no.txt"', "the chat agent's system prompt: .*no.txt cannot be read .No such file"),
        (
            'mode = "line"',
            'system = "bad.txt"',
            "the chat agent's system prompt: nothing fills {goal}; known are {task}",
        ),
        (
            'model = "small"',
            'modle = "small"',
            "line 5: model.options: 'openai' has no option 'modle'; did you mean 'model'?",
        ),
        ('model = "large", ', "", "line 9: models.judge.options: 'openai' needs the option 'model', which is missing"),
        ('base_url = "http://127.0.0.1:1/v1"', 'base_url = "here"', "line 3: model: base_url must be an address"),
        ('use = "openai"', 'use = "opena"', "line 3: model: 'opena' is neither built in nor .*did you mean 'openai'"),
        ("[models.judge]", "[models.model]", "line 7: models.model: .model. has this name already"),
        ("[models.judge]", "[models]", "line 8: models.use: expected a table, got 'openai'"),
        (
            'critic = "repeated-action"',
            'critic = { use = "repeated-action", options = { time = 3 } }',
            "has no option 'time'; did you mean 'times'",
        ),
        (
            'critic = "repeated-action"',
            'critic = "http"',
            "line 28: arm.critic: 'http' needs the option 'url', which is missing",
        ),
        ("input = 0.15", "inputs = 0.15", "prices: the price of 'small' must be a table of input, output"),
        ("input = 0.15", "input = -1", "the price of 'small': input must be a number of at least 0"),
        ("max_cost = 5", "max_cost = 0", "line 33: budget: max_cost must be a number above 0, got 0"),
        (
            "max_cost = 5",
            "max_costs = 5",
            "line 34: budget.max_costs: unknown key 'max_costs'; did you mean 'max_cost'",
        ),
        (
            "max_critic_faults = 0.25",
            "max_critic_faults = 2",
            r"run.max_critic_faults: expected a share in \[0, 1\], got 2",
        ),
    ],
)
def test_every_mistake_has_its_place(tmp_path, old, new, message):
    with pytest.raises(InvalidInput, match=f"pilot.toml, .*{message}"):
        read(tmp_path, (old, new), bad="Do {goal}.").plan.agent()


def test_without_a_model_a_part_that_asks_one_says_what_to_add(tmp_path):
    models = TEXT[TEXT.index("[model]") : TEXT.index("[agent]")]
    with pytest.raises(InvalidInput, match=r"'chat' asks a language model, and this file names none: add \[model\]"):
        read(tmp_path, (models, ""))


def test_prompts_lie_beside_the_file(tmp_path):
    described = read(
        tmp_path,
        ('mode = "line"', 'mode = "line", system = "mine.txt"'),
        ('model = "judge"', 'model = "judge", prompt = "judge.txt"'),
        mine="Do {task}.",
        judge="{action}?",
    )
    assert described.plan.agent()._system == "Do {task}."
    assert set(described.plan.arms[1].policy.critic._prompts.values()) == {"{action}?"}


@pytest.mark.parametrize(
    ("factory", "options", "has_model", "model"),
    [
        ("needs", "", True, "small"),
        ("needs", '{ model = "judge" }', True, "large"),
        ("needs", '{ model = "gpt-5" }', False, "gpt-5"),
        ("named", "", True, "gpt-9"),
        ("named", '{ model = "judge" }', True, "large"),
        ("named", '{ model = "gpt-5" }', True, "gpt-5"),
        ("may", "", True, "small"),
        ("may", "", False, None),
        ("takes_any", "{ a = 1 }", True, "['a']"),
    ],
)
def test_a_part_of_ones_own_gets_a_model_where_it_means_one(tmp_path, monkeypatch, factory, options, has_model, model):
    monkeypatch.syspath_prepend(tmp_path)
    module = f"mine_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{module}.py").write_text(MINE)
    changes = [('use = "chat"\noptions = { mode = "line", temperature = 0.7 }', f'use = "{module}:{factory}"')]
    if options:
        changes = [(changes[0][0], f"{changes[0][1]}\noptions = {options}")]
    if not has_model:
        changes.append((TEXT[TEXT.index("[model]") : TEXT.index("[agent]")], ""))
        changes.append(('use = "chat"\noptions = { model = "judge" }', 'use = "step-count"'))
    assert read(tmp_path, *changes).plan.agent().config() == {"model": model}


def test_a_part_of_ones_own_that_needs_a_model_is_told_of_a_misspelt_one(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "mine_misspelt.py").write_text(MINE)
    agent = 'use = "chat"\noptions = { mode = "line", temperature = 0.7 }'
    with pytest.raises(InvalidInput, match="there is no model 'jugde'; the file has 'model', 'judge'; did you mean"):
        read(tmp_path, (agent, 'use = "mine_misspelt:needs"\noptions = { model = "jugde" }'))


def test_files_of_built_in_parts_lie_beside_the_pilots_and_other_texts_stay_as_they_are(tmp_path):
    part = Part(kind="model", use="local", options="{}", place="pilot.toml")
    server, arm = replace(part, use="openai"), replace(part, kind="intervention", use="append")
    own = replace(part, use="mine:make")
    given = {
        "model": "small.gguf",
        "data": "q.jsonl.gz",
        "prompt": "two\nlines.txt",
        "system": "s.md",
        "message": "see a.txt",
    }
    here = {**given, "model": str(tmp_path / "small.gguf"), "data": str(tmp_path / "q.jsonl.gz")}
    here["system"] = str(tmp_path / "s.md")
    assert placed(given, part, tmp_path) == here
    assert placed(given, server, tmp_path) == {**here, "model": "small.gguf"}
    assert placed({"message": "see a.txt"}, arm, tmp_path) == {"message": "see a.txt"}
    assert placed(given, own, tmp_path) == given
    assert placed({"path": "critics/mine"}, replace(part, kind="critic", use="trained"), tmp_path) == {
        "path": str(tmp_path / "critics/mine")
    }
