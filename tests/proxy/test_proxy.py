"""A policy in use, and in shadow: what a client gets, and what the endpoint is asked."""

import gzip
import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("uvicorn", reason="the extra serve is not installed")
pytest.importorskip("aiohttp", reason="the extra llm is not installed")

from forbear.cli.main import run
from forbear.errors import InvalidInput, ProviderError
from forbear.interventions import Append, Rollback, Stop
from forbear.models.prices import Price, Prices
from forbear.policy.policy import InterventionPolicy
from forbear.proxy.upstream import Upstream
from forbear.records.codec import decode_record
from forbear.testing.chat_server import ChatServer, Reply, answer, refused
from proxy.proxies import Episodes, calls, in_use, replies, serving


class Dislikes:
    async def score(self, trajectory, proposed, *, draw):
        return 0.9 if "wipe" in proposed.text else 0.1

    def config(self):
        return {"name": "dislikes"}


class Down(Dislikes):
    async def score(self, trajectory, proposed, *, draw):
        raise ProviderError("down")


def policy(intervention, critic=None, **options):
    return InterventionPolicy(critic=critic or Dislikes(), intervention=intervention, threshold=0.5, **options)


ROLLBACK = policy(Rollback())


def episodes(log):
    return [decode_record(line, where="log") for line in log.read_bytes().splitlines()]


def test_a_dropped_answer_is_seen_by_nobody_and_paid_for(tmp_path):
    log, prices = tmp_path / "log.jsonl", Prices({"m": Price(input=1e6, output=1e6)})
    with in_use(ROLLBACK, replies(calls("wipe"), calls("add")), log=log, prices=prices) as (client, server):
        said = client.chat("go", temperature=0.7)
        assert said.json["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "add"
        assert said.counts() == (1, 12, 0)
        told = client.tell(task="t", success=True).json
        assert (told["told"], told["dropped"], told["dropped_tokens"], told["dropped_cost"]) == ("written", 1, 12, 12.0)
    (episode,) = episodes(log)
    assert [p.action.text for p in episode.steps[0].proposals] == ["wipe({})", "add({})"]
    assert (episode.success, episode.usage.agent.paid.calls, episode.usage.agent.paid.cost) == (True, 2, 24.0)
    assert server.requests[0] == server.requests[1]
    assert server.requests[0]["temperature"] == 0.7


def test_what_is_streamed_was_judged_before_it_is_shown():
    with in_use(ROLLBACK, replies("wipe", calls("add", '{"a": 1}'))) as (client, server):
        said = client.chat("go", stream=True, stream_options={"include_usage": True})
        assert said.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in said.body.decode().split("\n") if line]
        assert b"wipe" not in said.body
        assert lines[-1] == "data: [DONE]"
        first, last, usage = [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]
        (call,) = first["choices"][0]["delta"]["tool_calls"]
        assert (call["index"], call["function"]) == (0, {"name": "add", "arguments": '{"a": 1}'})
        assert (last["choices"][0]["finish_reason"], usage["usage"]["total_tokens"]) == ("tool_calls", 12)
        assert {one["object"] for one in (first, last, usage)} == {"chat.completion.chunk"}
        assert all("stream" not in request and "stream_options" not in request for request in server.requests)
        assert len(client.chat("go", stream=True).body.split(b"data: ")) == 4  # no usage where none was asked for


def test_a_warning_is_sent_at_its_place_in_every_later_call_and_the_agent_never_holds_it():
    history = [{"role": "user", "content": "go"}]
    with in_use(policy(Append(message="Careful!"), budget=1), replies("wipe", "on")) as (client, server):
        for n in range(3):
            history.append(client.chat(history).json["choices"][0]["message"])
            history.append({"role": "tool", "tool_call_id": str(n), "content": "done"})
        trimmed, other = history[2:5], [{"role": "user", "content": "another conversation"}]
        client.chat(trimmed)
        client.chat(other)
    sent = [[one["content"] for one in request["messages"]] for request in server.requests]
    assert sent[0] == ["go"]
    assert sent[1] == ["go", "wipe", "done", "Careful!"]
    assert sent[2] == ["go", "wipe", "done", "Careful!", "on", "done"]
    assert sent[3] == ["done", "Careful!", "on", "done"]
    assert sent[4] == ["another conversation"]
    assert "Careful!" not in str(history)


