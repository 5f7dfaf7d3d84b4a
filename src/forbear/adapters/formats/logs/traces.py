"""Exports of tracing platforms: Langfuse, LangSmith, Braintrust, MLflow.

They hold judgements of many kinds: which is the outcome, their user says (`--scorer`), unless it is the only one and
called success. A run that broke is an error also where an evaluator scored it (LangSmith and MLflow do). Several
judgements of one name on one run are no repeats: where they differ there is no outcome.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from forbear.adapters.formats.logs.choice import Choice
from forbear.adapters.formats.logs.loose import (
    agreed,
    digest,
    fields,
    first,
    items,
    scalar,
    text,
    whole_number,
    words,
)
from forbear.adapters.formats.logs.model import Fault, Log, Run, Value
from forbear.adapters.formats.logs.probe import Probe
from forbear.wording import shown


def entries(probe: Probe, *names: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each entry of a list, of JSON lines, of a list in one of these fields, or the object itself; with its place."""
    if probe.kind == "lines":
        yield from ((f"line {number}", fields(one)) for number, one in probe.each(dict[str, Any]))
        return
    if probe.kind == "list":
        yield from ((f"[{number}]", fields(one)) for number, one in enumerate(probe.decoded(list[Any])))
        return
    whole = probe.decoded(dict[str, Any])
    for name in names:
        if isinstance(whole.get(name), list):
            yield from ((f"{name}[{number}]", fields(one)) for number, one in enumerate(whole[name]))
            return
    yield "the object", whole


def _log(
    name: str, probe: Probe, runs: list[Run], *, config: Mapping[str, str] | None = None, remarks: tuple[str, ...] = ()
) -> Log:
    return Log(format=name, path=probe.path, runs=runs, config=config or {}, named=True, remarks=remarks)


def _scores(pairs: Iterable[tuple[str, Value]]) -> tuple[dict[str, Value], str]:
    """Scores by name, and why one may have no value: several judges who differ."""
    by_name: dict[str, list[Value]] = {}
    for name, value in pairs:
        if name:
            by_name.setdefault(name, []).append(value)
    differ = any(len({str(v) for v in values if v is not None}) > 1 for values in by_name.values())
    return {name: agreed(values) for name, values in by_name.items()}, "judges differ" if differ else ""


# --- Langfuse --------------------------------------------------------------------------------------------------------


def matches_langfuse(probe: Probe) -> bool:
    """Whether this is an export of traces, or the result of an experiment."""
    if probe.kind not in ("object", "list", "lines"):
        return False
    if probe.has("item_results"):
        return True
    row = probe.first_of("data") if probe.has("data", "meta") else probe.fields
    if "trace" in row and "observations" in row:
        return True
    return ("scores" in row and ("observations" in row or "projectId" in row)) or {"item", "evaluations"} <= row.keys()


def read_langfuse(probe: Probe, choice: Choice) -> Iterable[Log]:
    """Reads one export."""
    del choice
    runs, config = [], {}
    if probe.kind == "object" and probe.has("item_results"):
        whole = fields(probe.decoded(Any))
        config = {"experiment": first(whole, "run_name", "runName", "name")}
    for place, row in entries(probe, "item_results", "data"):
        runs.append(_experiment_item(row, place) if "evaluations" in row else _trace(row, place))
    scored = any(run.scores for run in runs)
    remark = () if scored else ("The traces hold no score, so no outcome.",)
    log = _log("langfuse", probe, runs, config={k: v for k, v in config.items() if v}, remarks=remark)
    # An experiment drops the items whose task raised (langfuse 5.0.4): what only another one has was lost.
    return [replace(log, absent="missing") if "item_results" in probe.fields else log]


