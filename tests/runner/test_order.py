"""What every plan has in common, whoever runs its episodes."""

import random

import pytest

from forbear.errors import InvalidInput
from forbear.records.model import Task
from forbear.runner.order import planned_looks, planned_order, require_plan, task_records
from forbear.stats.rule import DecisionRule
from runner.pilots import plan, tasks

DESIGN = {"seeds": [42], "arms": ["baseline"], "rule": DecisionRule(), "order_seed": 0}


def test_the_order_depends_on_ids_and_seed_only():
    given = tasks(50)
    shuffled = random.Random(1).sample(given, 50)
    assert planned_order(given, order_seed=3) == planned_order(shuffled, order_seed=3)
    assert planned_order(given, order_seed=3) != planned_order(given, order_seed=4)
    assert [task.id for task in planned_order(given, order_seed=0)] != [task.id for task in given]


def test_a_cluster_stays_in_one_piece():
    given = [Task(id=f"t{n}", cluster=f"c{n % 12}") for n in range(48)]
    clusters = [task.cluster for task in planned_order(given, order_seed=0)]
    assert clusters == [name for name in dict.fromkeys(clusters) for _ in range(4)]
    assert planned_looks(None, ordered=planned_order(given, order_seed=0), rule=DecisionRule()).planned == 48


@pytest.mark.parametrize(
    "task",
    [
        Task(id="half \ud800"),
        Task(id="t", payload={"text": "half \udfff"}),
        Task(id="t", payload=object()),
        Task(id="t", cluster="\ud800"),
    ],
    ids=["id", "payload", "object", "cluster"],
)
def test_a_task_that_no_journal_can_hold_is_refused_before_it_is_run(task):
    with pytest.raises(InvalidInput, match="cannot be written to a journal"):
        require_plan([task], **DESIGN)
    with pytest.raises(InvalidInput, match="cannot be written to a journal"):
        plan(tasks=[task])


def test_every_task_is_recorded_with_what_it_holds():
    one, other = Task(id="a", payload={"x": 1}), Task(id="a", payload={"x": 2})
    assert task_records([one])[0] != task_records([other])[0]
    assert task_records([one])[0][0] == "a"
