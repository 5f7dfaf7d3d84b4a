"""Pilot an agent of Inspect AI: its own command runs the pilot, `forbear decide` ends it. Needs no key.

pip install 'forbear[inspect]'
inspect eval inspect_boxes.py --model mockllm/model && forbear decide logs/*.eval
"""

import random

from inspect_ai import Task, task
from inspect_ai.agent import react
from inspect_ai.dataset import Sample
from inspect_ai.model import ModelOutput, ModelUsage, get_model
from inspect_ai.scorer import match

import forbear as fb
from forbear.adapters.frameworks.inspect import watched_task


def hasty(arm):
    """A scripted model: thinks about it or guesses, by chance. Leave it out, and `--model` says who is asked."""
    chances = {}

    def answer(messages, tools, tool_choice, config):
        question, thought = messages[1].text, len(messages) > 2
        chance = chances.setdefault(question, random.Random(f"{arm} {question}"))
        guess = "ball" if thought else chance.choice(["ball", "cube"])
        output = ModelOutput.for_tool_call("mockllm/model", "submit", {"answer": guess})
        if not thought and chance.random() < 0.4:
            output = ModelOutput.from_content("mockllm/model", "I saw a ball go in.")
        output.usage = ModelUsage(input_tokens=10, output_tokens=5)
        return output

    return get_model("mockllm/model", custom_outputs=answer, memoize=False)


class Doubter:
    """A critic: expects half of all rash answers to be wrong."""

    async def score(self, trajectory, proposed, *, draw):
        return 0.5 if proposed.text.startswith("submit") and len(trajectory.steps) == 1 else 0.1

    def config(self):
        return {"name": "doubter", "version": 1}


def boxes():
    samples = [Sample(id=n, input=f"What is in box {n}?", target="ball") for n in range(40)]
    return Task(samples, solver=react(), scorer=match())


@task
def baseline():
    return watched_task(boxes(), model=hasty("baseline"))


@task
def rollback():
    policy = fb.InterventionPolicy(critic=Doubter(), intervention=fb.Rollback(), threshold=0.4)
    return watched_task(boxes(), policy, model=hasty("rollback"))
