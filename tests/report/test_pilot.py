import base64
import hashlib
import html
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import get_args, get_type_hints, is_typeddict

import pytest

from forbear.analysis.blind import matching_rates
from forbear.analysis.evidence import evidence_of
from forbear.critics.blind import blind_arm
from forbear.interventions import Append
from forbear.policy.arm import Arm
from forbear.policy.policy import InterventionPolicy
from forbear.records.model import Task
from forbear.report import pictures
from forbear.report.bars import ceilings_chart, doings_chart, offline_chart
from forbear.report.charts import in_order
from forbear.report.html import pilot_html
from forbear.report.markdown import markdown, pilot_markdown
from forbear.report.pilot_text import pilot_text, plan_text
from forbear.report.pilot_view import PilotView, pilot_json, pilot_view
from forbear.report.sections.forks import MOST_FORKS
from forbear.runner.plan import freeze
from forbear.stats.looks.looks import Looks
from forbear.testing import CoinFlipAgent, WordCritic
from forbear.wording import percent, points, points_interval
from runner.pilots import ALL_ARMS, POLICY, plan, run

DOCS = Path(__file__).parents[2] / "docs"
HOSTILE = '<script>alert(1)</script>\x1b[31m[red]{{ 7*7 }}"onload='


def found(directory, pilot):
    result = run(pilot, directory)
    evidence = evidence_of(result)
    return pilot_view(result, evidence, title="Pilot mine", journal=str(directory)), result, evidence


@pytest.fixture(scope="module")
def pilot(tmp_path_factory):
    return found(tmp_path_factory.mktemp("pilot") / "j", plan(ALL_ARMS, n=40))


