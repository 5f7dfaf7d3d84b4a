"""The proxy in a thread, in front of a scripted server, and clients that know nothing of forbear."""

import http.client
import json
import socket
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from forbear.adapters.host_file import read_host_file
from forbear.models.prices import NO_PRICES
from forbear.proxy.app import make_app
from forbear.proxy.episodes import Episodes, PilotEpisodes
from forbear.proxy.upstream import Upstream
from forbear.records.journal import Journal
from forbear.runner.ask_tell import HostPilot
from forbear.testing.chat_server import ChatServer, answer, called


class Said:
    """What came back."""

    def __init__(self, response):
        self.status, self.headers, self.body = response.status, response.headers, response.read()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        return self.json["error"]

    @property
    def text(self):
        return self.json["choices"][0]["message"]["content"]

    def counts(self):
        """Dropped, their tokens, retries that proposed the same again."""
        return tuple(int(self.headers[f"x-forbear-{name}"]) for name in ("dropped", "dropped-tokens", "noops"))


class Client:
    def __init__(self, port):
        self.port = port

    def send(self, method, path, body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        raw = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body=raw, headers={"Content-Type": "application/json", **named})
        said = Said(connection.getresponse())
        connection.close()
        return said

    def chat(self, messages, *, task="t", path="/v1", headers=None, **more):
        messages = [{"role": "user", "content": messages}] if isinstance(messages, str) else messages
        named = {"X_Forbear_Task": task} if task is not None else {}
        request = {"model": "m", "messages": messages, **more}
        return self.send("POST", f"{path}/chat/completions", request, **named, **(headers or {}))

    def ask(self):
        return self.send("POST", "/forbear/ask").json

    def tell(self, **said):
        return self.send("POST", "/forbear/tell", said)


@contextmanager
def serving(make_episodes, upstream_url, *, token=None, prices=NO_PRICES, **options):
    """Serves; `make_episodes()` is called when the port is known to be ours."""
    listening = socket.socket(proto=socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    hosts = frozenset({f"127.0.0.1:{port}"})
    app = make_app(make_episodes(), Upstream(upstream_url, **options), hosts=hosts, prices=prices, token=token)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="on", timeout_graceful_shutdown=5))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    while not server.started:
        time.sleep(0.005)
    try:
        yield Client(port)
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def in_use(policy, respond, *, mode="apply", log=None, prices=NO_PRICES, idle_s=3600.0, **options):
    """A policy in use, in front of a server that answers so; yields a client and the server."""
    with ChatServer(respond) as server:

        def make():
            return Episodes(
                policy, mode=mode, arm="drop" if mode == "apply" else "baseline", prices=prices, log=log, idle_s=idle_s
            )

        with serving(make, server.url, prices=prices, **options) as client:
            yield client, server


@contextmanager
def piloting(file: Path, journal: Path, upstream_url: str, **options):
    """A pilot's proxy."""
    described = read_host_file(file)

    def make():
        pilot = HostPilot(described.plan, Journal(journal), lease_s=described.lease_s)
        return PilotEpisodes(pilot, described.policies, prices=described.prices)

    with serving(make, upstream_url, prices=described.prices, **options) as client:
        yield client


def replies(*given):
    """A server's answers, one after the other, the last one again and again; texts are what it says."""
    left = [answer(one) if isinstance(one, str) else one for one in given]
    return lambda request: left.pop(0) if len(left) > 1 else left[0]


def calls(name, arguments="{}"):
    return answer(tool_calls=[called(name, arguments)], finish_reason="tool_calls")
