"""A critic that learned what stepping in is worth, from forks, and how it speaks to a policy."""

import asyncio
import random

import numpy as np
import pytest
from scipy.sparse import csr_array

from forbear.adapters.critic_folder import open_folder
from forbear.adapters.formats.forks import read_forks
from forbear.cli.main import run as forbear
from forbear.contracts.border import checked_score
from forbear.contracts.critic import Score
from forbear.contracts.draw import Draw
from forbear.critics.advantage import _shrunk, _solve, train_advantage
from forbear.critics.card import write_advantage_critic
from forbear.critics.forks import JudgedFork, forks_of
from forbear.critics.trained import AdvantageCritic, TrainedCritic, trained_critic
from forbear.critics.training import Recipe
from forbear.errors import InvalidInput
from forbear.interventions import Append, Rollback
from forbear.policy.arm import Arm
from forbear.policy.policy import InterventionPolicy
from forbear.records.journal import Journal
from forbear.records.model import Action, Step, Task, Trajectory
from forbear.runner.plan import freeze
from forbear.runner.row import first_due
from forbear.testing.contracts import CriticContract
from runner.pilots import digest, plan, run
from runner.test_continuations import FEW, K, continued

SMALL = Recipe(buckets=1 << 10, folds=3, iterations=60)


def fork_of(number, *, rng, helps, continuations=3):
    """Behind an error stepping in recovers six runs of ten; elsewhere it disrupts two."""
    trouble = number % 2 == 0
    steps = (
        Step(index=0, observation="a thing", executed=Action("look")),
        Step(index=1, observation="error: no" if trouble else "fine"),
    )
    worth = 0.6 if trouble else -0.2
    chance = abs(worth) if helps else 0.3
    sign = (1 if worth > 0 else -1) if helps else rng.choice([-1, 1])
    return JudgedFork(
        trajectory=Trajectory(task=Task(id=f"t{number // 2}"), steps=steps),
        proposed=Action(rng.choice(["look", "take"])),
        gains=tuple(sign * (rng.random() < chance) for _ in range(continuations)),
    )


def some_forks(count=120, *, helps=True, seed=0):
    rng = random.Random(seed)
    return [fork_of(number, rng=rng, helps=helps) for number in range(count)]


@pytest.fixture(scope="module")
def training():
    return train_advantage(some_forks(), recipe=SMALL)


@pytest.fixture(scope="module")
def folder(training, tmp_path_factory):
    found = tmp_path_factory.mktemp("worth")
    write_advantage_critic(training, found, sources=["x"], arms=["rollback"])
    return found


def seen(text):
    steps = (Step(index=0, observation="a thing", executed=Action("look")), Step(index=1, observation=text))
    return Trajectory(task=Task(id="new"), steps=steps)


def test_what_is_learned_holds_on_tasks_that_were_held_out(training):
    metrics = training.metrics
    assert metrics["difference"].low > 0.4
    assert metrics["upper_half"].value > 0.4 > 0 > metrics["lower_half"].value
    assert metrics["explained"].low > 0
    assert (training.forks, training.continuations, len(training.tasks)) == (120, 360, 60)
    assert len(set(training.fold_of.values())) == SMALL.folds


def test_where_there_is_nothing_to_learn_it_says_so_and_promises_nothing(tmp_path):
    training = train_advantage(some_forks(helps=False), recipe=SMALL)
    card = write_advantage_critic(training, tmp_path, sources=["x"], arms=["rollback"])
    assert card["warning"]
    assert np.ptp(training.held_out) < 0.2
    assert training.metrics["explained"].low < 0.02


def test_least_squares_are_those_of_the_normal_equations():
    rng = np.random.default_rng(0)
    x, y, weight = rng.normal(size=(40, 5)), rng.normal(size=40), rng.random(40)
    theta = _solve(csr_array(x), y, weight, 0.3, np.zeros(6), 500)
    whole = np.column_stack([x, np.ones(40)])
    expected = np.linalg.solve(
        whole.T @ (weight[:, None] * whole) + np.diag([1 / 0.3] * 5 + [0.0]), whole.T @ (weight * y)
    )
    assert theta == pytest.approx(expected, abs=2e-3)


