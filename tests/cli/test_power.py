import json

import pytest

from forbear.cli.main import run

TRUTH = ("--gain", "0.1", "--discordance", "0.14")


def power(capsys, *arguments):
    code = run(["power", *arguments])
    return code, capsys.readouterr()


def test_the_table_shows_each_verdict_and_the_point_rule(capsys):
    code, out = power(capsys, "--gain", "0", "--discordance", "0.18", "--tasks", "50", "--json")
    assert code == 0
    payload = json.loads(out.out)
    (row,) = payload["rows"]
    assert row["intervene"] + row["forbear"] + row["undecided"] == pytest.approx(1)
    assert row["point_rule"] == pytest.approx(0.433, abs=6e-4)
    code, out = power(capsys, "--gain", "0", "--discordance", "0.18", "--tasks", "50")
    assert "43.3 %" in out.out
    assert f"FORBEAR with probability 0.8 needs {payload['tasks_needed']:,} tasks" in out.out


@pytest.mark.slow
def test_rates_state_the_same_truth(capsys):
    rates = ["--failure-rate", "0.5", "--recovery-rate", "0.3", "--disruption-rate", "0.1"]
    _, by_rates = power(capsys, *rates, "--tasks", "30", "--json")
    _, by_gain = power(capsys, "--gain", "0.1", "--discordance", "0.2", "--tasks", "30", "--json")
    assert json.loads(by_rates.out)["rows"][0]["intervene"] == pytest.approx(
        json.loads(by_gain.out)["rows"][0]["intervene"]
    )


@pytest.mark.slow
def test_the_study_is_shown_where_it_is_optimistic(capsys):
    code, out = power(capsys, "--study", "--json")
    assert code == 0
    rows = json.loads(out.out)["rows"]
    seen = {row["benchmark"]: row for row in rows if row["discordance"] == 0.18}
    # Even with seeds that tell wholly new stories, 300 pairs at 18 % do not find 5 points: 2.49·√(.18/300) = 6.1.
    assert seen["HotPotQA"]["seeds_independent"] == pytest.approx(2.4865 * (0.18 / 300) ** 0.5, abs=0.003)
    assert seen["HotPotQA"]["study"] == 0.05
    code, out = power(capsys, "--study")
    assert "optimistic" in out.out


@pytest.mark.slow
def test_simulated_pilots_agree_with_the_exact_numbers(capsys):
    rates = ["--failure-rate", "0.5", "--recovery-rate", "0.4", "--disruption-rate", "0.1"]
    code, out = power(capsys, *rates, "--tasks", "30", "--simulate", "800", "--json")
    payload = json.loads(out.out)
    assert code == 0
    # 800 pilots: standard error .018 at worst.
    assert payload["simulated"][0]["INTERVENE"] == pytest.approx(payload["rows"][0]["intervene"], abs=0.054)
    code, out = power(capsys, "--gain", "0.1", "--discordance", "0.2", "--simulate", "10")
    assert (code, "needs --failure-rate" in out.err) == (2, True)


def test_looks_stand_beside_a_single_look(capsys):
    code, out = power(capsys, *TRUTH, "--looks", "50,100", "--no-watch", "--futility", "0", "--json")
    found = json.loads(out.out)
    assert (code, found["format"]) == (0, "forbear-looked-power-1")
    # METHODS: two looks .884 with 86 tasks on average, a single one .887.
    assert (found["intervene"], found["single_look"]["intervene"]) == pytest.approx((0.884, 0.887), abs=6e-4)
    assert found["expected_tasks"] == pytest.approx(86, abs=0.6)
    assert found["intervene"] + found["forbear"] + found["futile"] + found["undecided"] == pytest.approx(1)
    assert (found["most_tasks"], found["futile"], found["over_by"][-1]) == (100, 0, 1)
    assert found["expected_tasks"] == pytest.approx(100 - 50 * found["over_by"][0])
    _, short = power(capsys, *TRUTH, "--looks", "50-100/50", "--no-watch", "--futility", "0", "--json")
    assert short.out == out.out
    code, out = power(capsys, *TRUTH, "--looks", "50,100", "--futility", "0.2", "--shape", "pocock")
    assert code == 0
    assert "Pocock looks, harm watched after every task, futile below 20 %" in out.out
    assert "one look at 100 88.7 %" in " ".join(out.out.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "state the truth as"),
        (["--gain", "0.1"], "state the truth as"),
        (["--gain", "0.1", "--discordance", "0.05"], "needs a discordance between"),
        (["--gain", "0.1", "--discordance", "0.2", "--tasks", "many"], "whole numbers"),
        (["--gain", "0.1", "--discordance", "0.2", "--tasks", "0"], "1 to 1,000,000 tasks"),
        ([*TRUTH, "--looks", "200,500"], "at most 400 tasks, got looks to 500"),
        ([*TRUTH, "--looks", "50,20"], "looks must rise"),
        ([*TRUTH, "--looks", "few"], "rising whole numbers"),
        ([*TRUTH, "--looks", "50,100", "--seeds", "3"], "one run per task"),
        ([*TRUTH, "--looks", "50,100", "--tasks", "60"], "drop --tasks"),
        ([*TRUTH, "--looks", "50,100", "--simulate", "60"], "drop --simulate"),
        ([*TRUTH, "--looks", "50,100", "--futility", "1"], "futility is a probability"),
        ([*TRUTH, "--futility", "0.1"], "--futility belongs to looks"),
        ([*TRUTH, "--no-watch"], "--no-watch belongs to looks"),
        ([*TRUTH, "--shape", "pocock"], "--shape belongs to looks"),
    ],
)
def test_impossible_questions_are_one_line(capsys, arguments, message):
    code, out = power(capsys, *arguments)
    assert code == 2
    assert message in out.err
    assert out.out == ""


