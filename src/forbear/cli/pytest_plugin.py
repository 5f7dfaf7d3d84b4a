"""A pytest plugin: the fixture `forbear_gate` fails a test unless the outcomes say INTERVENE (docs/gate.md)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from forbear.adapters.formats.reading import Reading
    from forbear.stats.rule import DecisionRule
    from forbear.stats.verdict import Verdict

_TOLD = pytest.StashKey[list[str]]()


class Gate:
    """Decides on outcomes and fails the test that asked, unless they say what is required."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell

    def __call__(
        self,
        *files: str | Path,
        baseline: str | None = None,
        treated: str | None = None,
        reading: Reading | None = None,
        rule: DecisionRule | None = None,
        allow: Collection[str] = ("INTERVENE",),
    ) -> dict[str, Verdict]:
        """Decides on one table with all arms, or on two with one each, the baseline first.

        Args:
            files: As for `forbear decide`.
            baseline: The arm without intervention; omitted: the arm `baseline`.
            treated: The arm that is asked about; the others still share the error rate. Omitted: all of them.
            reading: How the files are read.
            rule: Margin, worthwhile gain and error rates.
            allow: Recommendations that pass. Of several arms one that is allowed is enough.

        Returns:
            The verdicts by treated arm.

        Raises:
            InvalidInput: As `forbear.read_outcomes` and `forbear.compare`.
        """
        from forbear.adapters.formats.reading import Reading as Usual
        from forbear.analysis.verdicts import decide_pairings
        from forbear.cli.brought import from_files
        from forbear.stats.rule import DecisionRule

        brought = from_files(
            tuple(map(str, files)), reading or Usual(), baseline=baseline, treated=treated, only_arm_tested=False
        )
        verdicts = decide_pairings(brought.pairings, rule or DecisionRule())
        return self._judged({one.treated: verdicts[one.treated] for one in brought.asked}, allow)

    def outcomes(
        self,
        *,
        baseline: Sequence[bool],
        treated: Sequence[bool],
        rule: DecisionRule | None = None,
        allow: Collection[str] = ("INTERVENE",),
    ) -> Verdict:
        """Decides on one outcome per task under either arm, in the same order.

        Raises:
            InvalidInput: Different numbers of outcomes, or none.
        """
        from forbear.outcomes.paired import PairedOutcomes
        from forbear.stats.decision import decide
        from forbear.stats.rule import DecisionRule

        pairs = PairedOutcomes.from_outcomes(baseline=baseline, treated=treated)
        return self._judged({"treated": decide(pairs, rule or DecisionRule())}, allow)["treated"]

    def _judged(self, verdicts: dict[str, Verdict], allow: Collection[str]) -> dict[str, Verdict]:
        from forbear.report.brief import brief_text
        from forbear.report.text import decision_text
        from forbear.report.view import decision_view

        known = ("INTERVENE", "FORBEAR", "UNDECIDED")
        if not allow or not set(allow) <= set(known):
            raise ValueError(f"allow holds some of {', '.join(known)}, got {allow!r}.")
        view = decision_view(verdicts)
        self._tell(brief_text(view))
        if not any(verdict.recommendation.value in allow for verdict in verdicts.values()):
            pytest.fail(f"no arm is {' or '.join(allow)}:\n\n{decision_text(view)}", pytrace=False)
        return verdicts


@pytest.fixture
def forbear_gate(request: pytest.FixtureRequest) -> Gate:
    """Decides on files of outcomes: `forbear_gate("outcomes.csv")` fails the test unless an arm is INTERVENE."""
    told = request.config.stash.setdefault(_TOLD, [])
    return Gate(lambda text: told.extend(f"{request.node.name}: {line}" for line in text.splitlines()))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says every verdict, those of tests that passed too."""
    told = terminalreporter.config.stash.get(_TOLD, [])
    if told:
        terminalreporter.section("forbear")
        for line in told:
            terminalreporter.write_line(line)
