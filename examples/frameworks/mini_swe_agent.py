"""Pilot mini-swe-agent: forbear stands where it calls its model. Needs no key; commands run in a folder of their own.

pip install 'forbear[mini-swe-agent]'
"""

import random
import tempfile
from pathlib import Path

from minisweagent.agents.default import DefaultAgent
from minisweagent.environments.local import LocalEnvironment
from minisweagent.models.test_models import DeterministicModel, make_output

import forbear as fb
from forbear.adapters.frameworks import run_hosted
from forbear.adapters.frameworks.mini_swe_agent import WatchedModel


class Hasty(DeterministicModel):
    """A scripted model: looks into the box or guesses, by chance. Put your `LitellmModel(...)` here."""

    def __init__(self, seed):
        super().__init__(outputs=[])
        self.random = random.Random(seed)

    def query(self, messages, **options):
        seen = "a ball" in messages[-1]["content"]
        if not seen and self.random.random() < 0.4:
            return make_output("I look.", [{"command": "cat box"}])
        answer = "ball" if seen else self.random.choice(["ball", "cube"])
        command = f"echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT; echo {answer}"
        return make_output("I know.", [{"command": command}])


class Doubter:
    """A critic: expects half of all blind answers to be wrong."""

    async def score(self, trajectory, proposed, *, draw):
        return 0.5 if "SUBMIT" in proposed.text and len(trajectory.steps) == 1 else 0.1

    def config(self):
        return {"name": "doubter", "version": 1}


def run(task, watch):
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "box").write_text("a ball", encoding="utf-8")
        templates = {"system_template": "You act.", "instance_template": "What is in the box?"}
        model = WatchedModel(Hasty(watch.model_seed), watch)
        return DefaultAgent(model, LocalEnvironment(cwd=folder), **templates).run()["submission"] == "ball\n"


if __name__ == "__main__":
    policies = {"rollback": fb.InterventionPolicy(critic=Doubter(), intervention=fb.Rollback(), threshold=0.4)}
    tasks = [f"box-{n}" for n in range(40)]
    evidence = run_hosted(run, tasks=tasks, policies=policies, journal="runs/mini", host={"agent": "mine 1.0"})
    print(evidence.verdicts["rollback"])
