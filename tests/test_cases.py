"""Files as people really have them, after public reports: each is read, or refused with what mends it."""

import json
from pathlib import Path

import pytest

from forbear.cli.main import run

CASES = Path(__file__).parents[2] / "shared" / "cases"
pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason=f"needs {CASES}, which is not part of the project")


def verdict(capsys, *arguments):
    code = run(["decide", *(str(CASES / each) if (CASES / each).is_file() else each for each in arguments), "--json"])
    out = capsys.readouterr()
    assert code == 0, out.err
    return json.loads(out.out)


def refusal(capsys, *arguments):
    code = run([str(CASES / each) if (CASES / each).is_file() else each for each in arguments])
    out = capsys.readouterr()
    assert (code, out.out, out.err.count("\n")) == (2, "", 1)
    return out.err


@pytest.mark.parametrize("name", ["as-nan", "marked"])
def test_an_outage_is_no_outcome_however_it_is_written(capsys, name):
    found = verdict(capsys, f"01-errored-baseline/{name}.csv")
    assert (found["pairs"], found["unpaired"]) == (14, {"baseline": 6, "candidate": 6})
    assert found["recommendation"] == "UNDECIDED"


def test_lm_eval_rows_are_of_one_filter(capsys):
    files = [f"02-lm-eval-samples/samples_gsm8k_{arm}.jsonl" for arm in ("base", "critic")]
    message = refusal(capsys, "decide", *files)
    assert "2 scores, 'exact_match,flexible-extract', 'exact_match,strict-match'; say which" in message
    assert verdict(capsys, *files, "--scorer", "exact_match,strict-match")["tasks"] == 40
    message = refusal(capsys, "decide", *files, "--success-col", "exact_match")  # as a table
    assert "differ in 'filter', 'exact_match'" in message
    assert "--where filter=strict-match (of 2 values) or --by filter; --number-runs" in message
    assert verdict(capsys, *files, "--where", "filter=strict-match")["tasks"] == 40
    assert {arm["tasks"] for arm in verdict(capsys, *files, "--by", "filter")["verdicts"].values()} == {40}


def test_runs_of_one_agent_need_no_arm(capsys):
    for name, flips in (("runs.csv", 1 / 15), ("as-seeds.csv", 1 / 15), ("real-tau-airline.jsonl", 0.2933)):
        assert run(["churn", str(CASES / "04-flip-floppers" / name), "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert (found["tasks"], found["flip_rate"]["value"]) == (50, pytest.approx(flips, abs=1e-4)), name
    assert "--arm-col NAME" in refusal(capsys, "decide", "04-flip-floppers/runs.csv")
    runs = verdict(capsys, "04-flip-floppers/runs.csv", "--arm-col", "run", "--baseline", "main")
    assert list(runs["verdicts"]) == ["pr-a", "pr-b"]


def test_rewards_need_a_threshold(capsys):
    assert "--graded, or --threshold T" in refusal(capsys, "decide", "12-partial-rewards/reward.csv")
    # 0.9999999999 is a reward of 1 after some arithmetic, no failure.
    found = verdict(capsys, "12-partial-rewards/reward.csv", "--threshold", "1")
    assert (found["recovered"], found["disrupted"], found["both_succeed"]) == (4, 0, 4)


def test_columns_of_other_names_and_other_cases(capsys):
    found = verdict(capsys, "14-csv-rerun/cuda.csv", "14-csv-rerun/metal.csv")
    assert (found["pairs"], found["recovered"], found["disrupted"]) == (100, 8, 1)
    assert found["ignored_columns"] == ["inference_time_sec", "llm_calls_count"]


def test_json_documents(capsys):
    found = verdict(capsys, "17-id-to-bool-json/agent-a.json", "17-id-to-bool-json/agent-b.json")
    assert (found["pairs"], found["recovered"], found["disrupted"]) == (30, 7, 5)
    details = "15-per-instance-contradicts/per_instance_details.json"
    alike = verdict(capsys, details, details)
    assert (alike["recovered"], alike["disrupted"]) == (0, 0)
    assert alike["pairs"] == alike["both_fail"] + alike["both_succeed"] > 0


def test_a_baseline_of_another_name_is_asked_for(capsys):
    assert "'frontier', 'cheap'. Say which one is: --baseline NAME" in refusal(
        capsys, "decide", "21-non-inferiority/cheap.csv"
    )
    assert verdict(capsys, "21-non-inferiority/cheap.csv", "--baseline", "frontier")["pairs"] == 120
