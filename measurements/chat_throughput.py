"""How much of the ideal throughput is left of 64 episodes at once that ask a server with 50 ms of latency.

    python measurements/chat_throughput.py [--calls N] [--concurrency 64] [--latency 0.05] [--repeat 2]

A server of its own process answers every chat completion after the latency; ideal is concurrency / latency. Two clients
take turns: a trivial one (64 bare connections, one write and one read a call), which says what this machine and this
server can do at all now, and a pilot of a chat agent, one call a step, journal and answers written. The pilot has one
look, since at each look it waits for the last episode before it, and as many rows as make whole rounds of 64. Given are
the share of the whole run, with its start and its end, and that of the half of the episodes in the middle.

Where others use the processor as well, wall time says what they left over. So the pilot is also run on a clock of its
own, with a server in its own loop: it counts the processor time of the pilot's thread, leaves out the server's, and
jumps over the time that both wait. That is what one free core for the pilot would show, on a machine however busy.
"""

import argparse
import asyncio
import multiprocessing
import selectors
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
from forbear.stats.looks.looks import Looks
from forbear.testing import Corridor, ScriptedAgent
from forbear.testing.chat_server import answer

STEPS = 10
BODY = answer("open").body
REQUEST = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1200\r\n\r\n" + b" " * 1200


class Answering(asyncio.Protocol):
    """The server's side of a connection."""

    reply = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)

    def __init__(self, latency):
        self.latency = latency

    def connection_made(self, transport):
        self.transport, self.buffer = transport, b""

    def data_received(self, data):
        self.buffer += data
        head, found, rest = self.buffer.partition(b"\r\n\r\n")
        if found:
            lines = head.lower().split(b"\r\n")
            length = next(int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length"))
            if len(rest) >= length:
                self.buffer = rest[length:]
                asyncio.get_running_loop().call_later(self.latency, self.send)

    def send(self):
        self.transport.write(self.reply)


async def listening(latency, protocol=Answering):
    return await asyncio.get_running_loop().create_server(partial(protocol, latency), "127.0.0.1", 0, backlog=512)


def port_of(server):
    return server.sockets[0].getsockname()[1]


def serve(line, latency):
    async def main():
        server = await listening(latency)
        line.send(port_of(server))
        await server.serve_forever()

    asyncio.run(main())


class Asking(asyncio.Protocol):
    """The trivial client's side of a connection."""

    def connection_made(self, transport):
        self.transport, self.left = transport, 0

    def ask(self):
        self.answered = asyncio.get_running_loop().create_future()
        self.left = len(Answering.reply)
        self.transport.write(REQUEST)
        return self.answered

    def data_received(self, data):
        self.left -= len(data)
        if not self.left:
            self.answered.set_result(None)


async def ask_trivially(port, calls, concurrency):
    loop, todo = asyncio.get_running_loop(), iter(range(calls))

    async def work():
        _, connection = await loop.create_connection(Asking, "127.0.0.1", port)
        for _ in todo:
            await connection.ask()
        connection.transport.close()

    started = time.perf_counter()
    await asyncio.gather(*[work() for _ in range(concurrency)])
    return calls / (time.perf_counter() - started)


async def run(agent, calls, concurrency):
    """Calls a second of the whole run and of its middle half, on the loop's clock, and processor time a call."""
    rounds = max(1, round(calls / (2 * STEPS * concurrency)))
    tasks = [Task(id=f"t{number:05}") for number in range(rounds * concurrency)]
    plan = PilotPlan(
        tasks=tasks,
        agent=agent,
        environment=partial(Corridor, doors=STEPS),
        arms=[Arm.baseline(), Arm.rerun()],
        max_steps=STEPS,
        looks=Looks(tasks=(len(tasks),), watch=False),
    )
    clock, ends = asyncio.get_running_loop().time, []
    with tempfile.TemporaryDirectory() as directory:
        started, cpu = clock(), time.process_time()
        result = await run_pilot(
            plan, Journal(directory), concurrency=concurrency, on_episode=lambda _: ends.append(clock())
        )
        seconds, cpu = clock() - started, time.process_time() - cpu
    done, quarter = result.bill.calls, len(ends) // 4
    middle = (len(ends) - 2 * quarter) * STEPS / (ends[-1 - quarter] - ends[quarter - 1])
    return done / seconds, middle, cpu / done


def chat(port):
    return partial(ChatAgent, OpenAIChat("test", base_url=f"http://127.0.0.1:{port}/v1"), mode="line")


class OwnClock(asyncio.SelectorEventLoop):
    """A loop whose time is what its thread has worked, less what `left_out` says, and what it would have waited."""

    def __init__(self):
        self.waited = self.left_out = 0.0
        loop = self

        class Selector(selectors.DefaultSelector):
            def select(self, timeout=None):
                ready = super().select(0)
                if ready or timeout is None:
                    return ready or super().select(0.01)
                loop.waited += max(0.0, timeout)
                return ready

        super().__init__(Selector())

    def time(self):
        return time.thread_time() - self.left_out + self.waited


class AnsweringFree(Answering):
    """A server whose work costs its loop nothing."""

    def data_received(self, data):
        began = time.thread_time()
        super().data_received(data)
        asyncio.get_running_loop().left_out += time.thread_time() - began

    def send(self):
        began = time.thread_time()
        super().send()
        asyncio.get_running_loop().left_out += time.thread_time() - began


async def run_beside_the_server(calls, concurrency, latency):
    server = await listening(latency, AnsweringFree)
    agent = chat(port_of(server))
    await run(agent, 1, concurrency)  # imports, connections
    found = await run(agent, calls, concurrency)
    server.close()
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--latency", type=float, default=0.05)
    parser.add_argument("--repeat", type=int, default=2)
    options = parser.parse_args()
    calls, concurrency = options.calls, options.concurrency
    ideal = concurrency / options.latency
    theirs, ours = multiprocessing.get_context("spawn").Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(ours, options.latency), daemon=True)
    server.start()
    port = theirs.recv()
    agent = chat(port)
    asyncio.run(run(agent, 1, concurrency))  # imports, connections
    print(f"share of the ideal {ideal:,.0f} calls a second")
    for _ in range(options.repeat):
        trivial = asyncio.run(ask_trivially(port, calls, concurrency))
        whole, middle, cpu = asyncio.run(run(agent, calls, concurrency))
        print(
            f"trivial client {trivial / ideal:.0%}; pilot {whole / ideal:.0%}, its middle half {middle / ideal:.0%}, "
            f"{1e3 * cpu:.2f} ms of processor time a call; of the trivial client's rate {whole / trivial:.0%}"
        )
    server.terminate()
    with asyncio.Runner(loop_factory=OwnClock) as runner:
        whole, middle, _ = runner.run(run_beside_the_server(calls, concurrency, options.latency))
    print(f"on a clock of its own: pilot {whole / ideal:.0%}, its middle half {middle / ideal:.0%}")
    cpu = asyncio.run(run(partial(ScriptedAgent, ["open"]), calls, concurrency))[2]
    print(f"without a model: {1e6 * cpu:.0f} us of processor time a call")


if __name__ == "__main__":
    main()
