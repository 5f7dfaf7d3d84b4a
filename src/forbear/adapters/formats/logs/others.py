"""Smaller formats, a few lines each; those of coding agents that hold no outcome are read to say so."""

import csv
import io
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from msgspec import Struct

from forbear.adapters.formats.logs.chat import content_of
from forbear.adapters.formats.logs.choice import Choice
from forbear.adapters.formats.logs.loose import agreed, digest, fields, first, items, scalar, text, whole_number, words
from forbear.adapters.formats.logs.model import Fault, Log, Run, Value
from forbear.adapters.formats.logs.probe import Probe
from forbear.adapters.formats.logs.traces import entries
from forbear.errors import InvalidInput
from forbear.wording import shown

# --- aider's SWE-bench runs: a file per instance --------------------------------------------------------------------


class _Aider(Struct):
    instance_id: str
    resolved: bool | None = None
    model_name_or_path: str = ""


def matches_aider(probe: Probe) -> bool:
    """Whether this is an instance of aider's: it holds all tries, and whether the held-out tests passed."""
    return probe.kind == "object" and probe.has("instance_id", "all_results") and probe.has("model_patch")


def read_aider(probe: Probe, choice: Choice) -> Iterable[Log]:
    """Reads one instance. `test_outcome` is the agent's own look at its tests; `all_results` are tries of one run."""
    del choice
    one = probe.decoded(_Aider)
    fault: Fault = "missing" if one.resolved is None else ""
    reason = "not evaluated" if fault else ""
    folder = probe.path.absolute().parent
    place = f"instance {shown(one.instance_id)}"
    run = Run(task=one.instance_id, success=one.resolved, fault=fault, reason=reason, place=place)
    config = {"model": one.model_name_or_path} if one.model_name_or_path else {}
    return [
        Log(format="aider_swebench", path=folder, runs=[run], config=config, field="resolved", together=str(folder))
    ]


# --- SWE-agent and mini-swe-agent: predictions and trajectories -----------------------------------------------------

_NO_PATCH = "Predictions and trajectories hold no outcome: it is in the report of the SWE-bench harness."


def matches_sweagent(probe: Probe) -> bool:
    """Whether these are predictions, or the trajectory of an instance."""
    if probe.has("instance_id", "model_patch"):
        return True
    if probe.kind != "object":
        return False
    if probe.has("info") and (probe.has("trajectory") or probe.has("trajectory_format")):
        return {"exit_status", "submission"} & probe.inner("info").keys() != set() or ".traj" in probe.path.name
    head = next(iter(probe.fields), None)
    return head is not None and {"instance_id", "model_patch"} <= probe.inner(head).keys()


def read_sweagent(probe: Probe, choice: Choice) -> Iterable[Log]:
    """Reads one file: instances that were attempted, without an outcome."""
    del choice
    folder = probe.path.absolute().parent
    if probe.kind == "object" and probe.has("info"):
        name = probe.path.name.split(".traj", 1)[0]
        folder = folder.parent if folder.name == name else folder
        pairs = [(name, "")]
    else:
        rows = list(entries(probe)) if probe.kind != "object" or probe.has("instance_id") else _by_id(probe)
        pairs = [(first(row, "instance_id") or place, first(row, "model_name_or_path")) for place, row in rows]
    runs = [
        Run(
            task=task,
            fault="missing",
            reason="no outcome in this log",
            place=f"instance {shown(task)}",
            uid=f"{folder}/{task}",
        )
        for task, _ in pairs
    ]
    models = Counter(model for _, model in pairs if model)
    config = {"model": next(iter(models))} if len(models) == 1 else {}
    return [Log(format="sweagent", path=folder, runs=runs, config=config, together=str(folder), remarks=(_NO_PATCH,))]


def _by_id(probe: Probe) -> list[tuple[str, Mapping[str, Any]]]:
    return [(name, fields(one)) for name, one in probe.decoded(dict[str, Any]).items()]


# --- OpenHands ------------------------------------------------------------------------------------------------------

_BUDGET = ("reached maximum iteration", "reached maximum budget", "agent got stuck", "agentstuckinloop")
_VERDICTS = ("resolved", "success", "correct", "result", "score", "passed")


def matches_openhands(probe: Probe) -> bool:
    """Whether this is an output of OpenHands' evaluation."""
    return probe.kind in ("lines", "list", "object") and probe.has("instance_id", "test_result")


