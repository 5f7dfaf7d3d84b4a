import asyncio
import threading

import pytest

from forbear.contracts.critic import Score
from forbear.contracts.draw import Draw
from forbear.critics.heuristic import (
    AfterStep,
    ErrorWords,
    EveryK,
    FunctionCritic,
    RandomCritic,
    RepeatedAction,
    StepCount,
    matched_rate,
)
from forbear.errors import InvalidInput
from forbear.records.model import Action, Step, Task, Trajectory
from forbear.testing import CriticContract

DRAW = Draw(task_id="t", seed=1, role="critic")


def seen(*actions, observation="a door", first="a door"):
    done = [Step(index=i, observation=first, executed=Action(text)) for i, text in enumerate(actions)]
    return Trajectory(task=Task(id="t"), steps=(*done, Step(index=len(done), observation=observation)))


def said(critic, trajectory, proposed="x", draw=DRAW):
    return asyncio.run(critic.score(trajectory, Action(proposed), draw=draw))


def p_fail(*args, **options):
    score = said(*args, **options)
    return score.p_fail if isinstance(score, Score) else score


class Contract(CriticContract):
    def proposals(self):
        return [(seen(*["x"] * n, observation="error"), Action("x")) for n in range(4)]


class TestRepeatedAction(Contract):
    def make(self):
        return RepeatedAction()

    def variants(self):
        return [RepeatedAction(times=3), RepeatedAction(window=3)]

    @pytest.mark.parametrize(
        ("options", "actions", "expected"),
        [
            ({}, (), 0.0),
            ({}, ("x",), 1.0),
            ({}, ("x", "a", "b", "c", "d"), 1.0),
            ({}, ("x", "a", "b", "c", "d", "e"), 0.0),
            ({"times": 3}, ("x", "a"), 0.0),
            ({"times": 3}, ("x", "x"), 1.0),
            ({"window": 1}, ("x", "a"), 0.0),
        ],
    )
    def test_an_action_that_was_done_before(self, options, actions, expected):
        assert p_fail(RepeatedAction(**options), seen(*actions)) == expected

    def test_the_reason_counts(self):
        assert said(RepeatedAction(), seen("x", "a", "x")).why == "of the last 3 actions 2 were the same as this one"

    def test_another_payload_is_another_action(self):
        again = asyncio.run(RepeatedAction().score(seen("x"), Action("x", payload={"a": 1}), draw=DRAW))
        assert again.p_fail == 0.0


class TestStepCount(Contract):
    def make(self):
        return StepCount()

    def variants(self):
        return [StepCount(half=4), StepCount(width=1)]

    def test_the_curve_is_half_way_at_half(self):
        critic = StepCount(half=2, width=2)
        curve = [p_fail(critic, seen(*["x"] * n)) for n in range(4)]
        assert curve == pytest.approx([0.1192, 0.2689, 0.5, 0.7311], abs=1e-4)
        assert p_fail(StepCount(half=1, width=1e-9), seen(*["x"] * 9)) == pytest.approx(1.0)
        assert said(critic, seen("x")).why == "1 step taken so far"


class TestErrorWords(Contract):
    def make(self):
        return ErrorWords()

    def variants(self):
        return [ErrorWords(words=("oops",)), ErrorWords(last=2)]

    @pytest.mark.parametrize(
        ("observation", "expected"),
        [
            ("", 0.0),
            ("ValueError", 0.0),
            ("An ERROR occurred", 1.0),
            ("error", 1.0),
            ("terrors", 0.0),
            ("File not  found", 0.0),
            ("File not found.", 1.0),
        ],
    )
    def test_whole_words_in_any_case(self, observation, expected):
        assert p_fail(ErrorWords(), seen(observation=observation)) == expected

    def test_words_that_end_in_marks_and_patterns_that_are_none(self):
        assert p_fail(ErrorWords(words=["error:"]), seen(observation="error: 5")) == 1.0
        assert p_fail(ErrorWords(words=["a.c"]), seen(observation="abc")) == 0.0

    def test_how_far_it_looks_back(self):
        trajectory = seen("x", first="error", observation="fine")
        assert [p_fail(ErrorWords(last=last), trajectory) for last in (1, 2, 9)] == [0.0, 1.0, 1.0]


