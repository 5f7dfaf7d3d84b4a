import pickle
import sys
from pathlib import Path

import pytest

from forbear.adapters.pilot_file import read_pilot_file
from forbear.errors import InvalidInput
from forbear.interventions import Append, Placebo, Restart, Rollback
from forbear.runner.plan import freeze
from forbear.stats.looks.looks import Looks
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
    assert (described.concurrency, described.retries, described.sync) == (16, 2, "group")
    always = write_pilot(tmp_path, text=TEXT.replace("seeds = [1]", 'sync = "always"'))
    assert read_pilot_file(always).sync == "always"


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


def test_looks_are_a_list_or_one_short_line(tmp_path):
    plans = {
        text: read_pilot_file(
            write_pilot(tmp_path, text=TEXT.replace("[run]", f"[run]\nlooks = {text}\nwatch = false"))
        ).plan
        for text in ("[6, 8, 10, 12]", '"6-12/2"')
    }
    assert [plan.looks for plan in plans.values()] == [Looks(tasks=(6, 8, 10, 12), watch=False)] * 2


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
        (
            "threshold = 0.7",
            "depth = 0",
            r"line 16: arm.intervention: Rollback's depth must be a whole number of at least 1",
        ),
        (
            'intervention = "append"',
            'intervention = "apend"',
            r"line 21: arm.intervention: 'apend' is neither built in nor .*did you mean 'append'",
        ),
        ('name = "append"', 'name = "rollback"', "arm name 'rollback' occurs twice"),
        ("max_steps = 6", "max_stps = 6", "line 27: run.max_stps: unknown key 'max_stps'; did you mean 'max_steps'"),
        ("max_steps = 6", "max_steps = 0", "max_steps must be a whole number of at least 1"),
        ("max_steps = 6", "workers = 0", "line 27: run.workers: expected a whole number of at least 1, got 0"),
        ("max_steps = 6", "workers = 1.5", "line 27: run.workers: expected a whole number, got 1.5"),
        ("max_steps = 6", "concurrency = 0", "line 27: run.concurrency: expected a whole number of at least 1, got 0"),
        ("max_steps = 6", "retries = -1", "line 27: run.retries: expected a whole number of at least 0, got -1"),
        ("max_steps = 6", 'sync = "never"', "line 27: run.sync: sync must be 'group' or 'always', got 'never'"),
        ("max_steps = 6", "sync = true", "line 27: run.sync: expected a text, got True"),
        ("max_steps = 6", 'shape = "square"', "line 26: run: the shape of looks"),
        ("max_steps = 6", 'looks = "few"', "line 27: run.looks: looks are rising whole numbers"),
        ("max_steps = 6", "watch = 1", "line 27: run.watch: expected true or false, got 1"),
        ("seeds = [1]", "seeds = [1, 1]", "seed 1 occurs twice"),
        ("seeds = [1]", "seeds = 1", "line 28: run.seeds: expected a list, got 1"),
        ("worthwhile = 0.05", "worthwhile = -0.05", "line 30: rule: margin must not exceed worthwhile"),
        ("worthwhile = 0.05", 'guarantee = "sure"', "line 30: rule: guarantee must be"),
        ("worthwhile = 0.05", "alpha = true", "line 31: rule.alpha: expected a number, got True"),
        ("[rule]", "[rules]", "line 30: rules: unknown key 'rules'; did you mean 'rule'"),
        ('"forbear.testing:Corridor"', '"household2"', "line 1: environment: 'household2' is neither built in nor"),
        ('"forbear.testing:Corridor"', '"householt"', "did you mean 'household'"),
        ('"forbear.testing:Corridor"', '"no_such_module:make"', "cannot be imported .ModuleNotFoundError"),
        ('"forbear.testing:Corridor"', '"forbear.testing:Nothing"', "cannot be imported .AttributeError"),
        ('"forbear.testing:Corridor"', '"forbear.testing:__doc__"', "is a str, not something to call"),
        (
            '"forbear.testing:Corridor"',
            '"os:getcwd"',
            "line 1: environment: the environment's factory gave .* has no reset and no step",
        ),
        (
            "options = { scores =",
            "options = { scored =",
            "'forbear.testing:WordCritic' has no option 'scored'; did you mean 'scores'",
        ),
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
    assert str(caught.value).startswith("pilot.toml")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "line",
    [
        '{"id": 3}',
        "[1]",
        "no json",
        '{"id": "a", "answer": 1}',
        '{"id": ""}',
        '{"id": "a", "stratum": 1}',
        '{"id": "a", "cluster": ["c"]}',
        "[" * 100_000,
    ],
)
def test_unusable_tasks_are_named_by_line(tmp_path, line):
    path = write_pilot(tmp_path)
    (tmp_path / "tasks.jsonl").write_text('{"id": "fine"}\n' + line, encoding="utf-8")
    with pytest.raises(InvalidInput, match=r"tasks\.jsonl, line 2") as caught:
        read_pilot_file(path)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "raw",
    [
        b"\xff\xfe\x00",
        b"a" * (2 << 20),
        b"x = " + b"[" * 100_000,
        b"x = " + b"9" * 5_000,
        b"a." * 500_000 + b"a = 1",
        b"[" + b"a." * 400_000 + b"a]\n" + b"b.c = 1\n" * 20_000,
        b'x = """\n[' + b" " * 900_000 + b'\n"""',
    ],
)
def test_what_is_no_toml_is_refused(tmp_path, raw):
    path = tmp_path / "pilot.toml"
    path.write_bytes(raw)
    with pytest.raises(InvalidInput):
        read_pilot_file(path)


