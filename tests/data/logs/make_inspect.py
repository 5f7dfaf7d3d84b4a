"""Writes the logs of Inspect beside it, with Inspect itself (inspect-ai 0.3.285) and its model of canned answers.

    python make_inspect.py FOLDER

- traps.eval: two epochs; s3 breaks, and is scored all the same; the solver of s4 raises a bare TimeoutError, which
  Inspect logs as a warning and scores.
- scorers.eval: two scorers. graded.eval: scores between 0 and 1. partial.eval: C and P. unscored.eval: not scored.

Of what Inspect wrote only the tracebacks are taken out, which name the folders of a machine.
"""

import json
import sys
import tempfile
from pathlib import Path
from zipfile import ZipFile

import zipfile_zstd  # noqa: F401 # teaches zipfile the packing that Inspect uses
from inspect_ai import Task
from inspect_ai import eval as run
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ModelOutput, ModelUsage, get_model
from inspect_ai.scorer import Score, accuracy, includes, match, mean, scorer
from inspect_ai.solver import solver

ZIP_ZSTANDARD = 93


def answers(count):
    for number in range(count):
        output = ModelOutput.from_content("mockllm/model", "yes" if number % 2 else "no")
        output.usage = ModelUsage(input_tokens=3, output_tokens=1, total_tokens=4)
        yield output


@solver
def unreliable():
    async def solve(state, generate):
        if state.sample_id == "s3":
            raise RuntimeError("the sandbox is gone")
        if state.sample_id == "s4":
            raise TimeoutError("too slow")
        return await generate(state)

    return solve


@scorer(metrics=[mean()])
def graded():
    async def score(state, target):
        return Score(value=0.25 if state.sample_id == "s1" else 1.0)

    return score


@scorer(metrics=[accuracy()])
def partial():
    async def score(state, target):
        return Score(value="P" if state.sample_id == "s1" else "C")

    return score


def questions(scorers, solve):
    samples = MemoryDataset([Sample(id=f"s{number}", input="q", target="yes") for number in range(1, 6)])
    return Task(dataset=samples, solver=solve, scorer=scorers)


def without_tracebacks(value):
    if isinstance(value, dict):
        return {k: "" if k.startswith("traceback") else without_tracebacks(v) for k, v in value.items()}
    return [without_tracebacks(one) for one in value] if isinstance(value, list) else value


def written(folder, name, task, **options):
    with tempfile.TemporaryDirectory() as logs:
        model = get_model("mockllm/model", custom_outputs=list(answers(60)))
        done = run(task, model=model, fail_on_error=False, log_dir=logs, display="none", **options)
        with ZipFile(done[0].location) as log, ZipFile(folder / f"{name}.eval", "w", ZIP_ZSTANDARD) as copy:
            for member in log.namelist():
                copy.writestr(member, json.dumps(without_tracebacks(json.loads(log.read(member)))))


def main(folder):
    written(folder, "traps", questions(match(), unreliable()), epochs=2, score_on_error=True)
    written(folder, "scorers", questions([match(), includes()], unreliable()))
    written(folder, "graded", questions(graded(), unreliable()))
    written(folder, "partial", questions(partial(), unreliable()))
    written(folder, "unscored", questions(match(), unreliable()), score=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
