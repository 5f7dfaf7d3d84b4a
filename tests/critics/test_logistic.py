import asyncio
import pickle
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize

from forbear.contracts.draw import Draw
from forbear.critics.calibration import StepLines
from forbear.critics.logistic import Features, LogisticCritic, LogisticWeights, train_logistic
from forbear.errors import InvalidInput
from forbear.learned.hashing import bucket
from forbear.learned.npz import npz_bytes
from forbear.records.model import Action, Step, Task, Trajectory
from forbear.testing import CriticContract

DRAW = Draw(task_id="t", seed=0, role="critic")


class Words:
    """Words of the last observation and of the proposal; how many steps went before."""

    name = "words-1"
    size = 1

    def __call__(self, trajectory, proposed):
        return Features(
            [*trajectory.steps[-1].observation.split(), f"do:{proposed.text}"], [len(trajectory.steps) / 10]
        )


def seen(*observations):
    steps = tuple(Step(index=i, observation=text) for i, text in enumerate(observations))
    return Trajectory(task=Task(id="t"), steps=steps)


def data(n=400):
    rng = np.random.default_rng(2)
    rows, failed = [], []
    for _ in range(n):
        bad, number = rng.random() < 0.5, rng.random()
        rows.append(Features(["dark" if bad else "light", f"noise{rng.integers(20)}"], [number]))
        failed.append(bool(rng.random() < 1 / (1 + np.exp(-(2 * bad - 1 + number)))))
    return rows, failed


def trained(**options):
    rows, failed = data()
    return train_logistic(rows, failed, row_weights=[1.0] * len(rows), buckets=256, **options)


class TestLogisticCritic(CriticContract):
    def make(self):
        return LogisticCritic(trained(), features=Words())

    def variants(self):
        return [LogisticCritic(trained(l2=5.0), features=Words())]

    def proposals(self):
        return [(seen("dark", "light room"), Action("open")), (seen("", "\x00 dark ☃"), Action("\ud800"))]


def test_training_finds_the_penalised_maximum_likelihood():
    rows, failed = data()
    weights = np.random.default_rng(0).random(len(rows))
    got = train_logistic(rows, failed, row_weights=weights, buckets=256, l2=1.0, iterations=1000)
    x = np.zeros((len(rows), 2 + 256))
    for i, row in enumerate(rows):
        x[i, 0], x[i, 1] = 1, row.numbers[0]
        for name in row.names:
            x[i, 2 + bucket(name) % 256] += 1
    y = np.array(failed)

    def nll(w):
        z = x @ w
        gradient = x.T @ (weights * (1 / (1 + np.exp(-z)) - y))
        gradient[1:] += w[1:]
        return np.sum(weights * (np.logaddexp(0, z) - y * z)) + 0.5 * np.sum(w[1:] ** 2), gradient

    best = minimize(nll, np.zeros(258), jac=True, method="BFGS").x
    assert got.bias == pytest.approx(best[0], abs=1e-3)
    assert got.dense == pytest.approx(best[1:2], abs=1e-3)
    assert got.hashed == pytest.approx(best[2:], abs=2e-3)  # half precision


def test_training_is_repeatable_bit_for_bit():
    assert trained().to_bytes() == trained().to_bytes()


def test_scores_are_the_logistic_of_the_sum():
    hashed = np.zeros(16)
    hashed[bucket("dark") % 16] = 1.5
    hashed[bucket("do:open") % 16] += 0.25
    critic = LogisticCritic(
        LogisticWeights(bias=-1.0, dense=np.array([2.0]), hashed=hashed, temperature=2.0), features=Words()
    )
    p_fail = asyncio.run(critic.score(seen("x", "dark"), Action("open"), draw=DRAW))
    z = (-1.0 + 2.0 * 0.2 + hashed[bucket("dark") % 16] + hashed[bucket("do:open") % 16]) / 2.0
    assert p_fail == pytest.approx(1 / (1 + np.exp(-z)), abs=1e-15)


