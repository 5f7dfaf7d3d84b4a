import pytest
from msgspec import structs

from forbear.records.model import Action, Step, Trajectory
from forbear.testing import CriticContract
from forbear.worlds.household.critic import HouseholdFeatures
from forbear.worlds.household.generator import generate
from forbear.worlds.household.pilot import critic, critic_weights
from forbear.worlds.told import RECENT
from household_transcripts import transcript

SEEN = [transcript(game, steps=steps, seed=steps)[0] for steps, game in enumerate(generate(seed=14, count=12))]


def proposals():
    return [(seen, Action(text)) for seen in SEEN for text in (seen.steps[-1].legal_actions[0], "dance \ud800")]


class TestHouseholdCritic(CriticContract):
    def make(self):
        return critic()

    def proposals(self):
        return proposals()


def changed(seen, **changes):
    return Trajectory(task=seen.task, steps=tuple(structs.replace(step, **changes) for step in seen.steps))


def test_it_does_not_look_at_the_index_the_messages_or_the_task():
    judge = critic()
    for seen, proposed in proposals():
        expected = judge.logit(seen, proposed)
        later = Trajectory(
            task=structs.replace(seen.task, id="other", stratum="x", payload=None),
            steps=tuple(structs.replace(step, index=step.index + 7) for step in seen.steps),
        )
        assert judge.logit(later, proposed) == expected
        assert judge.logit(changed(seen, messages=("Careful!",)), proposed) == expected
        assert judge.logit(changed(seen, legal_actions=None), proposed) == expected


@pytest.mark.parametrize("waited", [1, 5, 30])
def test_time_alone_changes_a_score_by_the_line_of_its_step_alone(waited):
    """What it reads is no clock: however long nothing happened before the last steps, only the step's line differs."""
    judge, lines, compared = critic(), critic_weights().by_step, 0
    for seen, proposed in proposals():
        if len(seen.steps) <= RECENT:
            continue
        cut = len(seen.steps) - 1 - RECENT
        idle = [Step(index=0, observation=seen.steps[cut].observation, executed=Action("dance")) for _ in range(waited)]
        # Steps of no effect, each answered so; the last of them is answered by what was seen at the cut before.
        answered = Step(index=0, observation="Nothing happens.", executed=Action("dance"))
        before, rest = seen.steps[:cut], seen.steps[cut:]
        first, *others = rest
        middle = [structs.replace(idle[0]), *[answered] * (waited - 1)]
        joined = (*before, *middle, structs.replace(first, observation="Nothing happens."), *others)
        longer = Trajectory(
            task=seen.task, steps=tuple(structs.replace(step, index=i) for i, step in enumerate(joined))
        )
        assert judge.raw(longer, proposed) == judge.raw(seen, proposed)
        last = len(lines.slope) - 1
        for trajectory in (longer, seen):
            at = min(len(trajectory.steps) - 1, last)
            line = lines.slope[at] * judge.raw(trajectory, proposed) + lines.shift[at]
            assert judge.logit(trajectory, proposed) == line
        compared += 1
    assert compared >= 6


def test_numbers_are_of_the_promised_size_and_scale():
    read = HouseholdFeatures()
    for seen, proposed in proposals():
        numbers = read(seen, proposed).numbers
        assert len(numbers) == read.size
        assert all(0 <= number <= 1 for number in numbers)