def test_a_missing_file_says_how_to_get_one(tmp_path):
    with pytest.raises(InvalidInput, match="forbear pilot init"):
        read_pilot_file(tmp_path / "none.toml")


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="needs a file that never ends")
def test_a_file_that_never_ends_is_given_up(tmp_path):
    with pytest.raises(InvalidInput, match="zero: larger than 1 MiB"):
        read_pilot_file("/dev/zero")
    (tmp_path / "endless.jsonl").symlink_to("/dev/zero")
    path = write_pilot(tmp_path, text=TEXT.replace("tasks.jsonl", "endless.jsonl"))
    with pytest.raises(InvalidInput, match=r"line 12: tasks.source: endless\.jsonl: larger than 64 MiB"):
        read_pilot_file(path)


def test_tasks_are_lines_as_json_has_them(tmp_path):
    path = write_pilot(tmp_path)
    (tmp_path / "tasks.jsonl").write_text('{"id": "a\u2028b"}\r\n\n{"id": "c"}\n', encoding="utf-8")
    assert [task.id for task in read_pilot_file(path).plan.tasks] == ["a\u2028b", "c"]


def test_options_of_the_run_have_one_default(tmp_path):
    read = read_pilot_file(write_pilot(tmp_path, text=TEXT.replace("seeds = [1]", "workers = 3")))
    assert (read.workers, list(read.plan.seeds), read.plan.design) == (3, [42], "auto")
    assert read_pilot_file(write_pilot(tmp_path)).workers == 1


def test_the_deadline_of_the_run_is_that_of_its_critics(tmp_path):
    digests = set()
    for line in ("", "critic_deadline_s = 2", "critic_deadline_s = 3.5"):
        text = TEXT.replace("seeds = [1]", f"seeds = [1]\n{line}")
        digests.add(freeze(read_pilot_file(write_pilot(tmp_path, text=text)).plan).digest)
    assert len(digests) == 3


# --- Parts of one's own -----------------------------------------------------------------------------------

