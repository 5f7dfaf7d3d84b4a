"""The shipped doubles keep the contracts, and the contracts refuse doubles that do not."""

import asyncio
import subprocess
import sys

import pytest

from forbear.contracts.draw import Draw
from forbear.contracts.environment import Observation
from forbear.contracts.intervention import Continue, Halt, Replace, Retry
from forbear.records.model import Action, Step, Task, Trajectory
from forbear.testing import (
    AgentContract,
    CoinCritic,
    CoinFlipAgent,
    Corridor,
    CriticContract,
    DeafAgent,
    EnvironmentContract,
    InterventionContract,
    RestorableCorridor,
    ScriptedAgent,
    ScriptedCritic,
    WordCritic,
)

TASK = Task(id="t")


def open_at(index, *messages):
    steps = tuple(Step(index=i, observation=f"door {i}", executed=Action("open")) for i in range(index))
    return Trajectory(task=TASK, steps=(*steps, Step(index=index, observation=f"door {index}", messages=messages)))


class Agents(AgentContract):
    def trajectories(self):
        return [open_at(index) for index in range(6)] + [open_at(2, "Careful.")]


class TestScriptedAgent(Agents):
    def make(self):
        return ScriptedAgent(["open", "wait"])

    def variants(self):
        return [ScriptedAgent(["open"])]


class TestCoinFlipAgent(Agents):
    def make(self):
        return CoinFlipAgent({"open": 1, "jump": 1})

    def variants(self):
        return [CoinFlipAgent({"open": 2, "jump": 1}), CoinFlipAgent({"open": 1, "jump": 1}, warned={"open": 1})]


class TestDeafAgent(Agents):
    def make(self):
        return DeafAgent(TestCoinFlipAgent().make())

    def variants(self):
        return [DeafAgent(other) for other in TestCoinFlipAgent().variants()]

    def test_messages_change_nothing(self):
        draws = [Draw(task_id="t", seed=n, role="agent") for n in range(50)]
        agent = DeafAgent(CoinFlipAgent({"open": 1, "jump": 1}, warned={"wait": 1}))
        told = [asyncio.run(agent.act(open_at(1, "Wait!"), draw=draw)) for draw in draws]
        assert told == [asyncio.run(agent.act(open_at(1), draw=draw)) for draw in draws]
        assert {action.text for action in told} == {"open", "jump"}


class Corridors(EnvironmentContract):
    def tasks(self):
        return [Task(id=f"t{n}") for n in range(5)]


class TestCorridor(Corridors):
    def make(self):
        return Corridor(doors=4, slip=0.3)

    def variants(self):
        return [Corridor(doors=5, slip=0.3), Corridor(doors=4), Corridor(doors=4, slip=0.3, replay_safe=False)]


class TestRestorableCorridor(Corridors):
    def make(self):
        return RestorableCorridor(doors=4, slip=0.3)


class Critics(CriticContract):
    def proposals(self):
        return [(open_at(index), Action(text)) for index in range(4) for text in ("open", "jump")]


class TestScriptedCritic(Critics):
    def make(self):
        return ScriptedCritic([0.1, None, 1.0])

    def variants(self):
        return [ScriptedCritic([0.1]), ScriptedCritic([0.1, None, 1.0], name="other")]


class TestWordCritic(Critics):
    def make(self):
        return WordCritic({"jump": 0.9})

    def variants(self):
        return [WordCritic({"jump": 0.9}, otherwise=None)]


class TestCoinCritic(Critics):
    def make(self):
        return CoinCritic(0.3)

    def variants(self):
        return [CoinCritic(0.4), CoinCritic(0.3, low=0.2), CoinCritic(0.3, high=0.8)]


def test_a_corridor_ends_behind_its_last_door_or_out_of_the_window():
    async def play(*actions):
        corridor, draw = Corridor(doors=2), Draw(task_id="t", seed=0, role="environment")
        await corridor.reset(TASK, draw=draw)
        return [await corridor.step(Action(text), draw=draw) for text in actions]

    through = asyncio.run(play("open", "back", "wait", "open", "open"))
    assert [seen.done for seen in through] == [False, False, False, False, True]
    assert through[-1].success is True
    assert asyncio.run(play("open", "jump"))[-1].success is False


# What the contracts must refuse ---------------------------------------------------------------------------------------


class Forgetful(ScriptedAgent):
    """Counts its own calls instead of reading the trajectory."""

    calls = 0

    async def act(self, trajectory, *, draw, excluded=()):
        self.calls += 1
        return Action(str(self.calls))


