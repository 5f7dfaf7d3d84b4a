"""Pilot a loop of your own that calls `openai.OpenAI()`: hand it a client that is judged. Needs no key.

pip install 'forbear[openai]'
"""

import random

import openai

import forbear as fb
from forbear.adapters.frameworks import run_hosted
from forbear.adapters.frameworks.openai import WatchedClient
from forbear.testing.chat_server import ChatServer, answer


def scripted(request):
    """A server's answer: looks into the box or guesses, by chance."""
    seen = request["messages"][-1]["content"].startswith("There is a ball")
    draw = random.Random(f"{request['seed']} {len(request['messages'])}")
    return answer("ball" if seen else "look" if draw.random() < 0.4 else draw.choice(["ball", "cube"]))


def agent(client, seeds):
    """Your agent, as it is: it knows nothing of forbear."""
    messages = [{"role": "user", "content": "What is in the box? Say look, or what it is."}]
    for _ in range(4):
        said = client.chat.completions.create(model="my-model", messages=messages, seed=seeds.randrange(2**31))
        text = said.choices[0].message.content
        if text != "look":
            return text
        messages += [{"role": "assistant", "content": text}, {"role": "user", "content": "There is a ball."}]
    return None


class Doubter:
    """A critic: expects half of all blind answers to be wrong."""

    async def score(self, trajectory, proposed, *, draw):
        return 0.5 if proposed.text != "look" and len(trajectory.steps) == 1 else 0.1

    def config(self):
        return {"name": "doubter", "version": 1}


if __name__ == "__main__":
    with ChatServer(scripted) as server, openai.OpenAI(base_url=server.url, api_key="none") as client:
        evidence = run_hosted(
            lambda task, watch: agent(WatchedClient(client, watch), random.Random(watch.model_seed)) == "ball",
            tasks=[f"box-{n}" for n in range(40)],
            policies={"rollback": fb.InterventionPolicy(critic=Doubter(), intervention=fb.Rollback(), threshold=0.4)},
            journal="runs/openai",
            host={"agent": "mine 1.0"},
        )
    print(evidence.verdicts["rollback"])