class TestRandomCritic(Contract):
    def make(self):
        return RandomCritic()

    def variants(self):
        return [RandomCritic(rate=0.5)]

    def test_it_fires_at_its_rate_whatever_it_sees(self):
        critic = RandomCritic(rate=0.3)
        fired = [p_fail(critic, seen(), draw=Draw(task_id=str(n), seed=1, role="c")) for n in range(2000)]
        assert set(fired) == {0.0, 1.0}
        assert sum(fired) / 2000 == pytest.approx(0.3, abs=0.04)
        assert p_fail(RandomCritic(rate=0), seen()) == 0.0
        assert p_fail(RandomCritic(rate=1), seen()) == 1.0


class TestAfterStep(Contract):
    def make(self):
        return AfterStep()

    def variants(self):
        return [AfterStep(step=2)]

    def test_from_a_step_on(self):
        assert [p_fail(AfterStep(step=2), seen(*["x"] * n)) for n in range(5)] == [0, 0, 1, 1, 1]
        assert p_fail(AfterStep(step=0), seen()) == 1


class TestEveryK(Contract):
    def make(self):
        return EveryK()

    def variants(self):
        return [EveryK(k=2)]

    def test_at_every_kth_step_but_the_first(self):
        assert [p_fail(EveryK(k=2), seen(*["x"] * n)) for n in range(5)] == [0, 0, 1, 0, 1]
        assert [p_fail(EveryK(k=1), seen(*["x"] * n)) for n in range(3)] == [0, 1, 1]


class TestFunctionCritic(Contract):
    def make(self):
        return FunctionCritic(lambda trajectory, proposed: 0.5, "half")

    def variants(self):
        def half(trajectory, proposed):
            return 0.5

        return [FunctionCritic(half, "half", 2), FunctionCritic(half, "other")]

    def test_a_function_that_may_block_is_called_in_a_thread(self):
        async def waits(trajectory, proposed):
            return Score(0.2, threading.current_thread().name)

        def blocks(trajectory, proposed):
            return Score(0.3, threading.current_thread().name)

        assert said(FunctionCritic(waits, "w"), seen()) == Score(0.2, "MainThread")
        assert said(FunctionCritic(blocks, "b"), seen()) == Score(0.3, "forbear-call")
        assert said(FunctionCritic(lambda *args: waits(*args), "l"), seen()) == Score(0.2, "MainThread")

    def test_what_it_raises_comes_as_it_is(self):
        with pytest.raises(ZeroDivisionError):
            said(FunctionCritic(lambda *args: 1 / 0, "broken"), seen())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RepeatedAction(times=1), "times must be a whole number of at least 2, got 1"),
        (lambda: RepeatedAction(window=0), "window must be"),
        (lambda: StepCount(half=0), "half must be a number of steps above 0"),
        (lambda: StepCount(width=float("nan")), "width must be"),
        (lambda: StepCount(half=True), "half must be"),
        (lambda: ErrorWords(words="error"), "words must be a list of texts, at least one, got 'error'"),
        (lambda: ErrorWords(words=[]), "words must be"),
        (lambda: ErrorWords(words=[" "]), "words must be"),
        (lambda: ErrorWords(words=5), "words must be"),
        (lambda: ErrorWords(last=0), "last must be"),
        (lambda: RandomCritic(rate=1.5), r"rate must be a number in \[0, 1\], got 1.5"),
        (lambda: RandomCritic(rate=True), "rate must be"),
        (lambda: AfterStep(step=-1), "step must be"),
        (lambda: EveryK(k=0), "k must be"),
    ],
)
def test_options_that_mean_nothing_are_refused(make, message):
    with pytest.raises(InvalidInput, match=message):
        make()


def test_a_matched_rate_counts_what_exceeds_the_threshold():
    assert matched_rate([0.6, 0.61, None, 0.1], threshold=0.6) == 0.25
    with pytest.raises(InvalidInput, match="no scores"):
        matched_rate([], threshold=0.5)
