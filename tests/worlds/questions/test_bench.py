import asyncio
import os

import pytest

from forbear.analysis.bench import benched
from forbear.analysis.evidence import evidence_of
from forbear.errors import InvalidInput
from forbear.records.journal import Journal
from forbear.runner.benchmark import ARMS
from forbear.runner.pilot import run_pilot
from forbear.runner.plan import freeze
from forbear.worlds.questions.bench import BLIND_RATES, bench_plan, benchmark, measured_rates
from forbear.worlds.questions.readers import READERS


def test_every_reader_has_every_arm_and_blind_ones_fire_as_often_as_was_measured():
    for reader in READERS:
        frozen = freeze(bench_plan(reader, tasks=3))
        assert [arm.name for arm in frozen.arms] == ["baseline", *ARMS]
        assert frozen.looks.tasks == (3,)
        assert not frozen.looks.watch
        assert frozen.record.blind_to("c-append") == "blind-append"
        assert all(0 <= rate <= 1 for rates in BLIND_RATES[reader].values() for rate in rates)
    assert benchmark().agents == tuple(READERS)


@pytest.mark.slow
def test_a_handful_of_questions_makes_a_whole_table(tmp_path):
    result = asyncio.run(run_pilot(bench_plan("waverer", tasks=6), Journal(tmp_path)))
    table = benched("waverer", result, evidence_of(result))
    assert [row.arm for row in table.rows] == list(ARMS)
    assert result.plan.design == "coupled"
    for row in table.rows:
        assert 0 <= row.success.value <= 1
        assert row.verdict.pairs == 12
    # An answer that is dropped comes before the end; what is said with the last answer comes too late.
    lasts = [episode.steps[-1].executed for episode in result.episodes.values()]
    assert any(last is not None and last.text.startswith("finish[") for last in lasts)


@pytest.mark.slow
@pytest.mark.skipif(os.environ.get("FORBEAR_RETRAIN") != "all", reason="seconds for what changes with weights only")
def test_the_measured_rates_come_out_again():
    for reader in READERS:
        assert measured_rates(reader) == BLIND_RATES[reader]


@pytest.mark.parametrize(
    ("options", "message"),
    [({"arms": ["append"]}, "among u-rollback"), ({"arms": []}, "got none"), ({"tasks": 0}, "at least 1 task")],
)
def test_what_cannot_be_run_is_refused(options, message):
    with pytest.raises(InvalidInput, match=message):
        bench_plan("skimmer", **options)
    with pytest.raises(InvalidInput, match="skimmer, beginner"):
        bench_plan("nobody")
