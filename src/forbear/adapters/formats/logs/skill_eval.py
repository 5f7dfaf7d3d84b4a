"""Evaluations of agent skills: `benchmark.json` with its runs, in the layouts of two tools, and a run's `grading.json`.

A run succeeds where all its assertions pass. Each run of an evaluation holds both arms, with and without the skill;
run indices begin anew in every file.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from msgspec import Struct

from forbear.adapters.formats.logs.choice import Choice
from forbear.adapters.formats.logs.model import Log, Run
from forbear.adapters.formats.logs.probe import Probe
from forbear.wording import shown

_ARMS = ("with_skill", "without_skill", "old_skill", "new_skill", "baseline")


class _Side(Struct):
    pass_rate: float | None = None
    error: Any = None
    errors: Any = None
    passed: Any = None
    assertion_results: Any = None
    summary: Any = None


class _Row(Struct):
    eval_id: str | int | None = None
    eval_name: str | None = None
    run_index: int | None = None
    run_number: int | None = None
    configuration: str | None = None
    result: _Side | None = None
    with_skill: _Side | None = None
    without_skill: _Side | None = None
    old_skill: _Side | None = None
    new_skill: _Side | None = None
    baseline: _Side | None = None


class _Benchmark(Struct):
    runs: list[_Row] | None = None
    skill_name: str | None = None
    skill_path: str | None = None
    metadata: Any = None


class _Summary(Struct):
    pass_rate: float | None = None


class _Grading(Struct):
    summary: _Summary


def matches(probe: Probe) -> bool:
    """Whether this is a benchmark of a skill, or the grading of one of its runs."""
    if probe.kind != "object":
        return False
    row = probe.first_of("runs").keys()
    if "eval_id" in row and (set(_ARMS) | {"configuration"}) & row:
        return True
    return bool(set(_ARMS) & probe.inner("run_summary").keys()) or _is_grading(probe)


def _is_grading(probe: Probe) -> bool:
    graded = probe.has("expectations") or probe.has("assertion_results")
    return graded and "pass_rate" in probe.inner("summary") and probe.path.name == "grading.json"


def read(probe: Probe, choice: Choice) -> Iterable[Log]:
    """Reads one file."""
    del choice
    if _is_grading(probe):
        return [_grading(probe)]
    whole = probe.decoded(_Benchmark)
    runs = [run for number, row in enumerate(whole.runs or []) for run in _both(row, f"runs[{number}]")]
    metadata = whole.metadata if isinstance(whole.metadata, dict) else {}
    skill = whole.skill_path or metadata.get("skill_path") or whole.skill_name or metadata.get("skill_name")
    model = metadata.get("executor_model")
    config = {key: str(value) for key, value in {"model": model, "skill": skill}.items() if value}
    remark = () if runs else ("It holds means of pass rates only, no run of any task; the outcomes are in the runs.",)
    started = str(metadata.get("timestamp") or "")
    return [_log(probe, runs, config, started=started, remarks=remark)]


def _log(
    probe: Probe, runs: list[Run], config: Mapping[str, str], *, started: str = "", remarks: tuple[str, ...] = ()
) -> Log:
    return Log(
        format="skill_eval",
        path=probe.path,
        runs=runs,
        config=config,
        main="pass_rate",
        field="pass_rate = 1",
        repeats=True,
        full=True,
        started=started,
        remarks=remarks,
    )


def _both(row: _Row, place: str) -> Iterable[Run]:
    task = row.eval_name or ("" if row.eval_id is None else str(row.eval_id)) or place
    number = row.run_index if row.run_index is not None else row.run_number
    sides = {name: getattr(row, name) for name in _ARMS}
    if row.configuration is not None:
        sides[row.configuration] = row.result or _Side()
    for arm, side in sides.items():
        if side is not None:
            yield _run(task, arm, number, side, f"{place}.{shown(arm)}")


def _run(task: str, arm: str, number: int | None, side: _Side, place: str) -> Run:
    one = Run(task=task, arm=arm, repeat=number, scores={"pass_rate": side.pass_rate}, place=place)
    if side.error:
        return replace(one, fault="error", reason=shown(str(side.error).split("\n", 1)[0]))
    if side.pass_rate is None or side.assertion_results == []:
        return replace(one, fault="missing", reason="nothing was asserted")
    return replace(one, success=side.pass_rate >= 1 - 1e-9)


def _grading(probe: Probe) -> Log:
    """`<eval>/[<agent>/]<arm>/[run-N/]grading.json`: the folders say what it is of."""
    parts = probe.path.absolute().parts[:-1]
    number = None
    if parts[-1].startswith("run-") and parts[-1][4:].isdigit():
        number, parts = int(parts[-1][4:][:9]), parts[:-1]
    arm = parts[-1]
    at = next((k for k in range(len(parts) - 2, 0, -1) if parts[k].startswith("eval")), max(len(parts) - 2, 0))
    rate = probe.decoded(_Grading).summary.pass_rate
    run = _run(parts[at], arm, number, _Side(pass_rate=rate), "summary.pass_rate")
    return replace(_log(probe, [run], {}), path=Path(*parts[:at]), together=str(Path(*parts[:at])))
