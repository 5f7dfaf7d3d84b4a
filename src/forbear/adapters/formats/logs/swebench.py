"""SWE-bench: reports of a run (of every version), of single instances, and the results of its leaderboard.

The harness of swebench 5.0.2 calls what the infrastructure broke unresolved and lists it apart; an empty patch is the
agent's failure; an instance without a report was not evaluated. Reports before it list what failed nowhere.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

from forbear.adapters.formats.logs.choice import Choice
from forbear.adapters.formats.logs.loose import scalar
from forbear.adapters.formats.logs.model import Log, Run
from forbear.adapters.formats.logs.probe import Probe
from forbear.wording import shown

_LEGACY = frozenset(
    (
        *("no_generation", "generated", "no_apply", "applied", "with_logs", "no_logs"),
        *("test_errored", "test_timeout", "install_fail", "reset_failed"),
    )
)
_GENERIC = ("report", "results", "final_report", "run_report", "output")


class _Report(Struct):
    resolved_ids: list[str]
    unresolved_ids: list[str] | None = None
    submitted_ids: list[str] | None = None
    completed_ids: list[str] | None = None
    incomplete_ids: list[str] | None = None
    empty_patch_ids: list[str] | None = None
    error_ids: list[str] | None = None
    infra_failure_ids: list[str] | None = None
    ambiguous_failure_ids: list[str] | None = None
    failed_ids: list[str] | None = None
    pending_ids: list[str] | None = None
    failure_reasons: dict[str, str] | None = None


class _Legacy(Struct):
    resolved: list[str]
    no_generation: list[str] | None = None
    generated: list[str] | None = None
    no_apply: list[str] | None = None
    applied: list[str] | None = None
    with_logs: list[str] | None = None
    no_logs: list[str] | None = None
    install_fail: list[str] | None = None
    reset_failed: list[str] | None = None
    test_errored: list[str] | None = None
    test_timeout: list[str] | None = None


class _Instance(Struct):
    resolved: Any = None
    error: Any = None


def matches(probe: Probe) -> bool:
    """Whether this is a report of SWE-bench."""
    if probe.kind != "object":
        return False
    return _is_report(probe) or _is_legacy(probe) or _depth(probe) > 0


def read(probe: Probe, choice: Choice) -> Iterable[Log]:
    """Reads one report."""
    del choice
    if _is_report(probe):
        return [_report(probe)]
    if _is_legacy(probe):
        return [_legacy(probe)]
    if _depth(probe) == 1:
        return [_instances(probe)]
    by_model = probe.decoded(dict[str, dict[str, _Instance]])
    return [
        _log(probe, [_run(task, one) for task, one in tasks.items()], {"model": model})
        for model, tasks in by_model.items()
    ]


def _is_report(probe: Probe) -> bool:
    return (
        probe.has("resolved_ids")
        and not probe.has("results")
        and bool(
            {"submitted_ids", "unresolved_ids", "completed_ids", "incomplete_ids", "error_ids", "empty_patch_ids"}
            & probe.fields.keys()
        )
    )


def _is_legacy(probe: Probe) -> bool:
    return probe.has("resolved") and bool(_LEGACY & probe.fields.keys()) and not probe.has("instance_id")


def _depth(probe: Probe) -> int:
    """How deep the verdicts on instances lie: 1 `{id: {resolved}}`, 2 `{model: {id: {resolved}}}`, 0 nowhere."""
    first = next(iter(probe.fields), None)
    if first is None:
        return 0
    inner = probe.inner(first)
    if "resolved" in inner:
        return 1
    second = next(iter(inner), None)
    return 2 if second is not None and "resolved" in probe.inner(first, second) else 0


def _log(
    probe: Probe,
    runs: list[Run],
    config: Mapping[str, str],
    *,
    together: str = "",
    absent: Literal["failure", "missing"] = "missing",
) -> Log:
    return Log(
        format="swebench",
        path=probe.path,
        runs=runs,
        config=config,
        field="resolved",
        together=together,
        absent=absent,
    )


def _model(path: Path) -> dict[str, str]:
    """`<model>.<run_id>.json`, where a report is called so."""
    model, dot, run = path.stem.rpartition(".")
    return {"model": model.replace("__", "/"), "run": run} if dot and path.stem not in _GENERIC else {}


def _report(probe: Probe) -> Log:
    report = probe.decoded(_Report)
    resolved, reasons = set(report.resolved_ids), report.failure_reasons or {}
    infra = set(report.infra_failure_ids or ())
    errors = set(report.error_ids or ()) | infra | set(report.failed_ids or ())
    empty = set(report.empty_patch_ids or ())
    failed = set(report.unresolved_ids or ()) | empty
    if report.unresolved_ids is None:  # as sb-cli writes it: what is submitted and in no other list failed
        failed |= set(report.completed_ids or report.submitted_ids or ()) - resolved - errors
    lost = set(report.incomplete_ids or ()) | set(report.pending_ids or ())
    runs = []
    for task in _order(
        report.resolved_ids, report.unresolved_ids, report.empty_patch_ids, sorted(errors | failed | lost)
    ):
        place = f"instance {shown(task)}"
        if task in resolved:
            runs.append(Run(task=task, success=True, place=place))
        elif task in errors:
            why = reasons.get(task) or ("infrastructure" if task in infra else "no report of its tests")
            runs.append(Run(task=task, fault="error", reason=shown(why), place=place))
        elif task in failed:
            runs.append(Run(task=task, success=False, place=place))
        else:
            runs.append(Run(task=task, fault="missing", reason="not submitted", place=place))
    config = _model(probe.path)
    if config:
        runs = [replace(run, uid=f"{config['model']}/{config['run']}/{run.task}") for run in runs]
    return replace(_log(probe, runs, config), weight=1)  # it knows more than the reports of its instances


def _legacy(probe: Probe) -> Log:
    """Before version 2 of the harness: what was generated, or not, and is not resolved, failed."""
    lists = probe.decoded(_Legacy)
    resolved = set(lists.resolved)
    broken = {
        **dict.fromkeys(lists.install_fail or (), "install failed"),
        **dict.fromkeys(lists.reset_failed or (), "reset failed"),
        **dict.fromkeys(lists.test_errored or (), "tests broke"),
        **dict.fromkeys(lists.test_timeout or (), "tests timed out"),
    }
    agent = set(lists.no_apply or ()) | set(lists.no_generation or ())
    runs = []
    for task in _order(
        lists.resolved,
        lists.generated,
        lists.no_generation,
        lists.applied,
        lists.with_logs,
        lists.no_logs,
        lists.no_apply,
        broken,
    ):
        place = f"instance {shown(task)}"
        if task in broken and task not in resolved and task not in agent:
            runs.append(Run(task=task, fault="error", reason=broken[task], place=place))
        else:
            runs.append(Run(task=task, success=task in resolved, place=place))
    # The leaderboard's results.json lists what was resolved, and what gave no patch: all else of the split failed.
    partial = lists.generated is None and lists.with_logs is None and lists.applied is None
    return _log(probe, runs, {}, absent="failure" if partial else "missing")


def _instances(probe: Probe) -> Log:
    """Reports of instances by id; of one, as the harness writes them, a file each: `<run>/<model>/<id>/report.json`."""
    found = probe.decoded(dict[str, _Instance])
    runs = [_run(task, one) for task, one in found.items()]
    one = len(found) == 1 and probe.path.parent.name == runs[0].task
    folder = probe.path.absolute().parent.parent
    if not one:
        return _log(probe, runs, {})
    config = {"model": folder.name.replace("__", "/"), "run": folder.parent.name}
    runs = [replace(run, uid=f"{config['model']}/{config['run']}/{run.task}") for run in runs]
    return replace(_log(probe, runs, config, together=str(folder)), path=folder)


def _run(task: str, one: _Instance) -> Run:
    place = f"instance {shown(task)}"
    if one.error and not one.resolved:
        return Run(task=task, fault="error", reason="error", place=place)
    if one.resolved is None:
        return Run(task=task, fault="missing", reason="not evaluated", place=place)
    if isinstance(one.resolved, bool) or one.resolved in (0, 1):
        return Run(task=task, success=bool(one.resolved), place=place)
    return Run(task=task, scores={"resolved": scalar(one.resolved)}, place=place)


def _order(*lists: Iterable[str] | None) -> list[str]:
    return list(dict.fromkeys(task for one in lists for task in (one or ())))
