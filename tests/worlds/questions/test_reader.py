import asyncio
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from forbear.contracts.draw import Draw
from forbear.errors import AgentError, InvalidInput
from forbear.records.model import Action, Step, Task, Trajectory
from forbear.testing import AgentContract, CriticContract
from forbear.worlds.questions.critic import QuestionFeatures
from forbear.worlds.questions.features import candidates, read_question, read_sentence, remember
from forbear.worlds.questions.generator import generate
from forbear.worlds.questions.pilot import agent, critic, critic_weights
from forbear.worlds.questions.reader import Reader, ReaderWeights, describe, shipped_weights
from forbear.worlds.questions.readers import READERS, recipe_of
from question_transcripts import renamed, transcript

MADE = list(generate(seed=31, count=60))
SEEN = [transcript(made, steps=index % 6, seed=index, temperature=2.0) for index, made in enumerate(MADE)]
DRAW = Draw(task_id="t", seed=0, role="agent")


def told(trajectory, *messages):
    *before, opened = trajectory.steps
    return Trajectory(task=trajectory.task, steps=(*before, structs.replace(opened, messages=messages)))


class TestReader(AgentContract):
    def make(self):
        return agent()

    def variants(self):
        return [agent(temperature=0.5), agent(reader="waverer")]

    def trajectories(self):
        return [*SEEN[:12], told(SEEN[3], "Careful.")]


class TestQuestionCritic(CriticContract):
    def make(self):
        return critic()

    def proposals(self):
        return [(seen, Action(text)) for seen in SEEN[:12] for text in (offered(seen)[0], "finish[\ud800]", "dance")]


def offered(seen):
    return [one.text for one in candidates(remember(seen))]


def test_a_sentence_is_taken_apart():
    read = read_sentence("By trade Tor-El Marsen is a baker of 34, in Ostra.")
    assert [(span.text, span.shape, span.before) for span in read.spans] == [
        ("trade", "trade", "by"),
        ("Tor-El Marsen", "name2", "trade"),
        ("baker", "baker", "a"),
        ("34", "number", "of"),
        ("Ostra", "name1", "in"),
    ]
    assert read.words == {"trade", "baker"}
    asked = read_question("Question: Which of the two lives in Ostra, Ada Berg or Bo Dal?\nChoices: x")
    assert asked.names == ("Ostra", "Ada Berg", "Bo Dal")
    assert asked.content == ("lives",)
    assert asked.stems == {"live"}


def test_only_what_was_read_can_be_answered():
    """Nothing that stands in the paragraphs, and nowhere in the transcript, is offered."""
    for seen, made in zip(SEEN, MADE, strict=True):
        text = " ".join(step.observation for step in seen.steps)
        answers = [one.argument for one in candidates(remember(seen)) if one.verb == "finish"]
        assert all(answer in text for answer in answers)
        if made.question.answers[0] not in text:
            assert made.question.answers[0] not in answers


def test_where_nothing_was_read_only_what_the_question_names_can_be_answered():
    for made in MADE:
        first = transcript(made, steps=0)
        assert {one.argument for one in candidates(remember(first)) if one.verb == "finish"} <= {
            name for name in read_question(first.steps[0].observation).names
        }


def changed(seen, how):
    return Trajectory(
        task=seen.task,
        steps=tuple(
            structs.replace(
                step, observation=how(step.observation), executed=step.executed and Action(how(step.executed.text))
            )
            for step in seen.steps
        ),
    )


@settings(deadline=None, max_examples=40)
@given(st.integers(0, len(MADE) - 1), st.integers(0, 7), st.integers(0, 99))
def test_no_answer_leaks_into_what_is_looked_at(index, steps, seed):
    """All people, towns, rivers and numbers may be others: descriptions are the same ones, and so are the features.

    So nothing learned knows an answer by its name. What remains are the words of colours, trades and goods.
    """
    seen = transcript(MADE[index], steps=steps, seed=seed, temperature=3.0)
    other = changed(seen, renamed)
    before, after = (candidates(remember(one)) for one in (seen, other))
    assert [renamed(one.text) for one in before] == [one.text for one in after]
    assert describe(remember(seen), seen.steps, before) == describe(remember(other), other.steps, after)
    read = QuestionFeatures()
    for one, same in zip(before, after, strict=True):
        assert read(seen, Action(one.text)) == read(other, Action(same.text))


def test_neither_reader_nor_critic_looks_at_the_task():
    for seen in SEEN[:20]:
        other = Trajectory(task=structs.replace(seen.task, id="x", stratum="y", payload=None), steps=seen.steps)
        for name in READERS:
            assert agent(reader=name).choose(seen, draw=DRAW) == agent(reader=name).choose(other, draw=DRAW)
        proposed = Action(offered(seen)[-1])
        assert critic().logit(seen, proposed) == critic().logit(other, proposed)


