"""Pilot a language model of your own: a loop, a grader, a critic. Any OpenAI-compatible endpoint will do.

OPENAI_BASE_URL=http://127.0.0.1:8080/v1 MODEL=smollm2 python examples/03_language_model.py
"""

import os
import sys

import forbear as fb

MODEL = fb.OpenAIChat(os.environ.get("MODEL", "gpt-4o-mini"), temperature=0.7, max_tokens=20)
SUMS = [(a, b) for a in range(11, 31) for b in range(14, 17)]


async def agent(trajectory, draw):
    said = [{"role": "user", "content": step.observation} for step in trajectory.steps]
    said += [{"role": "user", "content": text} for text in trajectory.steps[-1].messages]
    return (await MODEL.complete(said, draw=draw)).text


def world(task, actions):
    a, b = SUMS[int(task.id)]
    return str(a * b) in actions[0] if actions else f"What is {a} times {b}? Answer with the number alone."


async def critic(trajectory, proposed, draw):
    question = f"{trajectory.steps[0].observation}\nAnswer: {proposed.text}\nIs the answer wrong? Say yes or no."
    said = await MODEL.complete([{"role": "user", "content": question}], draw=draw)
    return 0.9 if "yes" in said.text.lower() else 0.1


if __name__ == "__main__":
    journal = sys.argv[1] if len(sys.argv) > 1 else "runs/sums"
    evidence = fb.pilot(agent, world, critic, tasks=[str(n) for n in range(len(SUMS))], journal=journal, max_steps=1)
    print(evidence.verdicts["rollback"])
