import pytest

from forbear.adapters.pilot_file import read_pilot_file
from forbear.errors import InvalidInput
from forbear.interventions import Append, Placebo, Rollback
from forbear.runner.plan import freeze
from pilot_files import TEXT, write_pilot


def test_a_file_becomes_a_plan(tmp_path):
    described = read_pilot_file(write_pilot(tmp_path))
    plan = described.plan
    assert [task.id for task in plan.tasks][:2] == ["t<b>0</b>", "t<b>1</b>"]
    assert [task.stratum for task in plan.tasks][:2] == ["even", "odd"]
    assert [arm.name for arm in plan.arms] == ["baseline", "rollback", "append", "placebo"]
    assert [type(arm.policy.intervention) for arm in plan.arms[1:]] == [Rollback, Append, Placebo]
    assert [arm.policy.threshold for arm in plan.arms[1:]] == [0.7, 0.6, 0.6]
    assert (plan.max_steps, list(plan.seeds), plan.rule.worthwhile) == (6, [1], 0.05)
    assert plan.agent().config()["weights"] == {"open": 0.8, "wait": 0.12, "jump": 0.08}
    assert plan.agent() is not plan.agent()
    assert (described.concurrency, described.retries) == (16, 2)


def test_arms_that_name_the_same_critic_share_it(tmp_path):
    plan = read_pilot_file(write_pilot(tmp_path)).plan
    assert len({id(arm.policy.critic) for arm in plan.arms[1:]}) == 1
    assert len(freeze(plan).critics) == 1


def test_a_number_of_tasks_can_be_asked_for(tmp_path):
    text = TEXT.replace('source = "tasks.jsonl"', 'source = "tasks.jsonl"\nn = 3')
    assert len(read_pilot_file(write_pilot(tmp_path, text=text)).plan.tasks) == 3


def test_the_rule_is_part_of_the_plan(tmp_path):
    digests = set()
    for worthwhile in ("0.05", "0.06"):
        text = TEXT.replace("worthwhile = 0.05", f"worthwhile = {worthwhile}")
        digests.add(freeze(read_pilot_file(write_pilot(tmp_path, text=text)).plan).digest)
    assert len(digests) == 2


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "threshold = 0.7",
            "treshold = 0.7",
            "line 17: arm.treshold: unknown key .*did you mean 'threshold'",
        ),
        ("threshold = 0.7", "threshold = 1.7", r"line 14: arm: threshold must be a number in \[0, 1\], got 1.7"),
        ("threshold = 0.7", 'threshold = "high"', r"line 17: arm.threshold: expected a number, got 'high'"),
        ("threshold = 0.7", "depth = 0", r"line 14: arm: Rollback's depth must be a whole number of at least 1"),
        (
            'intervention = "append"',
            'intervention = "apend"',
            r"line 21: .*no intervention 'apend'.*did you mean 'append'",
        ),
        ('name = "append"', 'name = "rollback"', "arm name 'rollback' occurs twice"),
        ("max_steps = 6", "max_stps = 6", "line 27: run.max_stps: unknown key 'max_stps'; did you mean 'max_steps'"),
        ("max_steps = 6", "max_steps = 0", "max_steps must be a whole number of at least 1"),
        ("seeds = [1]", "seeds = [1, 1]", "seed 1 occurs twice"),
        ("seeds = [1]", "seeds = 1", "line 28: run.seeds: expected a list, got 1"),
        ("worthwhile = 0.05", "worthwhile = -0.05", "line 30: rule: margin must not exceed worthwhile"),
        ("worthwhile = 0.05", "alpha = true", "line 31: rule.alpha: expected a number, got True"),
        ("[rule]", "[rules]", "line 30: rules: unknown key 'rules'; did you mean 'rule'"),
        ('"forbear.testing:Corridor"', '"household2"', "line 1: environment: 'household2' is neither built in nor"),
        ('"forbear.testing:Corridor"', '"householt"', "did you mean 'household'"),
        ('"forbear.testing:Corridor"', '"no_such_module:make"', "cannot be imported .ModuleNotFoundError"),
        ('"forbear.testing:Corridor"', '"forbear.testing:Nothing"', "cannot be imported .AttributeError"),
        ('"forbear.testing:Corridor"', '"forbear.testing:__doc__"', "is a str, not something to call"),
        ('"forbear.testing:Corridor"', '"os:getcwd"', "the environment's factory gave .* has no reset and no step"),
        ("options = { scores =", "options = { scored =", "unexpected keyword argument 'scored'"),
        ('source = "tasks.jsonl"', 'source = "task.jsonl"', "line 12: tasks.source: .*task.jsonl cannot be read"),
        ('[tasks]\nsource = "tasks.jsonl"', "", r"the table \[tasks\] is missing"),
        ("[critic]", "[critics]", "critic"),
        ('use = "forbear.testing:WordCritic"', "", "line 7: critic: 'use' is missing; it is a text"),
        ("[run]", "[run", "not TOML"),
        ("[[arm]]", "[arm]", "not TOML"),
    ],
)
def test_every_error_names_its_place(tmp_path, old, new, message):
    assert old in TEXT
    with pytest.raises(InvalidInput, match=message) as caught:
        freeze(read_pilot_file(write_pilot(tmp_path, text=TEXT.replace(old, new))).plan)
    assert str(caught.value).startswith(("pilot.toml", "the environment's factory"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "line", ['{"id": 3}', "[1]", "no json", '{"id": "a", "answer": 1}', '{"id": ""}', "[" * 100_000]
)
def test_unusable_tasks_are_named_by_line(tmp_path, line):
    path = write_pilot(tmp_path)
    (tmp_path / "tasks.jsonl").write_text('{"id": "fine"}\n' + line, encoding="utf-8")
    with pytest.raises(InvalidInput, match=r"tasks\.jsonl, line 2|pilot\.toml") as caught:
        read_pilot_file(path)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("raw", [b"\xff\xfe\x00", b"a" * (2 << 20), b"x = " + b"[" * 100_000])
def test_what_is_no_toml_is_refused(tmp_path, raw):
    path = tmp_path / "pilot.toml"
    path.write_bytes(raw)
    with pytest.raises(InvalidInput):
        read_pilot_file(path)


def test_a_missing_file_says_how_to_get_one(tmp_path):
    with pytest.raises(InvalidInput, match="forbear pilot init"):
        read_pilot_file(tmp_path / "none.toml")
