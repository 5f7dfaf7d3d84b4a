"""Inspect AI's logs, `.eval` and `.json`, read sample by sample.

An outcome is a sample's score; an error of a sample is none, whatever score stands beside it (`score_on_error`). A
sample that was halted by a limit is scored and counts. The layout is that of inspect-ai 0.3.285 and of logs since
0.3.41.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from forbear.adapters.formats.logs.archive import Archive
from forbear.adapters.formats.logs.chat import NOTHING, content_of, told
from forbear.adapters.formats.logs.choice import Choice
from forbear.adapters.formats.logs.loose import fields, items, text
from forbear.adapters.formats.logs.model import Log, Run, Value
from forbear.adapters.formats.logs.monitors import said_of
from forbear.adapters.formats.logs.probe import Probe, decode
from forbear.wording import counted, shown


class _Dataset(Struct):
    name: str | None = None
    sample_ids: list[int | str] | None = None


class _Spec(Struct):
    task: str
    created: str = ""
    task_id: str = ""
    eval_id: str = ""
    run_id: str = ""
    model: str = ""
    solver: str | None = None
    task_args: dict[str, Any] | None = None
    task_args_passed: dict[str, Any] | None = None
    solver_args: dict[str, Any] | None = None
    model_generate_config: dict[str, Any] | None = None
    model_roles: Any = None
    dataset: _Dataset | None = None
    metadata: dict[str, Any] | None = None

    @property
    def arm(self) -> str:
        """Of a task that `adapters/frameworks/inspect.py` made; metadata are the user's otherwise."""
        about = (self.metadata or {}).get("forbear")
        return text(about.get("arm")) if isinstance(about, dict) else ""


class _Step(Struct):
    solver: str = ""
    params_passed: dict[str, Any] | None = None
    params: dict[str, Any] | None = None


class _Plan(Struct):
    steps: list[_Step] | None = None


class _Header(Struct):
    eval: _Spec
    plan: _Plan | None = None
    status: str = "started"
    invalidated: bool = False


class _Score(Struct):
    value: Any = None


class _Sample(Struct):
    id: int | str
    epoch: int = 1
    scores: dict[str, _Score] | None = None
    score: _Score | None = None
    messages: msgspec.Raw = NOTHING
    events: msgspec.Raw = NOTHING
    input: Any = None
    error: Any = None
    limit: Any = None
    model_usage: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    invalidation: Any = None


class _Whole(_Header):
    samples: list[_Sample] | None = None


def matches_json(probe: Probe) -> bool:
    """Whether this is a log in one JSON document."""
    return probe.kind == "object" and probe.has("eval", "status") and {"task", "model"} <= probe.inner("eval").keys()


def matches(probe: Probe) -> bool:
    """Whether this is a log of Inspect."""
    if probe.kind != "zip":
        return matches_json(probe)
    # The name of the first member stands in the first bytes, the list of all in the last ones.
    return any(
        b"_journal/start.json" in part or b"header.json" in part for part in (probe.data[:4096], probe.data[-65536:])
    )


def read(probe: Probe, choice: Choice) -> Iterable[Log]:
    """Reads one log."""
    if probe.kind != "zip":
        whole = probe.decoded(_Whole)
        return [_log(probe, whole, whole.samples or [], choice)]
    with probe.stream() as file:
        archive = Archive(file, name=probe.name)
        names = archive.names()
        # A run that goes on, or that was killed, has no header yet.
        header = _member(archive, "header.json" if "header.json" in names else "_journal/start.json", _Header, probe)
        return [_log(probe, header, list(_samples(archive, names, header, probe, choice)), choice)]


def _member(archive: Archive, name: str, kind: type[msgspec.Struct], probe: Probe) -> Any:
    return decode(archive.read(name), kind, where=f"{probe.name}, member {shown(name)}")


def _samples(
    archive: Archive, names: Sequence[str], header: _Header, probe: Probe, choice: Choice
) -> Iterator[_Sample]:
    """Each sample that the file holds: from the summaries where they tell, else from itself."""
    members = {name for name in names if name.startswith("samples/") and name.endswith(".json")}
    known: dict[str, _Sample] = {}
    # Summaries do not say which samples are invalidated, nor what was done in them.
    if not header.invalidated and not choice.episodes:
        whole = ["summaries.json"] if "summaries.json" in names else []
        for name in whole or sorted(one for one in names if one.startswith("_journal/summaries/")):
            for sample in _member(archive, name, list[_Sample], probe):  # type: ignore[arg-type]
                known[_filename(sample)] = sample
    if not members:  # logged without samples: the summaries are all there is
        yield from known.values()
    for name in sorted(members):
        # A header may promise more than the file holds: only its samples count.
        yield known[name] if name in known else _member(archive, name, _Sample, probe)


def _filename(sample: _Sample) -> str:
    return f"samples/{sample.id}_epoch_{sample.epoch}.json"


