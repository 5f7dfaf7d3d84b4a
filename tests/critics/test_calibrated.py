import asyncio

import numpy as np
import pytest

from forbear.contracts.critic import Score
from forbear.contracts.draw import Draw
from forbear.critics.calibrated import CalibratedCritic
from forbear.critics.calibrators import Calibrator
from forbear.critics.heuristic import FunctionCritic
from forbear.records.model import Action, Step, Task, Trajectory, Usage

MAP = Calibrator(method="temperature", parameters=(2.0,))


def said(answer):
    critic = CalibratedCritic(FunctionCritic(lambda trajectory, proposed: answer, name="f"), calibrator=MAP)
    trajectory = Trajectory(task=Task(id="t"), steps=(Step(index=0, observation=""),))
    return asyncio.run(critic.score(trajectory, Action("go"), draw=Draw(task_id="t", seed=0, role="critic")))


def test_scores_are_mapped_and_the_rest_is_kept():
    got = said(Score(0.8, "stuck", Usage(calls=1)))
    assert (got.p_fail, got.why, got.usage) == (pytest.approx(2 / 3), "stuck", Usage(calls=1))
    assert said(None).p_fail is None


def test_a_map_by_step_reads_the_index_of_the_open_step():
    by_step = Calibrator(method="by-step", parameters=(1.0, 2.0, 0.0, 1.0))
    critic = CalibratedCritic(FunctionCritic(lambda trajectory, proposed: 0.5, name="f"), calibrator=by_step)
    draw, steps = Draw(task_id="t", seed=0, role="critic"), []
    for index in range(3):
        steps.append(Step(index=index, observation=""))
        score = asyncio.run(critic.score(Trajectory(task=Task(id="t"), steps=tuple(steps)), Action("go"), draw=draw))
        assert score.p_fail == pytest.approx(0.5 if index == 0 else 1 / (1 + np.exp(-1)))


def test_another_map_is_another_critic():
    inner = FunctionCritic(lambda trajectory, proposed: 0.5, name="f")
    other = Calibrator(method="temperature", parameters=(3.0,))
    configs = [CalibratedCritic(inner, calibrator=one).config() for one in (MAP, other)]
    assert configs[0] != configs[1]
    assert configs[0]["critic"] == inner.config()