MINE = """\
import asyncio
from dataclasses import dataclass
from typing import Literal

from forbear.contracts.intervention import Continue, Retry
from forbear.errors import InvalidInput
from forbear.records.model import Task


@dataclass(frozen=True, kw_only=True)
class Nudge:
    text: str = "Think."
    tone: Literal["soft", "hard"] = "soft"
    weight: float = 1.0
    words: tuple[str, ...] = ()
    limit: int | None = None
    budget: int = 7
    name: str = "nudge"

    def apply(self, trajectory, proposed, *, score, draw):
        return Continue(message=self.text)

    def config(self):
        return {"kind": "nudge", "text": self.text, "tone": self.tone, "budget": self.budget}


class Plain:
    name = "plain"

    def __init__(self, times=1):
        if times < 1:
            raise InvalidInput("times must be at least 1.")
        self.times = times

    def apply(self, trajectory, proposed, *, score, draw):
        return Retry()

    def config(self):
        return {"kind": "plain", "times": self.times}


class Shy(Plain):
    def config(self):
        return None


class Secret(Plain):
    async def act(self, trajectory, *, draw, excluded=()):
        raise NotImplementedError

    async def reset(self, task, *, draw):
        raise NotImplementedError

    step = score = reset
    replay_safe = True

    def config(self):
        raise KeyError("k")


class Vague(Plain):
    def config(self):
        return {"at": object()}


class Odd(Plain):
    def is_control(self):
        return False


def fails(**options):
    raise KeyError("no \x1b[31mkey")


def leaves(**options):
    raise SystemExit(3)


def cancels(**options):
    raise asyncio.CancelledError


class Unsaid(Exception):
    def __str__(self):
        raise RuntimeError


def unsaid(**options):
    raise Unsaid


def tasks(*, count, prefix="t", limits=None):
    return [Task(id=f"{prefix}{i}", payload=limits) for i in range(count)]


def any_tasks(**options):
    return [Task(id=name) for name in options]


def nothing(**options):
    return None
"""


def written(folder, *, monkeypatch, old='intervention = "append"', new):
    (folder / "mine.py").write_text(MINE, encoding="utf-8")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    assert old in TEXT
    return write_pilot(folder, text=TEXT.replace(old, new))


def test_an_intervention_of_ones_own_takes_its_options_from_its_fields(tmp_path, monkeypatch):
    new = """intervention = "mine:Nudge"
text = "Look."
tone = "hard"
weight = 2
words = ["a"]
limit = 3
budget = 1
options = { budget = 4 }"""
    arm = read_pilot_file(written(tmp_path, monkeypatch=monkeypatch, new=new)).plan.arms[2]
    made = arm.policy.intervention
    assert (arm.name, arm.policy.budget) == ("append", 1)
    assert (made.text, made.tone, made.weight, made.limit, made.budget) == ("Look.", "hard", 2, 3, 4)


def test_an_arm_is_called_by_what_it_does_unless_it_has_a_name(tmp_path, monkeypatch):
    path = written(
        tmp_path,
        monkeypatch=monkeypatch,
        old='name = "append"\nintervention = "append"',
        new='intervention = "mine:Plain"\noptions = { times = 2 }',
    )
    arm = read_pilot_file(path).plan.arms[2]
    assert (arm.name, arm.policy.intervention.times) == ("Plain", 2)


def test_a_restart_is_built_in(tmp_path):
    text = TEXT.replace('intervention = "append"', 'intervention = "restart"\nmessage = "{why}"\nexclude = true')
    assert read_pilot_file(write_pilot(tmp_path, text=text)).plan.arms[2].policy.intervention == Restart(
        message="{why}", exclude=True
    )


