"""Whatever an agent does, `forbear pilot run` says what came of it: no exit 0 without a verdict, no traceback."""

import json

import pytest

from faults.parts import RAISED
from forbear.cli.main import run
from forbear.records.journal import Journal
from forbear.records.model import Termination
from pilot_files import TEXT, write_pilot

AGENT = TEXT[TEXT.index("[agent]") : TEXT.index("[critic]")]


@pytest.fixture
def pilot_run(tmp_path, monkeypatch, capsys):
    """`forbear pilot run --json` with an agent that does this: its exit code, output and errors."""
    monkeypatch.chdir(tmp_path)

    def pilot_run(does, **options):
        options = ", ".join(f'{key} = "{value}"' for key, value in {"does": does, **options}.items())
        agent = f'[agent]\nuse = "faults.command:agent"\noptions = {{ {options} }}\n\n'
        write_pilot(tmp_path, text=TEXT.replace(AGENT, agent))
        code = run(["pilot", "run", "pilot.toml", "--json", "--journal", does.replace(" ", "-")])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return pilot_run


QUICK = ["SystemExit0", "CancelledError", "EPIPE", "Hostile", "ProviderError", "prints", "moves"]


@pytest.mark.parametrize(
    "does", [*QUICK, *[pytest.param(does, marks=pytest.mark.slow) for does in RAISED if does not in QUICK]]
)
def test_an_agent_that_misbehaves_in_one_task_costs_no_verdict(pilot_run, does, tmp_path):
    code, out, err = pilot_run(does)
    assert code == 0
    assert "\x1b" not in err
    assert (err == "") is (does != "prints")  # which comes out on standard error
    data = json.loads(out)
    assert data["arms"].keys() == {"rollback", "append", "placebo"}
    assert (tmp_path / does / "report.html").is_file()
    content = Journal(tmp_path / does).read()
    ends = {(key[0], episode.termination) for key, episode in content.episodes.items()}
    failed = {task for task, end in ends if end is Termination.AGENT_ERROR}
    assert failed == (set() if does in ("prints", "moves", "ProviderError") else {"t<b>7</b>"})


def test_an_agent_that_breaks_everywhere_stops_the_pilot_in_one_line(pilot_run):
    code, out, err = pilot_run("KeyError", at="")
    assert (code, out) == (3, "")
    assert err.count("\n") == 1
    assert "10 times KeyError: 'state'" in err


@pytest.mark.parametrize(
    ("does", "said"),
    [
        ("ends the loop", "error: a part of the pilot ended the event loop with SystemExit(0)"),
        ("cancels from afar", "error: a task that a part of the pilot had started itself cancelled the pilot."),
    ],
)
def test_a_part_that_ends_everything_from_a_task_of_its_own_is_no_success(pilot_run, does, said):
    code, out, err = pilot_run(does)
    assert (code, out) == (3, "")
    assert err.startswith(said)
    assert err.count("\n") == 1