def test_many_baseline_runs_to_one_treated(capsys):
    arguments = ["power", "--gain", "0.06", "--discordance", "0.3", "--agreement", "0.2", "--tasks", "100"]
    assert run([*arguments, "--baseline-seeds", "5"]) == 0
    out = capsys.readouterr().out
    assert "350 tasks of 1 treated and 5 baseline runs." in out
    assert "cuts the variance by 32 %" in out
    assert run([*arguments, "--baseline-seeds", "5", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert (row["seeds"], row["baseline_seeds"], row["effective_pairs"]) == (1, 5, 147)


@pytest.mark.parametrize("option", [("--looks", "50,100"), ("--simulate", "10")])
def test_baseline_runs_are_refused_where_they_are_not_computed(capsys, option):
    rates = ["--failure-rate", "0.4", "--recovery-rate", "0.3", "--disruption-rate", "0.1"]
    assert run(["power", *rates, "--baseline-seeds", "5", *option]) == 2
    assert "drop" in capsys.readouterr().err.lower()


OUTCOMES = "task,condition,ok\n" + "".join(
    f"t{i},baseline,{int(i % 5 >= 2)}\nt{i},critic,{int(i % 5 >= 1)}\n" for i in range(40)
)
COLUMNS = ("--task-col", "task", "--arm-col", "condition", "--success-col", "ok")


def test_the_truth_may_be_taken_from_a_table(capsys, tmp_path):
    path = tmp_path / "o.csv"
    path.write_text(OUTCOMES)
    code, out = power(capsys, "--from", str(path), *COLUMNS, "--tasks", "30")
    assert (code, out.err) == (0, "")
    # Of 40 tasks 16 fail, 8 of those are recovered: p = .4, r = .5, a gain of .2 at .2 discordance.
    assert "Seen: failure rate 40.0 %, recovery 50.0 %, disruption 0.0 % in 40 tasks." in out.out
    assert "Truth: gain +20.0 pp, 20.0 % of pairs discordant." in out.out
    code, out = power(capsys, "--from", str(path), *COLUMNS, "--tasks", "30", "--disruption-rate", "0.1", "--json")
    assert json.loads(out.out)["gain"] == pytest.approx(0.4 * 0.5 - 0.6 * 0.1)


def test_a_table_of_the_agent_alone_needs_the_rest_stated(capsys, tmp_path):
    path = tmp_path / "o.csv"
    path.write_text("\n".join(line for line in OUTCOMES.splitlines() if "critic" not in line))
    code, out = power(capsys, "--from", str(path), *COLUMNS)
    assert (code, "State what the intervention would do" in out.err) == (2, True)
    rates = ("--recovery-rate", "0.5", "--disruption-rate", "0")
    assert power(capsys, "--from", str(path), *COLUMNS, *rates, "--tasks", "30")[0] == 0
    assert "drop --gain" in power(capsys, "--from", str(path), *COLUMNS, "--gain", "0.1")[1].err
    assert "--task-col says how a table is read: name it, --from FILE" in power(capsys, *TRUTH, *COLUMNS[:2])[1].err
