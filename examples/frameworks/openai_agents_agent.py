"""Pilot an agent of OpenAI's Agents SDK: forbear stands where it calls its model. Needs no key.

pip install 'forbear[openai-agents]'
"""

import random

from agents import Agent, RunConfig, Runner, function_tool
from agents.testing import ModelStep, ScriptedModel, assistant_message, function_call

import forbear as fb
from forbear.adapters.frameworks import run_hosted
from forbear.adapters.frameworks.openai_agents import watched_model


@function_tool
def look() -> str:
    """Looks into the box."""
    return "There is a ball."


def hasty(seed):
    """A scripted model: looks into the box or guesses, by chance. Put `OpenAIChatCompletionsModel(...)` here."""
    draw = random.Random(seed)

    def answer(call):
        if "There is a ball" in str(call.input):
            return [assistant_message("ball")]
        guess = assistant_message(draw.choice(["ball", "cube"]))
        return [function_call("look", {}, call_id="1") if draw.random() < 0.4 else guess]

    return ScriptedModel([ModelStep.respond(answer)] * 10)


class Doubter:
    """A critic: expects half of all blind answers to be wrong."""

    async def score(self, trajectory, proposed, *, draw):
        return 0.5 if proposed.payload is None and len(trajectory.steps) == 1 else 0.1

    def config(self):
        return {"name": "doubter", "version": 1}


def run(task, watch):
    agent = Agent(name="mine", model=watched_model(hasty(watch.model_seed), watch), tools=[look])
    return Runner.run_sync(agent, "What is it?", run_config=RunConfig(tracing_disabled=True)).final_output == "ball"


if __name__ == "__main__":
    policies = {"rollback": fb.InterventionPolicy(critic=Doubter(), intervention=fb.Rollback(), threshold=0.4)}
    tasks = [f"box-{n}" for n in range(40)]
    evidence = run_hosted(run, tasks=tasks, policies=policies, journal="runs/agents_sdk", host={"agent": "mine 1.0"})
    print(evidence.verdicts["rollback"])
