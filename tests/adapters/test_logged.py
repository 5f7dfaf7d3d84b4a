"""Logged baseline runs, from tables and from other pilots' journals."""

import hashlib
import json

import pytest

from forbear.adapters.host_file import read_host_file
from forbear.adapters.logged import read_logged
from forbear.adapters.pilot_file import read_pilot_file
from forbear.analysis.evidence import evidence_of
from forbear.errors import InvalidInput
from forbear.policy.arm import Arm
from forbear.records.journal import Journal
from forbear.report.html import pilot_html
from forbear.report.pilot_text import pilot_text, status_text
from forbear.report.pilot_view import pilot_view
from forbear.runner.plan import freeze
from host_files import TEXT as HOST_TEXT
from host_files import write_host
from pilot_files import TEXT, write_pilot
from runner.pilots import POLICY, plan, run

TABLE = """\
task_id,arm,seed,success
a,alone,1,1
a,alone,2,0
b,alone,1,error
b,alone,2,1
a,helped,1,1
"""
RE_USING = TEXT.replace("[run]", '[baseline]\nfrom = "log.csv"\n\n[run]\ndesign = "independent"')


def log_of(folder, *, tasks=12, seeds=3):
    rows = [f"t<b>{i}</b>,{seed},{(i + seed) % 2}" for i in range(tasks) for seed in range(seeds)]
    (folder / "log.csv").write_text("\n".join(["task_id,seed,success", *rows]), encoding="utf-8")


def test_a_table_gives_the_runs_of_the_arm_that_is_the_agent_alone(tmp_path):
    (tmp_path / "log.csv").write_text(TABLE)
    logged = read_logged(tmp_path / "log.csv", arm="alone")
    assert logged.runs == {"a": (True, False), "b": (True,)}
    assert (logged.source, logged.without_outcome) == ("log.csv", 1)
    assert logged.digest == hashlib.sha256(TABLE.encode()).hexdigest()
    with pytest.raises(InvalidInput, match="no arm 'baseline'; the arms are 'alone', 'helped'"):
        read_logged(tmp_path / "log.csv")


def test_a_table_needs_no_column_of_arms_and_may_be_json_lines(tmp_path):
    lines = [{"task_id": "a", "seed": 1, "success": True}, {"task_id": "a", "seed": 2, "success": None}]
    (tmp_path / "log.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert read_logged(tmp_path / "log.jsonl").runs == {"a": (True,)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("task_id,seed,success\na,1,1\na,1,0\n", "there twice"),
        ("task_id,seed,success\na,1,error\n", "no run of the agent alone has an outcome"),
        ("task_id,seed\na,1\n", "no column 'success'"),
    ],
)
def test_a_table_that_cannot_be_used_says_why(tmp_path, text, message):
    (tmp_path / "log.csv").write_text(text)
    with pytest.raises(InvalidInput, match=message):
        read_logged(tmp_path / "log.csv")


def test_a_file_that_is_not_there_says_so(tmp_path):
    with pytest.raises(InvalidInput, match=r"log\.csv: cannot be read"):
        read_logged(tmp_path / "log.csv")


def test_a_pilot_file_names_its_log(tmp_path):
    log_of(tmp_path)
    frozen = freeze(read_pilot_file(write_pilot(tmp_path, text=RE_USING)).plan)
    record = frozen.record.baseline.logged
    assert (record.source, record.digest) == (
        "log.csv",
        hashlib.sha256((tmp_path / "log.csv").read_bytes()).hexdigest(),
    )
    assert [(task.id, runs) for task, runs in zip(frozen.record.tasks, record.runs, strict=True)] == [
        (task.id, "".join(str((int(task.id[4:-4]) + seed) % 2) for seed in range(3))) for task in frozen.record.tasks
    ]
    # The log shows how runs of the agent alone vary: none is run again for it.
    assert [arm.name for arm in frozen.arms] == ["baseline", "rollback", "append", "placebo"]


def test_another_log_is_another_plan(tmp_path):
    digests = set()
    for seeds in (2, 3):
        log_of(tmp_path, seeds=seeds)
        digests.add(freeze(read_pilot_file(write_pilot(tmp_path, text=RE_USING)).plan).digest)
    without = TEXT.replace("[run]", '[run]\ndesign = "independent"')
    digests.add(freeze(read_pilot_file(write_pilot(tmp_path, text=without)).plan).digest)
    assert len(digests) == 3


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('design = "independent"', "", "coupled: they share the agent's chance"),
        ('from = "log.csv"', 'from = "lgo.csv"', r"line 27: baseline.from: .*lgo\.csv: cannot be read"),
        ('from = "log.csv"', 'form = "log.csv"', "'from' is missing"),
        ('from = "log.csv"', 'from = "log.csv"\narm = "agent"', "there is no arm 'agent'"),
        ("[rule]", '[rule]\nguarantee = "finite-sample"', "tests seed by seed"),
    ],
)
def test_what_no_pilot_can_re_use_is_refused(tmp_path, old, new, message):
    log_of(tmp_path)
    text = RE_USING.replace("[run]", "[run]\nlooks = [6, 12]").replace(old, new)
    with pytest.raises(InvalidInput, match=message):
        freeze(read_pilot_file(write_pilot(tmp_path, text=text)).plan)


