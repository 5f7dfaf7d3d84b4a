"""What goes wrong where logs are read carelessly, each in a small file of the tool's layout."""

import pytest

from forbear.adapters.formats.logs.choice import Choice
from forbear.adapters.formats.logs.reading import read_logs
from forbear.adapters.formats.tabular import read_outcomes
from forbear.analysis.pairing import compare
from forbear.errors import InvalidInput
from log_files import DATA, lines, of_one_arm, told

# --- Inspect ---------------------------------------------------------------------------------------------------------


def test_an_error_of_a_sample_is_no_failure_and_neither_is_a_solvers_timeout():
    found = read_logs([DATA / "traps.eval"])
    outcomes = of_one_arm(found)
    assert outcomes["s3"] == ["error", "error"]  # score_on_error gave it a score
    assert outcomes["s4"] == ["error", "error"]  # scored as incorrect, its error null
    assert {word for task in ("s1", "s2", "s5") for word in outcomes[task]} == {"success", "failure"}
    assert found.repeats == 2
    assert any("2 samples scored as failures without one call of a model" in remark for remark in found.remarks)


def test_of_two_scorers_the_user_chooses():
    with pytest.raises(
        InvalidInput, match="holds 2 scores, 'includes', 'match'; say which is the outcome: --scorer NAME"
    ):
        read_logs([DATA / "scorers.eval"])
    assert read_logs([DATA / "scorers.eval"], choice=Choice(scorer="includes")).said == ("score 'includes'",)
    with pytest.raises(InvalidInput, match="there is no score 'exact'; the scores are 'match', 'includes'"):
        read_logs([DATA / "scorers.eval"], choice=Choice(scorer="exact"))


def test_graded_scores_need_a_threshold_and_partial_is_no_success_unless_said():
    with pytest.raises(InvalidInput, match="neither 0 nor 1"):
        read_logs([DATA / "graded.eval"])
    low = of_one_arm(read_logs([DATA / "graded.eval"], choice=Choice(threshold=0.2)))
    assert (low["s1"], low["s3"]) == (["success"], ["error"])
    partial = read_logs([DATA / "partial.eval"])
    assert of_one_arm(partial)["s1"] == ["failure"]
    assert any("1 score between failure and full success" in remark for remark in partial.remarks)
    assert of_one_arm(read_logs([DATA / "partial.eval"], choice=Choice(threshold=0.5)))["s1"] == ["success"]


def test_a_sample_without_a_score_has_no_outcome():
    assert of_one_arm(read_logs([DATA / "unscored.eval"])) == {
        **{task: ["missing"] for task in ("s1", "s2", "s4", "s5")},
        "s3": ["error"],
    }


def inspect_log(task_id="T", *, created="2026-01-01", status="success", ids=(), model="m", **samples):
    return {
        "version": 2,
        "status": status,
        "eval": {
            "task": "t",
            "task_id": task_id,
            "created": created,
            "model": model,
            "dataset": {"sample_ids": list(ids)},
        },
        "samples": [
            {"id": name, "epoch": 1, "error": {"message": "gone"} if value is None else None}
            | ({} if value is None else {"scores": {"match": {"value": value}}})
            for name, value in samples.items()
        ],
    }


def test_a_retried_evaluation_is_one_run_and_its_later_outcome_counts(write):
    first = write(inspect_log(a="C", b=None), "first.json")
    again = write(inspect_log(created="2026-01-02", a="C", b="I"), "again.json")
    found = read_logs([first, again])
    assert of_one_arm(found) == {"a": ["success"], "b": ["failure"]}
    assert any("2 runs are stored twice" in remark for remark in found.remarks)


def test_a_retry_that_broke_does_not_take_an_outcome_away(write):
    first = write(inspect_log(a="C"), "first.json")
    again = write(inspect_log(created="2026-01-02", a=None), "again.json")
    assert of_one_arm(read_logs([first, again])) == {"a": ["success"]}


def test_what_a_cancelled_run_never_came_to_is_missing(write):
    found = read_logs([write(inspect_log(status="cancelled", ids=["a", "b"], a="C"))])
    assert of_one_arm(found) == {"a": ["success"], "b": ["missing"]}
    assert any("status 'cancelled'" in remark for remark in found.remarks)


