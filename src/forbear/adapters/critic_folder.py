"""The folder of a critic that learned something: `critic.json`, and files of plain arrays beside it.

`critic.json` names its `format` and the tasks that the critic has seen: under `splits`, lists of ids by what they were
for (those under `test` only measured it), or under `tasks`, as the starts of their ids' sha256. Opening a folder never
runs code that it names, and asks nobody elsewhere.
"""

import hashlib
import importlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from forbear import __version__
from forbear.adapters.parts import Factory, imported
from forbear.adapters.toml_section import Part
from forbear.contracts.critic import Critic
from forbear.critics.calibrated import CalibratedCritic
from forbear.critics.calibrators import Calibrator
from forbear.errors import InvalidInput
from forbear.files import read_bounded, write_whole
from forbear.wording import described, shown

RECORD = "critic.json"
CALIBRATED = "forbear-calibrated-critic-1"

_INNER = "inner"
"""The folder of the critic that is calibrated, copied into that of its calibration."""
_DEEPEST = 8
"""Calibrations of calibrations that are opened."""
_MAX_BYTES = 16 << 20
_MOST = 1e300
_MEASURED = "test"
HARMLESS = frozenset(
    (
        "after-step",
        "error-words",
        "every-k",
        "household",
        "random",
        "repeated-action",
        "step-count",
        "token-probability",
    )
)
"""Built-in critics that a folder may name: they read no other file and send nothing anywhere."""


def read_record(folder: Path) -> dict[str, Any]:
    """Reads `critic.json`.

    Raises:
        InvalidInput: There is none, or it is no JSON object.
    """
    path = folder / RECORD
    name = shown(str(path), limit=200)
    try:
        record = json.loads(read_bounded(path, limit=_MAX_BYTES))
    except OSError as error:
        raise InvalidInput(f"cannot read {name} ({error.strerror}): not the folder of a critic.") from error
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{name} is not JSON: {shown(str(error), limit=100)}.") from error
    if not isinstance(record, dict):
        raise InvalidInput(f"{name} must be a JSON object, got {described(record)}.")
    return record


def tasks_seen(record: Mapping[str, Any]) -> frozenset[str]:
    """Ids, or their `task_key`, of what the critic learned from, were it only to choose: all splits but `test`."""
    splits = record.get("splits")
    lists = [record.get("tasks")]
    if isinstance(splits, Mapping):
        lists += [tasks for name, tasks in splits.items() if name != _MEASURED]
    return frozenset(task for tasks in lists if isinstance(tasks, list) for task in tasks if isinstance(task, str))


def learned_failure_rate(record: Mapping[str, Any]) -> float | None:
    """Of the runs that the critic learned from, the share that failed; None where the record does not say."""
    trained = record.get("trained")
    if isinstance(trained, Mapping):
        failed, runs = trained.get("failed"), trained.get("runs")
        if isinstance(failed, int) and isinstance(runs, int) and 0 <= failed <= runs and runs > 0:
            return failed / runs
        return None
    rate = record.get("failure_rate")
    return float(rate) if isinstance(rate, int | float) and not isinstance(rate, bool) and 0 <= rate <= 1 else None


