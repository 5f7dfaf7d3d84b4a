"""How much of the ideal throughput is left of 64 episodes at once that ask a server with 50 ms of latency.

    python measurements/chat_throughput.py [--calls N] [--concurrency 64] [--latency 0.05]

A server of its own process answers every chat completion after the latency. The pilot is a chat agent alone, one call a
step; ideal is concurrency / latency. The client's own processor time per call says what stands in the way: a core can
do no more than its reciprocal. The second line is the runner without a model, in the same run.
"""

import argparse
import asyncio
import multiprocessing
import tempfile
import time
from functools import partial

from forbear.adapters.agents.chat import ChatAgent
from forbear.models.client import OpenAIChat
from forbear.policy.arm import Arm
from forbear.records.journal import Journal
from forbear.records.model import Task
from forbear.runner.pilot import run_pilot
from forbear.runner.plan import PilotPlan
from forbear.testing import Corridor, ScriptedAgent
from forbear.testing.chat_server import answer

STEPS = 10


def serve(port, latency):
    body = answer("open").body
    reply = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)

    class Protocol(asyncio.Protocol):
        def connection_made(self, transport):
            self.transport, self.buffer = transport, b""

        def data_received(self, data):
            self.buffer += data
            head, found, rest = self.buffer.partition(b"\r\n\r\n")
            if found:
                length = next(
                    int(line.split(b":")[1])
                    for line in head.split(b"\r\n")
                    if line.lower().startswith(b"content-length")
                )
                if len(rest) >= length:
                    self.buffer = rest[length:]
                    asyncio.get_running_loop().call_later(latency, self.transport.write, reply)

    async def main():
        server = await asyncio.get_running_loop().create_server(Protocol, "127.0.0.1", 0, backlog=512)
        port.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(main())


def run(agent, calls, concurrency):
    tasks = [Task(id=f"t{number:05}") for number in range(calls // STEPS)]
    plan = PilotPlan(
        tasks=tasks,
        agent=agent,
        environment=partial(Corridor, doors=STEPS),
        arms=[Arm.baseline(), Arm.rerun()],
        max_steps=STEPS,
    )
    with tempfile.TemporaryDirectory() as directory:
        wall, cpu = time.perf_counter(), time.process_time()
        result = asyncio.run(run_pilot(plan, Journal(directory), concurrency=concurrency))
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return result.bill.calls, wall, cpu


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--latency", type=float, default=0.05)
    options = parser.parse_args()
    theirs, ours = multiprocessing.get_context("spawn").Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(ours, options.latency), daemon=True)
    server.start()
    model = OpenAIChat("test", base_url=f"http://127.0.0.1:{theirs.recv()}/v1")
    run(partial(ChatAgent, model, mode="line"), 20 * STEPS, options.concurrency)  # imports, connections
    calls, wall, cpu = run(partial(ChatAgent, model, mode="line"), options.calls, options.concurrency)
    ideal = options.concurrency / options.latency
    print(
        f"{calls:,} calls in {wall:.2f} s: {calls / wall:,.0f} a second, {calls / wall / ideal:.0%} of the ideal "
        f"{ideal:,.0f}; {1e3 * cpu / calls:.2f} ms of processor time a call"
    )
    calls, wall, cpu = run(partial(ScriptedAgent, ["open"]), options.calls, options.concurrency)
    print(f"without a model: {1e6 * cpu / calls:.0f} us of processor time a call")
    server.terminate()


if __name__ == "__main__":
    main()
