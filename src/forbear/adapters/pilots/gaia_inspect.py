"""GAIA with tools, run by Inspect AI and ended by forbear.

pip install 'forbear[inspect]' inspect-evals
inspect eval gaia_inspect.py --model openai/gpt-4o-mini --max-tasks 2 && forbear decide logs/*.eval

GAIA's own questions come from Hugging Face (accept its terms, set HF_TOKEN) and need Docker, in which the agent works.
A file of the same layout beside this one, -T data=gaia-sample.jsonl, needs neither: then the agent has no tools.
"""

import json
from pathlib import Path

from inspect_ai import Task, task
from inspect_ai.agent import AgentSubmit, react
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_evals.gaia import gaia
from inspect_evals.gaia.scorer import gaia_scorer

import forbear as fb
from forbear.adapters.frameworks.inspect import watched_task


def questions(data):
    """GAIA's validation split, or the questions of a file in its layout that need no file."""
    if not data:
        return gaia()
    lines = [json.loads(line) for line in Path(data).read_text(encoding="utf-8").splitlines() if line.strip()]
    samples = [
        Sample(id=one["task_id"], input=one["Question"], target=one["Final answer"], metadata={"level": one["Level"]})
        for one in lines
        if not one.get("file_name")
    ]
    agent = react(submit=AgentSubmit(answer_only=True, keep_in_messages=True))
    return Task(MemoryDataset(samples, name="gaia"), solver=agent, scorer=gaia_scorer(), message_limit=20)


class Rash:
    """A critic: expects an answer at once to be wrong. Put yours here."""

    async def score(self, trajectory, proposed, *, draw):
        return 0.7 if proposed.text.startswith("submit") and len(trajectory.steps) == 1 else 0.1

    def config(self):
        return {"name": "rash", "version": 1}


@task
def baseline(data=""):
    return watched_task(questions(data))


@task
def rollback(data=""):
    policy = fb.InterventionPolicy(critic=Rash(), intervention=fb.Rollback(), threshold=0.6, budget=1)
    return watched_task(questions(data), policy)