def task_key(task: str) -> str:
    """A task's id as a trained critic remembers it: the start of its sha256."""
    return hashlib.sha256(task.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def open_folder(folder: Path, *, critic: str | None = None, options: Mapping[str, Any] | None = None) -> Critic:
    """Opens the critic in a folder.

    Args:
        folder: With `critic.json`.
        critic: The critic that was calibrated, where the folder may not name it: `module:factory`, or a built-in one.
        options: Its options.

    Raises:
        InvalidInput: No critic of a kind that is known, damaged, or one that needs `critic`.
    """
    return _opened(folder, critic=critic, options=options, deep=0)


def _opened(folder: Path, *, critic: str | None, options: Mapping[str, Any] | None, deep: int) -> Critic:
    record = read_record(folder)
    kind = record.get("format")
    if kind == CALIBRATED:
        return _calibrated(folder, record, critic=critic, options=options or {}, deep=deep)
    opened = FORMATS.get(kind) if isinstance(kind, str) else None
    if opened is None:
        known = ", ".join([CALIBRATED, *FORMATS])
        raise InvalidInput(
            f"{shown(str(folder / RECORD), limit=200)}: format is {described(kind)}; known here: {known}."
        )
    module, _, load = opened.partition(":")
    return getattr(importlib.import_module(module), load)(str(folder))  # type: ignore[no-any-return]


FORMATS: dict[str, str] = {
    "forbear-critic-1": "forbear.critics.trained:trained_critic",
    "forbear-advantage-critic-1": "forbear.critics.trained:trained_critic",
    "forbear-lora-critic-1": "forbear.critics.lora.critic:lora_critic",
}
"""Loaders of trained critics, by the `format` of their `critic.json`; imported when one is opened."""


def calibrated_critic(path: str, critic: str | None = None, critic_options: Mapping[str, Any] | None = None) -> Critic:
    """Makes the critic of a folder that `forbear critic calibrate` wrote.

    Args:
        path: The folder.
        critic: Which critic it calibrates, where that is code of one's own or asks somebody: `module:factory`, or a
            built-in one.
        critic_options: Its options.

    Raises:
        InvalidInput: As `open_folder`.
    """
    return open_folder(Path(path), critic=critic, options=critic_options)


def _calibrated(
    folder: Path, record: Mapping[str, Any], *, critic: str | None, options: Mapping[str, Any], deep: int
) -> Critic:
    place = shown(str(folder / RECORD), limit=200)
    map_, inner = record.get("calibration"), record.get("critic")
    if not isinstance(map_, Mapping) or not isinstance(inner, Mapping):
        raise InvalidInput(f"{place} lacks the calibration or the critic; calibrate again.")
    parameters = map_.get("parameters")
    # A whole number may have more digits than a float.
    if not isinstance(parameters, list) or not all(type(x) in (int, float) and abs(x) <= _MOST for x in parameters):
        raise InvalidInput(f"{place}: the calibration's parameters must be numbers; calibrate again.")
    if critic is not None:
        below = made(critic, options, place=f"{place}: critic")
    else:
        below = _inner(folder, inner, place=place, deep=deep)
    try:
        calibrator = Calibrator(method=map_.get("method"), parameters=tuple(parameters))  # type: ignore[arg-type]  # it checks
    except InvalidInput as error:
        raise InvalidInput(f"{place}: {error}") from None
    return CalibratedCritic(below, calibrator=calibrator)


def _inner(folder: Path, inner: Mapping[str, Any], *, place: str, deep: int) -> Critic:
    use, options = inner.get("use"), inner.get("options", {})
    if use == _INNER and (folder / _INNER).is_dir():
        if deep >= _DEEPEST:
            raise InvalidInput(f"{place}: calibrations of calibrations, more than {_DEEPEST} deep; calibrate anew.")
        return _opened(folder / _INNER, critic=None, options=None, deep=deep + 1)
    if isinstance(use, str) and isinstance(options, dict) and use in HARMLESS:
        return made(use, options, place=f"{place}: critic")
    raise InvalidInput(
        f"{place} calibrates the critic '{shown(str(use))}', and code that a folder names is not run; "
        'say which it is, e.g. options = { path = "...", critic = "mymodule:critic" }.'
    )


def made(use: str, options: Mapping[str, Any], *, place: str, folder: Path | None = None) -> Critic:
    """Makes a built-in critic, or one of `module:factory`."""
    part = Part(kind="critic", use=use, options=json.dumps(options, sort_keys=True, default=str), place=place)
    target = imported(part, folder or Path.cwd())
    return Factory(target=target, options=options, part=part).once()  # type: ignore[no-any-return]


def save_calibrated(
    directory: Path,
    *,
    calibrator: Calibrator,
    use: str,
    options: Mapping[str, Any],
    source: Path | None,
    splits: Mapping[str, list[str]],
    more: Mapping[str, Any],
) -> None:
    """Writes a calibrated critic.

    Args:
        directory: Made where it is missing; must not hold a critic already.
        calibrator: The map.
        use: The critic below it, as it was named.
        options: Its options.
        source: Its folder, which is copied; None where it has none.
        splits: Tasks that the map, and the critic below it, have seen.
        more: What else stands in `critic.json`.

    Raises:
        InvalidInput: The directory holds a critic, or cannot be written.
    """
    if (directory / RECORD).exists():
        raise InvalidInput(f"{shown(str(directory), limit=200)} holds a critic already; name another directory.")
    if source is not None and directory.resolve().is_relative_to(source.resolve()):
        raise InvalidInput(
            f"{shown(str(directory), limit=200)} lies in the critic's own folder; name another directory."
        )
    record = {
        "format": CALIBRATED,
        "forbear": __version__,
        "critic": {"use": use if source is None else _INNER, "options": dict(options)},
        "calibration": calibrator.to_dict(),
        "splits": splits,
        **more,
    }
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if source is not None:
            shutil.copytree(source, directory / _INNER)
        content = json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        write_whole(directory / RECORD, content.encode("utf-8", "surrogatepass"))
    except OSError as error:
        raise InvalidInput(f"cannot write {shown(str(directory), limit=200)}: {error.strerror or error}.") from error