def test_the_critic_does_not_look_at_messages_or_the_index():
    for seen in SEEN[:20]:
        proposed = Action(offered(seen)[-1])
        expected = critic().logit(seen, proposed)
        later = Trajectory(
            task=seen.task, steps=tuple(structs.replace(step, index=step.index + 5) for step in seen.steps)
        )
        assert critic().logit(told(seen, "Careful!"), proposed) == expected
        assert critic().logit(later, proposed) == expected
        numbers = QuestionFeatures()(seen, proposed).numbers
        assert len(numbers) == QuestionFeatures().size
        assert all(0 <= number <= 1 for number in numbers)


def test_messages_are_read():
    # That scores depend on what was said, not in which direction: that was learned, and a pilot is to find out.
    seen = SEEN[2]
    warned = told(seen, "Careful: this may be going wrong.")
    choices = [describe(remember(one), one.steps, candidates(remember(one))) for one in (seen, warned)]
    assert all(set(before.names()) < set(after.names()) for before, after in zip(*choices, strict=True))


def test_excluded_actions_are_left_out_while_there_are_others():
    seen = SEEN[1]
    everything = tuple(map(Action, offered(seen)))
    for seed in range(20):
        draw = Draw(task_id="t", seed=seed, role="agent")
        first = agent().choose(seen, draw=draw)
        assert agent().choose(seen, draw=draw, excluded=(first,)) != first
        assert agent().choose(seen, draw=draw, excluded=everything) == first


def test_what_is_no_question_is_refused():
    for steps in ((), (Step(index=0, observation="You are in a room."),)):
        with pytest.raises(AgentError, match="mode 'react'"):
            agent().choose(Trajectory(task=Task(id="t"), steps=steps), draw=DRAW)
    flood = Step(index=0, observation="Question: " + "x" * 30_000)
    with pytest.raises(AgentError, match="20000"):
        agent().choose(Trajectory(task=Task(id="t"), steps=(flood,)), draw=DRAW)


@given(st.lists(st.tuples(st.text(max_size=40), st.text(max_size=80)), max_size=4), st.text(max_size=60))
@settings(deadline=None)
def test_any_text_is_survived(pairs, question):
    steps = [
        Step(index=i, observation=text if i else f"Question: {question}", executed=Action(action))
        for i, (action, text) in enumerate(pairs)
    ]
    opened = Step(index=len(steps), observation="" if steps else f"Question: {question}")
    seen = Trajectory(task=Task(id="t"), steps=(*steps, opened))
    proposed = asyncio.run(agent().act(seen, draw=DRAW))
    assert proposed.text in offered(seen)
    assert math.isfinite(critic().logit(seen, proposed))


@pytest.mark.parametrize("page", [f"Ada is {'9' * 500} years old.", "Ada lived to 1,5.2.3 and ٣.", "Ada: 12.05.1999."])
def test_numbers_of_any_kind_are_survived(page):
    steps = (
        Step(index=0, observation="Question: Who is older, Ada Berg or Bo Dal?", executed=Action("search[Ada Berg]")),
        Step(index=1, observation=page),
    )
    seen = Trajectory(task=Task(id="t"), steps=steps)
    assert agent().choose(seen, draw=DRAW).text in offered(seen)


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan, math.inf])
def test_impossible_temperatures_are_refused(temperature):
    with pytest.raises(InvalidInput, match="temperature"):
        Reader(shipped_weights(), temperature=temperature)


def test_readers_that_do_not_come_with_forbear_are_refused():
    for make in (lambda: agent(reader="nobody"), lambda: critic(reader="nobody"), lambda: recipe_of(3)):
        with pytest.raises(InvalidInput, match="skimmer, beginner"):
            make()


def test_a_calibrated_critic_orders_as_the_raw_one_and_is_less_sure():
    for name in READERS:
        raw, calm = (critic(reader=name, calibrated=calibrated) for calibrated in (False, True))
        ratios = [
            raw.logit(seen, Action(text)) / calm.logit(seen, Action(text))
            for seen in SEEN[:6]
            for text in offered(seen)
        ]
        assert ratios == pytest.approx([critic_weights(name).temperature] * len(ratios))
        assert ratios[0] > 1
        assert raw.config() != calm.config()


def test_shipped_files_are_small_and_survive_their_files(tmp_path):
    sizes = 0
    for name in READERS:
        raw = shipped_weights(name).to_bytes()
        (tmp_path / "reader.npz").write_bytes(raw)
        assert np.array_equal(ReaderWeights.load(tmp_path / "reader.npz").table, shipped_weights(name).table)
        sizes += len(raw) + len(critic_weights(name).to_bytes())
    assert sizes <= 500_000
