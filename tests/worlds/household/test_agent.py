import asyncio
import math
from collections import Counter

import numpy as np
import pytest

from forbear.contracts.draw import Draw
from forbear.errors import AgentError, InvalidInput
from forbear.learned.hashing import bucket
from forbear.learned.npz import npz_bytes
from forbear.learned.ranker import BUCKETS
from forbear.records.model import Action, Step, Task, Trajectory
from forbear.testing import AgentContract
from forbear.worlds.household.agent import HouseholdWeights, RankerAgent, describe, shipped_weights
from forbear.worlds.household.features import remember
from forbear.worlds.household.generator import generate
from household_transcripts import transcript

SEEN = [transcript(game, steps=steps, seed=steps)[0] for steps, game in enumerate(generate(seed=13, count=9))]


def told(trajectory, *messages):
    opened = trajectory.steps[-1]
    step = Step(
        index=opened.index, observation=opened.observation, messages=messages, legal_actions=opened.legal_actions
    )
    return Trajectory(task=trajectory.task, steps=(*trajectory.steps[:-1], step))


class TestRankerAgent(AgentContract):
    def make(self):
        return RankerAgent(shipped_weights())

    def variants(self):
        other = shipped_weights().table.copy()
        other[7] += 1
        return [RankerAgent(shipped_weights(), temperature=0.5), RankerAgent(HouseholdWeights(table=other))]

    def trajectories(self):
        return [*SEEN, told(SEEN[3], "Careful.")]


@pytest.mark.slow
def test_it_draws_from_the_softmax_of_the_summed_weights():
    seen, temperature, n = SEEN[4], 1.3, 3000
    table, steps = shipped_weights().table, seen.steps
    legal = list(steps[-1].legal_actions)
    scores = [
        sum(table[bucket(name) % BUCKETS] for name in choice.names()) / temperature
        for choice in describe(remember(seen), steps, legal)
    ]
    powers = np.exp(np.array(scores) - max(scores))
    expected = powers / powers.sum()
    agent = RankerAgent(shipped_weights(), temperature=temperature)
    drawn = Counter(agent.choose(seen, draw=Draw(task_id="t", seed=seed, role="agent")).text for seed in range(n))
    for text, probability in zip(legal, expected, strict=True):
        sd = math.sqrt(probability * (1 - probability) / n)
        assert drawn[text] / n == pytest.approx(probability, abs=4.5 * sd + 1e-3)


def test_excluded_commands_are_left_out_while_there_are_others():
    agent, seen = RankerAgent(shipped_weights()), SEEN[2]
    legal = seen.steps[-1].legal_actions
    for seed in range(30):
        draw = Draw(task_id="t", seed=seed, role="agent")
        first = agent.choose(seen, draw=draw)
        assert agent.choose(seen, draw=draw, excluded=(first,)) != first
        assert agent.choose(seen, draw=draw, excluded=tuple(map(Action, legal))) == first


def test_messages_are_read():
    # That scores depend on what was said, not in which direction: that was learned, and a pilot is to find out.
    seen = SEEN[4]
    warned = told(seen, "Careful: this may be going wrong.")
    legal = seen.steps[-1].legal_actions
    plain, other = (describe(remember(one), one.steps, legal) for one in (seen, warned))
    table = shipped_weights().table
    moved = [
        abs(sum(table[bucket(n) % BUCKETS] for n in set(b.names()) - set(a.names())))
        for a, b in zip(plain, other, strict=True)
    ]
    assert max(moved) > 0.1


def test_without_legal_commands_it_cannot_go_on():
    agent, draw = RankerAgent(shipped_weights()), Draw(task_id="t", seed=0, role="agent")
    for steps in ((), (Step(index=0, observation="x"),)):
        with pytest.raises(AgentError, match="names none"):
            agent.choose(Trajectory(task=Task(id="t"), steps=steps), draw=draw)
    flood = Step(index=0, observation="x" * 30_000, legal_actions=("look",))
    with pytest.raises(AgentError, match="20000"):
        agent.choose(Trajectory(task=Task(id="t"), steps=(flood,)), draw=draw)


def test_any_text_is_survived():
    agent, draw = RankerAgent(shipped_weights()), Draw(task_id="t", seed=0, role="agent")
    odd = Step(index=0, observation="\x00 a a ☃ \ud800", messages=("\ud800 " * 500,), legal_actions=("\x00", "go to x"))
    assert asyncio.run(agent.act(Trajectory(task=Task(id="t"), steps=(odd,)), draw=draw)).text in odd.legal_actions


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan, math.inf])
def test_impossible_temperatures_are_refused(temperature):
    with pytest.raises(InvalidInput, match="temperature"):
        RankerAgent(shipped_weights(), temperature=temperature)


def test_weights_survive_their_file(tmp_path):
    path = tmp_path / "agent.npz"
    path.write_bytes(shipped_weights().to_bytes())
    assert HouseholdWeights.load(path).sha256() == shipped_weights().sha256()


@pytest.mark.parametrize(
    "changes",
    [
        {"format": np.frombuffer(b"forbear-logistic-1", dtype=np.uint8)},
        {"index": np.array([BUCKETS])},
        {"index": np.array([-1])},
        {"index": np.array([1, 2])},
        {"value": np.array([np.nan])},
        {"value": np.array(["x"])},
        {"value": None},
    ],
)
def test_damaged_weights_are_refused(tmp_path, changes):
    good = {
        "format": np.frombuffer(b"forbear-household-ranker-1", dtype=np.uint8),
        "index": np.array([3]),
        "value": np.array([0.5]),
    }
    path = tmp_path / "agent.npz"
    path.write_bytes(npz_bytes(good))
    HouseholdWeights.load(path)
    path.write_bytes(npz_bytes({name: value for name, value in {**good, **changes}.items() if value is not None}))
    with pytest.raises(InvalidInput):
        HouseholdWeights.load(path)