def test_promises_are_shrunk_to_what_held_out_forks_gave():
    rng = np.random.default_rng(1)
    raw, weight = rng.normal(size=200), rng.random(200)
    gains = 0.4 * raw + rng.normal(size=200)
    expected = np.polyfit(raw, gains, 1, w=np.sqrt(weight))
    assert _shrunk(raw, gains, weight) == pytest.approx(tuple(expected))
    slope, shift = _shrunk(raw, -gains, weight)
    assert (slope, shift) == (0.0, pytest.approx(np.average(-gains, weights=weight)))
    assert _shrunk(np.zeros(200), gains, weight) == (0.0, pytest.approx(np.average(gains, weights=weight)))
    assert _shrunk(raw, 5 * gains, weight)[0] == 1.0


def test_what_is_loaded_scores_as_what_was_trained_and_is_no_probability(training, folder):
    critic = trained_critic(str(folder))
    assert isinstance(critic, AdvantageCritic)
    assert isinstance(open_folder(folder), AdvantageCritic)
    draw = Draw(task_id="new", seed=0, role="critic", step_index=1)
    good, bad = (asyncio.run(critic.score(seen(text), Action("look"), draw=draw)) for text in ("error: no", "fine"))
    assert good.p_fail is None
    assert good.signal == good.advantage > 0.3 > 0 > bad.advantage >= -1
    assert good.advantage == pytest.approx(training.weights.logit(seen("error: no"), Action("look")))
    assert len(critic.trained_on) == 60
    with pytest.raises(InvalidInput, match="not of the format forbear-critic-1"):
        TrainedCritic.load(folder)


class TestContract(CriticContract):
    @pytest.fixture(autouse=True)
    def _of(self, folder):
        self.folder = folder

    def make(self):
        return AdvantageCritic.load(self.folder)

    def proposals(self):
        return [(seen("error: no"), Action("look")), (seen("fine"), Action("take"))]


@pytest.mark.parametrize("advantage", [1.5, -1.1, float("nan"), True, "0.2"])
def test_an_advantage_out_of_range_is_refused(advantage):
    with pytest.raises(InvalidInput, match="an advantage is a number in"):
        checked_score(Score(None, advantage=advantage))
    assert checked_score(Score(None, advantage=-1)).advantage == -1.0


class Worth:
    """Says what stepping in is worth, by word."""

    async def score(self, trajectory, proposed, *, draw):
        return Score(None, advantage={"jump": 0.4, "back": 0.05}.get(proposed.text, -0.3))

    def config(self):
        return {"name": "worth"}


