"""One analysis: what is run, extended, shown again and decided on later says the same of the same journal."""

import json

import pytest

from forbear.cli.main import run
from pilot_files import TEXT, write_pilot

# A critic that always raises, and a world that is never there for one task.
PARTS = """
from forbear.errors import ProviderError
from forbear.testing import Corridor

class Mute:
    async def score(self, trajectory, proposed, *, draw):
        raise RuntimeError("out of memory")

    def config(self):
        return {"name": "mute"}

class Hole(Corridor):
    async def reset(self, task, *, draw):
        if task.id == "t<b>3</b>":
            raise ProviderError("gone")
        return await super().reset(task, draw=draw)
"""

BROKEN = (
    TEXT.replace("[run]\n", "[run]\nlooks = [6, 12]\nfutility = 0\nretries = 0\nmax_critic_faults = 1.0\n")
    .replace('environment = "forbear.testing:Corridor"', 'environment = "mute_parts:Hole"')
    .replace('use = "forbear.testing:WordCritic"', 'use = "mute_parts:Mute"')
    .replace("options = { scores = { jump = 0.9, wait = 0.65, open = 0.2 } }\n", "")
)


@pytest.fixture
def pilot(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mute_parts.py").write_text(PARTS, encoding="utf-8")
    return write_pilot(tmp_path, text=BROKEN)


def said(verdict):
    """What stands beside the numbers."""
    return verdict["cautions"], verdict["unpaired"], verdict["pairs"], verdict["look"]


@pytest.mark.slow
def test_run_extend_and_decide_say_the_same_of_a_critic_that_never_answers(pilot, capsys):
    def asked(*arguments):
        assert run([*arguments]) == 0
        return capsys.readouterr().out

    def verdicts_of(text):
        return {name: arm["verdict"] for name, arm in json.loads(text)["arms"].items()}

    verdicts_of(asked("pilot", "run", "pilot.toml", "--look", "1", "--json"))
    extended = verdicts_of(asked("pilot", "extend", "pilot.toml", "--json"))
    shown_again = verdicts_of(asked("pilot", "run", "pilot.toml", "--json"))
    at_once = verdicts_of(asked("pilot", "run", "pilot.toml", "--journal", "whole", "--json"))
    decided = json.loads(asked("decide", "runs/pilot", "--json"))["verdicts"]
    status = asked("pilot", "status", "pilot.toml")

    assert extended.keys() == {"rollback", "append", "placebo"}
    assert decided.keys() == {"rollback", "append"}  # a control is never deployed
    for name, verdict in extended.items():
        for other in (shown_again[name], at_once[name], *([decided[name]] if name in decided else [])):
            assert said(other) == said(verdict)
        codes = [remark["code"] for remark in verdict["cautions"]]
        assert {"critic_faults", "never_intervened", "missing_outcomes"} <= set(codes)
        (faults,) = [remark for remark in verdict["cautions"] if remark["code"] == "critic_faults"]
        assert "never answered" in faults["text"]
        assert faults["values"]["owed"] == faults["values"]["asked"] > 0
        assert verdict["pairs"] == 11
        assert verdict["unpaired"] == {"baseline": 1, name: 1}
        (missing,) = [remark for remark in verdict["cautions"] if remark["code"] == "missing_outcomes"]
        assert f"1 of 'baseline' and 1 of '{name}'" in missing["text"]
        assert f"{name}: 11 of 12 episodes, 1 without outcome" in status
