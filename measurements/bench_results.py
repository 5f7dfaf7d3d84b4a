"""The section of docs/results.md of a world's bench: runs the bench where it is not done, and writes its tables.

    python measurements/bench_results.py household [--journal runs/household-full] [--tasks 1000] [--write FILE]
    python measurements/bench_results.py questions

Without --write it prints them. What stands between the two marks in the file is replaced; what is said about the
tables stands below them and is written by hand. Resumes as the bench does; done, it takes a minute or two.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

from forbear.analysis.result import PilotResult, analyse_journal
from forbear.files import write_whole
from forbear.outcomes.clustered import ClusteredOutcomes
from forbear.records.journal import Journal
from forbear.report import bench_pilots, bench_view
from forbear.report.sections import forks
from forbear.stats.clustered import clustered_gain_interval
from forbear.wording import percent, percent_interval, points, points_interval

STORIES = {
    "household": {"disrupted": ("doubter", "c-rollback"), "recovered": ("heed", "c-append")},
    "questions": {"disrupted": ("waverer", "c-append"), "recovered": ("skimmer", "c-rollback")},
}
"""Whose first changed run is told; named before the run was made."""
TASKS = {"household": "households", "questions": "questions"}
MOST_STEPS = 8
SAVED = {
    "fewer_calls": "with looks at every quarter the median is",
    "fewer_tokens": "tokens",
    "fewer_calls_dense": "with looks every 10 tasks",
    "fewer_calls_reused": "with these and a baseline that was paid for before",
    "fewer_calls_both_reused": "and where the study's way takes it from the log too",
}
"""Ratios of a row, as they are worded."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench", choices=STORIES)
    parser.add_argument("--journal", type=Path)
    parser.add_argument("--tasks", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    options.journal = options.journal or Path(f"runs/{options.bench}-full")
    asked = [f"--{name}={getattr(options, name)}" for name in ("journal", "tasks", "seeds", "workers")]
    command = [sys.executable, "-m", "forbear", "bench", options.bench, "--pilot-study", "--calls", "--json", *asked]
    view = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    stories = STORIES[options.bench].items()
    told = [line for kind, (agent, arm) in stories for line in story(kind, agent, arm, options.journal)]
    text = "\n".join([*tables(view, of=TASKS[options.bench]), *sentences(view, options.journal), *told])
    begin, end = f"<!-- {options.bench}: measured -->", f"<!-- {options.bench}: end -->"
    put(text, options.write, begin=begin, end=end)


def put(text: str, path: Path | None, *, begin: str, end: str) -> None:
    """Prints it, or puts it between the two marks of a page."""
    if path is None:
        print(text)
        return
    page = path.read_text(encoding="utf-8")
    before, mark, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not mark or not closed:
        sys.exit(f"error: {path} has no {begin} followed by {end}; add both where the tables are to stand.")
    write_whole(path, f"{before}{begin}\n{text}\n{end}{after}".encode())


def tables(view: bench_view.BenchView, *, of: str) -> Iterable[str]:
    for one in view["agents"]:
        success, rows = one["success"], one["rows"]
        yield f"### {one['agent']}\n"
        yield (
            f"{one['tasks']:,} {of} x {one['seeds']} draws. Baseline {percent(success['value'])} "
            f"({percent_interval(success['low'], success['high'])}), {one['agent_calls_per_episode']:.1f} calls per "
            f"episode, no answer {percent(one['no_answer_rate'], 0)}; the better of two runs "
            f"{points(one['oracle_best_of_two'])}, whoever chooses. AUROC of its critic {auroc(one)}.\n"
        )
        yield from table(bench_view.OUTCOMES, [bench_view.outcome_cells(row) for row in rows])
        yield from table(bench_view.BEHAVIOUR, [bench_view.behaviour_cells(row) for row in rows])
        headings, choices = bench_view.equal_calls(rows)
        if choices:
            yield from table(headings, choices)
        yield "  \n".join(bench_view.against_blind(rows)) + "\n"
    yield "### Does a pilot of 50 tasks know?\n"
    for one in view["agents"]:
        full = {row["arm"]: row["recommendation"] for row in one["rows"]}
        study = one["pilot_study"] or {}
        yield from table(
            (one["agent"], *bench_pilots.STUDY[1:]),
            [bench_pilots.study_cells(arm, found, full=full[arm]) for arm, found in study.items()],
        )
    yield from known(view)
    yield "### Calls to a decision\n"
    ratios = dict[str, list[float]]()
    for one in view["agents"]:
        calls = one["calls_to_decision"] or {}
        yield from table(
            (one["agent"], *bench_pilots.CALLS[1:]),
            [bench_pilots.calls_cells(arm, found) for arm, found in calls.items()],
        )
        yield from table(
            (f"{one['agent']}, fewer calls", *bench_pilots.FEWER[1:]),
            [bench_pilots.fewer_cells(arm, found) for arm, found in calls.items()],
        )
        for found in calls.values():
            for name in SAVED:
                ratios.setdefault(name, []).extend([found[name]] if found[name] is not None else [])
    rows = len(ratios.get("fewer_calls", []))
    told = "; ".join(f"{said} {middle(ratios.get(name, []), of=rows)}" for name, said in SAVED.items())
    yield f"Fewer calls than the study's way takes, by the {rows} rows that both decide: {told}.\n"


def middle(values: Sequence[float], *, of: int) -> str:
    """Median and range, and by how many rows where those are others."""
    if not values:
        return "unknown"
    rows = "" if len(values) == of else f", {len(values)} rows"
    return f"{median(values):.1f} times ({min(values):.1f} to {max(values):.1f}{rows})"


def sentences(view: bench_view.BenchView, journal: Path) -> Iterable[str]:
    """What is said beside a fresh draw, and how often what is said is never seen."""
    yield "### What is said\n"
    rows = []
    for one in view["agents"]:
        result = analyse_journal(Journal(journal / one["agent"]))
        rows.append([one["agent"], against(result, "c-rollback", "placebo"), f"{unseen(result, 'c-append'):.0%}"])
    headings = ("", "c-rollback minus placebo (95 %)", "messages of c-append that come with the last action")
    yield from table(headings, rows)


def against(result: PilotResult, arm: str, other: str) -> str:
    """The difference of two arms in success, on the same tasks and draws."""

    def won(name: str) -> list[list[bool]]:
        seeds = result.plan.seeds
        return [[bool(result.episodes[task.id, seed, name].success) for seed in seeds] for task in result.plan.tasks]

    pairs = ClusteredOutcomes.from_outcomes(baseline=won(other), treated=won(arm))
    interval = clustered_gain_interval(pairs, confidence=0.95)
    return f"{points(pairs.success_gain)} ({points_interval(interval.low, interval.high)})"


def unseen(result: PilotResult, arm: str) -> float:
    """The share of its interventions that stand at an episode's last step."""
    all_of_them, late = 0, 0
    for (_, _, name), episode in result.episodes.items():
        if name != arm:
            continue
        for index, step in enumerate(episode.steps):
            acted = sum(proposal.decision == "append" for proposal in step.proposals)
            all_of_them += acted
            late += acted * (index == len(episode.steps) - 1)
    return late / max(1, all_of_them)


def known(view: bench_view.BenchView) -> Iterable[str]:
    """How often each rule contradicts the full run, over all rows that it decides."""
    studies = [study for one in view["agents"] for study in (one["pilot_study"] or {}).values()]
    decided = [study for study in studies if study["verdict_wrong"] is not None]
    if not decided:
        yield "The full run decides no row.\n"
        return
    parts = []
    for name, label in (("verdict_wrong", "the verdict"), ("point_rule_wrong", "p > p*"), ("worth_wrong", "worth")):
        values = [study[name] for study in decided]
        parts.append(f"{label} {percent(sum(values) / len(values))} (at most {percent(max(values))})")
    undecided = [study["undecided"] for study in decided]
    yield (
        f"Contradicted the full run, on average over the {len(decided)} of {len(studies)} rows that it decides: "
        f"{', '.join(parts)}. The verdict was UNDECIDED in {percent(sum(undecided) / len(undecided))}.\n"
    )


def auroc(one: bench_view.AgentView) -> str:
    found = next(row["auroc"] for row in one["rows"] if row["auroc"] is not None)
    return f"{found['value']:.3f} ({found['low']:.3f} to {found['high']:.3f})"


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterable[str]:
    yield f"| {' | '.join(headings)} |"
    yield f"| {' | '.join('---' for _ in headings)} |"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""


def story(kind: str, player: str, arm: str, journal: Path) -> Iterable[str]:
    """The first run that an arm changed so, from the fork on."""
    result: PilotResult = analyse_journal(Journal(journal / player))
    found = first_changed(kind, arm, result)
    if found is None:
        yield f"### None {kind}\n\n`{arm}` of `{player}` has no {kind} run.\n"
        return
    key = (found["task"], found["seed"], arm)
    task = result.episodes[key].steps[0].observation.rpartition("\n")[2]
    yield f"### One that was {kind}\n"
    where = f"`{player}`, `{arm}`, {found['task']}, draw {found['seed']}"
    yield f"{where}. {task} The first of them in the planned order.\n"
    yield "```text"
    for name in ("baseline", "treated"):
        side = found[name]
        yield f"{name if name == 'baseline' else arm}, from step {found['step']} on: {side['outcome']}"
        for step in side["steps"][:MOST_STEPS]:
            yield from told(step)
        more = len(side["steps"]) - MOST_STEPS + side["cut"]
        if more > 0:
            yield f"     ... {more} more"
        if side["last"] is not None:
            yield f"     at the end: {short(side['last'])}"
    yield "```\n"


def first_changed(kind: str, arm: str, result: PilotResult) -> forks.ForkView | None:
    """The first run in the planned order that an arm changed so."""
    baseline = result.plan.baseline_arm
    for (task, seed, name), after in result.episodes.items():
        before = result.episodes.get((task, seed, baseline))
        if (
            name == arm
            and before is not None
            and (before.success, after.success) == (kind == "disrupted", kind != "disrupted")
        ):
            pair = {(task, seed, baseline): before, (task, seed, arm): after}
            (changed,), _ = forks.view(arm, replace(result, episodes=pair))
            return changed
    return None


def told(step: forks.StepView) -> Iterable[str]:
    yield f"{step['index']:3}  sees: {short(step['observation'])}"
    for dropped in step["dropped"]:
        chance = "" if dropped["p_fail"] is None else f", p_fail {dropped['p_fail']:.2f}"
        yield f"     proposes: {dropped['action']} ({dropped['decision']}{chance})"
    for message in step["messages"]:
        yield f"     is told: {message}"
    if step["executed"] is not None:
        yield f"     does: {step['executed']}"


def short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 110 else line[:107] + "..."


if __name__ == "__main__":
    main()
