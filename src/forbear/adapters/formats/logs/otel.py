"""OpenTelemetry: OTLP JSON (a document, or a batch a line) and spans a line, with GenAI or OpenInference attributes.

A trace is one run. Its outcome is an evaluation (`gen_ai.evaluation.result`: name, score.value, score.label) of one
of its spans. Whose it is no convention says: the attributes `task.id`, `arm` and `repeat`, or what is nearest to
them.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from forbear.adapters.formats.logs.choice import Choice
from forbear.adapters.formats.logs.loose import agreed, fields, first, items, scalar, text
from forbear.adapters.formats.logs.model import Fault, Log, Run, Value
from forbear.adapters.formats.logs.probe import Probe

_TASK = ("task.id", "task_id", "gen_ai.task.id", "dataset.item.id", "session.id", "gen_ai.conversation.id")
_ARM = (
    "arm",
    "experiment.arm",
    "experiment.name",
    "experiment",
    "gen_ai.agent.name",
    "gen_ai.request.model",
    "llm.model_name",
)
_REPEAT = ("repeat", "task.repeat", "trial", "epoch", "seed")
_EVALUATION = "gen_ai.evaluation."


def matches(probe: Probe) -> bool:
    """Whether these are spans."""
    row = probe.fields.keys()
    if {"resourceSpans"} <= row or {"resource_spans"} <= row:
        return True
    return {"attributes", "name"} <= row and bool({"context", "traceId", "trace_id"} & row)


def read(probe: Probe, choice: Choice) -> Iterable[Log]:
    """Reads one file; spans of one trace may stand anywhere in it."""
    del choice
    traces: dict[str, list[Mapping[str, Any]]] = {}
    for span in _spans(probe):
        traces.setdefault(text(span.get("trace")), []).append(span)
    runs = [_run(name, spans) for name, spans in traces.items()]
    scored = any(run.scores for run in runs)
    remark = () if scored else ("No span holds an evaluation (gen_ai.evaluation.*), so no outcome.",)
    return [Log(format="otel", path=probe.path, runs=runs, named=True, remarks=remark)]


def _spans(probe: Probe) -> Iterator[Mapping[str, Any]]:
    if probe.kind == "lines":
        documents: Iterable[Any] = (one for _, one in probe.each(dict[str, Any]))
    else:
        whole = probe.decoded(Any)
        documents = whole if isinstance(whole, list) else [whole]
    for document in map(fields, documents):
        batches = items(document.get("resourceSpans")) or items(document.get("resource_spans"))
        if not batches:
            yield _span(document, {})
        for batch in map(fields, batches):
            resource = _attributes(fields(batch, "resource").get("attributes"))
            for scope in map(fields, [*items(batch.get("scopeSpans")), *items(batch.get("scope_spans"))]):
                for span in items(scope.get("spans")):
                    yield _span(fields(span), resource)


def _span(span: Mapping[str, Any], resource: Mapping[str, Any]) -> dict[str, Any]:
    """A span of either layout in one."""
    context = fields(span.get("context"))
    events = [fields(one) for one in items(span.get("events"))]
    status = fields(span.get("status"))
    code = text(status.get("code")) or text(status.get("status_code")) or text(span.get("status_code"))
    return {
        "trace": first(span, "traceId", "trace_id") or first(context, "trace_id"),
        "parent": first(span, "parentSpanId", "parent_id", "parent_span_id"),
        "attributes": {**resource, **_attributes(span.get("attributes"))},
        "events": [(text(one.get("name")), _attributes(one.get("attributes"))) for one in events],
        "broken": code in ("2", "STATUS_CODE_ERROR", "ERROR", "StatusCode.ERROR"),
        "started": first(span, "startTimeUnixNano", "start_time_unix_nano", "start_time"),
    }


def _attributes(given: Any) -> Mapping[str, Any]:
    """Attributes as an object: OTLP writes a list of keys with typed values."""
    if isinstance(given, dict):
        return given
    found: dict[str, Any] = {}
    for one in map(fields, items(given)):
        value = fields(one.get("value"))
        kind = next(iter(value), "")
        whole = value.get(kind)
        if kind == "intValue" and isinstance(whole, str) and whole.lstrip("-").isdigit() and len(whole) < 20:
            whole = int(whole)
        if kind in ("stringValue", "boolValue", "intValue", "doubleValue"):
            found[text(one.get("key"))] = whole
    return found


def _run(trace: str, spans: list[Mapping[str, Any]]) -> Run:
    roots = [span for span in spans if not span["parent"]] or spans[:1]
    every: dict[str, Any] = {}
    for span in (*reversed(spans), *roots):  # what a root says counts most
        every |= span["attributes"]
    every |= {key: value for key, value in fields(every.get("metadata")).items() if key not in every}
    scores: dict[str, list[Value]] = {}
    for span in spans:
        for name, attributes in (("", span["attributes"]), *span["events"]):
            del name
            _evaluations(attributes, scores)
    broken = any(span["broken"] or "error.type" in span["attributes"] for span in roots)
    index = first(every, *_REPEAT)
    task = first(every, *_TASK)
    fault: Fault = "error" if broken else "missing" if not scores else ""
    differ = any(len({str(value) for value in values}) > 1 for values in scores.values())
    return Run(
        task=task or trace,
        arm=first(every, *_ARM),
        repeat=int(index) if index.isdigit() and len(index) < 10 else None,
        scores={name: agreed(values) for name, values in scores.items()},
        fault=fault,
        reason="span status ERROR" if broken else "no evaluation" if fault else "evaluations differ" if differ else "",
        place=f"trace {trace}",
        uid=trace,
        started=min((span["started"] for span in roots), default=""),
    )


def _evaluations(attributes: Mapping[str, Any], scores: dict[str, list[Value]]) -> None:
    if (name := text(attributes.get(f"{_EVALUATION}name"))) or f"{_EVALUATION}score.value" in attributes:
        value = scalar(attributes.get(f"{_EVALUATION}score.value"))
        label = scalar(attributes.get(f"{_EVALUATION}score.label"))
        scores.setdefault(name or "evaluation", []).append(label if value is None else value)
    for key, value in attributes.items():
        # OpenInference (Phoenix) writes `eval.NAME.score` and `eval.NAME.label`.
        if key.startswith("eval.") and key.endswith(".score") and len(key) > 11:
            scores.setdefault(key[5:-6], []).append(scalar(value))