def _experiment_item(row: Mapping[str, Any], place: str) -> Run:
    item = fields(row.get("item"))
    content = item.get("input", item)
    known = first(item, "id") or first(fields(item.get("metadata")), "task_id", "id")
    scores, why = _scores(
        (text(one.get("name")), scalar(one.get("value"))) for one in map(fields, items(row.get("evaluations")))
    )
    return Run(
        task=known or words(content),
        key=known or digest(content),
        scores=scores,
        reason=why,
        place=place,
        uid=first(row, "trace_id", "traceId"),
    )


def _trace(row: Mapping[str, Any], place: str) -> Run:
    trace = fields(row.get("trace")) or row
    observations = [fields(one) for one in items(row.get("observations")) or items(trace.get("observations"))]
    roots = [one for one in observations if not one.get("parentObservationId")]
    broken = next((one for one in roots if one.get("level") == "ERROR"), None)
    pairs = []
    for score in map(fields, items(trace.get("scores"))):
        value = score.get("value")
        label = score.get("stringValue")
        whole = scalar(label) if value is None or score.get("dataType") == "CATEGORICAL" else scalar(value)
        if not score.get("observationId"):  # a score of one step is not one of the run
            pairs.append((text(score.get("name")), whole))
    scores, why = _scores(pairs)
    metadata = fields(trace.get("metadata"))
    name = first(metadata, "task_id", "dataset_item_id") or text(trace.get("name")) or text(trace.get("id")) or place
    fault: Fault = "error" if broken is not None else "missing" if not scores else ""
    reason = words(broken.get("statusMessage") or "level ERROR") if broken is not None else "no score" if fault else why
    return Run(
        task=name,
        scores=scores,
        fault=fault,
        reason=reason,
        place=place,
        uid=text(trace.get("id")),
        started=text(trace.get("timestamp")),
    )


# --- LangSmith -------------------------------------------------------------------------------------------------------


def matches_langsmith(probe: Probe) -> bool:
    """Whether these are rows of an experiment, or runs with a reference example."""
    row = probe.first_of("results").keys() or probe.fields.keys()
    return {"run", "evaluation_results"} <= row or {"reference_example_id", "run_type"} <= row


def read_langsmith(probe: Probe, choice: Choice) -> Iterable[Log]:
    """Reads one export."""
    del choice
    runs = []
    for place, row in entries(probe, "results"):
        run = fields(row.get("run")) or row
        example = fields(row.get("example"))
        known = text(run.get("reference_example_id")) or text(example.get("id"))
        if not known and "reference_example_id" in run:
            continue  # a step of a run, which has no example of its own
        given = items(fields(row.get("evaluation_results")).get("results"))
        pairs = [(text(one.get("key")), _feedback(one)) for one in map(fields, given)]
        pairs += [(name, scalar(fields(stats).get("avg"))) for name, stats in fields(run.get("feedback_stats")).items()]
        scores, why = _scores(pairs)
        error = run.get("error")
        metadata = fields(example.get("metadata"))
        runs.append(
            Run(
                task=first(metadata, "task_id", "id") or known or place,
                key=known,
                arm=first(run, "session_name", "project_name"),
                scores=scores,
                fault="error" if error else "missing" if not scores else "",
                reason=words(str(error).split("(", 1)[0]) if error else why or ("" if scores else "no feedback"),
                place=place,
                uid=text(run.get("id")),
                started=text(run.get("start_time")),
            )
        )
    return [_log("langsmith", probe, runs)]


def _feedback(one: Mapping[str, Any]) -> Value:
    value = scalar(one.get("score"))
    return scalar(one.get("value")) if value is None else value


# --- Braintrust ------------------------------------------------------------------------------------------------------


def matches_braintrust(probe: Probe) -> bool:
    """Whether these are results of an evaluation, or rows of an experiment."""
    if probe.has("results", "summary"):
        row = probe.first_of("results").keys()
        return {"input", "scores"} <= row
    row = probe.fields.keys()
    return {"input", "scores"} <= row and bool({"output", "expected", "span_id", "error"} & row)