class _Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.open, self.attributes = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in ("meta", "br", "input"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_well_formed_and_loads_nothing(pilot):
    text = pilot_html(pilot[0])
    page = _Page()
    page.feed(text)
    assert page.open == []
    assert not {"src", "onload", "style"} & {name for name, _ in page.attributes}
    assert all(value.startswith("#") for name, value in page.attributes if name == "href")
    assert "http" not in re.sub(r"http-equiv", "", text)


def test_a_page_runs_one_script_and_has_one_style_both_named_by_their_hash(pilot):
    text = pilot_html(pilot[0])
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    for tag, rule in (("script", "script-src"), ("style", "style-src")):
        (source,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
        assert f"{rule} 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    assert len(re.findall("<script", text)) == 1 + len(re.findall('<script type="application/json"', text))


def test_the_page_names_what_to_do_before_anything_else(pilot):
    view, _, _ = pilot
    text = pilot_html(view)
    assert view["overview"]["text"] in html.unescape(text)
    assert text.index(html.escape(view["overview"]["text"], quote=False)[:9]) < text.index('class="arm')
    for number, name in enumerate(view["arms"], 1):
        assert f'<a href="#arm-{number}">{name}</a>' in text
        assert f'id="arm-{number}"' in text


def test_nothing_is_said_twice_of_an_arm(pilot):
    for section in re.findall(r'<section class="arm.*?</section>', pilot_html(pilot[0]), re.DOTALL):
        headings = re.findall("<h3>(.*?)</h3>", section)
        assert "Where it first stepped in" in headings or "Where baseline fails more, or less" in headings
        assert len(headings) == len(set(headings))


def test_the_gain_elsewhere_is_that_of_the_function(pilot):
    view, result, evidence = pilot
    rule, looks = result.plan.rule, result.plan.looks.tasks
    for name, arm in view["arms"].items():
        curve = arm["break_even"]
        assert curve["confidence"] == pytest.approx(1 - 2 * rule.alpha / len(looks))
        assert [point["failure_rate"] for point in curve["points"]] == [rate / 100 for rate in range(101)]
        verdict = evidence.verdicts[name]
        r, d = verdict.recovery_rate.value, verdict.disruption_rate.value
        for point in curve["points"]:
            p = point["failure_rate"]
            assert point["line"] == pytest.approx(p * r - (1 - p) * d)
            assert point["low"] <= min(point["line"], curve["unchanged"])
            assert point["high"] >= max(point["line"], curve["unchanged"])


def test_where_the_sides_part_they_do_something_else_for_the_first_time(pilot):
    forks = [fork for arm in pilot[0]["arms"].values() for fork in arm["forks"]]
    assert any(fork["parts"] for fork in forks), "all part at once: nothing is tested"
    for fork in forks:
        ours, theirs = ([step["executed"] for step in fork[side]["steps"]] for side in ("baseline", "treated"))
        parts = fork["parts"]
        assert ours[:parts] == theirs[:parts]
        assert ours[parts : parts + 1] != theirs[parts : parts + 1]


def test_what_was_told_stands_where_it_was_told():
    dropped = [
        {"shown": shown, "action": f"act {shown}", "decision": "rollback", "p_fail": None, "why": []}
        for shown in (0, 1, 3)
    ]
    step = {"messages": ["a", "b", "c", "d"], "dropped": dropped}
    assert [one if kind == "told" else one["action"] for kind, one in in_order(step)] == (
        ["act 0", "a", "act 1", "b", "c", "act 3", "d"]
    )


def test_every_changed_task_stands_side_by_side(pilot):
    view, result, _ = pilot
    for name, arm in view["arms"].items():
        changed = {
            task
            for (task, seed, a), episode in result.episodes.items()
            if a == name and episode.success != result.episodes[task, seed, "baseline"].success
        }
        assert {fork["task"] for fork in arm["forks"]} == changed
        assert len(arm["forks"]) + arm["forks_left_out"] == arm["verdict"]["recovered"] + arm["verdict"]["disrupted"]
        for fork in arm["forks"]:
            own = result.episodes[fork["task"], fork["seed"], name]
            first = own.first_intervention or 0
            assert fork["step"] == first
            assert fork["treated"]["steps"][0]["index"] == first
            before = result.episodes[fork["task"], fork["seed"], "baseline"]
            if own.first_intervention is not None:
                assert own.steps[:first] == before.steps[:first]


def test_text_shows_every_arm_within_80_columns(pilot):
    text = pilot_text(pilot[0])
    assert max(map(len, text.splitlines())) <= 80
    for arm in ALL_ARMS[1:]:
        assert arm.name in text
    assert "saved" in text
    assert "auroc" in text


def test_json_has_the_documented_keys(pilot):
    view, _, _ = pilot
    data = json.loads(pilot_json(view))
    assert data == view
    assert data["format"] == "forbear-pilot-2"
    assert set(data) >= {"plan_digest", "journal", "report", "tasks", "seeds", "design", "critic", "baseline", "arms"}
    assert set(data["baseline"]) >= {"arm", "success", "agent_calls", "critic_calls", "steps", "usage"}
    assert set(data["arms"]) == {arm.name for arm in ALL_ARMS[1:]}
    for arm in data["arms"].values():
        assert arm["verdict"]["format"] == "forbear-verdict-2"
        assert arm["new_calls"] <= arm["agent_calls"]
    assert data["critic"]["auroc"]["confidence"] == 0.95


def test_what_could_have_been_gained_stands_beside_what_was(pilot):
    view, result, _ = pilot
    rows = {row["label"]: row for row in view["ceilings"]["rows"]}
    for name, arm in view["arms"].items():
        verdict, rerun = arm["verdict"], result.plan.arms[name].kind == "rerun"
        row = rows.pop(f"{name}: the better of two runs" if rerun else name)
        assert row["ceiling"] == pytest.approx(verdict["recovered"] / verdict["pairs"])
        assert row["tax"] == (0 if rerun else pytest.approx(verdict["disrupted"] / verdict["pairs"]))
        assert row["gain"] == (None if rerun else verdict["success_gain"])
        calls = {one: view["arms"][one]["agent_calls"] for one in view["arms"]}
        alone = 0 if rerun else view["baseline"]["agent_calls"]
        assert row["more_calls"] == pytest.approx((calls[name] - alone) / 40)
    assert rows == {}
    chart = ceilings_chart(view["ceilings"])
    for drawn, row in zip(chart["rows"], view["ceilings"]["rows"], strict=True):
        assert 0 <= drawn["tax"] <= chart["zero"] <= drawn["ceiling"] <= 640
        assert (drawn["value"] is None) == (row["gain"] is None)
    page = pilot_html(view)
    assert "What could have been gained" in page
    assert "rerun: the better of two runs" in page


def test_several_seeds_are_a_choice_too(tmp_path):
    view, result, _ = found(tmp_path / "j", plan([Arm.baseline(), Arm("rollback", POLICY)], n=20, seeds=(1, 2)))
    (row,) = (row for row in view["ceilings"]["rows"] if row["label"].startswith("best of 2 runs by "))
    won = [[result.episodes[f"t{n:02}", seed, "baseline"].success for seed in (1, 2)] for n in range(20)]
    assert row["ceiling"] == pytest.approx(sum(map(any, won)) / 20 - sum(map(sum, won)) / 40)
    assert row["gain"]["value"] <= row["ceiling"]
    assert row["label"] in pilot_html(view)


def test_a_critic_s_auroc_stands_beside_the_gain_of_each_arm_that_listens_to_it(pilot):
    view, _, _ = pilot
    known = {
        name: view["critics"][arm["critic"]]["auroc"]
        for name, arm in view["arms"].items()
        if arm["critic"] in view["critics"] and view["critics"][arm["critic"]]["auroc"] is not None
    }
    assert {"rollback", "append", "placebo"} <= set(known) < set(view["arms"])
    rows = [(name, auroc, view["arms"][name]["verdict"]["success_gain"]) for name, auroc in known.items()]
    chart = offline_chart(rows)
    for drawn, (name, auroc, gain) in zip(chart["rows"], rows, strict=True):
        assert drawn["label"] == name
        low, value, high = drawn["auroc"]
        assert 150 <= low <= value <= high <= 280
        assert (value > chart["coin"]) == (auroc["value"] > 0.5)
        low, value, high = drawn["gain"]
        assert 360 <= low <= value <= high <= 540
        assert (value > chart["zero"]) == (gain["value"] > 0)
    said = pictures.offline(view).says
    assert all(f"{name}: AUROC " in said for name in known)
    assert pictures.offline({**view, "critics": {}}) is None


def test_what_arms_did_is_drawn_as_it_stands_in_the_table(pilot):
    view, _, _ = pilot
    arms = {view["baseline"]["arm"]: view["baseline"], **view["arms"]}
    chart = doings_chart(arms)
    for row, (name, arm) in zip(chart["rows"], arms.items(), strict=True):
        assert row["arm"] == name
        shares = [arm["no_answer_rate"], arm["cascade_rate"], arm["noop_rate"]]
        assert [bar["share"] for bar in row["bars"]] == shares
        assert [bar["length"] for bar in row["bars"]] == (
            [None if share is None else pytest.approx(96 * share, abs=0.1) for share in shares]
        )
    assert doings_chart({f"arm {n}": view["baseline"] for n in range(99)})["left_out"] == 59


def test_markdown_says_what_to_do_and_what_it_took(pilot):
    view, _, _ = pilot
    text = pilot_markdown(view)
    lines = text.splitlines()
    assert lines[0].startswith("### forbear: ")
    assert markdown(view["overview"]["text"]) in lines[0]
    for name, arm in view["arms"].items():
        gain = arm["verdict"]["success_gain"]
        (row,) = (line for line in lines if line.startswith(f"| {name} |") and points(gain["value"]) in line)
        assert points_interval(gain["low"], gain["high"]) in row
        for said in (*arm["verdict"]["cautions"], *arm["verdict"]["next"], *arm["verdict"]["reasons"]):
            assert f"- {markdown(said['text'])}" in lines
        assert f"| {name} | {percent(arm['success'])} |" in text
    tested = [name for name, arm in view["arms"].items() if not arm["is_control"]]
    for name in tested[:6]:  # what to do stands before what is folded
        assert text.index(f"**{name}**") < text.index("<details>")
    assert view["plan_digest"][:12] in text
    assert f"{view['calls']['paid']:,}" in text
    assert text.count("<details>") == text.count("</details>") == len(view["arms"])
    tables = [line.count("|") for line in lines if line.startswith("| ")]
    assert set(tables) == {10, 7, 5}
    assert "Again: `" not in text
    assert "Again: `forbear report it`" in pilot_markdown({**view, "command": "forbear report it"})


def test_markdown_of_many_arms_fits_a_comment(pilot):
    view, _, _ = pilot
    arms = {f"{name}{i}": arm for i in range(60) for name, arm in view["arms"].items()}
    text = pilot_markdown({**view, "arms": arms})
    assert len(text) < 65_536
    assert "arms is in the page" in text
    waits = {name: {**arm, "verdict": {**arm["verdict"], "recommendation": "UNDECIDED"}} for name, arm in arms.items()}
    go = {**waits.popitem()[1], "verdict": {**view["arms"]["rollback"]["verdict"], "arm": "the last"}}
    go["verdict"]["recommendation"] = "INTERVENE"
    assert "\n| the last | ✅ INTERVENE | " in pilot_markdown({**view, "arms": {**waits, "the last": go}})


def test_every_key_of_the_json_is_documented():
    text, seen, missing = (DOCS / "formats.md").read_text("utf-8"), set(), []

    def walk(kind):
        for part in get_args(kind):
            walk(part)
        if is_typeddict(kind) and kind not in seen:
            seen.add(kind)
            for key, of in get_type_hints(kind).items():
                if f"`{key}`" not in text and f'"{key}"' not in text:
                    missing.append(f"{kind.__name__}.{key}")
                walk(of)

    walk(PilotView)
    assert len(seen) > 20
    assert missing == []


def test_hostile_text_is_inert(tmp_path):
    tasks = [Task(id=f"{HOSTILE}{i}") for i in range(30)]
    agent = CoinFlipAgent({"open": 3, HOSTILE: 2, "jump": 0.7}, warned={"jump": 1})
    policy = InterventionPolicy(
        critic=WordCritic({HOSTILE: 0.9}), intervention=Append(message=HOSTILE.replace("{", "{{").replace("}", "}}"))
    )
    arms = [Arm.baseline(), Arm("<i>append</i>", policy)]
    view, _, _ = found(tmp_path / "j", plan(arms, tasks=tasks, agent=lambda: agent))
    assert next(iter(view["arms"].values()))["forks"], "nothing changed, so nothing hostile is shown"
    page = pilot_html(view)
    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page
    assert "<i>" not in page
    assert "{{ 7*7 }}" in page
    for text in (page, pilot_text(view), pilot_markdown({**view, "command": f"forbear `{HOSTILE}"})):
        assert "\x1b" not in text
    assert "<script>" not in re.sub(r"\\.", "", text)
    assert "<i>" not in text


def test_a_page_of_many_arms_draws_some_and_names_all(pilot):
    view, _, _ = pilot
    (name, arm), *_ = view["arms"].items()

    def called(other, recommendation):
        return {**arm, "verdict": {**arm["verdict"], "arm": other, "recommendation": recommendation}, "forks": []}

    arms = {f"{name}-{n}": called(f"{name}-{n}", "UNDECIDED") for n in range(99)}
    arms["the last"] = called("the last", "INTERVENE")
    page = pilot_html({**view, "arms": arms})
    assert len(page) < 2_000_000
    sections = re.findall(r'<section class="arm.*?</section>', page, re.DOTALL)
    assert len(sections) == 60
    assert sum("My deployment fails at" in section for section in sections) == 12
    assert "My deployment fails at" in sections[-1]
    assert 'id="arm-100"' in sections[-1]
    rows = page[: page.index("<section")]
    assert all(other in rows for other in arms)
    assert set(re.findall(r'href="#(arm-\d+)"', page)) == set(re.findall(r'id="(arm-\d+)"', page))
    assert "Of 100 arms 12 have all their pictures here, and 60 their numbers" in page


@pytest.mark.slow
def test_a_page_is_bounded(tmp_path):
    agent = CoinFlipAgent({"x" * 5000: 1, "open": 5}, warned={"jump": 1})
    policy = InterventionPolicy(critic=WordCritic({}, otherwise=0.9), intervention=Append())
    view, _, _ = found(
        tmp_path / "j",
        plan([Arm.baseline(), Arm("append", policy)], n=90, agent=lambda: agent, looks=Looks(tasks=(90,), watch=False)),
    )
    (arm,) = view["arms"].values()
    assert 0 < len(arm["forks"]) <= MOST_FORKS
    assert len(arm["forks"]) + arm["forks_left_out"] == arm["verdict"]["recovered"] + arm["verdict"]["disrupted"]
    assert arm["forks_left_out"] > 0
    assert len(pilot_html(view)) < 1_500_000


def test_a_plan_says_what_it_costs_at_most():
    text = plan_text(freeze(plan([Arm.baseline(), Arm("rollback", POLICY)], n=8, max_steps=12)))
    assert "8 tasks x 1 seed(s) x 2 arms: 16 episodes" in text
    assert "at most 96 for the baseline, and 120 for all arms together" in text  # 8 x 12, and 8 x (12 + a budget of 3)
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.slow
def test_arms_that_were_run_apart_are_shown_from_the_start(tmp_path):
    view, result, _ = found(tmp_path / "j", plan([Arm.baseline(), Arm("rollback", POLICY)], n=40, design="independent"))
    forks = [fork for arm in view["arms"].values() for fork in arm["forks"]]
    assert forks
    assert {fork["step"] for fork in forks} == {0}
    for fork in forks:
        before = result.episodes[fork["task"], fork["seed"], "baseline"]
        assert len(fork["baseline"]["steps"]) == len(before.steps)
    assert "as arms were run apart" in pilot_html(view)


def test_what_the_critic_adds_stands_in_text_page_and_json(tmp_path):
    like = Arm("append", InterventionPolicy(critic=WordCritic({"jump": 0.9}), intervention=Append()))
    arms = [Arm.baseline(), like, blind_arm(like, rates=[0.1])]
    pilot = plan(arms, n=20, looks=Looks(tasks=(20,), watch=False, futility=0.0))
    view, result, evidence = found(tmp_path / "j", pilot)
    data, remark = json.loads(pilot_json(view))["arms"], evidence.blind["append"].remarks()[0]
    assert data["blind"]["against_blind"] is None
    said = data["append"]["against_blind"]
    assert said["gain"]["value"] == pytest.approx(
        (result.arms["append"].successes - result.arms["blind"].successes) / 20
    )
    assert said["interventions_per_episode"] == data["append"]["interventions_per_episode"]
    assert said["blind_interventions_per_episode"] == data["blind"]["interventions_per_episode"]
    assert remark.text.startswith("The critic is ")
    assert remark.text in " ".join(pilot_text(view).replace("\n ", " ").split())
    assert "The critic is " in pilot_html(view)
    assert data["blind"]["description"].startswith("append (message")
    assert "at random, as often as 'append'" in data["blind"]["description"]
    assert data["blind"]["verdict"]["headline"]["text"].startswith("CONTROL: the intervention of 'append' at random")


def test_a_plan_that_was_tried_says_which_rates_match(tmp_path):
    like = Arm("append", InterventionPolicy(critic=WordCritic({"jump": 0.9}), intervention=Append()))
    pilot = plan([Arm.baseline(), like], n=20, looks=Looks(tasks=(20,), watch=False, futility=0.0))
    _, result, _ = found(tmp_path / "j", pilot)
    text = " ".join(plan_text(freeze(pilot), shadow=result).split())
    assert f"A blind arm steps in as often as 'append' did with rates = {matching_rates(result, 'append')}." in text