def test_a_retry_that_changes_nothing_is_counted_and_a_fixed_seed_is_moved():
    with in_use(policy(Rollback(), budget=2), replies("wipe")) as (client, server):
        assert client.chat("go", temperature=0, seed=7).counts() == (2, 24, 2)
        assert [request["seed"] for request in server.requests] == [7, 8, 9]
        assert client.tell(task="t", success=True).json["rollback_noops"] == 2


def test_a_shadow_changes_nothing_and_writes_what_was_due(tmp_path):
    log = tmp_path / "log.jsonl"
    with in_use(ROLLBACK, replies("wipe"), mode="shadow", log=log) as (client, server):
        assert client.chat("go", headers={"X_Forbear_Seed": "3"}).text == "wipe"
        assert client.tell(task="t", seed=3, success=False).json["dropped"] == 0
        assert len(server.requests) == 1
    (episode,) = episodes(log)
    (proposal,) = episode.steps[0].proposals
    assert (episode.seed, episode.success, proposal.refusal) == (3, False, "shadow: rollback was due")
    assert list(proposal.p_fail.values()) == [0.9]


def test_a_critic_that_is_down_lets_an_agent_in_use_go_on():
    with in_use(policy(Rollback(), Down()), replies("wipe")) as (client, _):
        assert client.chat("go").text == "wipe"


def test_an_intervention_that_ends_the_episode_is_not_tried_again():
    with in_use(policy(Stop()), replies("wipe")) as (client, server):
        assert [client.chat("go").status for _ in range(2)] == [410, 410]
        assert client.tell(task="t", success=True).json["success"] is False
        assert len(server.requests) == 1


def test_an_episode_is_named_by_header_or_by_the_base_url():
    seen = []

    class Counts(Dislikes):
        async def score(self, trajectory, proposed, *, draw):
            seen.append((trajectory.task.id, len(trajectory.steps)))
            return 0.0

    with in_use(policy(Rollback(), Counts()), replies("on")) as (client, _):
        client.chat("go", task="caf%C3%A9 1/2")
        client.chat("go", task=None, path="/episode/caf%C3%A9%201%2F2/v1")
        client.chat("go", task="b")
        none = client.chat("go", task=None)
    assert seen == [("café 1/2", 1), ("café 1/2", 2), ("b", 1)]
    assert (none.status, "X-Forbear-Task" in none.error["message"]) == (400, True)


def test_calls_that_propose_nothing_are_metered_and_not_judged(tmp_path):
    log = tmp_path / "log.jsonl"
    embedding = Reply(body=json.dumps({"data": [], "usage": {"prompt_tokens": 5}}).encode())
    with in_use(ROLLBACK, replies("wipe the plan", embedding, "on"), log=log) as (client, server):
        assert client.chat("plan", headers={"X_Forbear_Aside": "1"}).text == "wipe the plan"
        said = client.send("POST", "/v1/embeddings", {"model": "e", "input": "x"}, X_Forbear_Task="t")
        assert said.json["data"] == []
        assert client.send("POST", "/v1/embeddings", {"model": "e", "input": "x"}).status == 400
        assert len(server.requests) == 2
        client.tell(task="t", success=True)
    (episode,) = episodes(log)
    assert episode.usage.agent.paid.calls == 2
    assert episode.usage.agent.paid.input_tokens > 5
    assert not episode.steps


UNJUDGED = [
    ({"n": 2}, "one at a time"),
    ({"functions": []}, "as tools"),
    ({"tools": [{"type": "web_search"}]}, 'type "function" alone'),
    ({"tools": "all"}, 'type "function" alone'),
    ({"previous_response_id": "r"}, "keeps what is dropped"),
    ({"web_search_options": {}}, "has run before"),
    ({"modalities": ["text", "audio"]}, "cannot be judged"),
    ({"messages": []}, "at least one"),
    ({"messages": ["x"]}, "messages"),
]


def test_what_would_pass_the_judge_by_is_refused():
    with in_use(ROLLBACK, replies("on")) as (client, server):
        for more, said in UNJUDGED:
            got = client.chat(**{"messages": "go", **more})
            assert (got.status, got.error["code"]) == (400, "refused"), more
            assert said in got.error["message"]
        assert server.requests == []
        assert client.send("GET", "/forbear/status").json == {"open": 0}


