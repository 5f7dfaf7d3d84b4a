import http.client
import json
import re
import socket
import threading
import time
from contextlib import contextmanager
from urllib.parse import quote

import pytest

from forbear.interventions import Append
from forbear.policy.arm import Arm
from forbear.policy.policy import InterventionPolicy
from forbear.records.model import Task
from forbear.testing import CoinFlipAgent, WordCritic
from runner.pilots import ALL_ARMS, plan, run

uvicorn = pytest.importorskip("uvicorn", reason="the extra serve is not installed")
make_app = pytest.importorskip("forbear.web.app", reason="the extra serve is not installed").make_app

HOSTILE = '<script>alert(1)</script>\x1b[31m"onload=\u202e'


@contextmanager
def served(root, *, token=None):
    """The viewer of a folder in a thread; yields how to ask it, and where it is."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    app = make_app(root, hosts=frozenset({f"127.0.0.1:{port}"}), token=token)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    while not server.started:
        time.sleep(0.01)

    def ask(path, *, method="GET", **headers):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text, answer.headers

    ask.address = f"http://127.0.0.1:{port}"
    try:
        yield ask
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    run(plan(ALL_ARMS[:4], n=40), folder / "mine")
    run(plan(ALL_ARMS[:2], n=8), folder / "deep" / "er")
    (folder / "broken").mkdir()
    (folder / "broken" / "plan.json").write_text("{}")
    return folder


@pytest.fixture(scope="module")
def ask(root):
    with served(root) as ask:
        yield ask


def test_all_journals_are_listed_also_one_that_cannot_be_read(ask):
    status, text, headers = ask("/")
    assert status == 200
    assert sorted(re.findall(r'href="/journal/([^"]+)/"', text)) == ["broken", "deep/er", "mine"]
    assert "cannot be read" in text
    assert len(re.findall(r"<td>\d+ (?:second|minute)s? ago</td>", text)) == 3
    assert re.findall(r'<progress [^>]*max="(\d+)"', text) == ["16", "160"]
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")


def test_a_journal_says_how_far_it_is_and_lists_what_fits(ask, root):
    status, text, _ = ask("/journal/mine/")
    assert status == 200
    assert "of 40 tasks" in text
    lines = [json.loads(line) for line in (root / "mine" / "episodes.jsonl").read_text().splitlines()]
    episodes = [line for line in lines if "success" in line]
    assert f"{len(episodes)} fit" in text
    failed = [one for one in episodes if one["arm"] == "append" and one["success"] is False]
    assert failed
    text = ask("/journal/mine/?arm=append&outcome=failed")[1]
    assert f"{len(failed)} fit" in text
    assert text.count("/journal/mine/episode?") == min(len(failed), 100)
    assert "0 fit" in ask("/journal/mine/?words=no+such+word")[1]
    assert "0 fit" not in ask("/journal/mine/?words=JUMP")[1]


def test_pages_hold_a_hundred(ask, root):
    first, second = ask("/journal/mine/")[1], ask("/journal/mine/?from=100")[1]
    tasks = [re.findall(r"episode\?task=([^&]+)&amp;seed=(\d+)&amp;arm=([^\"]+)", text) for text in (first, second)]
    assert len(tasks[0]) == 100
    assert not set(tasks[0]) & set(tasks[1])
    assert ask("/journal/mine/?from=x")[0] == 200


def test_an_episode_stands_beside_the_baseline(ask):
    status, text, _ = ask("/journal/mine/episode?task=t03&seed=42&arm=append")
    assert status == 200
    assert [name for name in re.findall(r"<h2>(\S+):", text)] == ["baseline", "append"]
    assert "&gt; " in text
    other = ask("/journal/mine/episode?task=t03&seed=42&arm=append&beside=rollback")[1]
    assert re.findall(r"<h2>(\S+):", other) == ["rollback", "append"]
    alone = ask("/journal/mine/episode?task=t03&seed=42&arm=baseline")[1]
    assert re.findall(r"<h2>(\S+):", alone) == ["baseline"]
    assert ask("/journal/mine/episode?task=nobody&seed=42&arm=append")[0] == 404


def test_the_report_is_that_of_the_journal(ask, root):
    status, text, _ = ask("/journal/mine/report")
    assert status == 200
    assert 'id="forbear-verdicts"' in text
    assert "default-src 'none'" in text
    status, text, _ = ask("/journal/broken/report")
    assert status == 409
    assert "broken" in text


def test_it_follows_a_journal_that_grows(tmp_path):
    run(plan(ALL_ARMS[:2], n=8), tmp_path / "j")
    lines = (tmp_path / "j" / "episodes.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "j" / "episodes.jsonl").write_bytes(b"".join(lines[:4]))
    with served(tmp_path) as ask:
        assert "baseline: 4 of 8" in ask("/journal/j/status")[1]
        (tmp_path / "j" / "episodes.jsonl").write_bytes(b"".join(lines))
        waited = time.monotonic() + 60
        while "baseline: 8 of 8" not in ask("/journal/j/status")[1]:
            assert time.monotonic() < waited
            time.sleep(0.05)


@pytest.mark.parametrize(
    "path",
    [
        "/journal/../../etc/passwd/",
        "/journal/..%2f..%2fetc/",
        "/journal/%2e%2e/report",
        "/journal//etc/",
        "/journal/mine/../broken/episode",
        "/assets/..%2fapp.py",
        "/assets/base.html",
        "/nothing",
    ],
)
def test_nothing_else_is_there(ask, path):
    status, text, _ = ask(path)
    assert status == 404
    assert "root:" not in text


def test_links_that_lead_out_are_not_followed(tmp_path, root):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "out").symlink_to(root / "mine")
    with served(tmp_path / "runs") as ask:
        assert "no journal below" in ask("/")[1]
        assert ask("/journal/out/")[0] == 404


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example:80", ""])
def test_other_names_are_refused(ask, host):
    assert ask("/", Host=host)[0] in (400, 421)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_nothing_can_be_written(ask, method):
    assert ask("/journal/mine/", method=method)[0] == 405


def test_with_a_token_only_who_brings_it_sees_anything(root):
    with served(root, token="long enough") as ask:
        assert ask("/")[0] == 403
        assert ask("/?token=wrong")[0] == 403
        assert ask("/assets/page.css")[0] == 403
        status, _, headers = ask("/?token=long%20enough")
        assert status == 303
        cookie = headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "token" not in headers["Location"]
        assert ask("/", Cookie=cookie.split(";")[0])[0] == 200
        assert ask("/", Cookie="forbear-token=wrong")[0] == 403


def test_hostile_text_is_text(tmp_path):
    tasks = [Task(id=f"{HOSTILE}{i}") for i in range(6)]
    agent = CoinFlipAgent({"open": 3, HOSTILE: 2}, warned={"open": 1})
    policy = InterventionPolicy(critic=WordCritic({HOSTILE: 0.9}), intervention=Append())
    arms = [Arm.baseline(), Arm("<i>append</i>", policy)]
    run(plan(arms, tasks=tasks, agent=lambda: agent), tmp_path / "<b>j")
    with served(tmp_path) as ask:
        (name,) = re.findall(r'href="/journal/([^"]+)/"', ask("/")[1])
        pages = [ask("/"), ask(f"/journal/{name}/"), ask(f"/journal/{name}/?words={quote(HOSTILE)}")]
        where = f"task={quote(HOSTILE + '0')}&seed=42&arm={quote('<i>append</i>')}"
        pages.append(ask(f"/journal/{name}/episode?{where}"))
    for status, text, _ in pages:
        assert status == 200
        assert "<script>alert" not in text
        assert "<i>" not in text
        assert "<b>j" not in text
        assert "\x1b" not in text
        assert "\u202e" not in text
