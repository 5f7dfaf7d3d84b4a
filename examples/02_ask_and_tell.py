"""A pilot whose loop is yours: forbear says what to run next and when it is decided, you run it however you like.

Here the host is a pool of threads that run an agent of three lines; it could be a framework, a queue or a person in a
lab. Stop it at any time: the same command goes on.
"""

import random
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

import forbear as fb

WORKERS = 4


def solve(task, *, with_critic, seed):
    """Your agent in your framework: returns whether the task was done."""
    draw = random.Random(f"{task.id} {seed}")
    if draw.random() < 0.02:
        raise ConnectionError("the provider is down")
    hard = task.payload["hard"]
    return draw.random() < 0.75 - 0.4 * hard + (0.25 * hard if with_critic else 0.0)


def main():
    plan = fb.HostPlan(
        tasks=[fb.Task(id=f"task-{n}", payload={"hard": n % 2}) for n in range(200)],
        arms=[fb.HostArm("critic", config={"threshold": 0.6})],
        host={"agent": "mine 1.0"},
    )
    with fb.HostPilot(plan, fb.Journal("runs/host")) as pilot, ThreadPoolExecutor(WORKERS) as pool:
        # What an earlier process had under way when it was stopped is known to be lost here: say so.
        for lost in pilot.outstanding:
            pilot.tell(lost.key, None, reason="the process was stopped")
        under_way = {}
        while True:
            while len(under_way) < WORKERS and (it := pilot.ask()) is not None:
                run = pool.submit(solve, it.task, with_critic=it.runs_as == "critic", seed=it.draw_seed)
                under_way[run] = it
            if not under_way:
                break
            for run in wait(under_way, return_when=FIRST_COMPLETED).done:
                it, error = under_way.pop(run), run.exception()
                if error is None:
                    pilot.tell(it, run.result())
                else:
                    pilot.tell(it, None, reason=str(error))
        print(fb.evidence_of(pilot.result()).verdicts["critic"])


if __name__ == "__main__":
    main()
