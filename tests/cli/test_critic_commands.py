import json

import pytest

from forbear.cli.main import run
from judged_runs import write_runs


@pytest.fixture
def runs(tmp_path):
    return str(write_runs(tmp_path / "runs.jsonl", tasks=120))


def found(capsys, *arguments):
    assert run([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_built_in_critic_is_evaluated(runs, tmp_path, capsys):
    page = tmp_path / "critic.html"
    assert run(["critic", "evaluate", "repeated-action", runs, "--resamples", "100", "--html", str(page)]) == 0
    out = capsys.readouterr().out
    assert "critic repeated-action: 120 runs of 120 tasks" in out
    assert "None of this says whether acting on the critic helps" in out
    assert "<svg" in page.read_text()
    as_json = found(capsys, "critic", "evaluate", "repeated-action", runs, "--resamples", "100")
    assert as_json["format"] == "forbear-critic-evaluation-1"
    assert as_json["auroc"]["low"] <= as_json["auroc"]["value"] <= as_json["auroc"]["high"]
    assert as_json["controls"]["repeated-action"]["difference"]["auroc"]["value"] == 0.0
    assert as_json["log_loss"] is None
    assert "infinite" in as_json["undefined"]["log_loss"]


def test_the_same_input_gives_the_same_numbers(runs, capsys):
    command = ["critic", "evaluate", "random", runs, "--resamples", "100", "--options", '{"rate": 0.5}']
    assert found(capsys, *command) == found(capsys, *command)


def test_calibrated_evaluated_and_used_in_a_pilot(runs, tmp_path, capsys):
    folder = str(tmp_path / "cal")
    made = found(capsys, "critic", "calibrate", "step-count", runs, "-o", folder)
    assert made["before"]["ece"]["value"] > made["after"]["ece"]["value"]
    assert run(["critic", "evaluate", folder, runs]) == 2
    assert "--allow-overlap" in capsys.readouterr().err
    others = str(write_runs(tmp_path / "others.jsonl", first=1000, tasks=60, failing=0.9))
    judged = found(capsys, "critic", "evaluate", folder, others, "--resamples", "100")
    assert any("runs that it learned from failed" in one for one in judged["cautions"])
    assert run(["critic", "evaluate", folder, runs, "--allow-overlap", "--resamples", "100"]) == 0
    assert "flatter" in capsys.readouterr().out
    assert run(["critic", "calibrate", "step-count", runs, "-o", folder]) == 2
    assert "holds a critic already" in capsys.readouterr().err
    assert run(["critic", "calibrate", "step-count", runs, "-o", folder + "2", "--method", "platt"]) == 0
    assert "step-count: platt" in capsys.readouterr().out


def test_a_pilot_names_a_calibrated_critic(tmp_path, capsys):
    from forbear.adapters.pilot_file import read_pilot_file
    from pilot_files import TEXT, write_pilot

    runs = str(write_runs(tmp_path / "runs.jsonl", tasks=60))
    assert run(["critic", "calibrate", "step-count", runs, "-o", str(tmp_path / "cal")]) == 0
    head, _, tail = TEXT.partition("[critic]\n")
    text = f'{head}[critic]\nuse = "calibrated"\noptions = {{ path = "cal" }}\n{tail[tail.index("[tasks]") :]}'
    described = read_pilot_file(write_pilot(tmp_path, text=text))
    assert "calibrated" in repr(described)
    capsys.readouterr()
    assert run(["pilot", "check", str(tmp_path / "pilot.toml"), "--journal", str(tmp_path / "j")]) == 0


def test_a_threshold_with_its_guarantee(tmp_path, capsys):
    runs = str(write_runs(tmp_path / "runs.jsonl", tasks=300, seeds=2))
    command = ["critic", "threshold", "step-count", runs, "--false-alarms", "0.2"]
    got = found(capsys, *command)
    assert got["expected"] <= 0.2 <= got["likely_at_most"]
    assert got["measured"]["low"] <= 0.2
    assert "at most 20 % of the runs" in got["guarantee"]
    assert got["cautions"] == []
    assert run(command) == 0
    out = capsys.readouterr().out
    assert "Measured on held-out tasks" in out
    assert run([*command, "--assurance", "0.9", "--held-out", "0"]) == 0
    out = capsys.readouterr().out
    assert "With probability 90 %" in out
    assert "Not measured" in out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["evaluate", "nobody"], "no folder of a critic"),
        (["evaluate", "step-count", "--options", "[1]"], "JSON object"),
        (["evaluate", "step-count", "--thresholds", "a,b"], "numbers separated by commas"),
        (["evaluate", "step-count", "--threshold", "2"], r"numbers in [0, 1]"),
        (["threshold", "step-count", "--false-alarms", "0.001"], "it takes 999"),
        (["threshold", "step-count", "--false-alarms", "2"], "between 0 and 1"),
    ],
)
def test_bad_input_is_one_line(runs, capsys, arguments, sentence):
    command, critic, *options = arguments
    assert run(["critic", command, critic, runs, *options]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1


def test_runs_of_one_outcome_are_refused(tmp_path, capsys):
    alike = str(write_runs(tmp_path / "alike.jsonl", failing=0.0))
    for command in (["evaluate", "random", alike], ["calibrate", "random", alike, "-o", str(tmp_path / "c")]):
        assert run(["critic", *command]) == 2
        assert "all 80 runs succeeded" in capsys.readouterr().err


def test_a_page_that_cannot_be_written_costs_no_numbers(runs, tmp_path, capsys):
    page = str(tmp_path / "missing" / "page.html")
    assert run(["critic", "evaluate", "random", runs, "--resamples", "100", "--html", page]) == 3
    captured = capsys.readouterr()
    assert "auroc" in captured.out
    assert "cannot be written" in captured.err