class Chatty(ScriptedAgent):
    async def act(self, trajectory, *, draw, excluded=()):
        return "open"


class Evolving(ScriptedAgent):
    calls = 0

    async def act(self, trajectory, *, draw, excluded=()):
        self.calls += 1
        return Action("open")

    def config(self):
        return {"calls": self.calls}


class Secretive(ScriptedAgent):
    def config(self):
        return {"script": {1, 2}}


class Unseeded(Corridor):
    plays = 0

    async def reset(self, task, *, draw):
        type(self).plays += 1
        return Observation(text=f"play {self.plays}", legal_actions=("open",))


class Endless(Corridor):
    async def step(self, action, *, draw):
        return Observation(text="the end", done=True)


class Shallow(RestorableCorridor):
    def restore(self, snapshot):
        pass


class Crashing(Corridor):
    async def step(self, action, *, draw):
        return Observation(text={"open": "opened", "wait": "", "back": "", "jump": ""}[action.text])


class TooSure(ScriptedCritic):
    async def score(self, trajectory, proposed, *, draw):
        return 2.0


class Learning(ScriptedCritic):
    seen = 0

    async def score(self, trajectory, proposed, *, draw):
        self.seen += 1
        return 1 / self.seen


class Fickle:
    name = "fickle"
    made = 0

    def __init__(self):
        type(self).made += 1
        self.number = self.made

    def apply(self, trajectory, proposed, *, score, draw):
        return Retry(message=str(self.number))

    def config(self):
        return {}


class Rude(Fickle):
    name = "not a word"

    def apply(self, trajectory, proposed, *, score, draw):
        return "stop it"


class Secret(Fickle):
    name = "undoer"

    def apply(self, trajectory, proposed, *, score, draw):
        return Retry(undo=1)


class Careless(Secret):
    def undoes_steps(self):
        return False


class Wordy(Fickle):
    name = "wordy"

    def apply(self, trajectory, proposed, *, score, draw):
        return Replace("look")


class Interventions(InterventionContract):
    def proposals(self):
        return [(open_at(1), Action("jump"))]


def bound(contract, made, *others):
    return type("Bound", (contract,), {"make": lambda self: made(), "variants": lambda self: list(others)})()


@pytest.mark.parametrize(
    ("contract", "test"),
    [
        (bound(Agents, lambda: Forgetful(["x"])), "test_acts_alike_given_the_same_trajectory_and_draw"),
        (bound(Agents, lambda: Chatty(["x"])), "test_returns_actions"),
        (bound(Agents, lambda: Evolving(["x"])), "test_acting_leaves_the_config_alone"),
        (
            bound(Agents, lambda: ScriptedAgent(["x"]), ScriptedAgent(["x"])),
            "test_what_behaves_differently_has_another_config",
        ),
        (bound(Corridors, Unseeded), "test_the_same_actions_give_the_same_observations"),
        (bound(Corridors, Endless), "test_the_end_tells_the_outcome"),
        (bound(Corridors, Shallow), "test_a_restored_state_goes_on_as_the_kept_one_did"),
        (bound(Critics, lambda: TooSure([])), "test_scores_are_probabilities_or_abstentions"),
        (bound(Critics, lambda: Learning([])), "test_scores_alike_given_the_same_prefix_and_draw"),
        (bound(Interventions, Fickle), "test_the_same_proposal_has_the_same_effect"),
        (bound(Interventions, Rude), "test_the_same_proposal_has_the_same_effect"),
        (bound(Interventions, Wordy), "test_the_same_proposal_has_the_same_effect"),
        (bound(Interventions, Secret), "test_what_undoes_steps_says_so"),
        (bound(Interventions, Careless), "test_what_it_says_of_itself_is_true_or_false"),
        (bound(Interventions, Rude), "test_it_has_a_name"),
    ],
)
def test_contracts_refuse_what_breaks_them(contract, test):
    with pytest.raises(AssertionError):
        getattr(contract, test)()


def test_contracts_let_faults_of_the_implementation_through():
    with pytest.raises(KeyError):
        bound(Corridors, Crashing).test_nonsense_is_answered()
    with pytest.raises(ValueError, match="JSON"):
        bound(Agents, lambda: Secretive(["x"])).test_config_is_json_and_the_same_for_every_instance()


def test_effects_are_told_apart():
    assert len({type(effect) for effect in (Continue(), Replace(Action("look")), Retry(), Halt())}) == 4


@pytest.mark.slow
def test_the_library_needs_no_pytest():
    code = "import sys, forbear.testing; sys.exit('pytest' in sys.modules or 'hypothesis' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