def _log(probe: Probe, header: _Header, samples: Sequence[_Sample], choice: Choice) -> Log:
    spec = header.eval
    working = any(sample.model_usage for sample in samples if sample.model_usage is not msgspec.UNSET)
    silent = 0
    runs = []
    for sample in samples:
        run = _run(sample, spec, choice)
        # A bare TimeoutError of a solver is logged as a warning and scored: nothing was asked of any model.
        if working and not run.fault and sample.model_usage == {} and _failed(run.scores):
            run, silent = _silent(run), silent + 1
        runs.append(run)
    there = {run.task for run in runs}
    ids = (spec.dataset.sample_ids or []) if spec.dataset is not None and header.status != "success" else []
    lost = [str(one) for one in ids if str(one) not in there]
    runs += [
        Run(
            task=task,
            key=_key(task, None, spec),
            group=spec.task,
            arm=spec.arm,
            fault="missing",
            reason=f"never run ({shown(header.status)})",
            place=f"sample {shown(task)}",
        )
        for task in lost
    ]
    remarks = []
    if header.status != "success":
        remarks.append(f"{probe.name}: the run ended with status '{shown(header.status)}'.")
    if silent:
        remarks.append(
            f"{probe.name}: {counted(silent, 'sample')} scored as failures without one call of a model count as errors "
            "(a solver's timeout is logged so)."
        )
    return Log(
        format="inspect",
        path=probe.path,
        runs=runs,
        config=_config(header),
        field="samples[].scores",
        started=spec.created,
        remarks=tuple(remarks),
    )


def _silent(run: Run) -> Run:
    return Run(
        task=run.task,
        key=run.key,
        group=run.group,
        arm=run.arm,
        repeat=run.repeat,
        fault="error",
        reason="no model was called",
        place=run.place,
        uid=run.uid,
    )


def _config(header: _Header) -> Mapping[str, str]:
    spec, plan = header.eval, header.plan or _Plan()
    steps = [step.solver.rpartition("/")[2] for step in plan.steps or []]
    args = spec.task_args_passed if spec.task_args_passed is not None else spec.task_args
    told = {
        "model": spec.model,
        "task": spec.task,
        "solver": spec.solver or ",".join(filter(None, steps)),
        "args": _brief(args),
        "solver_args": _brief(spec.solver_args) or ";".join(_brief(step.params_passed) for step in plan.steps or []),
        "generate": _brief(spec.model_generate_config),
        "roles": _brief(spec.model_roles),
    }
    return {key: value for key, value in told.items() if value}


def _brief(value: Any) -> str:
    """Arguments as `name=value`, those that say something."""
    if not isinstance(value, dict):
        return "" if not value else str(value)[:200]
    return ",".join(f"{key}={one}" for key, one in sorted(value.items()) if one is not None)[:200]


def _run(sample: _Sample, spec: _Spec, choice: Choice) -> Run:
    scores: dict[str, Value] = {}
    for name, score in (sample.scores or ({"score": sample.score} if sample.score is not None else {})).items():
        scores.update(_values(name, score.value))
    fault, reason = ("error", _error(sample.error)) if sample.error else ("", "")
    if not fault and sample.invalidation:
        fault, reason = "missing", "invalidated"
    if not fault and _kind(sample.limit) == "operator":
        fault, reason = "missing", "stopped by its operator"
    task = str(sample.id)
    # A retried evaluation keeps its task_id and copies the samples that were complete.
    whose = spec.task_id or spec.run_id
    opening, steps = told(sample.messages, choice, where=f"sample {shown(task)}, messages")
    watched = f"sample {shown(task)}, events"
    said = said_of(sample.messages, sample.events, where=watched) if choice.episodes else ()
    return Run(
        task=task,
        key=_key(task, sample.input, spec),
        group=spec.task,
        arm=spec.arm,
        repeat=sample.epoch,
        scores=scores,
        fault=fault,  # type: ignore[arg-type]
        reason=reason,
        place=f"sample {shown(task)}, epoch {sample.epoch}",
        uid=f"{whose}/{task}/{sample.epoch}" if whose else "",
        opening=opening,
        steps=steps,
        said=said,
    )


def _key(task: str, asked: Any, spec: _Spec) -> str:
    """What a sample is in every log: its id in its data set; of one without a name also what is asked."""
    if spec.dataset is not None and spec.dataset.name:
        return f"{spec.dataset.name}\0{task}"
    last = items(asked)[-1:]
    # A summary cuts long texts off, and of messages keeps the text.
    said = content_of(fields(last[0]).get("content")) if last else text(asked)
    return f"\0{task}\0{said.strip()[:1000]}"


def _values(name: str, value: Any) -> dict[str, Value]:
    if isinstance(value, dict):
        return {f"{name}.{key}": _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return {f"{name}.{number}": _plain(one) for number, one in enumerate(value)}
    return {name: _plain(value)}


def _plain(value: Any) -> Value:
    return value if isinstance(value, bool | int | float | str) and value == value else None


def _failed(scores: Mapping[str, Value]) -> bool:
    return bool(scores) and all(value in ("I", "N", 0, False, None) for value in scores.values())


def _error(error: Any) -> str:
    """The first words of an error: its kind, which groups runs."""
    said = text(error.get("message")) if isinstance(error, dict) else str(error)
    return shown(said.split("\n", 1)[0].split("(", 1)[0].strip() or "error", limit=60)


def _kind(limit: Any) -> str:
    found = limit.get("type") if isinstance(limit, dict) else limit
    return found if isinstance(found, str) else ""
