"""A pilot through the proxy, by agents that are not ours, to its verdict."""

import json
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pytest.importorskip("uvicorn", reason="the extra serve is not installed")
pytest.importorskip("aiohttp", reason="the extra llm is not installed")

from forbear.adapters.host_file import read_host_file
from forbear.analysis.evidence import evidence_of
from forbear.analysis.result import analyse_journal
from forbear.cli.main import run
from forbear.records.journal import Journal
from forbear.testing.chat_server import ChatServer, answer, refused
from host_files import write_host
from proxy.proxies import Client, piloting

EXAMPLE = Path(__file__).parents[2] / "examples" / "proxy"

PILOT = """\
[host]
agent = "foreign 1"

[tasks]
source = "tasks.jsonl"

[critic]
use = "doubter:Doubter"

[[arm]]
name = "drop"
intervention = "rollback"
threshold = 0.5

[[arm]]
name = "warn"
intervention = "append"
message = "Look first."
threshold = 0.5

[run]
seeds = [7]
looks = [10, 20]
"""

DOUBTER = '''
class Doubter:
    """Expects blind guesses to be wrong."""

    async def score(self, trajectory, proposed, *, draw):
        return 0.9 if proposed.text != "look" and len(trajectory.steps) == 1 else 0.1

    def config(self):
        return {"name": "doubter"}
'''


def scripted(request):
    """Looks or guesses, by the request's seed; having looked it knows."""
    texts = [one["content"] for one in request["messages"]]
    draw = random.Random(f"{request['seed']} {len(texts)}")
    if "There is a ball." in texts:
        return answer("ball")
    return answer("look" if "Look first." in texts or draw.random() < 0.4 else draw.choice(["ball", "cube"]))


def write_pilot(folder, text=PILOT, n=20):
    (folder / "doubter.py").write_text(DOUBTER, encoding="utf-8")
    return write_host(folder, ids=[f"box-{i}" for i in range(n)], text=text)


def play(client, it):
    """An agent that knows a base URL and nothing else."""
    path = "/" + it["base_url"].split("/", 3)[3]
    messages = [{"role": "user", "content": "What is in the box? Say look, or what it is."}]
    for _ in range(4):
        said = client.chat(messages, task=None, path=path, seed=it["model_seed"])
        if said.status != 200:
            return None
        if said.text != "look":
            return said.text == "ball"
        messages += [{"role": "assistant", "content": "look"}, {"role": "user", "content": "There is a ball."}]
    return False


def play_all(client, *, most=10_000):
    for _ in range(most):
        it = client.ask()
        if it["task"] is None:
            return it
        told = client.tell(episode=it["episode"], success=play(client, it), reason="down")
        assert told.status == 200, told.body
    return None


def verdicts(journal):
    return {name: str(one) for name, one in evidence_of(analyse_journal(Journal(journal))).verdicts.items()}


def test_a_pilot_comes_to_its_verdict(tmp_path, capsys):
    file = write_pilot(tmp_path)
    with ChatServer(scripted) as server, piloting(file, tmp_path / "j", server.url) as client:
        assert play_all(client)["over"] is True
        assert client.send("GET", "/forbear/status").json["over"] is True
    episodes = Journal(tmp_path / "j").read().episodes
    dropped = [e for e in episodes.values() if e.arm == "drop" and e.interventions]
    warned = [e for e in episodes.values() if e.arm == "warn" and e.interventions]
    assert dropped
    assert warned
    assert all(len(e.steps[0].proposals) > 1 and e.usage.agent.paid.calls > len(e.steps) for e in dropped)
    assert all(e.interventions == 0 for e in episodes.values() if e.arm in ("baseline", "rerun"))
    assert run(["decide", str(tmp_path / "j")]) == 0
    assert "drop" in capsys.readouterr().out
    assert run(["pilot", "status", str(file), "--journal", str(tmp_path / "j")]) == 0
    assert re.search(r"drop: \d+ of 20 episodes; ended after", capsys.readouterr().out)


