"""Pilots of language models from the command line: templates, plans, budgets, bills."""

import json

import pytest

from forbear.cli.main import run
from forbear.records.journal import Journal
from forbear.testing.chat_server import ChatServer, answer, refused
from local_model import needs_model
from runner.chats import PAID, fixed
from runner.pilots import digest

PILOT = """
environment = "runner.chats:world"

[model]
use = "openai"
options = {{ model = "test", base_url = "{url}", temperature = 1.0, patience_s = 2.0 }}

[prices]
test = {{ input = 1.0, output = 2.0 }}

[agent]
use = "chat"
options = {{ mode = "line" }}

[tasks]
source = "runner.pilots:tasks"
count = 6

[critic]
use = "chat"

[[arm]]
intervention = "rollback"
threshold = 0.6

[run]
max_steps = 6
{more}
"""
EACH = (PAID[0] * 1.0 + PAID[1] * 2.0) / 1e6


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder, server, *, more="", then=""):
    (folder / "pilot.toml").write_text(PILOT.format(url=server.url, more=more) + then, encoding="utf-8")


def test_what_is_tried_is_paid_for_once_and_said(folder, capsys):
    with ChatServer(fixed) as server:
        write(folder, server)
        assert run(["pilot", "check", "pilot.toml"]) == 0
        checked, asked = capsys.readouterr().out, len(server.requests)
        assert f"language models: {asked * sum(PAID):,} tokens, a cost of" in checked
        assert run(["pilot", "plan", "pilot.toml"]) == 0
        planned, tried = capsys.readouterr().out, len(server.requests)
        assert "Tried: the first 3 tasks under every arm took" in planned
        assert "expected" in planned
        assert run(["pilot", "run", "pilot.toml", "--json"]) == 0
        view = json.loads(capsys.readouterr().out)
        bill = view["calls"]["bill"]
        assert bill["tokens"] == len(server.requests) * sum(PAID) > tried * sum(PAID)
        assert bill["cost"] == pytest.approx(len(server.requests) * EACH)
        each = view["arms"]["rollback"]["switching_on"]["per_episode"]
        assert each["tokens"] == pytest.approx(each["calls"] * sum(PAID))
        assert len(view["arms"]["rollback"]["switching_on"]["per_recovered"]) == 4
        whole = len(server.requests)
        assert run(["pilot", "run", "pilot.toml"]) == 0
        shown = capsys.readouterr().out
        assert "Switching rollback on takes" in shown
        assert f"Paid for in all, critics included: {whole}" in shown
        page = (folder / "runs/pilot/report.html").read_text(encoding="utf-8")
        assert "switched on, it takes more" in page
        assert len(server.requests) == whole


def test_a_budget_stops_with_the_state_so_far_and_exit_3(folder, capsys):
    with ChatServer(fixed) as server:
        write(folder, server, then="[budget]\nmax_calls = 20\n")
        assert run(["pilot", "run", "pilot.toml"]) == 3
        said = capsys.readouterr()
        assert "evidence: the first" in said.out
        assert "the budget is spent: max_calls = 20" in said.err
        assert 20 <= len(server.requests) <= 20 + 16
        write(folder, server)
        assert run(["pilot", "run", "pilot.toml"]) == 0
        first = digest(folder / "runs/pilot")
        assert run(["pilot", "run", "pilot.toml", "--journal", "again"]) == 0
        assert digest(folder / "again") == first


def test_a_critic_that_breaks_fails_the_check_with_what_it_said(folder, capsys):
    def respond(request):
        is_critic = "Will the agent fail" in request["messages"][0]["content"]
        return (
            answer("Who knows?\x1b[31m", logprobs=[{"token": "Who", "logprob": -1.0}]) if is_critic else fixed(request)
        )

    with ChatServer(respond) as server:
        write(folder, server)
        assert run(["pilot", "check", "pilot.toml"]) == 2
        error = capsys.readouterr().err
        assert "its critic owed" in error
        assert "Who knows?\ufffd[31m" in error


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (refused(401, "bad key sk-abcdefgh"), "refuses the key"),
        (refused(404, "no such model"), "does not know it"),
    ],
)
def test_a_provider_that_refuses_us_is_said_in_one_line(folder, capsys, reply, said):
    with ChatServer(lambda request: reply) as server:
        write(folder, server)
        assert run(["pilot", "run", "pilot.toml"]) == 3
    error = capsys.readouterr().err
    assert said in error
    assert "sk-abcdefgh" not in error
    assert error.count("\n") <= 2