def test_other_paths_are_refused_with_what_to_use():
    with in_use(ROLLBACK, replies("on")) as (client, server):
        for path in ("/v1/responses", "/v1/completions", "/chat/completions", "/v1/realtime", "/"):
            got = client.send("POST", path, {})
            assert (got.status, got.error["code"]) == (404, "not_judged")
        assert client.send("POST", "/forbear/ask").error["message"].startswith("this proxy runs no pilot")
        assert server.requests == []


def test_what_is_no_request_is_refused():
    with in_use(ROLLBACK, replies("on")) as (client, _):
        for body in (b"", b"no", b"[1]", b'{"messages": ' + b"[" * 100_000, b"\xff", b"1" * 5000):
            assert client.send("POST", "/v1/chat/completions", body, X_Forbear_Task="t").status == 400, body[:20]
            assert client.send("POST", "/forbear/tell", body).status == 400, body[:20]


def test_an_outcome_is_true_false_or_null():
    with in_use(ROLLBACK, replies("on")) as (client, _):
        client.chat("go")
        for said in ({"success": 1}, {"success": "yes"}, {}, {"success": None, "reason": 3}):
            assert client.tell(task="t", **said).status == 400, said


def test_an_end_that_several_tell_at_once_is_told_once(tmp_path):
    log = tmp_path / "log.jsonl"
    with in_use(ROLLBACK, replies("on"), log=log) as (client, _):
        client.chat("go")
        with ThreadPoolExecutor(6) as pool:
            told = list(pool.map(lambda _: client.tell(task="t", success=True), range(6)))
    assert {one.status for one in told} == {200}
    assert len({one.body for one in told}) == 1
    assert len(episodes(log)) == 1


def test_a_log_that_ends_in_the_middle_of_a_line_is_gone_on_with_behind_its_last_whole_one(tmp_path):
    log = tmp_path / "log.jsonl"
    for number, torn in enumerate((b"", b'{"kind": "episo' * 100_000)):
        with log.open("ab") as file:
            file.write(torn)
        with in_use(ROLLBACK, replies("on"), log=log) as (client, _):
            client.chat("go", task=f"t{number}")
            assert client.tell(task=f"t{number}", success=True).status == 200
    assert [one.task.id for one in episodes(log)] == ["t0", "t1"]


def test_ends_are_told_once():
    with in_use(ROLLBACK, replies("on")) as (client, _):
        assert client.tell(task="t", success=True).status == 410
        client.chat("go")
        first = client.tell(task="t", success=True)
        assert client.tell(task="t", success=True).json == first.json
        assert client.tell(task="t", success=False).status == 400
        client.chat("go")
        assert client.tell(task="t", success=False).status == 200


# --- The endpoint -----------------------------------------------------------------------------------------


def test_an_outage_is_passed_on_as_it_is_and_leaves_no_outcome(tmp_path):
    log, statuses = tmp_path / "log.jsonl", [401, 404, 429, 500, 503]
    said = [refused(status, "not now", retry_after="7") for status in statuses]
    with in_use(ROLLBACK, replies(*said), log=log) as (client, _):
        for status in statuses:
            got = client.chat("go", task=f"t{status}")
            assert (got.status, got.headers["retry-after"], got.error["message"]) == (status, "7", "not now")
            told = client.tell(task=f"t{status}", success=False).json
            assert (told["success"], f"HTTP {status}" in told["cause"]) == (None, True)
    assert {one.termination.value for one in episodes(log)} == {"provider_error"}


EMBEDDED = Reply(body=json.dumps({"data": [], "usage": {"prompt_tokens": 5}}).encode())


@pytest.mark.parametrize(
    ("said", "sent", "success"),
    [
        ([refused(503)], "e", None),
        ([refused(503), EMBEDDED], "ee", False),
        ([refused(503), EMBEDDED], "ce", None),  # what answers is not what is down
        ([refused(503), answer("on")], "ec", None),
        ([refused(503), EMBEDDED, answer("on")], "cec", False),
    ],
)
def test_an_outage_is_over_when_the_same_answers(said, sent, success):
    with in_use(ROLLBACK, replies(*said)) as (client, _):
        for one in sent:
            if one == "c":
                client.chat("go")
            else:
                client.send("POST", "/v1/embeddings", {"model": "e", "input": "x"}, X_Forbear_Task="t")
        assert client.tell(task="t", success=False).json["success"] is success


