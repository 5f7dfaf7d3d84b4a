"""JUnit XML, of whatever wrote it: a `<testcase>` without `<failure>`, `<error>` or `<skipped>` passed.

Read by expat as it streams; a document that declares entities is refused, since no test report needs any. An
`<error>` is what broke outside the test (pytest: in its setup). Reruns (`<rerunFailure>`, `<flakyFailure>` of Surefire)
are no verdict.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from xml.parsers import expat

from forbear.adapters.formats.logs.choice import Choice
from forbear.adapters.formats.logs.model import Fault, Log, Run
from forbear.adapters.formats.logs.probe import Probe
from forbear.errors import InvalidInput
from forbear.wording import listed, shown

_DEEPEST = 64
_MOST_ARMS = 50
_ROOT = re.compile(rb"<(?:[A-Za-z0-9_.\-]+:)?(testsuites?|testcase)[\s>/]")


def matches(probe: Probe) -> bool:
    """Whether the document's first element is that of a test report."""
    return probe.kind == "xml" and _ROOT.search(bytes(probe.data[:4096])) is not None


def read(probe: Probe, choice: Choice) -> Iterable[Log]:
    """Reads one report."""
    report = _Report(probe.name)
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = report.started, report.ended
    parser.EntityDeclHandler = report.refused
    try:
        for low in range(0, len(probe.data), 1 << 16):
            parser.Parse(bytes(probe.data[low : low + (1 << 16)]), False)
        parser.Parse(b"", True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        if isinstance(error, InvalidInput):
            raise
        raise InvalidInput(f"{probe.name}: cannot be read as XML ({shown(str(error))}).") from None
    runs, remark = (
        (_told_apart(report.runs, report.suites), ())
        if choice.arms_by == "file"
        else _by_arm(report.runs, report.suites)
    )
    return [Log(format="junit", path=probe.path, runs=runs, field="no failure", remarks=tuple(remark))]


class _Report:
    """What expat tells, one element at a time."""

    def __init__(self, name: str) -> None:
        self.runs: list[Run] = []
        self.suites: list[str] = []
        """Of each run the suite that it stands in."""
        self._name = name
        self._depth = 0
        self._suite = ""
        self._case: dict[str, str] | None = None
        self._fault: Fault = ""
        self._reason = ""
        self._failed = False

    def refused(self, *told: object) -> None:
        del told
        raise InvalidInput(f"{self._name}: declares XML entities, which no test report needs; it is not read.")

    def started(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise InvalidInput(f"{self._name}: nested too deeply to be a test report.")
        tag = tag.rpartition(":")[2]
        if tag == "testcase":
            self._case, self._fault, self._reason, self._failed = attributes, "", "", False
            if attributes.get("status", "").lower() in ("notrun", "skipped", "disabled"):
                self._fault, self._reason = "missing", attributes["status"]
        elif tag == "testsuite":
            self._suite = attributes.get("name", "")
        elif self._case is None:
            return
        elif tag == "failure":
            self._failed = True
        elif tag == "error":
            self._fault, self._reason = "error", shown(attributes.get("type") or "error")
        elif tag == "skipped" and self._fault != "error":
            self._fault, self._reason = "missing", shown(attributes.get("message") or "skipped")

    def ended(self, tag: str) -> None:
        self._depth -= 1
        if tag.rpartition(":")[2] != "testcase" or self._case is None:
            return
        case, self._case = self._case, None
        task = case.get("name", "") or f"test {len(self.runs)}"
        # A test that failed and whose teardown broke has failed: pytest writes both.
        fault: Fault = "" if self._failed else self._fault
        run = Run(
            task=task,
            group=case.get("classname", ""),
            success=None if fault else not self._failed,
            fault=fault,
            reason=self._reason if fault else "",
            place=f"testcase {shown(task)}",
        )
        before = self.runs[-1] if self.runs else None
        same = before is not None and (before.task, before.group) == (run.task, run.group)
        if same and before is not None and before.success is False and fault == "error":
            return  # pytest gives the broken teardown of a failed test a second element
        self.runs.append(run)
        self.suites.append(self._suite)


def _by_arm(runs: Sequence[Run], suites: Sequence[str]) -> tuple[list[Run], Iterable[str]]:
    """Where one part of all names takes a few values, each with the same others, that is the arm, and said.

    The parts are the suite, the class and the dotted parts of the name; where several would do, none is taken.
    """
    split = [(suite, run.group, *run.task.split(".")) for run, suite in zip(runs, suites, strict=True)]
    if any(len(parts) != len(split[0]) for parts in split):
        split = [(suite, run.group, run.task) for run, suite in zip(runs, suites, strict=True)]
    if len({parts[:2] for parts in split}) == len({parts[1] for parts in split}):
        split = [("", *parts[1:]) for parts in split]  # a suite for each class says nothing more
    found = [at for at in range(len(split[0]) if split else 0) if _is_grid(split, at)]
    if len(found) != 1:
        return _told_apart(runs, suites), ()
    (at,) = found
    arms = list(dict.fromkeys(parts[at] for parts in split))
    named = [
        replace(
            run,
            group="" if at == 1 else run.group,
            task=".".join((*parts[2:at], *parts[at + 1 :])) if at > 1 else run.task,
            arm=parts[at],
        )
        for run, parts in zip(runs, split, strict=True)
    ]
    what = ("The test suite", "The class of tests")[at] if at < 2 else f"Part {at - 1} of the test names"
    return named, [
        f"{what} takes {len(arms)} values ({listed(arms)}), each with the same {len(runs) // len(arms)} others: read "
        "as the arm. --arms-by file reads the file as one arm."
    ]


def _told_apart(runs: Sequence[Run], suites: Sequence[str]) -> list[Run]:
    """Tests of one name in several suites as tests of their own."""
    tests = {(run.group, run.task) for run in runs}
    if len({(suite, run.group, run.task) for run, suite in zip(runs, suites, strict=True)}) == len(tests):
        return list(runs)
    return [replace(run, group=f"{suite}/{run.group}") for run, suite in zip(runs, suites, strict=True)]


def _is_grid(split: Sequence[tuple[str, ...]], at: int) -> bool:
    """Whether each value of this part has the same others, each once."""
    others: dict[str, set[tuple[str, ...]]] = {}
    for parts in split:
        others.setdefault(parts[at], set()).add((*parts[:at], *parts[at + 1 :]))
        if len(others) > _MOST_ARMS:
            return False
    grids = list(others.values())
    return (
        2 <= len(grids) < len(grids[0])
        and len(grids) * len(grids[0]) == len(split)
        and all(grid == grids[0] for grid in grids)
    )
