import math

import numpy as np
import pytest

from forbear.errors import InvalidInput
from forbear.stats.decision import decide
from forbear.stats.looks.looks import Looks
from forbear.stats.looks.paths import stop_paths
from forbear.stats.looks.sequential import sequential_outcomes
from forbear.stats.looks.stopping import looked_power
from forbear.stats.planning import AssumedEffect
from forbear.stats.rule import DecisionRule

RULE = DecisionRule()


def drawn(gain, discordance, *, paths, tasks, seed):
    up, down = (discordance + gain) / 2, (discordance - gain) / 2
    return np.random.default_rng(seed).choice(
        np.array([1, -1, 0], dtype=np.int8), p=[up, down, 1 - up - down], size=(paths, tasks)
    )


@pytest.mark.slow
@pytest.mark.parametrize("watch", [True, False])
@pytest.mark.parametrize(("gain", "discordance"), [(0.1, 0.15), (0.0, 0.1), (-0.1, 0.2)])
def test_paths_stop_as_often_as_the_exact_probabilities_say(gain, discordance, watch):
    looks, paths = Looks(tasks=(50, 100, 150, 200), watch=watch, futility=0.0), 4000
    stopped = stop_paths(drawn(gain, discordance, paths=paths, tasks=200, seed=1), looks=looks, rule=RULE)
    exact = looked_power(AssumedEffect(gain=gain, discordance=discordance), looks=looks, rule=RULE)
    for found, expected in ((stopped.intervene.mean(), exact.intervene), (stopped.forbear.mean(), exact.forbear)):
        assert found == pytest.approx(expected, abs=4 * math.sqrt(0.25 / paths))
    assert stopped.tasks.mean() == pytest.approx(exact.expected_tasks, abs=4 * stopped.tasks.std() / math.sqrt(paths))


@pytest.mark.slow
def test_each_path_is_decided_as_a_pilot_with_looks_is():
    looks = Looks(tasks=(20, 40, 60), watch=False, futility=0.0)
    changes = np.concatenate([drawn(gain, 0.4, paths=6, tasks=60, seed=2) for gain in (-0.3, 0.0, 0.3)])
    stopped = stop_paths(changes, looks=looks, rule=RULE)
    assert stopped.intervene.any()
    assert stopped.forbear.any()
    for path, intervene, forbear, tasks in zip(
        changes.tolist(), stopped.intervene, stopped.forbear, stopped.tasks.tolist(), strict=True
    ):
        for n in looks.tasks:
            if n > tasks:
                break
            baseline, treated = [[change < 0] for change in path[:n]], [[change > 0] for change in path[:n]]
            outcomes, _ = sequential_outcomes(
                baseline=baseline, treated=treated, looks=looks, clusters=None, arms=1, names=("a", "b")
            )
            said = decide(outcomes, RULE).recommendation.value
            decided = "INTERVENE" if intervene else "FORBEAR" if forbear else "UNDECIDED"
            assert said == (decided if n == tasks else "UNDECIDED")


def test_the_watch_stops_a_grave_loss_between_looks():
    looks = Looks(tasks=(50, 100), futility=0.0)
    lost = np.full((1, 100), -1, dtype=np.int8)
    stopped = stop_paths(lost, looks=looks, rule=RULE)
    assert stopped.forbear.all()
    assert stopped.tasks[0] < 20


@pytest.mark.parametrize("changes", [np.zeros((2, 3), dtype=np.int8), np.full((1, 50), 2, dtype=np.int8)])
def test_what_is_no_path_is_refused(changes):
    with pytest.raises(InvalidInput, match="paths of 50 tasks"):
        stop_paths(changes, looks=Looks(tasks=(50,)), rule=RULE)