def test_an_outage_that_passes_is_none(tmp_path):
    log = tmp_path / "log.jsonl"
    with in_use(ROLLBACK, replies("wipe", refused(503), "on"), log=log) as (client, server):
        assert client.chat("go", seed=7).status == 503
        assert client.chat("go", seed=7).text == "on"
        assert [request["seed"] for request in server.requests] == [7, 8, 8]  # 7 was dropped
        client.tell(task="t", success=True)
    (episode,) = episodes(log)
    assert [[p.action.text for p in step.proposals] for step in episode.steps] == [["wipe", "on"]]
    assert episode.success is True


def test_a_request_that_the_endpoint_refuses_is_the_agents_affair(tmp_path):
    log = tmp_path / "log.jsonl"
    with in_use(ROLLBACK, replies(refused(400, "context length exceeded")), log=log) as (client, _):
        assert client.chat("go").error["message"] == "context length exceeded"
        assert client.tell(task="t", success=False).json["success"] is False


TWO = json.loads(answer("a").body)
TWO["choices"] = TWO["choices"] * 2
HOSTILE = [
    Reply(body=b"no json"),
    Reply(body=b""),
    Reply(body=b"[" * 200_000),
    Reply(body=b'{"choices": []}'),
    Reply(body=json.dumps(TWO).encode()),
    Reply(body=answer("x" * 1000).body, cut_after=500),
    Reply(body=b"x" * (17 << 20)),
    Reply(body=gzip.compress(answer("x").body), headers={"Content-Encoding": "gzip"}),
    Reply(body=b'data: {"choices": []}\n\n', headers={"Content-Type": "text/event-stream"}),
    Reply(status=302, headers={"Location": "http://127.0.0.1:1/elsewhere"}),
    Reply(status=204),
]


def test_a_hostile_endpoint_is_an_outage():
    with in_use(ROLLBACK, replies(*HOSTILE)) as (client, server):
        for number in range(len(HOSTILE)):
            got = client.chat("go", task=f"t{number}")
            assert (got.status, got.error["code"]) == (502, "upstream_failed"), number
            assert len(got.body) < 1000
            assert client.tell(task=f"t{number}", success=False).json["success"] is None
        assert len(server.requests) == len(HOSTILE)


def test_nobody_there_and_nobody_in_time_are_outages():
    with ChatServer(replies("on")) as gone:
        url = gone.url
    with in_use(ROLLBACK, replies(Reply(stall_s=2.0, body=answer("on").body)), timeout_s=0.2) as (client, _):
        assert client.chat("go").status == 504
    with serving(lambda: Episodes(ROLLBACK, mode="apply", arm="a", prices=Prices()), url) as client:
        assert client.chat("go").status == 502


def test_what_no_record_could_hold_is_judged_and_written(tmp_path):
    log = tmp_path / "log.jsonl"
    broken = Reply(body=json.dumps(json.loads(answer("wipe \ud83d").body)).encode())
    with in_use(ROLLBACK, replies(broken, "on"), log=log) as (client, server):
        assert client.chat("cut in the middle: \ud83d").counts() == (1, 12, 0)
        assert client.tell(task="t", success=True).status == 200
        assert server.requests[0]["messages"][0]["content"].endswith("\ud83d")
    assert episodes(log)[0].steps[0].observation == "cut in the middle: \ufffd"


def test_an_answer_is_repeated_only_where_it_was_the_last_that_was_asked_for():
    with in_use(ROLLBACK, replies("one", refused(503), "two")) as (client, server):
        assert client.chat("go").text == "one"
        assert client.chat("go").status == 503
        assert client.chat("go", headers={"x-stainless-retry-count": "1"}).text == "two"
        assert len(server.requests) == 3
        assert client.tell(task="t", success=True).json["success"] is True


def test_a_client_that_asks_the_same_again_gets_the_same_answer():
    with in_use(ROLLBACK, replies("one", "two")) as (client, server):
        assert client.chat("go").text == "one"
        assert client.chat("go", headers={"x-stainless-retry-count": "1"}).text == "one"
        assert client.chat("go").text == "two"
        assert len(server.requests) == 2


