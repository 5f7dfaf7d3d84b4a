from dataclasses import asdict

import numpy as np

from analysis.test_pilot_study import RULE, full_verdict, runs_of
from forbear.analysis.pilot_study import calls_to_decision, pilot_study
from forbear.report import bench_pilots
from forbear.report.terminal import Terminal


def test_pilots_and_calls_are_tables_of_eighty_columns():
    runs = runs_of(recovered=30, disrupted=2, both_fail=20, both_succeed=20)
    rng, arm = np.random.default_rng(0), "an arm \x1b[31m whose name is far too long"
    study = asdict(pilot_study(runs, full=full_verdict(runs), rng=rng, tasks=20, pilots=40))
    calls = bench_pilots.calls_values(calls_to_decision(runs, rule=RULE, rng=rng, paths=40, sizes=(50,)))
    terminal = Terminal()
    bench_pilots.text(terminal, [{"arm": arm, "recommendation": "INTERVENE"}], study={arm: study}, calls={arm: calls})
    assert max(map(len, terminal.text.splitlines())) <= 80
    assert "\x1b" not in terminal.text
    assert terminal.text.splitlines()[0].startswith("20 tasks")
    assert "+38.9" in terminal.text


def test_what_is_undefined_is_a_dash():
    runs = runs_of(recovered=1, disrupted=1, both_fail=20, both_succeed=20)
    calls = bench_pilots.calls_values(calls_to_decision(runs, rule=RULE, rng=np.random.default_rng(0), sizes=(50,)))
    assert calls["coupled"] is None
    assert bench_pilots.calls_cells("a", calls)[-2:] == ("-", "-")
    assert bench_pilots.fewer_cells("a", calls) == ("a", *["-"] * 7)