@pytest.mark.parametrize(
    ("new", "message"),
    [
        ('intervention = "mine:Nudge"\ntxt = "a"', "line 22: arm.txt: unknown key 'txt'; did you mean 'text'"),
        ('intervention = "mine:Nudge"\nlimit = "a"', "line 22: arm.limit: expected a whole number, got 'a'"),
        ('intervention = "mine:Nudge"\nwords = "a"', "line 22: arm.words: expected a list, got 'a'"),
        ('intervention = "mine:Nudge"\noptions = { bdget = 4 }', "line 22: .*bdget'; did you mean 'budget'"),
        ('intervention = "mine:Plain"\ntimes = 2', "line 22: arm.times: unknown key 'times'"),
        ('intervention = "mine:Plain"\noptions = { times = 0 }', "line 21: arm.intervention: times must be at least"),
        (
            'intervention = "mine:Plain"\noptions = { tms = 0 }',
            "line 22: arm.options: 'mine:Plain' has no option 'tms'; did you mean 'times'",
        ),
        (
            'intervention = "mine:Shy"',
            r"line 21: arm.intervention: the intervention's config\(\) must return a mapping, got NoneType",
        ),
        (
            'intervention = "mine:Secret"',
            r"line 21: arm.intervention: the intervention's config\(\) raised KeyError: 'k'",
        ),
        (
            'intervention = "append"\ncritic = "mine:Secret"',
            r"line 22: arm.critic: the critic's config\(\) raised KeyError",
        ),
        (
            'intervention = "mine:Vague"',
            r"line 21: arm.intervention: the intervention's config\(\) must be JSON",
        ),
        ('intervention = "mine:Odd"', "line 21: arm.intervention: Odd.is_control must be a property"),
        ('intervention = "mine:Nuge"', "line 21: arm.intervention: 'mine:Nuge' cannot be imported"),
        ('intervention = "rollback"\nmessage = "{pfail}"', r"line 21: .*nothing fills \{pfail\}.*mean \{p_fail\}\?"),
        ('intervention = "append"\ncritic = "mine:nothing"', "line 22: arm.critic: the critic's factory gave None"),
        ('intervention = "append"\n[arm.critic]\nuse = "mine:nothing"', "line 22: arm.critic: the critic's factory"),
    ],
)
def test_what_is_wrong_with_an_arm_is_said_with_its_place(tmp_path, monkeypatch, new, message):
    with pytest.raises(InvalidInput, match=message) as caught:
        read_pilot_file(written(tmp_path, monkeypatch=monkeypatch, new=new))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("old", "place"),
    [
        ('intervention = "append"', "line 21: arm.intervention"),
        ('use = "forbear.testing:WordCritic"', "line 7: critic"),
        ('use = "forbear.testing:CoinFlipAgent"', "line 3: agent"),
        ('"forbear.testing:Corridor"', "line 1: environment"),
        ('source = "tasks.jsonl"', "line 12: tasks.source"),
    ],
)
@pytest.mark.parametrize(
    ("factory", "says"),
    [
        ("fails", r"'mine:fails' raised KeyError: .*key' \(mine.py, line \d+\)"),
        ("leaves", r"'mine:leaves' raised SystemExit: 3 \(mine.py, line \d+\)"),
        ("cancels", r"'mine:cancels' raised CancelledError \(mine.py, line \d+\)"),
        ("unsaid", r"'mine:unsaid' raised Unsaid: its text could not be read \(mine.py, line \d+\)"),
        ("nothing", "gave None|raised TypeError"),
    ],
)
def test_a_factory_that_breaks_is_named_with_its_place(tmp_path, monkeypatch, old, place, factory, says):
    new = old[: old.index('"')] + f'"mine:{factory}"'
    with pytest.raises(InvalidInput, match=f"^pilot.toml, {place}: .*({says})") as caught:
        freeze(read_pilot_file(written(tmp_path, monkeypatch=monkeypatch, old=old, new=new)).plan)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        ('use = "forbear.testing:CoinFlipAgent"\noptions', 'use = "mine:Secret"\n# options', "agent"),
        ('"forbear.testing:Corridor"', '"mine:Secret"', "environment"),
    ],
)
def test_a_config_that_breaks_names_its_part(tmp_path, monkeypatch, old, new, kind):
    path = written(tmp_path, monkeypatch=monkeypatch, old=old, new=new)
    with pytest.raises(InvalidInput, match=rf"the {kind}'s config\(\) raised KeyError: 'k'"):
        freeze(read_pilot_file(path).plan)


