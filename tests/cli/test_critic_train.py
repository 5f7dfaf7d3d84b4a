import json

import pytest

from critics.trained_runs import some_runs
from forbear.cli.main import run
from forbear.critics import TrainedCritic


@pytest.fixture
def logs(tmp_path):
    path = tmp_path / "logs.jsonl"
    lines = []
    for judged in some_runs():
        steps = judged.trajectory.steps
        seen = [step.observation for step in steps[1:]] + ["THE END"]
        log = [{"action": s.executed.text, "observation": o} for s, o in zip(steps, seen, strict=True)]
        first = {"task_id": judged.task, "seed": judged.run, "success": judged.success}
        lines.append(json.dumps({**first, "task": steps[0].observation, "steps": log}))
    path.write_text("\n".join(lines))
    return path


def test_from_logs_to_a_critic(logs, tmp_path, capsys):
    assert run(["critic", "train", str(logs), "-o", str(tmp_path / "c"), "--json"]) == 0
    card = json.loads(capsys.readouterr().out)
    assert card == TrainedCritic.load(tmp_path / "c").card
    assert set(card["metrics"]["auroc"]) == {"value", "low", "high", "confidence"}
    assert run(["critic", "train", str(logs), "-o", str(tmp_path / "c"), "--history", str(logs)]) == 0
    told = capsys.readouterr().out
    assert "80 runs of 40 tasks" in told
    assert "None of this says whether stepping in helps" in told


def test_what_cannot_be_trained_on_is_one_line(logs, tmp_path, capsys):
    logs.write_text("\n".join(logs.read_text().split("\n")[:6]))
    assert run(["critic", "train", str(logs), "-o", str(tmp_path / "c")]) == 2
    assert "at least 10 are needed" in capsys.readouterr().err
    assert not (tmp_path / "c").exists()
