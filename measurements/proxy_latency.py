"""What forbear proxy adds to a call: processor time of its process, and the wait of a client, beside going past it.

    python measurements/proxy_latency.py [--calls 2000] [--kilobytes 20]

A server of its own process answers at once; a client asks it over one kept connection, each call a step of an episode
of ten, its conversation of the given size: past the proxy, through it with a policy in use whose critic costs nothing,
and in shadow. Processor time is the proxy process's own (Linux, /proc), so that a busy machine does not change it.
"""

import argparse
import http.client
import json
import multiprocessing
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from chat_throughput import serve

PILOT = """\
[host]
[tasks]
source = "tasks.jsonl"
[[arm]]
name = "drop"
critic = "repeated-action"
intervention = "rollback"
threshold = 0.4
budget = 0
"""


def cpu_s(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def ask(port, calls, size):
    """Milliseconds that each call was waited for."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    messages = [{"role": "user", "content": "x" * (size * 1024 // 20)} for _ in range(20)]
    waited = []
    for n in range(calls):
        body = json.dumps({"model": "m", "messages": messages[: 11 + n % 10]})
        started = time.perf_counter()
        head = {"Content-Type": "application/json", "X-Forbear-Task": f"t{n // 10}"}
        connection.request("POST", "/v1/chat/completions", body, head)
        said = connection.getresponse()
        said.read()
        waited.append(1e3 * (time.perf_counter() - started))
        assert said.status == 200
    return waited


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--kilobytes", type=int, default=20)
    options = parser.parse_args()
    ready, told = multiprocessing.Pipe()  # (ours, the server's)
    server = multiprocessing.Process(target=partial(serve, told, 0.0), daemon=True)
    server.start()
    upstream = ready.recv()
    print(
        f"past the proxy: {statistics.median(ask(upstream, options.calls, options.kilobytes)):.2f} ms a call (median)"
    )
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "pilot.toml").write_text(PILOT, encoding="utf-8")
        (Path(folder) / "tasks.jsonl").write_text('{"id": "t"}', encoding="utf-8")
        for mode in ("apply", "shadow"):
            url = f"http://127.0.0.1:{upstream}/v1"
            command = [sys.executable, "-um", "forbear", "proxy", "pilot.toml", "--upstream", url, "--port", "0"]
            with subprocess.Popen([*command, "--mode", mode], cwd=folder, stdout=subprocess.PIPE, text=True) as proxy:
                port = int(re.search(r":(\d+)/v1 in front", proxy.stdout.readline())[1])
                ask(port, 200, options.kilobytes)
                before = cpu_s(proxy.pid)
                waited = ask(port, options.calls, options.kilobytes)
                each = 1e3 * (cpu_s(proxy.pid) - before) / options.calls
                print(f"{mode}: {statistics.median(waited):.2f} ms a call (median); {each:.2f} ms of processor time")
                proxy.kill()


if __name__ == "__main__":
    main()
