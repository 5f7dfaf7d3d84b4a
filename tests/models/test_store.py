import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forbear.contracts.draw import Draw
from forbear.errors import AgentError, InvalidInput, JournalUnwritable
from forbear.models.chat import Completion, Token, ToolCall
from forbear.models.store import ResponseStore
from forbear.records.model import Usage

FULL = Completion(
    text="ja \u2028 \x00",
    tool_calls=(ToolCall("1", "f", "{"),),
    tokens=(Token("ja", -0.25, {"ja": -0.25, "no": -2.0}),),
    finish_reason="length",
    usage=Usage(calls=1, input_tokens=3, output_tokens=2, seconds=0.5),
)


def test_what_was_put_is_got_by_whoever_opens_the_file(tmp_path):
    path = tmp_path / "responses.jsonl"
    with ResponseStore(path, owner="a") as store:
        assert store.get("1") is None
        assert not path.exists()
        store.put("1", FULL, draw=Draw(task_id="t", seed=1, role="agent"))
        assert store.get("1") == (FULL, True)
    with ResponseStore(path, owner="b") as store:
        assert len(store) == 1
        assert store.get("1") == (FULL, False)


@given(at=st.integers(0, 10**6), mask=st.integers(1, 255), cut=st.booleans())
def test_damage_loses_answers_and_never_changes_one(at, mask, cut, tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "responses.jsonl"
    answers = {str(n): Completion(text=f"answer {n}", usage=Usage(calls=1)) for n in range(5)}
    with ResponseStore(path, owner="a") as store:
        for key, one in answers.items():
            store.put(key, one, draw=Draw(task_id="t", seed=1, role="agent"))
    data = bytearray(path.read_bytes())
    at %= len(data)
    if cut:
        del data[at:]
    else:
        data[at] ^= mask
    path.write_bytes(data)
    with ResponseStore(path, owner="a") as store:
        found = {key: store.get(key) for key in answers}
        assert all(one is None or one == (answers[key], True) for key, one in found.items())
        assert sum(one is None for one in found.values()) <= (5 if cut else 2)
        store.put("new", FULL, draw=Draw(task_id="t", seed=1, role="agent"))
    with ResponseStore(path, owner="a") as store:
        assert store.get("new") == (FULL, True)
        assert {key: store.get(key) for key in answers} == found


def test_several_processes_append_to_one_file(tmp_path):
    path = tmp_path / "responses.jsonl"
    code = (
        "import sys; from pathlib import Path; from forbear.models.store import ResponseStore\n"
        "from forbear.models.chat import Completion; from forbear.contracts.draw import Draw\n"
        "store = ResponseStore(Path(sys.argv[1]), owner='a')\n"
        "for n in range(200): store.put(f'{sys.argv[2]}-{n}', Completion(text='x' * n), "
        "draw=Draw(task_id='t', seed=n, role='agent'))\n"
    )
    started = [subprocess.Popen([sys.executable, "-c", code, str(path), name]) for name in "abc"]
    assert [one.wait() for one in started] == [0, 0, 0]
    with ResponseStore(path, owner="a") as store:
        assert (len(store), store.damaged) == (600, 0)
        assert store.get("b-7")[0].text == "x" * 7


def test_a_full_disk_is_said_and_leaves_what_was_there(tmp_path):
    code = (
        "import resource, signal, sys; from pathlib import Path; from forbear.models.store import ResponseStore\n"
        "from forbear.models.chat import Completion; from forbear.contracts.draw import Draw\n"
        "from forbear.errors import JournalUnwritable\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "store = ResponseStore(Path(sys.argv[1]), owner='a')\n"
        "store.put('1', Completion(text='kept'), draw=Draw(task_id='t', seed=1, role='agent'))\n"
        "try: store.put('2', Completion(text='x' * 2000), draw=Draw(task_id='t', seed=1, role='agent'))\n"
        "except JournalUnwritable as error: print(error)\n"
    )
    path = tmp_path / "responses.jsonl"
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert "cannot be written (File too large)" in done.stdout
    with ResponseStore(path, owner="a") as store:
        assert (len(store), store.damaged) == (1, 0)


def test_what_is_no_file_is_refused(tmp_path):
    path = tmp_path / "responses.jsonl"
    os.mkfifo(path)
    with pytest.raises(InvalidInput, match="is no file"):
        ResponseStore(path, owner="a")
    with pytest.raises(JournalUnwritable), ResponseStore(path / "x", owner="a") as store:
        store.put("1", FULL, draw=Draw(task_id="t", seed=1, role="agent"))


def test_an_answer_larger_than_a_line_is_refused(tmp_path):
    tokens = tuple(Token("x" * 1000, -1.0) for _ in range(20_000))
    with pytest.raises(AgentError, match="set max_tokens"), ResponseStore(tmp_path / "x", owner="a") as store:
        store.put("1", Completion(tokens=tokens), draw=Draw(task_id="t", seed=1, role="agent"))


def test_an_answer_is_looked_for_in_earlier_files_which_are_not_written(tmp_path):
    draw, other = Draw(task_id="t", seed=1, role="agent"), Completion(text="other")
    for name, answers in (("a", {"1": FULL}), ("b", {"1": other, "2": other})):
        with ResponseStore(tmp_path / name, owner="x") as store:
            for key, answer in answers.items():
                store.put(key, answer, draw=draw)
    before = {name: (tmp_path / name).read_bytes() for name in "ab"}
    for name in "ab":
        (tmp_path / name).chmod(0o400)
    earlier = [tmp_path / "a", tmp_path / "b", tmp_path / "gone"]
    with ResponseStore(tmp_path / "now", owner="x", earlier=earlier) as store:
        assert [store.get(key) for key in "123"] == [(FULL, False), (other, False), None]
        store.put("1", other, draw=draw)
        assert store.get("1") == (other, True)
    assert {name: (tmp_path / name).read_bytes() for name in "ab"} == before
