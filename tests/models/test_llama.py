import json
import socket
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from forbear.errors import InvalidInput
from forbear.models import llama, weights
from forbear.models.llama import serve
from local_model import needs_model


def chat(url: str, *, key: str | None = None) -> str:
    body = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 3, "seed": 1}
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    request = urllib.request.Request(f"{url}/chat/completions", data=json.dumps(body).encode(), headers=headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)["choices"][0]["message"]["content"]


@pytest.mark.slow
@needs_model
def test_it_is_served_until_the_block_ends():
    with serve(weights.installed_weights(), context=512) as url:
        assert url.startswith("http://127.0.0.1:")
        assert chat(url) == chat(url) != ""
    with pytest.raises(urllib.error.URLError):
        chat(url)


@pytest.mark.slow
@needs_model
def test_it_is_served_to_those_who_know_the_key():
    with serve(weights.installed_weights(), context=512, key="sesame") as url:
        assert chat(url, key="sesame")
        with pytest.raises(urllib.error.HTTPError, match="401"):
            chat(url, key="wrong")


@pytest.mark.slow
@needs_model
def test_what_cannot_be_served_is_said(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with (
            pytest.raises(InvalidInput, match=f"port {port} of 127.0.0.1 is taken"),
            serve(weights.installed_weights(), port=port),
        ):
            pass
    (tmp_path / "torn.gguf").write_bytes(b"GGUF and nothing more")
    for path, said in (
        (tmp_path / "torn.gguf", "cannot load 'torn.gguf'"),
        (tmp_path / "no.gguf", "there is no model"),
    ):
        with pytest.raises(InvalidInput, match=said), serve(path):
            pass


def test_without_the_engine_the_command_that_brings_it_is_named(monkeypatch):
    monkeypatch.setattr(llama, "PACKAGE", "no-such-engine")
    with pytest.raises(InvalidInput, match=r"pip install 'forbear\[local\]'"), serve(Path("a.gguf")):
        pass