def test_two_runs_of_one_configuration_are_arms_unless_they_are_said_to_be_repeats(write):
    logs = [write(inspect_log("T1", a="C", b="I"), "one.json"), write(inspect_log("T2", a="I", b="I"), "two.json")]
    apart = read_logs(logs)
    assert list(apart.arms) == ["one", "two"]
    assert apart.baseline == "one"
    assert any("--arms-by config makes them repeats" in remark for remark in apart.remarks)
    joined = read_logs(logs, choice=Choice(arms_by="config"))
    assert told(joined) == {("a", "m"): ["success", "failure"], ("b", "m"): ["failure", "failure"]}
    assert [row.seed for row in joined.rows] == ["0", "1", "0", "1"]


def test_arms_are_named_by_what_tells_them_apart(write):
    found = read_logs(
        [write(inspect_log("T1", model="x", a="C"), "1.json"), write(inspect_log("T2", model="y", a="I"), "2.json")]
    )
    assert list(found.arms) == ["x", "y"]
    guarded = inspect_log("T3", model="x", a="I")
    guarded["eval"]["task_args"] = {"critic": True}
    found = read_logs([write(inspect_log("T1", model="x", a="C"), "1.json"), write(guarded, "3.json")])
    assert list(found.arms) == ["x", "critic=True"]


def test_a_pilot_that_inspect_ran_says_its_arms_itself(write):
    logs = []
    for arm, about in (("baseline", {"arm": "baseline"}), ("rollback", {"arm": "rollback"}), ("no", "not ours")):
        log = inspect_log(arm, ids=["a", "b"], status="cancelled", a="C")
        log["eval"] |= {"metadata": {"forbear": about}}
        logs.append(write(log, f"{arm}.json"))
    assert list(read_logs(logs[:2]).arms) == ["baseline", "rollback"]
    for order in (logs[:2], logs[1::-1]):  # as a shell lists files: the first is not always the baseline
        read = read_outcomes(order)
        [pairing] = compare(read.table, baseline=read.baseline)
        assert (pairing.baseline, pairing.treated) == ("baseline", "rollback")
    assert read_logs(logs[1:]).baseline == "rollback"
    assert list(read_logs(logs[1:]).arms) == ["rollback", "m"]


def test_arms_that_are_tasks_of_their_own_meet_on_one_data_set_and_benchmarks_stay_one_arm(write):
    def log(name, task, asked, dataset=None, **samples):
        whole = inspect_log(name, **samples)
        whole["eval"] |= {"task": task, "dataset": {"name": dataset}}
        for sample in whole["samples"]:
            sample["input"] = f"{asked} {sample['id']}"
        return write(whole, f"{name}.json")

    arms = read_logs([log("T1", "plain", "same", a="C", b="I"), log("T2", "guarded", "same", a="C", b="C")])
    assert told(arms) == {
        ("a", "plain"): ["success"],
        ("b", "plain"): ["failure"],
        ("a", "guarded"): ["success"],
        ("b", "guarded"): ["success"],
    }
    suite = read_logs([log("T1", "sums", "add", a="C"), log("T2", "words", "spell", a="I")])
    assert told(suite) == {("sums/a", "m"): ["success"], ("words/a", "m"): ["failure"]}
    asked = read_logs([log("T1", "x", "one prompt", "gaia", a="C"), log("T2", "y", "another", "gaia", a="I")])
    assert set(told(asked)) == {("a", "x"), ("a", "y")}


# --- SWE-bench -------------------------------------------------------------------------------------------------------


def test_what_the_infrastructure_broke_stands_among_the_unresolved_and_is_no_failure(write):
    report = {
        "total_instances": 6,
        "submitted_ids": ["a", "b", "c", "d", "e"],
        "completed_ids": ["a", "b", "c"],
        "incomplete_ids": ["f"],
        "empty_patch_ids": ["d"],
        "resolved_ids": ["a"],
        "unresolved_ids": ["b", "c"],
        "infra_failure_ids": ["c"],
        "ambiguous_failure_ids": [],
        "failure_reasons": {"c": "docker_pull"},
        "error_ids": ["e"],
        "schema_version": 2,
    }
    found = read_logs([write(report, "my__model.run1.json")])
    assert told(found) == {
        ("a", "my/model"): ["success"],
        ("b", "my/model"): ["failure"],
        ("c", "my/model"): ["error"],
        ("d", "my/model"): ["failure"],
        ("e", "my/model"): ["error"],
        ("f", "my/model"): ["missing"],
    }
    assert found.arms["my/model"].reasons["docker_pull"] == 1


