"""Writes sentinel.eval beside it, with Inspect (0.3.285) and inspect_sentinel (0.2.0) themselves.

    python make_sentinel.py FOLDER

Four samples: an agent looks somewhere, then submits; a monitor says .9 of each look at the sea, .2 of all else, and two
numbers, of which the second knows nothing, of what is submitted.
"""

import json
import sys
import tempfile
from pathlib import Path
from zipfile import ZipFile

from inspect_ai import Task
from inspect_ai import eval as run
from inspect_ai.agent import react
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ModelOutput, ModelUsage, get_model
from inspect_ai.scorer import includes
from inspect_ai.tool import tool
from inspect_sentinel import BeforeToolCall, Context, Observation, monitor, observe_only
from make_inspect import ZIP_ZSTANDARD, without_tracebacks


@tool
def look():
    async def execute(where: str):
        """Looks somewhere.

        Args:
            where: Where.
        """
        return f"nothing at {where}"

    return execute


@monitor
def guess():
    async def watch(context: Context, step: BeforeToolCall) -> Observation:
        if step.call.function == "submit":
            return Observation.score({"wrong": 0.7, "idle": 0.5})
        return Observation.score(0.9 if "sea" in json.dumps(step.call.arguments) else 0.2)

    return watch


def answers():
    for number in range(4):
        where, answer = ("shore", "yes") if number % 2 else ("sea", "no")
        for name, arguments in (("look", {"where": where}), ("submit", {"answer": answer})):
            output = ModelOutput.for_tool_call("mockllm/model", name, arguments)
            output.usage = ModelUsage(input_tokens=3, output_tokens=1, total_tokens=4)
            yield output


def main(folder):
    samples = MemoryDataset([Sample(id=f"s{number}", input="q", target="yes") for number in range(4)])
    task = Task(dataset=samples, solver=react(tools=[look()]), scorer=includes(), sentinel=observe_only(guess()))
    with tempfile.TemporaryDirectory() as logs:
        model = get_model("mockllm/model", custom_outputs=answers())
        done = run(task, model=model, log_dir=logs, display="none", max_samples=1)
        with ZipFile(done[0].location) as log, ZipFile(folder / "sentinel.eval", "w", ZIP_ZSTANDARD) as copy:
            for member in log.namelist():
                copy.writestr(member, json.dumps(without_tracebacks(json.loads(log.read(member)))))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
