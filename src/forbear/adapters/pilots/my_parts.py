"""Your tasks, your agent, your world, your critic. Runs as it stands: an agent that adds, and slips now and then."""

import forbear as fb


def tasks():
    return [fb.Task(id=f"sum-{n:03}", payload=[137 + 29 * n, 268 + 31 * n]) for n in range(160)]


def act(trajectory, draw):
    """What to do next: a text. May be `async`, may block, may call any model; `draw.integer()` is a seed for it."""
    a, b = trajectory.task.payload
    warned = any(step.messages for step in trajectory.steps)
    slips = draw.uniform() < (0.15 if warned else 0.35)
    return str(a + b - (10 if slips else 0))  # a carry that was forgotten


def see(task, actions):
    """What is seen after these actions: a text while it goes on, True (solved) or False once it is over."""
    a, b = task.payload
    return int(actions[-1]) == a + b if actions else f"What is {a} + {b}?"


def doubt(trajectory, proposed):
    """How likely the episode will fail, in [0, 1]; None abstains. This one sees half of all slips, and ghosts."""
    a, b = trajectory.task.payload
    looks_wrong = int(proposed.text) // 10 % 10 != (a // 10 + b // 10) % 10
    return 0.7 if looks_wrong else 0.2


# Another version says that the behaviour is another one: a function says nothing of itself, and what was recorded under
# one version is never mixed with another.
def agent():
    return fb.FunctionAgent(act, name="my-agent", version=1)


def world():
    return fb.FunctionWorld(see, name="my-world", version=1)


def critic():
    return fb.FunctionCritic(doubt, name="my-critic", version=1)