def test_what_the_harness_itself_reports_of_each_kind_of_end():
    found = read_logs([DATA / "org__model.run.json"])
    words = dict(a="success", b="failure", c="error", d="failure", e="error", f="missing")
    assert of_one_arm(found) == {task: [word] for task, word in words.items()}
    assert found.arms["org/model"].reasons["network_unreachable"] == 1


def test_reports_of_single_instances_in_their_folders_are_one_run(write, tmp_path):
    for task, resolved in (("a", True), ("b", False)):
        write({task: {"resolved": resolved, "patch_exists": True}}, f"run/model/{task}/report.json")
    assert told(read_logs([tmp_path])) == {("a", "model"): ["success"], ("b", "model"): ["failure"]}


def test_a_report_of_a_run_is_believed_before_those_of_its_instances(write, tmp_path):
    write(
        {"submitted_ids": ["a", "b"], "resolved_ids": ["a"], "unresolved_ids": ["b"], "infra_failure_ids": ["b"]},
        "org__m.run.json",
    )
    for task, resolved in (("a", True), ("b", False)):
        write({task: {"resolved": resolved}}, f"logs/run_evaluation/run/org__m/{task}/report.json")
    assert told(read_logs([tmp_path])) == {("a", "org/m"): ["success"], ("b", "org/m"): ["error"]}


def test_on_a_leaderboard_what_is_not_listed_failed_and_in_a_report_it_was_not_run(write):
    lists = [
        write({"no_generation": [], "resolved": ["a"]}, "x/results.json"),
        write({"no_generation": ["a"], "resolved": ["b"]}, "y/results.json"),
    ]
    assert told(read_logs(lists)) == {
        ("a", "x"): ["success"],
        ("b", "x"): ["failure"],
        ("a", "y"): ["failure"],
        ("b", "y"): ["success"],
    }
    reports = [write({"submitted_ids": [t], "resolved_ids": [t]}, f"{t}/report.json") for t in ("a", "b")]
    assert told(read_logs(reports))["b", "a"] == ["missing"]


def test_verdicts_by_model_and_instance_are_arms(write):
    found = read_logs([write({"m1": {"a": {"resolved": True}}, "m2": {"a": {"resolved": False}}})])
    assert told(found) == {("a", "m1"): ["success"], ("a", "m2"): ["failure"]}


def test_predictions_beside_a_report_add_nothing_and_alone_they_tell_nothing(write, tmp_path):
    write(lines({"instance_id": "a", "model_name_or_path": "m", "model_patch": "diff"}), "preds.jsonl")
    alone = read_logs([tmp_path])
    assert of_one_arm(alone) == {"a": ["missing"]}
    assert any("hold no outcome" in remark for remark in alone.remarks)
    write({"submitted_ids": ["a"], "resolved_ids": ["a"]}, "report.json")
    assert of_one_arm(read_logs([tmp_path])) == {"a": ["success"]}


# --- lm-eval ---------------------------------------------------------------------------------------------------------


def document(number, by, value, **more):
    return {
        "doc_id": number,
        "doc": {"question": f"q{number}"},
        "resps": [["x"]],
        "filtered_resps": ["x"],
        "filter": by,
        "metrics": ["exact_match"],
        "doc_hash": f"h{number}",
        "exact_match": value,
    } | more


def test_filters_are_no_repeats_and_the_user_chooses_one(write):
    path = write(
        lines(*(document(n, by, float(by == "loose")) for n in range(3) for by in ("strict", "loose"))),
        "samples_gsm8k_2026-01-01T00-00-00.000000.jsonl",
    )
    with pytest.raises(InvalidInput, match="'exact_match,loose', 'exact_match,strict'; say which"):
        read_logs([path])
    found = read_logs([path], choice=Choice(scorer="exact_match,strict"))
    assert (found.tasks, found.repeats) == (3, 1)
    assert of_one_arm(found)["doc0"] == ["failure"]