def test_every_task_needs_a_logged_run(tmp_path):
    log_of(tmp_path, tasks=10)
    with pytest.raises(InvalidInput, match="2 of 12 tasks have no logged run"):
        freeze(read_pilot_file(write_pilot(tmp_path, text=RE_USING)).plan)


def test_a_pilot_that_its_host_runs_names_its_log_too(tmp_path):
    (tmp_path / "log.csv").write_text("task_id,success\n" + "".join(f"t{n},1\n" for n in range(8)))
    path = write_host(tmp_path, text=HOST_TEXT.replace("[run]", '[baseline]\nfrom = "log.csv"\n\n[run]\nrerun = false'))
    record = read_host_file(path).plan.record()
    assert record.logged == {f"t{n}": (True,) for n in range(8)}
    assert record.treated == ["critic", "placebo"]


def test_a_journal_gives_the_runs_of_its_baseline_and_its_reruns_under_other_seeds(tmp_path):
    arms = [Arm.baseline(), Arm("rollback", POLICY)]
    before = run(plan(arms, n=6, design="independent", seeds=[1, 42]), tmp_path / "before")
    logged = read_logged(tmp_path / "before", seeds=[42])
    assert logged.runs == {
        task.id: tuple(before.episodes[task.id, 1, arm].success for arm in ("baseline", "rerun"))
        for task in before.plan.tasks
    }
    record = freeze(plan(arms, n=6, design="independent", logged=logged)).record
    assert all(len(runs) == 2 for runs in record.logged.values())
    with pytest.raises(InvalidInput, match=r"seeds of this pilot \(1, 42\)"):
        read_logged(tmp_path / "before", seeds=[1, 42])
    with pytest.raises(InvalidInput, match="its max_steps was 12, the pilot's is 11"):
        freeze(plan(arms, n=6, design="independent", logged=logged, max_steps=11))


SHARING = TEXT.replace("threshold = 0.7", "threshold = 0.5").replace("[run]", "[baseline]\nfrom = FROM\n\n[run]", 1)


@pytest.fixture
def earlier(tmp_path):
    only = TEXT.replace(TEXT[TEXT.index('[[arm]]\nname = "append"') : TEXT.index("[run]")], "")
    run(read_pilot_file(write_pilot(tmp_path, tasks=6, text=only)).plan, tmp_path / "first")
    return tmp_path


@pytest.mark.parametrize("named", ['"first"', '["first"]'])
def test_a_coupled_pilot_takes_the_runs_of_the_journal_that_its_file_names(earlier, named):
    described = read_pilot_file(write_pilot(earlier, text=SHARING.replace("FROM", named)))
    (taken,) = freeze(described.plan).record.baseline.earlier
    assert (taken.source, taken.runs, taken.tried) == ("first", 6, {"rollback": ("rollback",), "append": ("rollback",)})
    result = run(described.plan, earlier / "second")
    assert sum(e.usage.agent.paid.calls == 0 for key, e in result.episodes.items() if key[2] == "baseline") == 6
    view = pilot_view(result, evidence_of(result), title="", journal="second", report=None)
    assert "with what was taken from 'first', took" in " ".join(pilot_text(view, color=False).split())
    assert "with what was taken from first, took" in pilot_html(view)
    status = status_text(result.plan, Journal(earlier / "second").read(), journal="second")
    assert status.startswith("6 runs of the baseline taken from first, not paid for again; sha256 ")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("FROM", '"frist"', r"line 27: baseline\.from: .*frist: cannot be read"),
        ("FROM", '["frist"]', r"line 27: baseline\.from: .*frist: no readable journal there"),
        ("FROM", "[3]", "expected a text, or a list of directories"),
        ("FROM", "[]", "expected a text, or a list of directories"),
        ("FROM", "3", "expected a text, got"),
        ("FROM", '"first"\narm = "x"', "unknown key"),
        ("FROM\n\n[run]", '["first"]\n\n[run]\ndesign = "independent"', "expected a text, got"),
        ("max_steps = 6", "max_steps = 7", "its max_steps was 6, the pilot's is 7"),
        ("seeds = [1]", "seeds = [2]", "Runs are taken by task and seed"),
        ("threshold = 0.5", "threshold = 0.7", "it has tried arm 'rollback' on these tasks"),
    ],
)
def test_what_no_coupled_pilot_can_take_is_refused(earlier, old, new, message):
    text = SHARING.replace(old, new).replace("FROM", '"first"')
    with pytest.raises(InvalidInput, match=message):
        freeze(read_pilot_file(write_pilot(earlier, text=text)).plan)
