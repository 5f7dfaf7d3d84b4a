"""Benchmarks of functions and code that keep their own results: BFCL, EvalPlus, HELM."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from forbear.adapters.formats.logs.choice import Choice
from forbear.adapters.formats.logs.loose import fields, first, items, scalar, text, whole_number, words
from forbear.adapters.formats.logs.model import Fault, Log, Run, Value
from forbear.adapters.formats.logs.probe import Probe
from forbear.errors import InvalidInput
from forbear.wording import shown

# --- BFCL: what is not listed succeeded -----------------------------------------------------------------------------

_NUMBERED = re.compile(r"(?P<category>.+)_(?P<number>\d{1,7})$")
_MOST = 1_000_000


def matches_bfcl(probe: Probe) -> bool:
    """Whether this is a score file of the Berkeley Function-Calling Leaderboard."""
    return probe.kind == "lines" and probe.has("accuracy", "correct_count", "total_count")


def read_bfcl(probe: Probe, choice: Choice) -> Iterable[Log]:
    """Reads one score file: after a line of sums the failures alone; every other number of the category succeeded."""
    del choice
    total, model, category = 0, "", ""
    listed: dict[str, Run] = {}
    for number, row in probe.each(dict[str, Any]):
        if "total_count" in row:
            total = whole_number(row["total_count"]) or 0
            continue
        name = text(row.get("id"))
        if not name:
            continue
        model, place = model or first(row, "model_name"), f"line {number}"
        category = category or first(row, "test_category")
        errors = row.get("error")
        told = " ".join(map(text, items(errors))) or text(errors) or text(fields(errors).get("error_message"))
        broke = told.lower().startswith("error during inference")
        fault: Fault = "error" if broke else ""
        success = None if broke else bool(row.get("valid"))
        listed[name] = Run(
            task=name, success=success, fault=fault, reason="inference broke" if broke else "", place=place
        )
    runs = [*listed.values(), *_passed(listed, category, total, probe)]
    remark = (
        f"{len(runs) - len(listed):,} tasks that a BFCL score file does not list succeeded: it lists failures only."
    )
    config = {"model": model or probe.path.absolute().parent.name}
    return [Log(format="bfcl", path=probe.path, runs=runs, config=config, field="not listed", remarks=(remark,))]


def _passed(listed: Mapping[str, Run], category: str, total: int, probe: Probe) -> list[Run]:
    """The tasks of the category that are not listed: their numbers run from 0 on."""
    found = [_NUMBERED.match(name) for name in listed]
    names = {one["category"] for one in found if one is not None}
    numbered = None not in found and len(names) <= 1 and all(one is None or int(one["number"]) < total for one in found)
    if not (numbered and (names or category) and total <= _MOST):
        raise InvalidInput(
            f"{probe.name}: lists {len(listed):,} failures of {total:,} tasks, and the names of the others cannot be "
            "told from theirs. Give the result files, or a table of all tasks."
        )
    name = names.pop() if names else category
    whole = (f"{name}_{number}" for number in range(total))
    return [Run(task=task, success=True, place="not listed") for task in whole if task not in listed]


# --- EvalPlus --------------------------------------------------------------------------------------------------------


class _Sample(Struct):
    base_status: str | None = None
    plus_status: str | None = None


class _EvalPlus(Struct):
    eval: dict[str, list[_Sample]]


def matches_evalplus(probe: Probe) -> bool:
    """Whether these are results of EvalPlus (HumanEval+, MBPP+)."""
    return probe.kind == "object" and probe.has("eval", "hash")


def read_evalplus(probe: Probe, choice: Choice) -> Iterable[Log]:
    """Reads one file: samples of a task are its repeats; `plus` has the base tests in it where it ran."""
    del choice
    runs = []
    for task, samples in probe.decoded(_EvalPlus).eval.items():
        for number, one in enumerate(samples):
            base = None if one.base_status is None else one.base_status == "pass"
            plus = None if one.plus_status is None else bool(base) and one.plus_status == "pass"
            scores: dict[str, Value] = {"base": base} if plus is None else {"base": base, "plus": plus}
            runs.append(Run(task=task, repeat=number, scores=scores, place=f"eval.{shown(task)}[{number}]"))
    return [Log(format="evalplus", path=probe.path, runs=runs)]


# --- HELM ------------------------------------------------------------------------------------------------------------


def matches_helm(probe: Probe) -> bool:
    """Whether these are statistics of HELM by instance."""
    return probe.kind == "list" and probe.has("instance_id", "stats")


def read_helm(probe: Probe, choice: Choice) -> Iterable[Log]:
    """Reads `per_instance_stats.json` of one run; instances that HELM perturbed are tasks of their own."""
    del choice
    runs = []
    for number, row in enumerate(map(fields, probe.decoded(list[Any]))):
        scores: dict[str, Value] = {}
        for stat in map(fields, items(row.get("stats"))):
            name = text(fields(stat.get("name")).get("name"))
            if name and whole_number(stat.get("count")):
                scores[name] = scalar(stat.get("mean"))
        changed = first(fields(row.get("perturbation")), "name")
        task = " ".join(filter(None, (first(row, "instance_id"), changed))) or f"[{number}]"
        runs.append(
            Run(
                task=task,
                repeat=whole_number(row.get("train_trial_index")),
                scores=scores,
                fault="" if scores else "missing",
                reason="" if scores else "no statistic",
                place=f"[{number}]",
            )
        )
    run = probe.path.absolute().parent
    model = run.name.partition("model=")[2].partition(",")[0]
    return [Log(format="helm", path=run, runs=runs, config={"model": model} if model else {"run": words(run.name)})]
