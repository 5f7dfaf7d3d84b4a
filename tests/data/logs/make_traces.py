"""Writes what Braintrust, LangSmith, MLflow and the SWE-bench harness themselves give, where something breaks.

    python make_traces.py FOLDER

Made with braintrust 0.48.1, langsmith 0.15.1, mlflow 3.18.0, swebench 5.0.2, without a server. In the first three t0
is solved, t1 is not, and t2 raises: Braintrust leaves it without scores, LangSmith and MLflow score it all the same. In
the report of SWE-bench c's tests could not reach the network: it stands among the unresolved.
"""

import contextlib
import datetime
import json
import os
import sys
import tempfile
import uuid
from pathlib import Path

os.environ |= {"LANGSMITH_TRACING": "false", "MLFLOW_ALLOW_FILE_STORE": "true"}

import mlflow
from braintrust import Eval
from langsmith import Client, evaluate, schemas
from mlflow.entities import AssessmentSource
from swebench.harness.reporting import make_run_report


def solve(question):
    if question == "t2":
        raise ValueError("the tool is gone")
    return "a" if question == "t0" else "b"


def braintrust(folder):
    def task(input, hooks):
        hooks.metadata["trial_index"] = hooks.trial_index
        return solve(input)

    def correct(input, output, expected):
        return 1.0 if output == expected else 0.0

    cases = [{"input": f"t{number}", "expected": "a"} for number in range(3)]
    done = Eval("project", data=lambda: cases, task=task, scores=[correct], no_send_logs=True, trial_count=2)
    rows = [row.as_dict() | {"exc_info": None} for row in done.results]
    written(folder / "braintrust.json", {"summary": done.summary.as_dict(), "results": rows})


def langsmith(folder):
    now = datetime.datetime.now(datetime.UTC)
    examples = [
        schemas.Example(
            id=uuid.UUID(int=number),
            inputs={"question": f"t{number}"},
            outputs={"answer": "a"},
            metadata={"task_id": f"t{number}"},
            dataset_id=uuid.UUID(int=9),
            created_at=now,
        )
        for number in range(3)
    ]

    def correct(run, example):
        return {"key": "correct", "score": (run.outputs or {}).get("answer") == example.outputs["answer"]}

    client = Client(api_key="none", api_url="http://127.0.0.1:9")
    done = evaluate(
        lambda inputs: {"answer": solve(inputs["question"])},
        data=examples,
        evaluators=[correct],
        upload_results=False,
        client=client,
    )
    rows = [
        {
            "run": json.loads(row["run"].json()) | {"error": (row["run"].error or "").split("Traceback")[0] or None},
            "example": json.loads(row["example"].json()),
            "evaluation_results": {"results": [json.loads(one.json()) for one in row["evaluation_results"]["results"]]},
        }
        for row in done
    ]
    written(folder / "langsmith.json", rows)


def mlflow_traces(folder):
    with tempfile.TemporaryDirectory() as store:
        mlflow.set_tracking_uri(f"file://{store}")
        mlflow.set_experiment("experiment")
        traces = []
        for number in range(3):

            @mlflow.trace(name="agent")
            def agent(question):
                mlflow.update_current_trace(tags={"task_id": question})
                return solve(question)

            with contextlib.suppress(ValueError):
                agent(f"t{number}")
            mlflow.flush_trace_async_logging()
            name = mlflow.get_last_active_trace_id()
            mlflow.log_feedback(
                trace_id=name,
                name="correctness",
                value=number == 0,
                source=AssessmentSource(source_type="CODE", source_id="ours"),
            )
            trace = json.loads(mlflow.get_trace(name).to_json())
            # Spans hold tracebacks, and the rest names the folders of a machine.
            kept = ("trace_id", "state", "request_time", "request_preview", "assessments")
            info = {key: value for key, value in trace["info"].items() if key in kept}
            traces.append({"info": info | {"tags": {"task_id": f"t{number}"}}, "data": {"spans": []}})
        written(folder / "mlflow.json", traces)


def swebench(folder):
    """Instances: a resolved, b not, c without network, d an empty patch, e without a report, f without a prediction."""
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as place:
        os.chdir(place)
        logs = Path("logs/run_evaluation/run/org__model")
        outputs = {"a": (True, "passed"), "b": (False, "failed"), "c": (False, "Could not resolve host: pypi.org\n")}
        for name, (resolved, output) in outputs.items():
            (logs / name).mkdir(parents=True)
            (logs / name / "report.json").write_text(json.dumps({name: {"resolved": resolved}}))
            (logs / name / "test_output.txt").write_text(output)
        patches = {"a": "diff", "b": "diff", "c": "diff", "d": "", "e": "diff"}
        predictions = {
            name: {"instance_id": name, "model_name_or_path": "org/model", "model_patch": patch}
            for name, patch in patches.items()
        }
        report = make_run_report(predictions, [{"instance_id": name} for name in "abcdef"], "run")
        found = json.loads(Path(report).read_text())
        os.chdir(here)
    written(folder / "org__model.run.json", found)


def written(path, value):
    path.write_text(json.dumps(value, indent=1, default=str) + "\n")


if __name__ == "__main__":
    for make in (braintrust, langsmith, mlflow_traces, swebench):
        make(Path(sys.argv[1]).absolute())
