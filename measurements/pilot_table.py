"""One table of a pilot, as docs/results.md shows it: per arm p, r, d, gain, verdict, interventions, and AUROC offline.

    python measurements/pilot_table.py runs/real_model

Reads the journal alone; rates with 90 % intervals.
"""

import sys

from forbear.analysis.evidence import evidence_of
from forbear.analysis.result import analyse_journal
from forbear.records.journal import Journal
from forbear.wording import percent, points, points_interval, pvalue


def main():
    result = analyse_journal(Journal(sys.argv[1]))
    evidence = evidence_of(result)
    baseline = result.arms[result.plan.baseline_arm]
    success = percent(baseline.successes / baseline.episodes)
    print(f"{result.tasks} tasks, baseline success {success}, design {result.design}\n")
    print("| critic | AUROC of failure | 95 % interval |\n| --- | --- | --- |")
    for name, report in evidence.critics.items():
        found = None if report is None else report.overall["auroc"]
        interval = "-" if found is None or found.low is None else f"{found.low:.3f} to {found.high:.3f}"
        print(f"| {name.partition(':')[0]} | {'-' if found is None else f'{found.value:.3f}'} | {interval} |")
    print("\n| arm | touched per run | recovered | disrupted | r | d | gain | 90 % interval | p (Holm) | verdict |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, verdict in evidence.verdicts.items():
        arm, gain = result.arms[name], verdict.success_gain
        rates = [None if rate is None else rate.value for rate in (verdict.recovery_rate, verdict.disruption_rate)]
        said = "control" if name in evidence.controls else verdict.recommendation.value
        print(
            f"| {name} | {arm.interventions / arm.episodes:.2f} | {verdict.recovered} | {verdict.disrupted} "
            f"| {' | '.join(percent(rate, undefined='-') for rate in rates)} | {points(gain.value)} "
            f"| {points_interval(gain.low, gain.high)} | {pvalue(verdict.p_value_gain)} | {said} |"
        )
    bill = result.bill
    print(f"\nPaid: {bill.calls:,} calls of agent and critics, {bill.tokens or 0:,} tokens.")


if __name__ == "__main__":
    main()
