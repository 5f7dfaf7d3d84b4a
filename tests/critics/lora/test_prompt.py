import pytest
from hypothesis import given
from hypothesis import strategies as st

from forbear.critics.lora.prompt import MIN_TOKENS, prompt_tokens
from forbear.records.model import Action, Step, Task, Trajectory


def letters(text):
    return [ord(letter) for letter in text]


def told(trajectory, proposed, *, most):
    return "".join(map(chr, prompt_tokens(trajectory, Action(proposed), encode=letters, most=most)))


def history(*texts, task="the task"):
    steps = [Step(index=0, observation=task, executed=Action("did 0"))]
    steps += [Step(index=n, observation=text, executed=Action(f"did {n}")) for n, text in enumerate(texts, start=1)]
    steps[-1] = Step(index=len(steps) - 1, observation=steps[-1].observation)
    return Trajectory(task=Task(id="t"), steps=tuple(steps))


def test_where_there_is_room_everything_is_told_in_order():
    assert told(history("one", "two"), "do it", most=1000) == (
        "Task:\nthe task\n\nStep 0, done:\ndid 0\n\nStep 1, seen:\none\n\nStep 1, done:\ndid 1"
        "\n\nStep 2, seen:\ntwo\n\nProposed:\ndo it\n\nWill the run fail?"
    )
    assert told(history(), "do it", most=1000) == "Task:\nthe task\n\nProposed:\ndo it\n\nWill the run fail?"


def test_where_there_is_none_the_task_and_the_latest_steps_are_kept():
    whole = told(history(*(f"seen {n} {'x' * 40}" for n in range(1, 30))), "do it", most=400)
    assert whole.startswith("Task:\nthe task")
    assert whole.endswith("Proposed:\ndo it\n\nWill the run fail?")
    assert "seen 29" in whole
    assert "seen 28" in whole
    assert "seen 27" in whole
    assert "seen 2 " not in whole


def test_of_a_long_text_start_and_end_are_kept_and_others_do_not_suffer():
    whole = told(history("short", task=f"begin{'x' * 5000}finish"), "do it", most=300)
    assert len(whole) == 300
    assert whole.startswith("Task:\nbegin")
    assert "finish" in whole
    assert "short" in whole
    assert "do it" in whole


@given(
    st.lists(st.text(max_size=80), max_size=6),
    st.text(max_size=300),
    st.text(max_size=300),
    st.integers(MIN_TOKENS, 500),
)
def test_it_is_never_longer_than_allowed(texts, task, proposed, most):
    assert len(told(history(*texts, task=task), proposed, most=most)) <= most


@pytest.mark.parametrize("odd", ["", "\ud800", "\0", "y " * 500_000])
def test_odd_texts_have_a_prompt(odd):
    assert len(told(history(odd, task=odd), odd, most=200)) <= 200
    assert told(Trajectory(task=Task(id="t"), steps=()), odd, most=200)
