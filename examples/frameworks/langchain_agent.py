"""Pilot a LangChain agent: forbear is a middleware where it calls its model. Needs no key.

pip install 'forbear[langchain]'
"""

import random

from langchain.agents import create_agent
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.tools import tool

import forbear as fb
from forbear.adapters.frameworks import run_hosted
from forbear.adapters.frameworks.langchain import watching


@tool
def look() -> str:
    """Looks into the box."""
    return "There is a ball."


class Hasty(GenericFakeChatModel):
    """A scripted model: looks into the box or guesses, by chance. Put `init_chat_model("...")` here."""

    def bind_tools(self, tools, **options):
        return self

    def _generate(self, messages, *args, **options):
        self.messages = iter([AIMessage("ball")]) if "There is a ball" in messages[-1].content else self.messages
        return super()._generate(messages, *args, **options)


def answers(draw):
    while True:
        calls = [{"name": "look", "args": {}, "id": "1"}] if draw.random() < 0.4 else []
        yield AIMessage("" if calls else draw.choice(["ball", "cube"]), tool_calls=calls)


class Doubter:
    """A critic: expects half of all blind answers to be wrong."""

    async def score(self, trajectory, proposed, *, draw):
        return 0.5 if proposed.payload is None and len(trajectory.steps) == 1 else 0.1

    def config(self):
        return {"name": "doubter", "version": 1}


def run(task, watch):
    agent = create_agent(Hasty(messages=answers(random.Random(watch.model_seed))), [look], middleware=[watching(watch)])
    return agent.invoke({"messages": [("user", "What is in the box?")]})["messages"][-1].content == "ball"


if __name__ == "__main__":
    policies = {"rollback": fb.InterventionPolicy(critic=Doubter(), intervention=fb.Rollback(), threshold=0.4)}
    options = {"tasks": [f"box-{n}" for n in range(40)], "host": {"agent": "mine 1.0"}}
    print(run_hosted(run, policies=policies, journal="runs/langchain", **options).verdicts["rollback"])
