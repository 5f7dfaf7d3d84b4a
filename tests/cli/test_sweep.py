import json
import re
from pathlib import Path

import pytest

from forbear.adapters.pilot_file import read_pilot_file
from forbear.cli.main import run
from forbear.interventions.ready import TOLD
from forbear.runner.plan import freeze
from forbear.testing.chat_server import ChatServer, answer
from pilot_files import TEXT, write_pilot

SWEEP = TEXT.replace("threshold = 0.7", "threshold = [0.6, 0.7, 0.8]").replace(
    "seeds = [1]", "seeds = [1]\nlooks = [12]\nwatch = false"
)


def test_a_sweep_prints_a_line_for_each_setting_and_corrects_the_best(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_pilot(tmp_path, text=SWEEP)
    assert run(["pilot", "sweep", "pilot.toml"]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    table = text.split("\n\n")[1].splitlines()
    assert [re.split(r" +\d\.\d\d", line)[0] for line in table[1:]] == [
        *(f"rollback threshold {n}" for n in (0.6, 0.7, 0.8)),
        "append",
        "placebo",
    ]
    assert "The best of 4 arms: corrected for having been chosen" in text.replace("\n", " ")
    assert run(["pilot", "run", "pilot.toml", "--json"]) == 0  # the same pilot, the same journal
    view = json.loads(capsys.readouterr().out)
    assert len(view["arms"]) == 5
    # Settings that do alike are paid for once: of all that was re-used, nothing was asked again.
    paid = sum(arm["new_calls"] for arm in view["arms"].values()) + view["baseline"]["new_calls"]
    assert view["calls"]["paid"] == paid < view["calls"]["alone"]


@pytest.mark.parametrize(
    ("template", "arms"),
    [("sweep", {"rollback-told threshold 0.9", "append threshold 0.4", "late min_step 5 budget 1"})],
)
def test_ready_made_sweeps_are_plans(tmp_path, monkeypatch, template, arms):
    monkeypatch.chdir(tmp_path)
    assert run(["pilot", "init", "s.toml", "--template", template]) == 0
    record = freeze(read_pilot_file("s.toml").plan).record
    assert arms <= set(record.candidates)


@pytest.mark.slow
def test_the_oracle_is_a_ceiling_of_the_sweep_s_own_runs(tmp_path, monkeypatch, capsys):
    """Both templates in small, as a user would run them, one after the other."""
    monkeypatch.chdir(tmp_path)
    assert run(["pilot", "init", "oracle.toml", "--template", "oracle"]) == 0
    assert run(["pilot", "sweep", "oracle.toml"]) == 2
    assert "run the pilot whose outcomes it has first" in capsys.readouterr().err
    for name in ("sweep", "oracle"):
        if name == "sweep":
            assert run(["pilot", "init", "sweep.toml", "--template", "sweep"]) == 0
        text = Path(f"{name}.toml").read_text()
        Path(f"{name}.toml").write_text(text.replace("n = 200", "n = 12").replace("looks = [200]", "looks = [12]"))
        assert run(["pilot", "sweep", f"{name}.toml"]) == 0
    capsys.readouterr()
    assert run(["pilot", "run", "oracle.toml", "--json"]) == 0
    arms = json.loads(capsys.readouterr().out)["arms"]
    oracles = {name: arm for name, arm in arms.items() if name.startswith("oracle")}
    assert len(oracles) == 9
    assert all(arm["is_control"] and arm["verdict"]["disrupted"] == 0 for arm in oracles.values())
    assert not arms["critic append"]["is_control"]


def test_feedback_is_silent_told_or_written_by_the_model(tmp_path, monkeypatch, capsys):
    """The template, its model behind a server: told and silent differ by their words alone, written by the model's."""
    monkeypatch.chdir(tmp_path)
    assert run(["pilot", "init", "feedback.toml", "--template", "feedback"]) == 0

    def respond(request):
        said = " ".join(message["content"] for message in request["messages"])
        if "max_tokens" in request and request["max_tokens"] == 40:
            return answer("Read the question again.")
        second = "Read the question again." in said or TOLD in said
        logprobs = [{"token": "it", "logprob": -0.1 if second else -2.0}]
        return answer("Answer: right" if second else "Answer: wrong", logprobs=logprobs)

    with ChatServer(respond) as server:
        text = Path("feedback.toml").read_text()
        options = (
            f'{{ model = "test", base_url = "{server.url}", temperature = 0.7, max_tokens = 40, patience_s = 2.0 }}'
        )
        text = text.replace('use = "local"', 'use = "openai"')
        text = text.replace("options = { temperature = 0.7, max_tokens = 40 }", f"options = {options}")
        Path("feedback.toml").write_text(text.replace("n = 120", "n = 3").replace("looks = [120]", "looks = [3]"))
        capsys.readouterr()
        assert run(["pilot", "run", "feedback.toml", "--json"]) == 0
        view = json.loads(capsys.readouterr().out)
        asked = [" ".join(str(message["content"]) for message in request["messages"]) for request in server.requests]
    assert list(view["arms"]) == ["silent", "told", "written"]
    assert sum(TOLD in text for text in asked) == 3
    assert sum("Read the question again." in text for text in asked) == 3
    assert len(asked) == 3 + 3 + 3 + 2 * 3


def test_the_study_s_heuristics_are_arms_beside_the_critic(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(["pilot", "init", "h.toml", "--template", "heuristics"]) == 0
    record = freeze(read_pilot_file("h.toml").plan).record
    critics = {record.arms[arm].critic.partition(":")[0] for arm in record.candidates}
    assert critics == {"household-logistic", "random", "after-step", "repeated-action"}