def test_many_episodes_at_once_keep_apart():
    def respond(request):
        return answer("wipe" if len(request["messages"]) == 1 else "on")

    with in_use(policy(Append(message="Careful!"), budget=1), respond) as (client, server):

        def run(n):
            history = [{"role": "user", "content": f"go {n}"}]
            for _ in range(3):
                history += [client.chat(history, task=f"t{n}").json["choices"][0]["message"]]
                history += [{"role": "user", "content": f"next {n}"}]
            return client.tell(task=f"t{n}", success=True).json["success"]

        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(run, range(24))) == [True] * 24
    for request in server.requests:
        texts = [one["content"] for one in request["messages"]]
        own = texts[0].removeprefix("go ")
        assert all(text in ("wipe", "on", "Careful!", f"go {own}", f"next {own}") for text in texts)
        assert texts.count("Careful!") == (len(request["messages"]) > 1)


# --- Who is let in ----------------------------------------------------------------------------------------


def test_only_this_machine_under_its_own_name_and_no_page_in_a_browser():
    with in_use(ROLLBACK, replies("on")) as (client, server):
        for path in ("/v1/chat/completions", "/forbear/ask", "/v1/models"):
            assert client.send("POST", path, {}, Host=f"rebound.example:{client.port}").status == 421
            assert client.send("POST", path, {}, Origin="http://evil.example").status == 403
        assert server.requests == []


def test_a_token_is_the_api_key_and_goes_no_further(monkeypatch, tmp_path):
    monkeypatch.setenv("THE_KEY", "sk-upstream-secret")
    log = tmp_path / "log.jsonl"
    said = refused(401, "bad key sk-upstream-secret")
    with in_use(ROLLBACK, replies("on", said), token="a-long-token", key_env="THE_KEY", log=log) as (client, server):
        assert client.chat("go").status == 401
        assert client.chat("go", headers={"Authorization": "Bearer wrong"}).status == 401
        assert client.chat("go", headers={"Authorization": "Bearer a-long-token"}).status == 200
        got = client.chat("go", headers={"X-Forbear-Token": "a-long-token"})
        assert b"sk-upstream-secret" not in got.body
        client.send("POST", "/forbear/tell", {"task": "t", "success": False}, X_Forbear_Token="a-long-token")
    assert [one["authorization"] for one in server.headers] == ["Bearer sk-upstream-secret"] * 2
    assert b"secret" not in log.read_bytes()
    assert b"a-long-token" not in log.read_bytes()


@pytest.mark.parametrize("name", ["X_Forbear_Token", "Api_Key", "X_Api_Key", "Authorization"])
@pytest.mark.parametrize("scheme", ["", "Bearer ", "bearer "])
def test_wherever_a_client_brings_the_token_it_is_let_in_and_the_endpoint_does_not_see_it(name, scheme):
    headers = {"X_Forbear_Token": "a-long-token", name: f"{scheme}a-long-token"}
    with in_use(ROLLBACK, replies("on"), token="a-long-token") as (client, server):
        assert client.chat("go", headers={name: f"{scheme}a-long-token"}).status == 200
        assert client.chat("go", headers=headers).status == 200
    assert not any("a-long-token" in value for one in server.headers for value in one.values())


def test_a_token_is_sent_to_no_endpoint_also_where_the_proxy_has_no_key():
    with in_use(ROLLBACK, replies("on"), token="a-long-token") as (client, server):
        assert client.chat("go", headers={"Authorization": "Bearer a-long-token"}).status == 200
        headers = {"X_Forbear_Token": "a-long-token", "Authorization": "Bearer own"}
        assert client.chat("go", headers=headers).status == 200
    assert [one.get("authorization") for one in server.headers] == [None, "Bearer own"]


def test_a_key_that_is_not_there_is_told_before_anything_is_served(monkeypatch):
    for held in ("", "two keys", "a\n"):
        monkeypatch.setenv("THE_KEY", held)
        with pytest.raises(InvalidInput, match="THE_KEY holds no key"):
            Upstream("http://127.0.0.1:1/v1", key_env="THE_KEY")


def test_the_clients_own_key_goes_to_the_endpoint_and_is_written_nowhere(tmp_path):
    log = tmp_path / "log.jsonl"
    told = refused(401, "Incorrect key: sk-clients-own")
    headers = {"Authorization": "Bearer sk-clients-own", "Cookie": "a=b", "Idempotency-Key": "once"}
    with in_use(ROLLBACK, replies("on", told), log=log) as (client, server):
        client.chat("go", headers=headers)
        client.chat("go", headers=headers)
        assert client.send("GET", "/v1/models").status == 501  # what the scripted server says to GET
        client.tell(task="t", success=False)
    assert server.headers[0]["authorization"] == "Bearer sk-clients-own"
    assert not {"cookie", "idempotency-key", "x-forbear-task"} & set(server.headers[0])
    assert b"sk-clients" not in log.read_bytes()
    assert episodes(log)[0].success is None