def read_openhands(probe: Probe, choice: Choice) -> Iterable[Log]:
    """Reads one output; the step budget is no error, whatever the field is called."""
    del choice
    runs, model = [], ""
    for place, row in entries(probe):
        metadata = fields(row.get("metadata"))
        model = (
            model or first(fields(metadata.get("llm_config")), "model") or first(fields(metadata.get("llm")), "model")
        )
        success = _verdict(row)
        error = text(row.get("error"))
        outside = bool(error) and not any(word in error.lower() for word in _BUDGET)
        report = fields(row.get("test_result"), "report") or fields(row.get("report"))
        broke = next((name for name in ("error_eval", "test_timeout") if report.get(name) is True), "")
        fault: Fault = ""
        if not success and (outside or broke):
            fault = "error"
        elif success is None:
            fault = "missing"
        runs.append(
            Run(
                task=first(row, "instance_id") or place,
                repeat=whole_number(row.get("attempt")),
                success=success,
                fault=fault,
                reason=(broke or words(error.split("(", 1)[0]))
                if fault == "error"
                else "no outcome in this log"
                if fault
                else "",
                place=place,
            )
        )
    told = any(run.success is not None for run in runs)
    remark = () if told else ("Agent output without an outcome: it is in the report of the evaluation.",)
    config = {"model": model} if model else {}
    return [Log(format="openhands", path=probe.path, runs=runs, config=config, field="resolved", remarks=remark)]


def _verdict(row: Mapping[str, Any]) -> bool | None:
    found = fields(row.get("test_result"))
    for where in (fields(found.get("report")), fields(row.get("report")), found, fields(found.get("result")), row):
        for name in _VERDICTS:
            value = where.get(name)
            if isinstance(value, bool) or (isinstance(value, int | float) and value in (0, 1)):
                return bool(value)
    return None


# --- InterCode ------------------------------------------------------------------------------------------------------


class _InterCode(Struct):
    task_id: int | str
    turn_history: Any = None
    summary: Any = None
    query: Any = None


def matches_intercode(probe: Probe) -> bool:
    """Whether this is a log of InterCode: rows by number, each with its turns."""
    head = next(iter(probe.fields), None) if probe.kind == "object" else None
    return head is not None and {"task_id", "turn_history"} <= probe.inner(head).keys()


def read_intercode(probe: Probe, choice: Choice) -> Iterable[Log]:
    """Reads one log. Its success is a best reward of 1; what came last is another score."""
    runs = []
    for number, one in probe.decoded(dict[str, _InterCode]).items():
        rewards = [value for value in items(fields(one.turn_history).get("rewards")) if isinstance(value, int | float)]
        best = fields(one.summary).get("max_reward", max(rewards, default=None))
        best = float(best) if isinstance(best, int | float) else None
        last = float(rewards[-1]) if rewards else None
        did = fields(one.turn_history) if choice.episodes else {}
        pairs = zip(items(did.get("actions")), items(did.get("observations")), strict=False)
        runs.append(
            Run(
                task=str(one.task_id),
                success=None if best is None else best >= 1 - 1e-9,
                scores={"max_reward": best, "last_reward": last},
                fault="missing" if best is None else "",
                reason="no reward" if best is None else "",
                place=f"'{shown(number)}'.summary",
                opening=text(one.query) if choice.episodes else "",
                steps=tuple((content_of(action), content_of(observed)) for action, observed in pairs),
            )
        )
    return [Log(format="intercode", path=probe.path, runs=runs, main="max_reward", field="max_reward = 1", full=True)]


# --- OpenAI Evals ---------------------------------------------------------------------------------------------------


def matches_openai(probe: Probe) -> bool:
    """Whether this is an event log of OpenAI Evals."""
    if probe.kind != "lines":
        return False
    return {"eval_name", "completion_fns"} <= probe.inner("spec").keys() or probe.has(
        "event_id", "sample_id", "type", "data"
    )


def read_openai(probe: Probe, choice: Choice) -> Iterable[Log]:
    """Reads one log: of its events only `match` (and metrics) are outcomes."""
    del choice
    spec: Mapping[str, Any] = {}
    events: dict[str, dict[str, Value]] = {}
    faults: dict[str, str] = {}
    for _, line in probe.each(dict[str, Any]):
        spec = fields(line.get("spec")) or spec
        sample, data = text(line.get("sample_id")), fields(line.get("data"))
        if not sample:
            continue
        scores = events.setdefault(sample, {})
        if line.get("type") == "match":
            scores["correct"] = scalar(data.get("correct"))
        elif line.get("type") == "metrics":
            scores |= {name: value for name, value in data.items() if isinstance(value, bool | int | float)}
        elif line.get("type") == "error":
            faults[sample] = text(data.get("type")) or "error"
    runs = [
        Run(
            task=sample,
            group=text(spec.get("base_eval")),
            scores=scores,
            fault="error" if sample in faults and not scores else "" if scores else "missing",
            reason=faults.get(sample, "" if scores else "not scored"),
            place=f"sample {shown(sample)}",
        )
        for sample, scores in events.items()
    ]
    model = ", ".join(map(text, items(spec.get("completion_fns"))))
    return [Log(format="openai_evals", path=probe.path, runs=runs, config={"model": model} if model else {})]


