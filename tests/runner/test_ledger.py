import multiprocessing
import pickle

import pytest

from forbear.errors import BudgetSpent, InvalidInput
from forbear.records.model import Episode, EpisodeUsage, RoleUsage, Task, Termination, Usage, paid_usage
from forbear.runner.ledger import Budget, Ledger, Purse
from runner.parts import spend


def episode(**roles):
    usage = EpisodeUsage(**{name: RoleUsage(**one) for name, one in roles.items()})
    return Episode(
        task=Task(id="t"),
        arm="a",
        seed=1,
        steps=(),
        termination=Termination.FINISHED,
        success=True,
        final_observation=None,
        final_payload=None,
        usage=usage,
        cause=None,
    )


@pytest.mark.parametrize(
    ("limit", "amounts", "spent_after"),
    [
        ({"max_calls": 2}, [Usage(calls=1), Usage(calls=1), Usage(calls=1)], 2),
        ({"max_tokens": 10}, [Usage(input_tokens=4), Usage(output_tokens=5), Usage(input_tokens=1)], 3),
        ({"max_cost": 1.0}, [Usage(calls=9), Usage(cost=0.6), Usage(cost=0.6)], 3),
        ({"max_seconds": 1.0}, [Usage(seconds=0.5), Usage(calls=9), Usage(seconds=0.5)], 3),
        ({"max_calls": 9, "max_cost": 1.0}, [Usage(calls=1, cost=2.0)], 1),
        ({}, [Usage(calls=10**9, cost=1e9)], None),
    ],
)
def test_a_limit_is_reached(limit, amounts, spent_after):
    ledger, reached = Ledger(Budget(**limit)), None
    for number, usage in enumerate(amounts, start=1):
        ledger.add(usage)
        reached = number if reached is None and ledger.is_spent else reached
    assert reached == spent_after


def test_the_error_names_every_limit_that_is_reached():
    ledger = Ledger(Budget(max_calls=2, max_tokens=100, max_cost=0.5))
    ledger.add(Usage(calls=3, input_tokens=10, cost=0.75))
    error = ledger.error()
    assert isinstance(error, BudgetSpent)
    assert str(error) == (
        "the budget is spent: max_calls = 2 (3 spent), max_cost = 0.5 (0.75 spent). The pilot stopped and lost "
        "nothing; raise the limit and run the same again to go on."
    )


def test_what_recorded_episodes_paid_for_counts_and_what_they_took_again_does_not():
    ledger = Ledger(Budget(max_calls=7))
    paid, reused = {"paid": Usage(calls=2)}, {"reused": Usage(calls=100)}
    ledger.add(paid_usage([episode(agent=paid, critic=reused).usage]))
    ledger.add(paid_usage([episode(critic=paid, agent=reused).usage]))
    assert not ledger.is_spent
    ledger.add(paid_usage([episode(feedback={"paid": Usage(calls=3)}).usage]))
    assert ledger.is_spent


@pytest.mark.slow
def test_processes_share_a_purse():
    purse = Purse(Budget(max_calls=400))
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=spend, args=(purse, 100)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert "400 spent" in str(purse.ledger().error())
    assert purse.ledger().is_spent


def test_a_ledger_of_a_purse_sees_what_others_spent():
    purse = Purse(Budget(max_calls=2))
    first, second = purse.ledger(), purse.ledger()
    first.add(Usage(calls=1))
    second.add(Usage(calls=1))
    assert first.is_spent


@pytest.mark.parametrize(
    "limits",
    [{"max_calls": 0}, {"max_tokens": -1}, {"max_cost": float("nan")}, {"max_cost": True}, {"max_seconds": "5"}],
)
def test_a_limit_is_a_number_above_0(limits):
    with pytest.raises(InvalidInput, match=f"{next(iter(limits))} must be a number above 0"):
        Budget(**limits)


def test_a_budget_goes_to_other_processes():
    budget = Budget(max_cost=2.5)
    assert pickle.loads(pickle.dumps(budget)) == budget
