"""Pilot an agent of Pydantic AI: forbear stands where it calls its model. Needs no key.

pip install 'forbear[pydantic-ai]'
"""

import random

from pydantic_ai import Agent
from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import FunctionModel

import forbear as fb
from forbear.adapters.frameworks import run_hosted
from forbear.adapters.frameworks.pydantic_ai import watched_model

agent = Agent()


@agent.tool_plain
def look() -> str:
    return "There is a ball."


def hasty(seed):
    """A scripted model: looks into the box or guesses, by chance. Put "openai:some-model" here."""
    draw = random.Random(seed)

    def answer(messages, info):
        if "There is a ball" in str(messages[-1].parts):
            return ModelResponse(parts=[TextPart("ball")])
        guess = TextPart(draw.choice(["ball", "cube"]))
        return ModelResponse(parts=[ToolCallPart("look", {}) if draw.random() < 0.4 else guess])

    return FunctionModel(answer)


class Doubter:
    """A critic: expects half of all blind answers to be wrong."""

    async def score(self, trajectory, proposed, *, draw):
        return 0.5 if proposed.payload is None and len(trajectory.steps) == 1 else 0.1

    def config(self):
        return {"name": "doubter", "version": 1}


def run(task, watch):
    model = watched_model(hasty(watch.model_seed), watch)
    return agent.run_sync("What is in the box?", model=model).output == "ball"


if __name__ == "__main__":
    policies = {"rollback": fb.InterventionPolicy(critic=Doubter(), intervention=fb.Rollback(), threshold=0.4)}
    tasks = [f"box-{n}" for n in range(40)]
    evidence = run_hosted(run, tasks=tasks, policies=policies, journal="runs/pydantic_ai", host={"agent": "mine 1.0"})
    print(evidence.verdicts["rollback"])
