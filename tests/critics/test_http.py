import asyncio
import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from forbear.contracts.critic import Score
from forbear.contracts.draw import Draw
from forbear.critics.http import HTTPCritic
from forbear.errors import InvalidInput, ProviderError
from forbear.policy.judge import ask
from forbear.records.model import Action, Step, Task, Trajectory, Usage
from forbear.testing import CriticContract

DRAW = Draw(task_id="t", seed=1, role="critic")
OPEN = Action("open", payload={"a": [1]}, rationale="why not", logprobs=[-0.5])
SEEN = Trajectory(
    task=Task(id="t", payload={"door": 1}),
    steps=(
        Step(index=0, observation="door 1", payload={"x": None}, messages=("Careful.",), executed=OPEN),
        Step(index=1, observation="door \ud800 2", executed=Action("wait")),
        Step(index=2, observation="door 3", legal_actions=("open", "wait")),
    ),
)
JUMP = Action("jump")


@contextmanager
def server(body=b"", *, status=200, headers=(), slow_s=0.0):
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            time.sleep(slow_s)
            if status is None:
                self.wfile.write(body)
                return
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self):
            asked.append("GET")
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"p_fail": 0.9}')

        def log_message(self, format, *args):
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads, block_on_close = True, False

        def handle_error(self, request, client_address):
            pass

    with Quiet(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{running.server_address[1]}/score", asked
        running.shutdown()


def score(url, **options):
    return asyncio.run(HTTPCritic(url, **options).score(SEEN, JUMP, draw=DRAW))


class TestTheContract(CriticContract):
    @pytest.fixture(autouse=True)
    def _served(self):
        with server(b'{"p_fail": 0.25}') as (url, _):
            self.url = url
            yield

    def make(self):
        return HTTPCritic(self.url)

    def variants(self):
        return [HTTPCritic(self.url, version=2), HTTPCritic(self.url, name="x"), HTTPCritic(self.url + "/2")]

    def proposals(self):
        return [(SEEN, JUMP), (SEEN, OPEN)]


def test_it_is_sent_what_a_critic_gets():
    with server(b'{"p_fail": 0.25, "why": "It falls.", "usage": {"input_tokens": 7, "cost": 0.5, "x": 1}}') as (
        url,
        asked,
    ):
        assert score(url) == Score(0.25, "It falls.", Usage(input_tokens=7, cost=0.5))
        score(url)
    first, second = asked
    assert first == second
    wait = {"text": "wait", "payload": None, "rationale": None, "logprobs": None}
    rest = {"payload": None, "messages": [], "irreversible": False, "legal_actions": None}
    done = {"text": "open", "payload": {"a": [1]}, "rationale": "why not", "logprobs": [-0.5]}
    assert first == {
        "task": {"id": "t", "payload": {"door": 1}},
        "steps": [
            {
                **rest,
                "index": 0,
                "observation": "door 1",
                "payload": {"x": None},
                "messages": ["Careful."],
                "executed": done,
            },
            {**rest, "index": 1, "observation": "door \ud800 2", "executed": wait},
            {**rest, "index": 2, "observation": "door 3", "executed": None, "legal_actions": ["open", "wait"]},
        ],
        "proposed": {**wait, "text": "jump"},
        "seed": DRAW.integer() & 0x7FFFFFFF,
    }


def test_null_abstains():
    with server(b'{"p_fail": null, "usage": null}') as (url, _):
        assert score(url) == Score(None)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not JSON \xff\x1b[2J",
        b"0.5",
        b"[0.5]",
        b"{}",
        b'{"p_fail": 0.5, "usage": 7}',
        b'{"p_fail": 0.5} trailing',
        b"[" * 100_000,
        b'{"p_fail": 0.5, "why": "' + b"x" * (1 << 20) + b'"}',
    ],
)
def test_what_is_no_score_is_refused(body):
    with (
        server(body) as (url, _),
        pytest.raises(InvalidInput, match=r'must answer {"p_fail": a number or null}, got') as e,
    ):
        score(url)
    assert len(str(e.value)) < 300
    assert str(e.value).isprintable()


@pytest.mark.parametrize("p_fail", ["1.5", "-0.1", "NaN", '"0.5"', "true", "[0.5]", "1e999"])
def test_out_of_range_is_a_wrong_answer(p_fail):
    with server(b'{"p_fail": %b}' % p_fail.encode()) as (url, _):
        review = asyncio.run(ask(HTTPCritic(url), SEEN, JUMP, draw=DRAW, deadline_s=5.0))
    assert (review.score.p_fail, review.fault) == (None, "invalid")
    assert "a score is a number in [0, 1] or None" in review.score.why


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"status": 500, "body": b'{"p_fail": 0.5}'}, "HTTP Error 500"),
        ({"status": 404}, "HTTP Error 404"),
        ({"status": 302, "headers": [("Location", "/elsewhere")]}, "HTTP Error 302"),
        ({"status": 307, "headers": [("Location", "file:///etc/hostname")]}, "HTTP Error 307"),
        ({"status": None, "body": b"garbage\r\n\r\n"}, "garbage"),
        ({"status": None, "body": b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"}, "must answer|IncompleteRead|99"),
        ({"slow_s": 5.0}, "timed out"),
    ],
)
def test_a_server_that_is_down_is_the_outside_worlds_fault(options, message):
    with server(**options) as (url, asked):
        started = time.monotonic()
        with pytest.raises((ProviderError, InvalidInput), match=message):
            score(url, timeout_s=0.3)
        assert time.monotonic() - started < 3
        assert "GET" not in asked


def test_a_server_that_drips_is_late():
    class Drip(BaseHTTPRequestHandler):
        def do_POST(self):
            self.send_response(200)
            self.end_headers()
            for _ in range(200):
                self.wfile.write(b" ")
                time.sleep(0.05)

        def log_message(self, format, *args):
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads, block_on_close = True, False

        def handle_error(self, request, client_address):
            pass

    with Quiet(("127.0.0.1", 0), Drip) as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        started = time.monotonic()
        with pytest.raises(ProviderError, match=r"no whole answer within 0.3 s"):
            score(f"http://127.0.0.1:{running.server_address[1]}/", timeout_s=0.3)
        assert time.monotonic() - started < 3
        running.shutdown()


def test_nobody_there():
    with pytest.raises(ProviderError, match=r"critic at http://127.0.0.1:9/: .*refused"):
        score("http://127.0.0.1:9/")


@pytest.mark.parametrize(
    "url",
    [
        "ftp://x/",
        "file:///etc/passwd",
        "localhost:80",
        "http://",
        "http://a:b@x/",
        "http://x:notaport/",
        "http://x/\r\nHost: y",
        "http://x/ y",
        "http://[",
        5,
    ],
)
def test_addresses_that_are_none(url):
    with pytest.raises(InvalidInput, match="url must be an http or https address"):
        HTTPCritic(url)


@pytest.mark.parametrize("timeout_s", [0, -1, float("inf"), float("nan"), "5", True])
def test_times_that_are_none(timeout_s):
    with pytest.raises(InvalidInput, match="timeout_s must be a number of seconds above 0"):
        HTTPCritic("http://x/", timeout_s=timeout_s)