def test_documents_are_paired_by_content_not_by_position(write):
    one = write(lines(document(0, "none", 1.0), document(1, "none", 0.0)), "a/samples.jsonl")
    other = write(
        lines(document(0, "none", 0.0, doc_hash="h1"), document(1, "none", 1.0, doc_hash="h0")), "b/samples.jsonl"
    )
    assert told(read_logs([one, other])) == {
        ("doc0", "a"): ["success"],
        ("doc1", "a"): ["failure"],
        ("doc1", "b"): ["failure"],
        ("doc0", "b"): ["success"],
    }


def test_a_document_that_is_there_twice_is_two_tasks(write):
    found = read_logs([write(lines(document(0, "none", 1.0), document(1, "none", 0.0, doc_hash="h0")), "x.jsonl")])
    assert (found.tasks, found.repeats) == (2, 1)


# --- promptfoo -------------------------------------------------------------------------------------------------------


def promptfoo(*rows, repeat=1):
    return {
        "evalId": "e",
        "results": {
            "version": 3,
            "stats": {},
            "prompts": [{"raw": "p", "provider": "m"}],
            "results": [
                {
                    "id": f"r{number}",
                    "promptIdx": 0,
                    "testIdx": number,
                    "provider": {"id": "m"},
                    "vars": {"q": question},
                    "testCase": {"vars": {"q": question}, "assert": [{"type": "equals"}]},
                    "score": 0,
                    **row,
                }
                for number, (question, row) in enumerate(rows)
            ],
        },
        "config": {"evaluateOptions": {"repeat": repeat}},
    }


def failed(reason):
    return {
        "success": False,
        "failureReason": 1,
        "error": reason,
        "gradingResult": {"pass": False, "reason": reason, "componentResults": [{"pass": False, "reason": reason}]},
    }


def test_errors_and_broken_assertions_are_no_failures_and_an_answer_that_is_no_json_is(write):
    found = read_logs(
        [
            write(
                promptfoo(
                    ("a", {"success": True, "failureReason": 0, "score": 1}),
                    ("b", failed("Expected output to equal 'x'")),
                    ("c", {"success": False, "failureReason": 2, "error": "API error: 529 overloaded"}),
                    ("d", failed("Custom function threw error: Unexpected token 'return'\nStack Trace: SyntaxError")),
                    ("e", failed("Custom function threw error: Unexpected token 'I', \"I think\" is not valid JSON")),
                    ("f", failed("API call error: Request failed with status code 401")),
                )
            )
        ]
    )
    outcomes = [words[0] for words in of_one_arm(found).values()]
    assert outcomes == ["success", "failure", "error", "error", "failure", "error"]


def test_a_repeated_test_is_a_repeat_although_each_has_a_number_of_its_own(write):
    good, bad = {"success": True, "failureReason": 0}, failed("wrong")
    found = read_logs([write(promptfoo(("a", good), ("a", bad), ("b", bad), ("b", good), repeat=2))])
    assert of_one_arm(found) == {"test0": ["success", "failure"], "test2": ["failure", "success"]}


# --- Harbor and Terminal-Bench ---------------------------------------------------------------------------------------


def trial(task="t", *, reward=0.0, exception=None, message="", tokens=None, seconds=1, number=0, model="m"):
    return {
        "id": f"{task}-{number}-{model}",
        "task_name": task,
        "trial_name": f"{task}__{number}",
        "config": {"agent": {"name": "agent", "model_name": model}},
        "agent_info": {"name": "agent"},
        "agent_result": {"n_input_tokens": tokens},
        "verifier_result": None if reward is None else {"rewards": {"reward": reward}},
        "exception_info": exception and {"exception_type": exception, "exception_message": message},
        "started_at": f"2026-01-01T00:00:0{number}Z",
        "agent_execution": {"started_at": "2026-01-01T00:00:00Z", "finished_at": f"2026-01-01T00:00:{seconds:02d}Z"},
    }


