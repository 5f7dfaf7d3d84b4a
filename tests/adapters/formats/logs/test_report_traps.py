"""What goes wrong where logs are read carelessly, continued: test reports, platforms, coding agents."""

import os
import subprocess
import sys

import pytest

from forbear.adapters.formats.logs.choice import Choice
from forbear.adapters.formats.logs.reading import read_logs
from forbear.errors import InvalidInput
from log_files import DATA, lines, of_one_arm, told

# --- JUnit -----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_what_pytest_itself_writes_is_read_as_it_means_it(tmp_path):
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        "@pytest.fixture\n"
        "def broken(): raise OSError('no database')\n"
        "@pytest.fixture\n"
        "def breaks_after():\n"
        "    yield\n"
        "    raise OSError('teardown')\n"
        "def test_good(): pass\n"
        "def test_bad(): assert 0\n"
        "def test_setup(broken): pass\n"
        "def test_both(breaks_after): assert 0\n"
        "@pytest.mark.skip(reason='later')\n"
        "def test_later(): pass\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junitxml", "out.xml", "test_it.py"]
    quick = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, env=quick)
    assert of_one_arm(read_logs([tmp_path / "out.xml"])) == {
        "test_good": ["success"],
        "test_bad": ["failure"],
        "test_setup": ["error"],
        "test_both": ["failure"],
        "test_later": ["missing"],
    }


def test_a_part_of_the_names_is_the_arm_where_it_makes_a_whole_grid_and_else_the_file_is(write):
    cases = "".join(f"<testcase name='x.{arm}.c{n}'/>" for arm in ("base", "critic") for n in range(3))
    found = read_logs([write(f"<testsuite>{cases}</testsuite>", "r.xml")])
    assert list(found.arms) == ["base", "critic"]
    assert any("Part 2 of the test names takes 2 values" in remark for remark in found.remarks)
    whole = read_logs([write(f"<testsuite>{cases}</testsuite>", "r.xml")], choice=Choice(arms_by="file"))
    assert (list(whole.arms), whole.tasks) == (["r"], 6)
    broken = cases.replace("<testcase name='x.critic.c2'/>", "")
    assert list(read_logs([write(f"<testsuite>{broken}</testsuite>", "r.xml")]).arms) == ["r"]


def test_suites_with_the_same_tests_are_arms_and_never_repeats(write):
    def suite(name, *cases):
        return (
            f"<testsuite name='{name}'>"
            + "".join(f"<testcase classname='c' name='{case}'/>" for case in cases)
            + "</testsuite>"
        )

    grid = suite("base", "a", "b", "c") + suite("critic", "a", "b", "c")
    found = read_logs([write(f"<testsuites>{grid}</testsuites>", "r.xml")])
    assert (list(found.arms), found.tasks, found.repeats) == (["base", "critic"], 3, 1)
    assert any("The test suite takes 2 values" in remark for remark in found.remarks)
    other = suite("one", "a", "b") + suite("two", "a", "z")
    found = read_logs([write(f"<testsuites>{other}</testsuites>", "r.xml")])
    assert (list(found.arms), found.tasks, found.repeats) == (["r"], 4, 1)


# --- Platforms -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "choice", "words"),
    [
        ("braintrust", Choice(), [["success"] * 2, ["failure"] * 2, ["error"] * 2]),
        ("langsmith", Choice(), [["success"], ["failure"], ["error"]]),
        ("mlflow", Choice(scorer="correctness"), [["success"], ["failure"], ["error"]]),
    ],
)
def test_what_raised_is_an_error_in_what_the_platforms_themselves_write(name, choice, words):
    assert of_one_arm(read_logs([DATA / f"{name}.json"], choice=choice)) == dict(
        zip(("t0", "t1", "t2"), words, strict=True)
    )


def test_a_crashed_run_that_an_evaluator_scored_is_an_error(write):
    rows = [
        {
            "run": {"id": str(n), "error": "ValueError('x')" if n == 1 else None},
            "example": {"id": f"e{n % 2}"},
            "evaluation_results": {"results": [{"key": "correct", "score": n % 3 == 0}]},
        }
        for n in range(4)
    ]
    assert of_one_arm(read_logs([write(rows)])) == {"e0": ["success", "failure"], "e1": ["error", "success"]}