def read_braintrust(probe: Probe, choice: Choice) -> Iterable[Log]:
    """Reads one export."""
    del choice
    config = {}
    if probe.kind == "object" and probe.has("summary"):
        config = {"experiment": first(fields(probe.decoded(Any), "summary"), "experiment_name", "experimentName")}
    runs = []
    for place, row in entries(probe, "results"):
        if row.get("is_root") is False or row.get("span_parents"):
            continue  # a step
        metadata = fields(row.get("metadata"))
        known = first(metadata, "task_id", "id", "case_id")
        scores = {name: scalar(value) for name, value in fields(row.get("scores")).items()}
        error = row.get("error")
        trial = metadata.get("trial_index", row.get("trial_index", row.get("trialIndex")))
        runs.append(
            Run(
                task=known or words(row.get("input")),
                key=known or digest(row.get("input")),
                repeat=whole_number(trial),
                scores=scores,
                fault="error" if error else "missing" if not scores else "",
                reason=words(error) if error else "" if scores else "no score",
                place=place,
                uid=first(row, "span_id", "id"),
                started=first(row, "created"),
            )
        )
    return [_log("braintrust", probe, runs, config={key: value for key, value in config.items() if value})]


# --- MLflow ----------------------------------------------------------------------------------------------------------


def matches_mlflow(probe: Probe) -> bool:
    """Whether these are traces with their assessments."""
    row = probe.first_of("traces") or probe.fields
    if "info" not in row:
        return "assessments" in row and bool({"state", "trace_id", "request_id"} & row.keys())
    inner = probe.inner("info").keys() if not probe.has("traces") else {"state"}
    return bool({"state", "assessments", "trace_metadata", "request_metadata"} & set(inner))


def read_mlflow(probe: Probe, choice: Choice) -> Iterable[Log]:
    """Reads one export."""
    del choice
    runs = []
    for place, row in entries(probe, "traces"):
        info = fields(row.get("info")) or row
        metadata = {**fields(info.get("request_metadata")), **fields(info.get("trace_metadata"))}
        tags = fields(info.get("tags"))
        asked = (
            info.get("request_preview") or metadata.get("mlflow.traceInputs") or fields(row.get("data")).get("request")
        )
        known = first(tags, "task_id", "task", "mlflow.datasetRecordId") or first(
            metadata, "task_id", "mlflow.dataset.record_id"
        )
        pairs, crashed = _assessments(items(info.get("assessments")))
        scores, why = _scores(pairs)
        state = text(info.get("state") or info.get("status"))
        broken = state.upper().rpartition("_")[2] == "ERROR" or state.upper() == "ERROR"
        runs.append(
            Run(
                task=known or words(asked or place),
                key=known or (digest(asked) if asked else ""),
                arm=first(tags, "arm") or first(metadata, "mlflow.sourceRun", "mlflow.modelId"),
                scores=scores,
                fault="error" if broken else "missing" if not scores else "",
                reason="state ERROR" if broken else why or crashed or ("" if scores else "no assessment"),
                place=place,
                uid=first(info, "trace_id", "request_id"),
                started=first(info, "request_time", "timestamp_ms"),
            )
        )
    return [_log("mlflow", probe, runs)]


def _assessments(given: Sequence[Any]) -> tuple[list[tuple[str, Value]], str]:
    """Feedback that stands, and why some has no value: its scorer broke."""
    found = [fields(one) for one in given]
    replaced = {one.get("overrides") for one in found if isinstance(one.get("overrides"), str)}
    pairs: list[tuple[str, Value]] = []
    crashed = ""
    for one in found:
        feedback = fields(one.get("feedback"))
        if not feedback or one.get("valid") is False or text(one.get("assessment_id")) in replaced - {""}:
            continue
        broke = feedback.get("error") or one.get("error")
        crashed = "scorer broke" if broke else crashed
        pairs.append((first(one, "assessment_name", "name"), None if broke else scalar(feedback.get("value"))))
    return pairs, shown(crashed)