def test_a_request_that_is_too_large_is_not_read_to_its_end():
    with in_use(ROLLBACK, replies("on")) as (client, server):
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{client.port}\r\nX-Forbear-Task: t\r\n"
            "Transfer-Encoding: chunked\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", client.port), timeout=60) as raw:
            raw.sendall(head.encode())
            block = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
            sender = threading.Thread(target=_pour, args=(raw, block))
            sender.start()
            assert raw.recv(1000).startswith(b"HTTP/1.1 400")
            raw.shutdown(socket.SHUT_RDWR)
            sender.join()
        assert server.requests == []


def _pour(raw, block):
    try:
        for _ in range(64):
            raw.sendall(block)
    except OSError:
        return


def test_an_episode_that_nobody_calls_any_more_ends_without_an_outcome(tmp_path):
    log = tmp_path / "log.jsonl"
    with in_use(ROLLBACK, replies("on"), log=log, idle_s=0.05) as (client, _):
        client.chat("go", task="left")
        threading.Event().wait(0.1)
        client.chat("go", task="other")
    left, other = episodes(log)
    assert (left.task.id, left.success, "no call within" in left.cause) == ("left", None, True)
    assert (other.success, other.cause) == (None, "the proxy was stopped")


def test_a_critic_is_judged_on_what_a_shadow_wrote(tmp_path, capsys):
    log = tmp_path / "seen.jsonl"
    with in_use(ROLLBACK, lambda asked: answer(asked["messages"][0]["content"]), mode="shadow", log=log) as (client, _):
        for n in range(12):
            client.chat("wipe" if n % 3 else "on", task=f"t{n}")
            client.tell(task=f"t{n}", success=n % 3 == 0)
    assert run(["critic", "evaluate", "recorded", str(log)]) == 0
    assert "12 tasks" in capsys.readouterr().out


def test_a_kept_connection_that_the_endpoint_closes_is_asked_again_on_another():
    body = answer("on").body
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    listening = socket.create_server(("127.0.0.1", 0))

    def serve():
        for answers in (1, 1):
            connection, _ = listening.accept()
            with connection:
                for n in range(answers + 1):
                    if not connection.recv(1 << 16):
                        break
                    if n < answers:  # the second request is read, and never answered
                        connection.sendall(whole)

    thread = threading.Thread(target=serve)
    thread.start()
    url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
    with serving(lambda: Episodes(ROLLBACK, mode="apply", arm="a", prices=Prices()), url) as client:
        assert [client.chat("go").text for _ in range(2)] == ["on", "on"]
    thread.join()
    listening.close()


def test_openais_own_client_gets_what_stands():
    openai = pytest.importorskip("openai", reason="openai is not installed: pip install 'forbear[openai]'")
    replied = replies(calls("wipe"), calls("add", '{"a": 1}'), "wipe", "done", refused(429, retry_after="0"), "on")
    with in_use(policy(Rollback(), budget=9), replied) as (client, server):
        url = f"http://127.0.0.1:{client.port}/episode/t/v1"
        with openai.OpenAI(base_url=url, api_key="sk-own", max_retries=1) as own:
            ask = {"model": "m", "messages": [{"role": "user", "content": "go"}]}
            said = own.chat.completions.create(**ask)
            assert said.choices[0].message.tool_calls[0].function.name == "add"
            stream = own.chat.completions.create(**ask, stream=True, stream_options={"include_usage": True})
            chunks = list(stream)
            assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "done"
            assert chunks[-1].usage.total_tokens == 12
            assert own.chat.completions.create(**ask).choices[0].message.content == "on"
            with pytest.raises(openai.BadRequestError, match="one at a time"):
                own.chat.completions.create(**ask, n=2)
            with pytest.raises(openai.NotFoundError, match="would pass the judge by"):
                own.responses.create(model="m", input="go")
    assert {one["authorization"] for one in server.headers} == {"Bearer sk-own"}
