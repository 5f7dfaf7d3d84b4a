"""promptfoo's JSON output, results of version 2 and 3.

`failureReason` (0 none, 1 an assertion, 2 an error; promptfoo 0.121) tells errors from failures, but for assertions
whose own code breaks, which are stored as failures. `testIdx` counts each repeat as a new test (`--repeat`), so a
test is known by what it is. An arm is a prompt with its provider.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct, field

from forbear.adapters.formats.logs.choice import Choice
from forbear.adapters.formats.logs.loose import fields, first
from forbear.adapters.formats.logs.model import Fault, Log, Run, Value
from forbear.adapters.formats.logs.probe import Probe
from forbear.wording import counted

_CRASHED = re.compile(
    r"^(Custom function threw error|(Python|Ruby) code execution failed|Webhook error:|Moderation API error:|"
    r"Search rubric evaluation failed|API (call )?error|Could not extract JSON from llm-rubric|Request timed out|"
    r"Rate limit)"
)
"""What promptfoo 0.121.20 gives as the reason where an assertion or its grader came to no judgement."""
_OF_THE_ANSWER = re.compile(r"not valid JSON|in JSON at position|of JSON input|JSON\.parse|JSONDecodeError", re.I)
"""Where the answer could not be parsed, the answer is at fault."""


class _Component(Struct):
    pass_: bool | None = field(name="pass", default=None)
    reason: Any = None
    metadata: Any = None


class _Grading(Struct):
    pass_: bool | None = field(name="pass", default=None)
    reason: Any = None
    componentResults: list[_Component | None] | None = None


class _Prompt(Struct):
    raw: Any = None
    label: Any = None
    display: Any = None
    provider: Any = None


class _Row(Struct):
    success: bool | None = None
    score: float | None = None
    error: Any = None
    failureReason: int | None = None
    promptIdx: int | None = None
    testIdx: int | None = None
    provider: Any = None
    prompt: _Prompt | None = None
    vars: Any = None
    testCase: Any = None
    namedScores: dict[str, float | None] | None = None
    gradingResult: _Grading | None = None
    id: str | None = None


class _Head(Struct):
    prompts: list[_Prompt]


class _Cell(Struct):
    text: Any = None
    pass_: bool | None = field(name="pass", default=None)
    score: float | None = None
    failureReason: int | None = None
    error: Any = None
    prompt: Any = None


class _Body(Struct):
    outputs: list[_Cell]
    vars: list[Any] | None = None


class _Table(Struct):
    head: _Head
    body: list[_Body]


class _Results(Struct):
    version: int | None = None
    results: list[_Row] | None = None
    prompts: list[_Prompt] | None = None
    table: _Table | None = None


class _Output(Struct):
    results: _Results
    evalId: str | None = None
    config: Any = None


def matches(probe: Probe) -> bool:
    """Whether this is an output of promptfoo."""
    if probe.kind == "lines":
        return probe.has("success", "promptIdx") and bool({"testCase", "vars"} & probe.fields.keys())
    if probe.kind != "object" or not probe.has("results"):
        return False
    inner = probe.inner("results").keys()
    return {"results", "stats"} <= inner or {"table", "results"} <= inner or _is_bare(probe)


def _is_bare(probe: Probe) -> bool:
    """Whether the results stand there without what goes around them."""
    return probe.has("stats") and {"success", "promptIdx"} <= probe.first_of("results").keys()


def read(probe: Probe, choice: Choice) -> Iterable[Log]:
    """Reads one output."""
    del choice
    if probe.kind == "lines":
        output = _Output(results=_Results(results=[row for _, row in probe.each(_Row)]))
    else:
        output = _Output(results=probe.decoded(_Results)) if _is_bare(probe) else probe.decoded(_Output)
    results = output.results
    rows = results.results or []
    if rows and all(row.promptIdx is None for row in rows) and results.table is not None:
        runs = _of_table(results.table, rows)
    else:
        runs = _of_rows(rows, results.prompts or [], output.evalId or "")
    return [
        Log(
            format="promptfoo",
            path=probe.path,
            runs=runs,
            main="score",
            field="success",
            repeats=True,
            remarks=tuple(_remarks(probe, output, rows, runs)),
        )
    ]


def _of_rows(rows: Sequence[_Row], prompts: Sequence[_Prompt], eval_id: str) -> list[Run]:
    if any(row.promptIdx is None for row in rows):  # before version 3: prompts are told apart by their template
        templates: dict[str, int] = {}
        for row in rows:
            prompt = row.prompt or _Prompt()
            row.promptIdx = templates.setdefault(str(prompt.display or prompt.label or ""), len(templates))
    # promptIdx numbers each prompt with each provider: it says more than the provider where one has several prompts.
    pairs = {(row.promptIdx, _arm(row, prompts, several=False)) for row in rows}
    several = len(pairs) > len({name for _, name in pairs})
    names: dict[str, str] = {}
    runs = []
    for number, row in enumerate(rows):
        known = _test(row)
        name = names.setdefault(known, _task(row, number))
        fault, reason = _fault(row)
        scores: dict[str, Value] = {**(row.namedScores or {}), "score": row.score}
        runs.append(
            Run(
                task=name,
                key=known,
                arm=_arm(row, prompts, several=several),
                success=row.success,
                scores=scores,
                fault=fault,
                reason=reason,
                place=f"results.results[{number}]",
                uid=f"{eval_id}/{row.id}" if row.id else "",
            )
        )
    return runs


def _of_table(table: _Table, rows: Sequence[_Row]) -> list[Run]:
    """Version 2: rows say neither prompt nor provider, and stand in the order in which calls ended; the table says."""
    shown_as = [str(prompt.display or prompt.label or prompt.raw or "") for prompt in table.head.prompts]
    providers = [prompt.provider for prompt in table.head.prompts]
    runs = []
    for number, line in enumerate(table.body):
        names = [str(value) for value in line.vars or []]
        for column, cell in enumerate(line.outputs[: len(shown_as)]):
            provider = providers[column]
            arm = f"prompt{column}" + (f":{provider}" if isinstance(provider, str) and provider else "")
            fault, reason = _fault(_Row(error=cell.error, failureReason=cell.failureReason, success=cell.pass_))
            if not cell.pass_ and not fault and isinstance(cell.text, str) and cell.text.startswith("[ERROR]"):
                fault, reason = "error", "provider error"
            place = f"results.table.body[{number}].outputs[{column}]"
            key = hashlib.sha256(json.dumps(names).encode()).hexdigest() if names else ""
            scores: dict[str, Value] = {"score": cell.score}
            name = ", ".join(names)[:80] or f"test{number}"
            runs.append(
                Run(
                    task=name,
                    key=key,
                    arm=arm,
                    success=cell.pass_,
                    scores=scores,
                    fault=fault,
                    reason=reason,
                    place=place,
                )
            )
    del rows
    return runs


def _test(row: _Row) -> str:
    """What a test is: its variables, description, assertions and metadata, without what one evaluation adds."""
    case = dict(row.testCase) if isinstance(row.testCase, dict) else {}
    metadata = case.get("metadata")
    if isinstance(metadata, dict):
        case["metadata"] = {
            key: value for key, value in metadata.items() if key not in ("evaluationId", "tracingEnabled")
        }
    kept = {key: case[key] for key in ("description", "assert", "metadata", "prompts", "threshold") if case.get(key)}
    kept["vars"] = row.vars if row.vars is not None else case.get("vars")
    if not kept["vars"] and len(kept) == 1:
        return f"test {row.testIdx}"
    return hashlib.sha256(json.dumps(kept, sort_keys=True, default=str).encode("utf-8", "replace")).hexdigest()


def _task(row: _Row, number: int) -> str:
    case = row.testCase if isinstance(row.testCase, dict) else {}
    if known := first(fields(case.get("metadata")), "task_id", "testCaseId", "id"):
        return known
    return f"test{number if row.testIdx is None else row.testIdx}"


def _arm(row: _Row, prompts: Sequence[_Prompt], *, several: bool) -> str:
    provider = row.provider if isinstance(row.provider, dict) else {"id": row.provider}
    name = provider.get("label") or provider.get("id")
    listed = prompts[row.promptIdx] if row.promptIdx is not None and row.promptIdx < len(prompts) else None
    if not name and listed is not None:
        name = listed.provider
    parts = [f"prompt{row.promptIdx}"] if several and row.promptIdx is not None else []
    return ":".join([*parts, *([str(name)] if name else [])]) or "prompt0"


def _fault(row: _Row) -> tuple[Fault, str]:
    """Errors of the provider, and of assertions that broke: neither success nor failure of the agent."""
    if row.failureReason == 2:
        return "error", _brief(row.error) or "error"
    if row.success is None:
        return "missing", "not judged"
    if row.success:
        return "", ""
    if row.failureReason is None and row.error and row.gradingResult is None:
        return "error", _brief(row.error) or "error"
    failed = [one for one in _components(row) if one.pass_ is False]
    if any(isinstance(one.metadata, dict) and one.metadata.get("graderError") is True for one in failed):
        return "error", "a grader broke"
    texts = [str(one.reason or "")[:20_000] for one in failed] or [str(row.error or "")[:20_000]]
    broke = [text for text in texts if _CRASHED.search(text) and not _OF_THE_ANSWER.search(text)]
    return ("error", "an assertion broke") if broke else ("", "")


def _components(row: _Row) -> list[_Component]:
    grading = row.gradingResult
    return [one for one in (grading.componentResults or [] if grading is not None else []) if one is not None]


def _brief(error: Any) -> str:
    return str(error or "").split("\n", 1)[0][:60]


def _remarks(probe: Probe, output: _Output, rows: Sequence[_Row], runs: Sequence[Run]) -> Iterable[str]:
    unasserted = sum(row.gradingResult is not None and row.gradingResult.reason == "No assertions" for row in rows)
    cases = [row.testCase for row in rows if isinstance(row.testCase, dict)]
    if unasserted or (rows and output.results.version == 2 and not any(_asserts(test) for test in _tests(output))):
        yield (
            f"{probe.name}: {counted(unasserted or len(runs), 'run')} had nothing asserted of them, which promptfoo "
            "counts as success; such successes mean nothing."
        )
    if any(isinstance(case.get("metadata"), dict) and "pluginId" in case["metadata"] for case in cases):
        yield f"{probe.name} is a red team run: success means that an attack was resisted."


def _tests(output: _Output) -> Sequence[Any]:
    tests = output.config.get("tests") if isinstance(output.config, dict) else None
    return tests if isinstance(tests, list) else []


def _asserts(test: Any) -> bool:
    return not isinstance(test, dict) or bool(test.get("assert"))
