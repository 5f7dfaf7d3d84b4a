import json
import re

import pytest

from forbear.adapters.pilot_file import read_pilot_file
from forbear.cli.main import run
from forbear.runner.plan import freeze
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


def test_the_study_s_heuristics_are_arms_beside_the_critic(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(["pilot", "init", "h.toml", "--template", "heuristics"]) == 0
    record = freeze(read_pilot_file("h.toml").plan).record
    critics = {record.arms[arm].critic.partition(":")[0] for arm in record.candidates}
    assert critics == {"household-logistic", "random", "after-step", "repeated-action"}
