"""lm-evaluation-harness: `samples_*.jsonl` (0.4), and results files that hold documents.

A document has a row for each filter (lm-eval 0.4.13, `evaluator.py`), which are no repeats: a score is called as in
the harness's own results, `exact_match,strict-match`. Documents are known by the hash of their content.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from forbear.adapters.formats.logs.choice import Choice
from forbear.adapters.formats.logs.model import Log, Run, Value
from forbear.adapters.formats.logs.probe import Probe
from forbear.errors import InvalidInput

_NAME = re.compile(r"samples_(?P<task>.+)_\d{4}-\d\d-\d\dT[\d\-:.]+$")
_CONTENT = ("doc_hash", "question", "query", "problem", "sentence", "input", "text", "premise", "ctx")
"""Fields of an older document that say what it is; its context holds the prompt, which differs between runs."""
_VERSION = re.compile(r"-\d+(\.\d+)*-\d+(\.\d+)*$")
"""`mgsm-1.0-0.4`: the versions of a task and of its prompt."""


class _Results(Struct):
    results: dict[str, dict[str, msgspec.Raw]]
    config: Any = None
    model_name: str = ""
    samples: dict[str, list[dict[str, msgspec.Raw]]] | None = None


def matches(probe: Probe) -> bool:
    """Whether this is a file of lm-eval."""
    if probe.kind in ("lines", "list"):
        known = probe.has("doc_id", "doc", "resps") or probe.has("doc_hash", "filtered_resps")
        return known or probe.has("doc_id", "prompt_0")
    if probe.kind != "object" or not probe.has("results"):
        return False
    return bool({"versions", "n-shot", "higher_is_better", "configs"} & probe.fields.keys())


def read(probe: Probe, choice: Choice) -> Iterable[Log]:
    """Reads one file."""
    del choice
    if probe.kind in ("lines", "list"):
        found = _NAME.match(probe.path.stem)
        task = found["task"] if found else probe.path.stem.removesuffix("_write_out_info") if _is_old(probe) else ""
        if probe.kind == "lines":
            lines = ((f"line {number}", row) for number, row in probe.each(dict[str, msgspec.Raw]))
        else:
            lines = ((f"[{n}]", row) for n, row in enumerate(probe.decoded(list[dict[str, msgspec.Raw]])))
        config = {"model": probe.path.absolute().parent.name} if found else {}
        return [_log(probe, list(_documents(lines, task, probe)), config)]
    whole = probe.decoded(_Results)
    runs: list[Run] = []
    for task, rows in (whole.samples or {}).items():
        runs += _documents(((f"samples.{task}[{n}]", row) for n, row in enumerate(rows)), task, probe)
    for task, aggregate in whole.results.items():
        if not whole.samples and "details" in aggregate:
            details = _plain(aggregate["details"], list[dict[str, msgspec.Raw]]) or []
            metrics = [name for name in aggregate if name != "details" and not name.endswith("_stderr")]
            runs += _details(details, _VERSION.sub("", task), metrics)
    remark = "It holds means over documents only; run lm-eval with --log_samples and give samples_*.jsonl."
    return [_log(probe, runs, _config(whole), remarks=() if runs else (remark,))]


def _log(probe: Probe, runs: list[Run], config: Mapping[str, str], *, remarks: tuple[str, ...] = ()) -> Log:
    return Log(format="lm_eval", path=probe.path, runs=runs, config=config, remarks=remarks)


def _config(whole: _Results) -> dict[str, str]:
    config = whole.config if isinstance(whole.config, dict) else {}
    told = {"model": config.get("model_args") or whole.model_name, "kind": config.get("model")}
    return {key: str(value)[:200] for key, value in told.items() if value}


def _documents(rows: Iterable[tuple[str, Mapping[str, msgspec.Raw]]], task: str, probe: Probe) -> Iterator[Run]:
    """A run for each document, with a score for each metric under each filter."""
    kept: dict[tuple[str, int], tuple[str, str, dict[str, dict[str, Value]]]] = {}
    met: Counter[tuple[str, str]] = Counter()
    for place, row in rows:
        number = _plain(row.get("doc_id"), int | str)
        known = (
            _plain(row.get("doc_hash"), str) or _hashed(row.get("doc")) or _hashed(row.get("prompt_0")) or str(number)
        )
        by = _plain(row.get("filter"), str) or "none"
        metrics = _plain(row.get("metrics"), list[str])
        if metrics is None:  # before 0.4.3: whatever is a number and is no part of the layout
            metrics = [name for name in row if name not in _LAYOUT and not name.startswith(("prompt_", "logit_"))]
        scores = {name: _score(row.get(name)) for name in metrics if name in row}
        # The same content may be there twice as two documents; under one filter each counts its own.
        met[known, by] += 1
        one = kept.setdefault((known, met[known, by]), (str(number), place, {}))
        one[2][by] = {name: value for name, value in scores.items() if value is not _NO_SCALAR}
    filters = list(dict.fromkeys(by for _, _, scores in kept.values() for by in scores))
    for (known, occurrence), (number_, place, by_filter) in kept.items():
        named = {
            (f"{name},{by}" if len(filters) > 1 else name): value
            for by, scores in by_filter.items()
            for name, value in scores.items()
        }
        if not named:
            raise InvalidInput(
                f"{probe.name}, {place}: holds no metric that is one number; lm-eval scored it otherwise."
            )
        yield Run(task=f"doc{number_}", key=f"{known}#{occurrence}", group=task, scores=named, place=place)


def _is_old(probe: Probe) -> bool:
    """Whether this is a `TASK_write_out_info.json` of 0.3, a list of documents with their prompts."""
    return probe.has("prompt_0")


def _details(rows: Iterable[Mapping[str, msgspec.Raw]], task: str, metrics: Iterable[str]) -> Iterator[Run]:
    met: Counter[str] = Counter()
    for number, row in enumerate(rows):
        content = next((_hashed(row[name]) for name in _CONTENT if name in row), f"position {number}")
        met[content] += 1
        scores = {name: _score(row[name]) for name in metrics if name in row}
        yield Run(
            task=f"doc{number}",
            key=f"{content}#{met[content]}",
            group=task,
            scores={name: value for name, value in scores.items() if value is not _NO_SCALAR},
            place=f"details[{number}]",
        )


_LAYOUT = frozenset(
    (
        "truth",
        "doc_id",
        "doc",
        "target",
        "arguments",
        "resps",
        "filtered_resps",
        "filter",
        "doc_hash",
        "prompt_hash",
        "target_hash",
    )
)
_NO_SCALAR = "\0"


def _score(raw: msgspec.Raw | None) -> Value:
    value = _plain(raw, bool | int | float | str | None)
    return _NO_SCALAR if value is None and raw is not None and bytes(memoryview(raw)[:1]) in (b"[", b"{") else value


def _plain(raw: msgspec.Raw | None, kind: Any) -> Any:
    """A field as this type; None where it is something else."""
    if raw is None:
        return None
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return None


def _hashed(raw: msgspec.Raw | None) -> str:
    return "" if raw is None else hashlib.sha256(memoryview(raw)).hexdigest()