def test_several_agents_at_once_and_a_proxy_started_anew_find_the_same(tmp_path):
    file = write_pilot(tmp_path)
    with ChatServer(scripted) as server:
        with piloting(file, tmp_path / "one", server.url) as client:
            play_all(client)
        with piloting(file, tmp_path / "many", server.url) as client:
            lost = client.ask()
            assert play_all(client, most=30) is None
        with piloting(file, tmp_path / "many", server.url) as client:
            # Nobody knows what the agent of before was told: it is asked for again.
            assert client.chat("go", task=None, path=f"/episode/{lost['episode']}/v1").status == 410
            assert client.tell(episode=lost["episode"], success=True).status == 410
            with ThreadPoolExecutor(4) as pool:
                list(pool.map(lambda _: play_all(client), range(4)))
            play_all(client)

    assert verdicts(tmp_path / "one") == verdicts(tmp_path / "many")


def test_an_episode_is_its_own_and_its_end_is_told_once(tmp_path):
    file = write_pilot(tmp_path)
    with ChatServer(scripted) as server, piloting(file, tmp_path / "j", server.url) as client:
        it = client.ask()
        assert it["headers"] == {"X-Forbear-Episode": it["episode"]}
        passed_by = client.tell(episode=it["episode"], success=True)
        assert (passed_by.status, "base_url" in passed_by.error["message"]) == (400, True)
        said = client.chat("go", task="box-1", headers={"X_Forbear_Episode": it["episode"]}, seed=1)
        assert said.headers["x-forbear-episode"] == it["episode"]
        assert client.chat("go", task=it["task"], seed=1).status == 400
        first = client.tell(episode=it["episode"], success=True)
        assert (first.json["told"], first.json["success"]) == ("written", True)
        assert client.tell(episode=it["episode"], success=True).json == first.json
        assert client.tell(episode=it["episode"], success=False).status == 400
        assert client.tell(episode="other", success=False).status == 410
        assert client.chat("go", task=None, path=f"/episode/{it['episode']}/v1", seed=1).status == 410


def test_an_endpoint_that_is_down_is_never_a_failure(tmp_path):
    file = write_pilot(tmp_path, n=20)
    with ChatServer(lambda request: refused(503)) as server, piloting(file, tmp_path / "j", server.url) as client:
        for n in range(20):
            it = client.ask()
            assert play(client, it) is None
            told = client.tell(episode=it["episode"], success=False)
            assert told.status == (200 if n < 19 else 503)
        assert "20 episodes in a row had no outcome" in told.error["message"]
    content = Journal(tmp_path / "j").read()
    assert (len(content.episodes), len(content.missing)) == (0, 0)


@pytest.mark.parametrize(
    ("respond", "kind", "told"),
    [(lambda request: refused(503), "rollback", None), (scripted, "stop", False)],
    ids=["an outage", "an end by an intervention"],
)
def test_what_the_watch_knows_of_a_run_without_an_answer_goes_before_what_its_host_says(tmp_path, respond, kind, told):
    file = write_pilot(tmp_path, text=PILOT.replace('intervention = "rollback"', f'intervention = "{kind}"'))
    with ChatServer(respond) as server, piloting(file, tmp_path / "j", server.url) as client:
        while (it := client.ask())["arm"] != "drop":
            client.tell(episode=it["episode"], success=False)
        assert play(client, it) is None
        said = client.tell(episode=it["episode"], success=True)
        assert (said.status, said.json["success"]) == (200, told)


def test_a_lease_that_has_ended_gives_the_episode_to_somebody_else(tmp_path):
    file = write_pilot(tmp_path, text=PILOT.replace("[run]", "[run]\nlease_s = 0.01"))
    with ChatServer(scripted) as server, piloting(file, tmp_path / "j", server.url) as client:
        late = client.ask()
        threading.Event().wait(0.05)
        it = client.ask()
        assert (it["task"], it["arm"]) == (late["task"], late["arm"])
        assert play(client, late) is None
        assert client.tell(episode=late["episode"], success=True).status == 410