def test_a_policy_acts_where_the_advantage_exceeds_its_threshold_and_the_journal_has_it(tmp_path):
    def policy(intervention, threshold):
        return InterventionPolicy(critic=Worth(), intervention=intervention, threshold=threshold)

    arms = [
        Arm.baseline(),
        Arm("any", policy(Append(message="fails: {p_fail}"), 0.0)),
        Arm("much", policy(Rollback(), 0.2)),
    ]
    result = run(plan(arms, n=8, continuations=2), tmp_path / "whole")
    name, acted = policy(Rollback(), 0.2).critic_name, {"any": set(), "much": set()}
    for (_, _, arm), episode in Journal(tmp_path / "whole").read().episodes.items():
        for proposal in (p for step in episode.steps for p in step.proposals):
            assert proposal.p_fail == {name: None}
            assert proposal.advantage[name] == {"jump": 0.4, "back": 0.05}.get(proposal.action.text, -0.3)
            if proposal.intervened:
                acted[arm].add(proposal.action.text)
        if arm == "any":
            assert all(message == "fails: unknown" for step in episode.steps for message in step.messages)
    assert acted == {"any": {"jump", "back"}, "much": {"jump"}}
    lines = (tmp_path / "whole/episodes.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "part").mkdir()
    (tmp_path / "part/plan.json").write_bytes((tmp_path / "whole/plan.json").read_bytes())
    (tmp_path / "part/episodes.jsonl").write_bytes(b"".join(lines[: len(lines) // 2]))
    again = run(plan(arms, n=8, continuations=2), tmp_path / "part")
    assert digest(tmp_path / "part") == digest(tmp_path / "whole")
    assert again.bill.calls == result.bill.calls


@pytest.fixture(scope="module")
def journal(tmp_path_factory):
    found = tmp_path_factory.mktemp("forks")
    return found, run(continued(n=40, arms=FEW), found)


def test_forks_hold_what_was_continued_from_the_same_prefix(journal):
    folder, result = journal
    read = read_forks([folder], arms=["rollback"])
    assert read.arms == ("rollback",)
    touched = [
        (result.episodes[key[0], key[1], "baseline"], episode)
        for key, episode in result.episodes.items()
        if key[2] == "rollback" and episode.first_intervention is not None
    ]
    assert sum(len(fork.gains) for fork in read.forks) == len(touched)
    assert sum(sum(fork.gains) for fork in read.forks) == sum(t.success - b.success for b, t in touched)
    assert max(len(fork.gains) for fork in read.forks) == K
    for fork in read.forks:
        opened = fork.trajectory.steps[-1]
        assert opened.executed is None
        assert opened.index == len(fork.trajectory.steps) - 1
        assert fork.proposed.text in ("jump", "back")
    # A blind arm acts before the fork as well, in tasks that were not continued: once each, however often written down.
    blind = read_forks([folder], arms=["blind"])
    frozen = freeze(continued(n=40, arms=FEW))
    once = {
        (fork.task, len(fork.gains))
        for fork in blind.forks
        if first_due(frozen, result.episodes[fork.task, 42, "baseline"]) is None
    }
    assert once
    assert {count for _, count in once} == {1}
    assert forks_of([]) == []


def test_what_has_no_forks_is_refused(journal, tmp_path):
    with pytest.raises(InvalidInput, match="no directory of a journal"):
        read_forks([tmp_path / "nothing"])
    with pytest.raises(InvalidInput, match="name the one that is to be learned from"):
        read_forks([journal[0]])
    with pytest.raises(InvalidInput, match="name the one that is to be learned from"):
        read_forks([journal[0]], arms=["rolback"])
    run(plan([Arm.baseline(), FEW[1]], n=2, design="independent"), tmp_path / "apart")
    with pytest.raises(InvalidInput, match="share no prefix"):
        read_forks([tmp_path / "apart"])
    with pytest.raises(InvalidInput, match="forks of 3 tasks to learn from; at least 10"):
        train_advantage(some_forks(6), recipe=SMALL)
    with pytest.raises(InvalidInput, match="changed the outcome of 0 pairs"):
        train_advantage([JudgedFork(trajectory=f.trajectory, proposed=f.proposed, gains=(0,)) for f in some_forks()])


def test_from_a_journal_to_a_critic_at_the_command_line(journal, tmp_path, capsys):
    arguments = ["critic", "train", str(journal[0]), "-o", str(tmp_path / "c"), "--target", "advantage"]
    assert forbear(arguments) == 2
    assert "--arm" in capsys.readouterr().err
    assert forbear([*arguments, "--arm", "rollback"]) == 0
    told = capsys.readouterr().out
    assert AdvantageCritic.load(tmp_path / "c").card["trained"]["arms"] == ["rollback"]
    assert max(map(len, told.splitlines())) <= 80 + len(str(tmp_path))
    assert "where it says it is worth more" in told
    assert forbear([*arguments, "--history", "x"]) == 2
    assert "learned from forks" in capsys.readouterr().err
