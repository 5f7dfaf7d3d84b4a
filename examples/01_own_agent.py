"""Pilot your own agent: three small classes and one call. Nothing here needs a key."""

import asyncio

import forbear as fb


class Guesser:
    """An agent: a function of what it sees and of its draw. This one doubts itself after a message."""

    async def act(self, trajectory, *, draw, excluded=()):
        told = any(step.messages for step in trajectory.steps)
        options = ["look", "guess"] if told or len(trajectory.steps) == 1 else ["guess"]
        scores = [2.0 if text == "look" else 0.0 for text in options]  # logits
        return fb.Action(options[draw.gumbel_choice(scores, keys=options)])

    def config(self):
        return {"name": "guesser", "version": 1}


class Box:
    """A world: whoever looked guesses right, whoever did not is right half of the time."""

    replay_safe = True

    async def reset(self, task, *, draw):
        self.seen = False
        return fb.Observation(text="A closed box.")

    async def step(self, action, *, draw):
        if action.text == "look":
            self.seen = True
            return fb.Observation(text="You see what is in it.")
        return fb.Observation(text="It is open.", done=True, success=self.seen or draw.uniform() < 0.5)

    def config(self):
        return {"name": "box", "version": 1}


class Doubter:
    """A critic: expects half of all blind guesses to fail."""

    async def score(self, trajectory, proposed, *, draw):
        looked = any(step.executed and step.executed.text == "look" for step in trajectory.steps)
        return 0.5 if proposed.text == "guess" and not looked else 0.05

    def config(self):
        return {"name": "doubter", "version": 1}


async def main():
    policy = fb.InterventionPolicy(critic=Doubter(), intervention=fb.Rollback(message="Look first."), threshold=0.4)
    tasks = [fb.Task(id=f"box-{i}") for i in range(120)]
    plan = fb.PilotPlan(
        tasks=tasks, agent=Guesser, environment=Box, arms=[fb.Arm.baseline(), fb.Arm("rollback", policy)]
    )
    result = await fb.run_pilot(plan, fb.Journal("runs/own_agent"))  # the same line resumes
    print(fb.evidence_of(result).verdicts["rollback"])


if __name__ == "__main__":
    asyncio.run(main())
