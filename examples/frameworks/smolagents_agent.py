"""Pilot a smolagents agent: forbear stands where it calls its model. Needs no key.

pip install 'forbear[smolagents]'
"""

import random

from smolagents import LogLevel, Tool, ToolCallingAgent
from smolagents.models import ChatMessage, Model, TokenUsage

import forbear as fb
from forbear.adapters.frameworks import run_hosted
from forbear.adapters.frameworks.smolagents import WatchedModel


class Hasty(Model):
    """A scripted model: looks into the box or guesses, by chance. Put your `OpenAIServerModel(...)` here."""

    def __init__(self, seed):
        super().__init__(model_id="hasty")
        self.random = random.Random(seed)

    def generate(self, messages, **options):
        seen = "There is a ball" in str(messages[-1].content)
        name = "final_answer" if seen or self.random.random() < 0.6 else "look"
        arguments = {"answer": "ball" if seen else self.random.choice(["ball", "cube"])} if name != "look" else {}
        call = {"id": "1", "type": "function", "function": {"name": name, "arguments": arguments}}
        return ChatMessage(role="assistant", tool_calls=[call], token_usage=TokenUsage(10, 5))


class Look(Tool):  # noqa: D101  # an agent reads its description
    name, description, inputs, output_type = "look", "Looks into the box.", {}, "string"

    def forward(self):
        return "There is a ball."


class Doubter:
    """A critic: expects half of all blind answers to be wrong."""

    async def score(self, trajectory, proposed, *, draw):
        return 0.5 if proposed.text.startswith("final_answer") and len(trajectory.steps) == 1 else 0.1

    def config(self):
        return {"name": "doubter", "version": 1}


def run(task, watch):
    model = WatchedModel(Hasty(f"{task.id} {watch.draw_seed}"), watch)
    agent = ToolCallingAgent(tools=[Look()], model=model, max_steps=4, verbosity_level=LogLevel.OFF)
    return agent.run("What is in the box?") == "ball"


if __name__ == "__main__":
    policies = {"rollback": fb.InterventionPolicy(critic=Doubter(), intervention=fb.Rollback(), threshold=0.4)}
    tasks = [f"box-{n}" for n in range(40)]
    evidence = run_hosted(run, tasks=tasks, policies=policies, journal="runs/smolagents", host={"agent": "mine 1.0"})
    print(evidence.verdicts["rollback"])
