"""What runs say of a critic, for a terminal."""

from collections.abc import Mapping

from forbear.report.critic_view import CriticView, MeasuresJson
from forbear.report.terminal import Terminal
from forbear.stats.intervals import EstimateJson
from forbear.wording import count, counted, number, percent, shown

MEANINGS: Mapping[str, str] = {
    "auroc": "a failing run's step scores above a succeeding one's",
    "first_step_auroc": "the same, of first steps alone",
    "auprc": "mean precision over recall",
    "recall_at_precision": "of failing steps, caught at this precision",
    "precision": "of alarms, right",
    "recall": "of failing steps, flagged",
    "f1": "of alarms",
    "flagged": "of all steps",
    "false_positive_rate": "of succeeding steps, flagged",
    "brier": "squared error",
    "log_loss": "nats",
    "excess": "mean score less failure rate",
    "ece": "calibration error",
    "ece_debiased": "without what chance adds",
}
"""In the order in which they are printed."""


def critic_text(view: CriticView, *, width: int = 80, color: bool = False) -> str:
    """Prints an evaluation: the critic, controls, kinds of runs, triggers, and what it does not say."""
    terminal = Terminal(width=width, color=color)
    runs = f"{counted(view['runs'], 'run')} of {counted(view['tasks'], 'task')}, {count(view['failed_runs'])} failed"
    terminal.line(f"critic {shown(view['critic'])}: {runs}; {counted(view['steps'], 'scored step')}", style="bold")
    for why, left_out in (*view["left_out"].items(), ("without a score, in steps", view["abstained"])):
        if left_out:
            terminal.line(f"left out: {left_out:,} {why}")
    terminal.line()
    _measures(terminal, view)
    _controls(terminal, view)
    _parts(terminal, view)
    _triggers(terminal, view)
    terminal.bullets("Cautions", view["cautions"])
    terminal.line()
    terminal.line(view["says"])
    terminal.line(f"  {view['command']}")
    return terminal.text


def _measures(terminal: Terminal, view: CriticView) -> None:
    rows = []
    for name in [name for name in MEANINGS if name in view["measures"]]:
        found, meaning = view["measures"][name], MEANINGS[name]
        if name in ("precision", "recall", "f1", "flagged", "false_positive_rate"):
            meaning += f" (p_fail > {view['threshold']:g})"
        if name == "recall_at_precision":
            meaning = f"of failing steps, caught at precision {view['precision_asked']:g}"
        if found is None:
            meaning = view["undefined"].get(name, meaning)
        rows.append((name, number(None if found is None else found["value"]), _interval(found), meaning))
    terminal.table(("", "value", "95 % interval", ""), rows, left=(0, 3))
    terminal.line()


def _controls(terminal: Terminal, view: CriticView) -> None:
    rows = []
    for name, control in view["controls"].items():
        rows.append(
            (
                name,
                _value(control["measures"], "auroc"),
                _value(control["difference"], "auroc", signed=True),
                _interval(control["difference"].get("auroc"), signed=True),
                _value(control["difference"], "first_step_auroc", signed=True),
            )
        )
    terminal.line("Controls on the same steps: AUROC", style="bold")
    terminal.table(("", "its own", "critic's lead", "95 % interval", "at first steps"), rows, left=(0,))
    terminal.line()


def _parts(terminal: Terminal, view: CriticView) -> None:
    parts = [(f"steps {name}", measures) for name, measures in view["step_buckets"].items()]
    parts += [(name, group["measures"]) for name, group in view["groups"].items()]
    if not parts:
        return
    rows = [
        (
            shown(name, limit=30),
            _value(measures, "auroc"),
            _interval(measures.get("auroc")),
            _value(measures, "auprc"),
            _value(measures, "ece"),
        )
        for name, measures in parts
    ]
    terminal.line("By step, agent and model", style="bold")
    terminal.table(("", "auroc", "95 % interval", "auprc", "ece"), rows, left=(0,))
    terminal.line()


def _triggers(terminal: Terminal, view: CriticView) -> None:
    late = f" from step {view['min_step']} on" if view["min_step"] else ""
    terminal.line(f"Runs touched at any step{late}", style="bold")
    rows = [
        (f"p_fail > {one['threshold']:g}", *_share(one["failures"]), *_share(one["successes"]))
        for one in view["triggers"]
    ]
    terminal.table(("", "of failures", "interval", "of successes", "interval"), rows, left=(0,))
    terminal.line()


def _value(measures: MeasuresJson, name: str, *, signed: bool = False) -> str:
    found = measures.get(name)
    if found is None or found["value"] is None:
        return "undefined"
    return f"{found['value']:+.3f}" if signed else number(found["value"])


def _interval(found: EstimateJson | None, *, signed: bool = False) -> str:
    if found is None:
        return ""
    return (
        f"{found['low']:+.3f} to {found['high']:+.3f}"
        if signed
        else f"{number(found['low'])} to {number(found['high'])}"
    )


def _share(found: EstimateJson | None) -> tuple[str, str]:
    if found is None:
        return "undefined", ""
    return percent(found["value"]), f"{100 * found['low']:.0f} to {100 * found['high']:.0f} %"