def test_braintrusts_errors_have_no_scores_and_its_trials_are_repeats(write):
    rows = [
        {"input": "q", "output": "x", "scores": {"accuracy": 1}, "metadata": {"trial_index": 1}, "error": None},
        {"input": "q", "output": None, "scores": {}, "metadata": {"trial_index": 0}, "error": "boom"},
    ]
    found = read_logs([write({"results": rows, "summary": {"experiment_name": "exp"}})])
    assert told(found) == {("q", "exp"): ["error", "success"]}


def test_a_scorer_of_mlflow_that_broke_and_a_trace_that_broke_are_no_failures(write):
    def trace(number, state="OK", **feedback):
        assessment = {"assessment_name": "correctness", "feedback": feedback}
        return {
            "info": {
                "trace_id": str(number),
                "state": state,
                "request_preview": f"q{number}",
                "assessments": [assessment],
            }
        }

    rows = [
        trace(0, value=True),
        trace(1, value="no"),
        trace(2, state="ERROR", value=False),
        trace(3, value=None, error={"error_code": "SCORER_ERROR"}),
    ]
    with pytest.raises(InvalidInput, match="say --scorer correctness if it is the outcome"):
        read_logs([write(rows)])
    found = read_logs([write(rows)], choice=Choice(scorer="correctness"))
    assert of_one_arm(found) == {"q0": ["success"], "q1": ["failure"], "q2": ["error"], "q3": ["missing"]}


def test_items_that_an_experiment_of_langfuse_dropped_are_missing(write):
    def experiment(name, **values):
        items = [
            {
                "item": {"id": key, "input": key},
                "evaluations": [{"name": "success", "value": value}],
                "trace_id": name + key,
            }
            for key, value in values.items()
        ]
        return write({"run_name": name, "item_results": items}, f"{name}.json")

    found = read_logs([experiment("plain", a=1, b=0), experiment("critic", a=1)])
    assert told(found) == {
        ("a", "plain"): ["success"],
        ("b", "plain"): ["failure"],
        ("a", "critic"): ["success"],
        ("b", "critic"): ["missing"],
    }


def test_judges_who_differ_are_no_repeats(write):
    def score(name, value):
        return {"name": name, "value": value, "dataType": "NUMERIC", "observationId": None}

    traces = [
        {"id": "1", "name": "a", "observations": [], "scores": [score("success", 1), score("success", 1)]},
        {"id": "2", "name": "b", "observations": [], "scores": [score("success", 1), score("success", 0)]},
        {"id": "3", "name": "c", "observations": [{"level": "ERROR"}], "scores": [score("success", 1)]},
    ]
    assert of_one_arm(read_logs([write(traces)])) == {"a": ["success"], "b": ["missing"], "c": ["error"]}
    annotations = (
        "benchmark,model_name,task_id,annotator,trajectory_success\n"
        "b,m,1,x,Successful\nb,m,1,y,Successful\nb,m,2,x,Successful\nb,m,2,y,Unsuccessful\nb,n,1,x,Unsuccessful\n"
    )
    found = told(read_logs([write(annotations, "annotations.csv")]))
    assert found == {("1", "m"): ["success"], ("2", "m"): ["missing"], ("1", "n"): ["failure"]}


def test_a_trace_whose_root_broke_is_an_error_and_a_broken_step_is_not(write):
    def span(trace, name, *, parent="", code=1, **attributes):
        listed = [{"key": key.replace("__", "."), "value": {"stringValue": value}} for key, value in attributes.items()]
        return {
            "traceId": trace,
            "spanId": name,
            "parentSpanId": parent,
            "name": name,
            "status": {"code": code},
            "attributes": listed,
            "events": [
                {
                    "name": "gen_ai.evaluation.result",
                    "attributes": [
                        {"key": "gen_ai.evaluation.name", "value": {"stringValue": "success"}},
                        {"key": "gen_ai.evaluation.score.value", "value": {"doubleValue": 1.0}},
                    ],
                }
            ]
            if not parent
            else [],
        }

    spans = [
        span("t1", "root", task__id="a", arm="critic"),
        span("t1", "tool", parent="root", code=2),
        span("t2", "root", code=2, task__id="b", arm="critic"),
    ]
    found = read_logs([write({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]})])
    assert told(found) == {("a", "critic"): ["success"], ("b", "critic"): ["error"]}