# --- deepeval -------------------------------------------------------------------------------------------------------


def matches_deepeval(probe: Probe) -> bool:
    """Whether this is a test run of deepeval."""
    return probe.kind == "object" and (probe.has("testCases") or "testCases" in probe.inner("testRunData"))


def read_deepeval(probe: Probe, choice: Choice) -> Iterable[Log]:
    """Reads one test run: a case succeeds where all its metrics do; a metric that broke is no failure."""
    del choice
    whole = fields(probe.decoded(Any))
    whole = fields(whole.get("testRunData")) or whole
    runs = []
    for number, case in enumerate(
        map(fields, [*items(whole.get("testCases")), *items(whole.get("conversationalTestCases"))])
    ):
        metrics = [fields(one) for one in items(case.get("metricsData"))]
        broke = [one for one in metrics if one.get("error")]
        success = case.get("success") if isinstance(case.get("success"), bool) else None
        failed = any(one.get("success") is False and not one.get("error") and not one.get("flaky") for one in metrics)
        fault: Fault = "error" if broke and not failed and not success else "missing" if success is None else ""
        content = case.get("input") or [turn.get("content") for turn in map(fields, items(case.get("turns")))]
        name = first(case, "name")
        runs.append(
            Run(
                task=name or words(content),
                key=digest([name, content]),
                success=success,
                scores={first(one, "name"): scalar(one.get("score")) for one in metrics if not one.get("error")},
                fault=fault,
                reason=words(broke[0].get("error")) if fault == "error" else "not evaluated" if fault else "",
                place=f"testCases[{number}]",
            )
        )
    settings = fields(whole.get("hyperparameters"))
    config = {
        name: text(value)
        for name, value in (("run", whole.get("identifier")), ("model", settings.get("model")))
        if text(value)
    }
    return [Log(format="deepeval", path=probe.path, runs=runs, config=config, field="success")]


# --- Azure's RAG evaluator ------------------------------------------------------------------------------------------

_TEXTS = frozenset(
    ("question", "query", "truth", "ground_truth", "answer", "response", "context", "latency", "answer_length")
)


def matches_azure(probe: Probe) -> bool:
    """Whether these are results of ai-rag-chat-evaluator or of azure-ai-evaluation."""
    row = probe.fields.keys()
    if probe.kind == "lines":
        return {"question", "answer"} <= row and any(_judged(name) for name in row)
    rows = probe.first_of("rows").keys() if probe.kind == "object" else ()
    return any(name.startswith("outputs.") for name in rows)


def _judged(name: str) -> bool:
    return name.startswith("gpt_") or name in ("groundedness", "relevance", "coherence", "similarity", "fluency")


def read_azure(probe: Probe, choice: Choice) -> Iterable[Log]:
    """Reads one file. Scores are 1 to 5, by judges; what is no number from 1 on is a judge that failed."""
    del choice
    runs, met = [], Counter[str]()
    for number, (place, row) in enumerate(entries(probe, "rows")):
        question = next(
            (row[name] for name in ("question", "query", "inputs.question", "inputs.query") if name in row), number
        )
        known = digest(question)
        met[known] += 1
        scores = {
            name.removeprefix("outputs."): _from_judge(name, value)
            for name, value in row.items()
            if (name.startswith("outputs.") or probe.kind == "lines")
            and name not in _TEXTS
            and not name.endswith(("_reason", "_latency", "_tokens", "_model"))
            and (isinstance(value, int | float) or value is None or name.endswith("_result"))
        }
        runs.append(Run(task=f"q{number}", key=f"{known}#{met[known]}", scores=scores, place=place))
    return [Log(format="azure_ai_eval", path=probe.path, runs=runs, named=True)]


def _from_judge(name: str, value: Any) -> Value:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return scalar(value)
    if _judged(name.removeprefix("outputs.").split(".")[-1]) and (not math.isfinite(value) or value < 1):
        return None
    return value


# --- AgentRewardBench -----------------------------------------------------------------------------------------------


