"""How long the viewer's pages take on a journal of 10,000 episodes.

    python measurements/viewer.py [--tasks 5000]

A corridor pilot of two arms is run once into a temporary folder and served on this machine. Printed: the first page,
which reads the journal, and then the median of five requests of each kind, in milliseconds from request to last byte.
"""

import argparse
import asyncio
import http.client
import socket
import statistics
import tempfile
import threading
import time
from pathlib import Path

import uvicorn

from forbear import Arm, InterventionPolicy, Journal, PilotPlan, Rollback, Task, run_pilot
from forbear.stats.looks.looks import Looks
from forbear.testing import CoinFlipAgent, Corridor, WordCritic
from forbear.web.app import make_app

PAGES = {
    "list of journals": "/",
    "episodes, the first hundred": "/journal/j/",
    "episodes of an arm that failed": "/journal/j/?arm=rollback&outcome=failed",
    "episodes with a word": "/journal/j/?words=jump",
    "episode beside its baseline": "/journal/j/episode?task=t7&seed=42&arm=rollback",
    "how far it is": "/journal/j/status",
    "the report, again": "/journal/j/report",
}


def pilot(folder: Path, tasks: int) -> None:
    policy = InterventionPolicy(critic=WordCritic({"jump": 0.9}), intervention=Rollback())
    plan = PilotPlan(
        tasks=[Task(id=f"t{number}") for number in range(tasks)],
        agent=lambda: CoinFlipAgent({"open": 3, "wait": 2, "back": 1, "jump": 0.7}),
        environment=lambda: Corridor(doors=4, slip=0.2),
        arms=[Arm.baseline(), Arm("rollback", policy)],
        max_steps=12,
        looks=Looks(tasks=(tasks,), watch=False),
    )
    asyncio.run(run_pilot(plan, Journal(folder / "j")))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", type=int, default=5000)
    tasks = parser.parse_args().tasks
    with tempfile.TemporaryDirectory() as folder, socket.socket() as listening:
        pilot(Path(folder), tasks)
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        app = make_app(Path(folder), hosts=frozenset({f"127.0.0.1:{port}"}))
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
        serving = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        serving.start()
        while not server.started:
            time.sleep(0.01)

        def asked(path: str) -> float:
            began = time.perf_counter()
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            connection.close()
            if answer.status != 200:
                raise SystemExit(f"{path}: {answer.status}")
            return 1000 * (time.perf_counter() - began)

        print(f"{2 * tasks:,} episodes; the journal is read with the first page: {asked('/journal/j/'):,.0f} ms")
        print(f"the first search, which makes small letters of all: {asked('/journal/j/?words=first'):,.0f} ms")
        print(f"the report, made once for each state of the journal: {asked('/journal/j/report'):,.0f} ms")
        for name, path in PAGES.items():
            print(f"{name:<32} {statistics.median(asked(path) for _ in range(5)):>7.1f} ms")
        server.should_exit = True
        serving.join()


if __name__ == "__main__":
    main()