def test_each_step_has_its_line_and_the_last_one_all_later_steps():
    lines = StepLines(slope=np.array([1.0, 2.0]), shift=np.array([0.0, -1.0]))
    plain, by_step = (LogisticCritic(one, features=Words()) for one in (trained(), replace(trained(), by_step=lines)))
    for texts, slope, shift in ((["dark"], 1, 0), (["a", "dark"], 2, -1), (["a", "b", "dark"], 2, -1)):
        before = plain.logit(seen(*texts), Action("open"))
        assert by_step.raw(seen(*texts), Action("open")) == before
        assert by_step.logit(seen(*texts), Action("open")) == slope * before + shift
    assert by_step.config() != plain.config()


@pytest.mark.parametrize("lines", [None, StepLines(slope=np.array([1.0, 0.5]), shift=np.array([0.25, -3.0]))])
def test_weights_survive_their_file(tmp_path, lines):
    weights = replace(trained(), by_step=lines)
    path = tmp_path / "critic.npz"
    path.write_bytes(weights.to_bytes())
    loaded = LogisticWeights.load(path)
    assert loaded.sha256() == weights.sha256()
    assert loaded.to_bytes() == weights.to_bytes()


def arrays(**changes):
    good = {
        "format": np.frombuffer(b"forbear-logistic-1", dtype=np.uint8),
        "buckets": np.array([16]),
        "index": np.array([3], dtype=np.uint32),
        "value": np.array([0.5], dtype=np.float16),
        "dense": np.zeros(1),
        "scalars": np.array([0.0, 1.0]),
    }
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


@pytest.mark.parametrize(
    "changes",
    [
        {"format": np.frombuffer(b"other", dtype=np.uint8)},
        {"format": None},
        {"index": np.array([16])},
        {"index": np.array([-1])},
        {"index": np.array([1, 2])},
        {"index": None},
        {"value": np.array(["x"])},
        {"value": np.array([np.nan])},
        {"value": np.array([1e9])},
        {"dense": np.zeros((1, 1))},
        {"dense": np.array([np.inf])},
        {"buckets": np.array([15])},
        {"buckets": np.array([1 << 40])},
        {"buckets": np.array([])},
        {"buckets": np.array([[16, 16]])},
        {"buckets": np.array([np.inf])},
        {"scalars": np.zeros((2, 2))},
        {"index": np.array([3.0])},
        {"dense": np.zeros((1 << 20) + 1, dtype=bool)},
        {"scalars": np.array([0.0, 0.0])},
        {"scalars": np.array([0.0])},
        {"by_step": np.zeros((2, 0))},
        {"by_step": np.zeros((3, 2))},
        {"by_step": np.zeros(4)},
        {"by_step": np.array([[-0.1], [0.0]])},
        {"by_step": np.array([[1.0], [np.nan]])},
        {"by_step": np.array([[np.inf], [0.0]])},
        {"by_step": np.zeros((2, 1 << 20), dtype=bool)},
    ],
)
def test_damaged_weights_are_refused(tmp_path, changes):
    path = tmp_path / "critic.npz"
    path.write_bytes(npz_bytes(arrays()))
    LogisticWeights.load(path)  # what is changed below is what is refused
    path.write_bytes(npz_bytes(arrays(**changes)))
    with pytest.raises(InvalidInput):
        LogisticWeights.load(path)


def test_files_of_other_kinds_are_refused(tmp_path):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("unpickled",))

    trap, torn = tmp_path / "trap.npz", tmp_path / "torn.npz"
    np.savez(trap, format=np.array([Trap()], dtype=object))
    torn.write_bytes(trained().to_bytes()[:-40])
    (tmp_path / "pickle.npz").write_bytes(pickle.dumps({"a": 1}))
    for name in ("trap.npz", "torn.npz", "pickle.npz", "absent.npz"):
        with pytest.raises(InvalidInput, match=name.replace(".", r"\.")):
            LogisticWeights.load(tmp_path / name)


def test_weights_of_other_features_are_refused():
    with pytest.raises(InvalidInput, match="dense features"):
        LogisticCritic(LogisticWeights(bias=0, dense=np.zeros(3), hashed=np.zeros(16)), features=Words())


def test_one_kind_of_outcome_teaches_nothing():
    rows, _ = data(5)
    with pytest.raises(InvalidInput, match="failures and successes"):
        train_logistic(rows, [True] * 5, row_weights=[1.0] * 5)