def test_what_cannot_be_piloted_is_refused_before_anything_runs(tmp_path, capsys):
    def refusal(text, *more):
        usual = ["--upstream", "http://127.0.0.1:1/v1", "--port", "0"]
        assert run(["proxy", str(write_pilot(tmp_path, text=text)), *usual, *more]) == 2
        return capsys.readouterr().err

    assert "names its intervention" in refusal(PILOT[: PILOT.index("[critic]")] + '[[arm]]\nname = "own"\n')
    assert "undoes executed steps" in refusal(PILOT.replace('"rollback"', '"rollback"\ndepth = 2'))
    assert "go with --mode apply" in refusal(PILOT, "--arm", "drop")
    assert "did you mean 'drop'?" in refusal(PILOT, "--mode", "apply", "--arm", "drpo")
    assert "say which arm (--arm); it has 'drop', 'warn'" in refusal(PILOT, "--mode", "shadow")
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = str(held.getsockname()[1])
    assert "this proxy itself" in refusal(PILOT, "--port", port, "--upstream", f"http://localhost:{port}/v1")
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_it_serves_until_it_is_stopped_and_the_journal_goes_on(tmp_path):
    file = write_pilot(tmp_path)
    with ChatServer(scripted) as server:
        command = [sys.executable, "-um", "forbear", "proxy", str(file), "--upstream", server.url, "--port", "0"]
        for stop, code in ((signal.SIGKILL, -9), (signal.SIGTERM, 143)):
            running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
            client = Client(int(re.search(r"http://127\.0\.0\.1:(\d+)/v1 in front", running.stdout.readline())[1]))
            play_all(client, most=10)
            client.ask()
            running.send_signal(stop)
            _, said = running.communicate(timeout=60)
            assert running.returncode == code
        assert "what was told is kept: forbear decide runs/pilot" in said
    assert len(Journal(tmp_path / "runs" / "pilot").read().episodes) == 20
    assert run(["journal", "check", str(tmp_path / "runs" / "pilot")]) == 0


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_the_example_in_javascript_comes_to_a_verdict(tmp_path, capsys):
    def adds(request):
        a, b = map(int, re.findall(r"\d+", request["messages"][0]["content"]))
        sure = random.Random(request["seed"]).random() < 0.6
        probability = {"token": "n", "logprob": -0.1 if sure else -1.0}
        return answer(f"{a} + {b} = {a + b if sure else a * b + 100}", logprobs=[probability])

    with (
        ChatServer(adds) as server,
        piloting(EXAMPLE / "pilot.toml", tmp_path / "j", server.url) as client,
    ):
        command = ["node", str(EXAMPLE / "agent.mjs"), f"http://127.0.0.1:{client.port}"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100)
        assert done.stderr == ""
    assert run(["decide", "--json", str(tmp_path / "j")]) == 0
    assert json.loads(capsys.readouterr().out)
    assert len((EXAMPLE / "agent.mjs").read_text(encoding="utf-8").splitlines()) < 60


def test_the_page_shows_a_pilot_that_can_be_read(tmp_path):
    page = (EXAMPLE.parents[1] / "docs" / "proxy.md").read_text(encoding="utf-8")
    text = re.search(r"```toml\n(.*?)```", page, re.DOTALL)[1]
    described = read_host_file(write_host(tmp_path, ids=[f"t{n}" for n in range(40)], text=text))
    assert list(described.policies) == list(read_host_file(EXAMPLE / "pilot.toml").policies) == ["again"]


def test_a_critic_may_ask_a_model_itself(tmp_path):
    def respond(request):
        if request["model"] == "judge":
            doubts = "blind" in str(request["messages"][-1])
            return answer("Yes" if doubts else "No", logprobs=[{"token": "Yes" if doubts else "No", "logprob": -0.01}])
        return answer("blind guess" if len(request["messages"]) == 1 and request["seed"] % 2 else "ball")

    with ChatServer(respond) as server:
        text = PILOT.replace('use = "doubter:Doubter"', 'use = "chat"') + (
            f'\n[model]\nuse = "openai"\noptions = {{ model = "judge", base_url = "{server.url}" }}\n'
            "\n[prices]\njudge = { input = 1e6, output = 1e6 }\nm = { input = 1e6, output = 1e6 }\n"
        )
        file = write_pilot(tmp_path, text=text)
        with piloting(file, tmp_path / "j", server.url) as client:
            for _ in range(8):
                it = client.ask()
                path = f"/episode/{it['episode']}/v1"
                said = client.chat("go", task=None, path=path, seed=it["model_seed"])
                assert client.tell(episode=it["episode"], success=said.text == "ball").json["told"] == "written"
    episodes = Journal(tmp_path / "j").read().episodes.values()
    judged = [one for one in episodes if one.arm in ("drop", "warn")]
    assert judged
    assert all(one.usage.critic.paid.cost > 0 and one.usage.agent.paid.cost > 0 for one in judged)
    assert not any(proposal.faults for one in judged for step in one.steps for proposal in step.proposals)