def test_a_factory_of_tasks_takes_its_own_options(tmp_path, monkeypatch):
    new = 'source = "mine:tasks"\ncount = 3\nprefix = "x"\nlimits = { steps = [1, 2] }'
    path = written(tmp_path, monkeypatch=monkeypatch, old='source = "tasks.jsonl"', new=new)
    tasks = read_pilot_file(path).plan.tasks
    assert [(task.id, task.payload) for task in tasks] == [(f"x{i}", {"steps": [1, 2]}) for i in range(3)]
    path = written(
        tmp_path, monkeypatch=monkeypatch, old='source = "tasks.jsonl"', new='source = "mine:any_tasks"\na = 1\nb = 2'
    )
    assert [task.id for task in read_pilot_file(path).plan.tasks] == ["a", "b"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("cuont = 3", "line 13: tasks.cuont: unknown key 'cuont'; did you mean 'count'?"),
        ('count = "3"', "line 12: tasks.source: 'mine:tasks' raised TypeError"),
        ("", "line 12: tasks.source: 'mine:tasks' raised TypeError.*missing.*count"),
    ],
)
def test_options_that_a_factory_of_tasks_does_not_take_are_named(tmp_path, monkeypatch, options, message):
    new = f'source = "mine:tasks"\n{options}'
    path = written(tmp_path, monkeypatch=monkeypatch, old='source = "tasks.jsonl"', new=new)
    with pytest.raises(InvalidInput, match=message):
        read_pilot_file(path)


def test_factories_can_be_sent_to_another_process(tmp_path):
    plan = read_pilot_file(write_pilot(tmp_path)).plan
    again = pickle.loads(pickle.dumps(plan.agent))
    assert again().config() == plan.agent().config()


BLIND = """
[[arm]]
name = "chance"
intervention = "blind"
like = "append"
rates = [0.2, 0.1]
"""


def test_a_blind_arm_is_another_arm_of_the_file_with_a_coin_for_a_critic(tmp_path):
    # Before the arm that it is like, which is looked up by name.
    text = TEXT.replace('[[arm]]\nname = "rollback"', BLIND + '\n[[arm]]\nname = "rollback"')
    arms = {arm.name: arm for arm in read_pilot_file(write_pilot(tmp_path, text=text)).plan.arms}
    assert list(arms) == ["baseline", "chance", "rollback", "append", "placebo"]
    chance, like = arms["chance"], arms["append"]
    assert (chance.blind_of, chance.is_control) == ("append", True)
    assert chance.policy.intervention == like.policy.intervention
    assert chance.policy.critic.rates == (0.2, 0.1)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('like = "append"', 'like = "nobody"'), r"like: there is no arm 'nobody'; the others are rollback, append"),
        (('like = "append"', ""), r"'like' is missing"),
        (('like = "append"', 'like = "placebo"'), r"rates: arm 'placebo' has no critic to be blind to"),
        (("[0.2, 0.1]", "[2.0]"), r"rates: rates must be a list of numbers in \[0, 1\]"),
        (("[0.2, 0.1]", "0.2"), r"rates: expected a list"),
        (("rates = [0.2, 0.1]", ""), r"'rates' is missing"),
        (("rates = [0.2, 0.1]", "rates = [0.2]\nthreshold = 0.5"), r"unknown key 'threshold'"),
    ],
)
def test_what_is_wrong_with_a_blind_arm_is_said_with_its_line(change, said, tmp_path):
    text = TEXT.replace("[run]", BLIND.replace(*change) + "\n[run]")
    with pytest.raises(InvalidInput, match=said) as error:
        read_pilot_file(write_pilot(tmp_path, text=text))
    assert "pilot.toml, line " in str(error.value)