def test_the_template_of_ones_own_parts_runs_as_it_stands(folder, capsys):
    assert run(["pilot", "init", "--template", "own"]) == 0
    assert run(["pilot", "init", "--template", "own"]) == 2
    capsys.readouterr()
    assert run(["pilot", "run", "pilot.toml", "--json"]) == 0
    view = json.loads(capsys.readouterr().out)
    assert view["arms"]["rollback"]["interventions_per_episode"] > 0
    assert 0.4 < view["baseline"]["success"] < 0.9


def test_the_template_of_tools_runs_as_it_stands_where_there_is_a_model(folder, capsys, monkeypatch):
    def respond(request):
        if request.get("top_logprobs"):
            return fixed(request)
        call = {"name": "finish", "arguments": '{"answer": "Paris"}'}
        return answer("", tool_calls=[{"id": "1", "type": "function", "function": call}], finish_reason="tool_calls")

    with ChatServer(respond) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-not-a-real-one")
        assert run(["pilot", "init", "--template", "tools"]) == 0
        assert run(["pilot", "run", "pilot.toml", "--look", "1"]) == 0
        assert {tool["function"]["name"] for tool in server.requests[0]["tools"]} == {"search", "lookup", "finish"}
    kept = "".join(path.read_text(encoding="utf-8") for path in (folder / "runs/pilot").iterdir())
    assert "sk-not-a-real-one" not in kept


def test_the_template_of_gaia_runs_as_it_stands_and_scores_as_gaia_does(folder, capsys, monkeypatch):
    def respond(request):
        if request.get("top_logprobs"):
            return fixed(request)
        asked = request["messages"][1]["content"]
        said = (
            "$385"
            if "train" in asked
            else "23,29, 31 ,37"
            if "prime" in asked
            else "the neon"
            if "iron" in asked
            else ""
        )
        call = {"name": "finish", "arguments": json.dumps({"answer": said})}
        return answer("", tool_calls=[{"id": "1", "type": "function", "function": call}], finish_reason="tool_calls")

    with ChatServer(respond) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-not-a-real-one")
        assert run(["pilot", "init", "--template", "gaia"]) == 0
        capsys.readouterr()
        assert run(["pilot", "run", "pilot.toml", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["baseline"]["success"] == pytest.approx(2 / 12)


@pytest.mark.slow
@needs_model
def test_a_real_model_is_piloted_as_agent_and_critic_twice_the_same(folder, capsys):
    """The template with fewer tasks: determinism, counts and calls; never the verdict."""
    assert run(["pilot", "init", "--template", "chat"]) == 0
    text = (folder / "pilot.toml").read_text(encoding="utf-8")
    small = text.replace("n = 120", "n = 8").replace("looks = [60, 120]", "")
    assert small.count("n = 8") == 1
    (folder / "pilot.toml").write_text(small, encoding="utf-8")
    views = {}
    for journal, workers in (("one", "1"), ("two", "2")):
        capsys.readouterr()
        assert run(["pilot", "run", "pilot.toml", "--json", "--journal", journal, "--workers", workers]) == 0
        views[journal] = json.loads(capsys.readouterr().out)
    assert digest(folder / "one") == digest(folder / "two")
    view = views["one"]
    episodes = Journal(folder / "one").read().episodes
    assert len(episodes) == 8 * 6
    answers = (folder / "one" / "responses.jsonl").read_bytes().count(b"\n")
    asked_critic = sum(p.critic_usage != {} for e in episodes.values() for s in e.steps for p in s.proposals)
    assert 8 * 2 <= answers <= 8 * 2 + 8 * 4 + asked_critic
    assert view["baseline"]["usage"]["agent"]["paid"]["calls"] == 8
    assert view["calls"]["bill"]["tokens"] > 0
    assert set(view["critics"]) == {name for name in view["critics"] if name.startswith(("token-", "chat-"))}
    before = (folder / "one" / "responses.jsonl").read_bytes()
    assert run(["pilot", "run", "pilot.toml", "--journal", "one"]) == 0
    assert (folder / "one" / "responses.jsonl").read_bytes() == before