def test_where_only_failures_are_listed_all_else_succeeded(write):
    rows = [
        {"accuracy": 0.6, "correct_count": 3, "total_count": 5},
        {"id": "simple_1", "model_name": "m", "valid": False, "error": ["wrong"]},
        {"id": "simple_4", "model_name": "m", "valid": False, "error": ["Error during inference: 503"]},
    ]
    found = read_logs([write(lines(*rows), "BFCL_v3_simple_score.json")])
    assert of_one_arm(found) == {
        "simple_1": ["failure"],
        "simple_4": ["error"],
        **{f"simple_{number}": ["success"] for number in (0, 2, 3)},
    }
    assert any("3 tasks that a BFCL score file does not list succeeded" in remark for remark in found.remarks)
    rows[1]["id"] = "live_simple_0-0-0"
    with pytest.raises(InvalidInput, match="the names of the others cannot be told"):
        read_logs([write(lines(*rows), "score.json")])


def test_samples_of_a_problem_are_repeats_and_its_two_sets_of_tests_are_scores(write):
    rows = [{"base_status": "pass", "plus_status": "fail"}, {"base_status": "pass", "plus_status": "pass"}]
    path = write({"hash": "x", "eval": {"HumanEval/0": rows}})
    with pytest.raises(InvalidInput, match="'base', 'plus'; say which"):
        read_logs([path])
    assert of_one_arm(read_logs([path], choice=Choice(scorer="plus"))) == {"HumanEval/0": ["failure", "success"]}


def test_statistics_of_helm_are_scores_by_instance_and_trial(write):
    def row(name, trial, mean):
        stats = [{"name": {"name": "exact_match", "split": "test"}, "count": 1, "mean": mean}]
        return {"instance_id": name, "train_trial_index": trial, "stats": stats}

    rows = [row("id1", 0, 1.0), row("id1", 1, 0.0), row("id2", 0, 1.0)]
    found = read_logs([write(rows, "gsm:model=openai_x,k=1/per_instance_stats.json")])
    assert told(found) == {("id1", "openai_x"): ["success", "failure"], ("id2", "openai_x"): ["success"]}


# --- Coding agents ---------------------------------------------------------------------------------------------------


def test_an_iteration_limit_is_no_error_and_a_success_may_carry_one(write):
    def row(name, error=None, **result):
        return {"instance_id": name, "test_result": {"git_patch": "diff", **result}, "error": error, "metadata": {}}

    limit = "RuntimeError: Agent reached maximum iteration"
    outcomes = of_one_arm(
        read_logs(
            [
                write(
                    lines(
                        row("a", limit, report={"resolved": True}),
                        row("b", limit, report={"resolved": False}),
                        row("c", "litellm.RateLimitError", report={"resolved": False}),
                        row("d"),
                        row("e", report={"resolved": False, "error_eval": True}),
                    ),
                    "output.jsonl",
                )
            ]
        )
    )
    assert outcomes == {"a": ["success"], "b": ["failure"], "c": ["error"], "d": ["missing"], "e": ["error"]}


def test_tries_of_one_exercise_are_one_run(write, tmp_path):
    for name, tries in (("a", [False, True]), ("b", [False, False]), ("c", [])):
        write({"testcase": name, "model": "m", "tests_outcomes": tries}, f"run/exercises/{name}/.aider.results.json")
    assert of_one_arm(read_logs([tmp_path])) == {"a": ["success"], "b": ["failure"], "c": ["error"]}


def test_indices_that_begin_anew_in_every_file_are_numbered_through(write):
    def row(rate, number=0):
        return {
            "eval_id": "a",
            "run_index": number,
            "with_skill": {"pass_rate": rate},
            "without_skill": {"pass_rate": 0.0},
        }

    files = [
        write({"skill_path": "s", "runs": [row(rate)]}, f"{n}/benchmark.json") for n, rate in enumerate((1.0, 0.5))
    ]
    found = read_logs(files)
    assert told(found) == {("a", "with_skill"): ["success", "failure"], ("a", "without_skill"): ["failure", "failure"]}
    assert sorted({row.seed for row in found.rows}) == ["0", "1"]
