import pytest

from forbear.errors import InvalidInput
from forbear.runner.benchmark import ARMS, BLIND
from forbear.runner.plan import freeze
from forbear.worlds.household.pilot import agent
from forbear.worlds.household.real_bench import ZERO_SHOT_RATES, RealBench


@pytest.fixture
def bench(shared_data):
    return RealBench(path=shared_data / "alfworld" / "valid_seen.jsonl.gz")


def test_players_as_they_come_and_those_that_learned_from_real_games_have_every_arm(bench):
    found = bench.benchmark()
    assert found.agents[:4] == ("heed", "novice", "restarter", "doubter")
    assert found.agents[4:] == ("heed-retrained", "restarter-retrained", "doubter-retrained")
    digests = set()
    for name in found.agents:
        frozen = freeze(found.plan(name, arms=ARMS, tasks=3, seeds=2))
        assert [arm.name for arm in frozen.arms] == ["baseline", *ARMS]
        assert frozen.record.blind_to("c-append") == "blind-append"
        assert len(frozen.looks.tasks) == 1
        digests.add(frozen.digest)
        assert found.critic(name).config() == frozen.arms[2].policy.critic.config()
    assert len(digests) == len(found.agents)
    assert all(len(rates) == 20 for arms in ZERO_SHOT_RATES.values() for rates in arms.values())


def test_nobody_is_judged_on_games_that_it_learned_from(shared_data):
    bench = RealBench(path=shared_data / "alfworld" / "valid_train.jsonl.gz")
    assert len(bench.plan("doubter", tasks=3).tasks) == 3
    with pytest.raises(InvalidInput, match="'doubter' learned from 3 of these games"):
        bench.plan("doubter-retrained", tasks=3)


def test_an_agent_that_is_brought_stands_alone_without_blind_arms(shared_data):
    games = shared_data / "alfworld" / "valid_seen.jsonl.gz"
    named = RealBench(path=games, brought={"mine-retrained": agent}).plan("mine-retrained", tasks=2, arms=("c-append",))
    assert len(named.tasks) == 2  # a name of theirs means nothing
    bench = RealBench(path=games, brought={"mine": agent})
    found = bench.benchmark()
    assert found.agents == ("mine",)
    assert set(ARMS) - set(found.arms) == set(BLIND)
    plan = found.plan("mine", arms=found.arms, tasks=2, seeds=1)
    assert [arm.name for arm in plan.arms[1:]] == list(found.arms)