def matches_reward_bench(probe: Probe) -> bool:
    """Whether these are annotations of AgentRewardBench: a CSV file, or lines."""
    if probe.kind in ("lines", "list"):
        return probe.has("trajectory_success")
    head = bytes(probe.data[:4096]).split(b"\n", 1)[0]
    return b"trajectory_success" in head and b"task_id" in head and b"," in head


def read_reward_bench(probe: Probe, choice: Choice) -> Iterable[Log]:
    """Reads annotations. Several annotators of one trajectory are no repeats: where they differ there is no outcome."""
    del choice
    given: dict[tuple[str, str, str], list[Value]] = {}
    places: dict[tuple[str, str, str], str] = {}
    for place, row in _annotations(probe):
        arm = first(row, "model_name", "agent", "model", "agent_name")
        key = (first(row, "benchmark"), first(row, "task_id") or place, arm)
        places.setdefault(key, place)
        given.setdefault(key, []).append(scalar(row.get("trajectory_success")))
    runs = []
    for key, values in given.items():
        benchmark, task, arm = key
        word = agreed([str(value).strip().lower() if value not in (None, "") else None for value in values])
        reason = "annotators differ" if word is None and any(values) else "not annotated"
        runs.append(
            Run(
                task=task,
                group=benchmark,
                arm=arm,
                scores={"trajectory_success": word},
                fault="missing" if word is None else "",
                reason=reason if word is None else "",
                place=places[key],
            )
        )
    return [Log(format="agent_reward_bench", path=probe.path, runs=runs, main="", field="trajectory_success")]


def _annotations(probe: Probe) -> Iterable[tuple[str, Mapping[str, Any]]]:
    if probe.kind in ("lines", "list"):
        yield from entries(probe)
        return
    try:
        lines = csv.DictReader(io.StringIO(str(bytes(probe.data), "utf-8-sig"), newline=""), strict=True)
        for row in lines:
            yield f"line {lines.line_num}", {str(key): value for key, value in row.items()}
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput(f"{probe.name}: cannot be read as CSV ({shown(str(error))}).") from None


# --- aider's polyglot benchmark: a file per exercise ---------------------------------------------------------------


class _Exercise(Struct):
    testcase: str
    tests_outcomes: list[bool] | None = None
    model: str = ""
    edit_format: str = ""


def matches_polyglot(probe: Probe) -> bool:
    """Whether this is an exercise of aider's benchmark."""
    return probe.kind == "object" and probe.has("testcase", "tests_outcomes", "model")


def read_polyglot(probe: Probe, choice: Choice) -> Iterable[Log]:
    """Reads one exercise. Its outcomes are tries of one run, which ends with the first that passes."""
    del choice
    one = probe.decoded(_Exercise)
    tries = one.tests_outcomes or []
    run = Run(
        task=one.testcase,
        success=tries[-1] if tries else None,
        scores={"first try": tries[0], "last try": tries[-1]} if tries else {},
        fault="" if tries else "error",
        reason="" if tries else "no tests were run",
        place="tests_outcomes",
    )
    # <run>/<language>/exercises/practice/<exercise>/.aider.results.json
    folder = next((one.parent for one in probe.path.absolute().parents if one.name == "exercises"), None)
    root = (folder.parent if folder is not None else probe.path.absolute().parent.parent).resolve()
    config = {key: value for key, value in (("model", one.model), ("edit_format", one.edit_format)) if value}
    return [
        Log(
            format="aider_polyglot",
            path=root,
            runs=[run],
            config=config,
            main="last try",
            field="the last try passes",
            together=str(root),
        )
    ]


# --- goagentbench ---------------------------------------------------------------------------------------------------


class _GoAgent(Struct):
    scenario: str
    agent: str
    run_id: str
    success: bool | None = None
    model: str = ""
    started_at: str = ""


def matches_goagentbench(probe: Probe) -> bool:
    """Whether this is a verified run of goagentbench."""
    return probe.kind == "object" and probe.has("scenario", "agent", "run_id", "success")


def read_goagentbench(probe: Probe, choice: Choice) -> Iterable[Log]:
    """Reads one run; repeats are in the order in which they began."""
    del choice
    one = probe.decoded(_GoAgent)
    run = Run(
        task=one.scenario,
        arm=one.agent,
        success=one.success,
        place=f"run {shown(one.run_id)}",
        uid=one.run_id,
        started=one.started_at,
    )
    log = Log(
        format="goagentbench", path=probe.path, runs=[run], field="success", together="goagentbench", repeats=True
    )
    return [replace(log, path=probe.path.absolute().parent)]