@pytest.mark.parametrize(
    ("trial", "outcome"),
    [
        (trial(reward=1.0), "success"),
        (trial(reward=0.0, tokens=10), "failure"),
        (trial(reward=0.0, exception="AgentTimeoutError"), "failure"),
        (trial(reward=1.0, exception="AgentTimeoutError"), "success"),
        (trial(reward=0.0, exception="NonZeroAgentExitCodeError", message="No such command 'run'"), "error"),
        (trial(reward=0.0, exception="NonZeroAgentExitCodeError", tokens=5000), "failure"),
        (trial(reward=0.0, exception="NonZeroAgentExitCodeError", tokens=5000, message="429 rate limit"), "error"),
        (trial(reward=1.0, exception="NonZeroAgentExitCodeError", tokens=5000), "success"),
        (trial(reward=0.0, exception="VerifierTimeoutError", tokens=5000), "error"),
        (trial(reward=1.0, exception="CancelledError", tokens=5000), "error"),
        (trial(reward=0.0, exception="EnvironmentStartTimeoutError"), "error"),
        (trial(reward=None), "missing"),
        (trial(reward=None, exception="DaytonaError"), "error"),
    ],
)
def test_a_reward_counts_only_where_the_agent_ran(write, tmp_path, trial, outcome):
    write(trial, "job/t__0/result.json")
    write({"n_total_trials": 1, "stats": {"n_trials": 1}}, "job/result.json")
    assert of_one_arm(read_logs([tmp_path])) == {"t": [outcome]}


def test_attempts_of_a_job_are_repeats_and_a_job_run_again_is_an_arm(write, tmp_path):
    for number, reward in enumerate((1.0, 0.0)):
        write(trial(reward=reward, number=number, tokens=1), f"jobs/one/t__{number}/result.json")
    write(trial(reward=1.0, number=3, tokens=1), "jobs/two/t__3/result.json")
    assert told(read_logs([tmp_path])) == {("t", "one"): ["success", "failure"], ("t", "two"): ["success"]}


def test_partial_rewards_are_failures_unless_a_threshold_says_otherwise(write, tmp_path):
    write(trial(reward=0.6, tokens=1), "job/t__0/result.json")
    found = read_logs([tmp_path])
    assert of_one_arm(found) == {"t": ["failure"]}
    assert any("1 score between failure and full success" in remark for remark in found.remarks)
    assert of_one_arm(read_logs([tmp_path], choice=Choice(threshold=0.5))) == {"t": ["success"]}


def test_a_trial_that_was_not_tested_is_no_failure_though_terminal_bench_counts_it_so(write):
    def row(resolved, mode, k, **more):
        name = f"t.{k}-of-5.run"
        return {"task_id": "t", "trial_name": name, "is_resolved": resolved, "failure_mode": mode} | more

    rows = [
        row(None, "test_timeout", 3),
        row(True, "agent_timeout", 1),
        row(False, "unset", 2, total_input_tokens=9),
        row(False, "unknown_agent_error", 5),
        row(False, "agent_installation_failed", 4),
    ]
    found = read_logs([write({"results": rows, "resolved_ids": ["t"], "unresolved_ids": []})])
    assert of_one_arm(found) == {"t": ["success", "failure", "error", "error", "error"]}
    assert [row.seed for row in found.rows] == ["1", "2", "3", "4", "5"]


# --- tau -------------------------------------------------------------------------------------------------------------


def test_what_broke_outside_the_agent_ends_a_simulation_without_an_outcome(write):
    def simulation(task, reward, why, trial=0):
        info = None if reward is None else {"reward": reward}
        return {"task_id": task, "trial": trial, "reward_info": info, "termination_reason": why}

    rows = [
        simulation("0", 1.0, "user_stop"),
        simulation("1", 0.0, "max_steps"),
        simulation("2", 0.0, "infrastructure_error"),
        simulation("3", None, "user_stop"),
        simulation("4", 0.0, "agent_error"),
    ]
    found = read_logs([write({"info": {}, "tasks": [], "simulations": rows})])
    assert [words for words in of_one_arm(found).values()] == [
        ["success"],
        ["failure"],
        ["error"],
        ["missing"],
        ["failure"],
    ]


def test_an_exception_that_tau_bench_stored_as_reward_zero_is_an_error(write):
    rows = [
        {
            "task_id": 1,
            "reward": 0.0,
            "info": {"error": "RateLimitError(...)", "traceback": "..."},
            "traj": [],
            "trial": 0,
        },
        {"task_id": 1, "reward": 0.9999999, "info": {}, "traj": [1], "trial": 1},
    ]
    assert of_one_arm(read_logs([write(rows)])) == {"1": ["error", "success"]}
