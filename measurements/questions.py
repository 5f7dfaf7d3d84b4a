"""How often the local model answers the questions of a file, by kind: what docs/questions.md shows.

    python measurements/questions.py [FILE] [--draws 2] [--temperature 0.7] [--grammar] [--n N] [--answers]

One process; half a second of a core for each answer. Again: the same numbers.
"""

import argparse
import asyncio
import json
import math
from collections import defaultdict
from pathlib import Path

from forbear.contracts.draw import Draw
from forbear.critics.measures import auroc
from forbear.models.chat import ChatOptions, Message
from forbear.models.local import LocalChat
from forbear.records.model import Action, Task
from forbear.worlds.questions.environment import QuestionEnvironment
from forbear.worlds.questions.pilot import SEED, environment, file_tasks, shipped_tasks

BEGIN = "Answer:"
"""With what answers begin: without it this model talks instead of answering, and is right half as often."""

PROMPT: list[Message] = [
    {"role": "user", "content": "Tim is in the forest. Ida is in the tower.\nQuestion: Where is Ida?"},
    {"role": "assistant", "content": f"{BEGIN} tower"},
    {"role": "user", "content": "Question: Which of these is a flower?\nChoices: spoon, rose"},
    {"role": "assistant", "content": f"{BEGIN} rose"},
]
"""What is said before each question: two examples."""


def literal(text: str) -> str:
    """A text in a grammar."""
    return json.dumps(text, ensure_ascii=False)


async def ask(
    model: LocalChat, world: QuestionEnvironment, task: Task, number: int, arguments: argparse.Namespace
) -> tuple[bool, float, str]:
    """One answer: whether it is right, 1 − its mean token probability, and its text."""
    draw = Draw(task_id=task.id, seed=number, role="agent")
    seen = await world.reset(task, draw=draw)
    grammar = None
    if arguments.grammar and seen.legal_actions:
        choices = [action.removeprefix("finish[").removesuffix("]") for action in seen.legal_actions]
        grammar = f'root ::= "{BEGIN} " ({" | ".join(map(literal, choices))})'
    options = ChatOptions(
        temperature=arguments.temperature, max_tokens=16, stop=("\n",), logprobs=True, grammar=grammar
    )
    answer = await model.complete([*PROMPT, {"role": "user", "content": seen.text}], options=options, draw=draw)
    text = answer.text.removeprefix(BEGIN).strip()
    end = await world.step(Action(text), draw=draw)
    probabilities = [math.exp(one) for one in answer.logprobs or ()] or [0.0]
    return bool(end.success), 1 - sum(probabilities) / len(probabilities), text


async def measure(arguments: argparse.Namespace) -> None:
    """Asks all and prints a table."""
    given = arguments.data
    tasks = shipped_tasks(n=arguments.n) if given is None else file_tasks(given, n=arguments.n, seed=SEED)
    model, world = LocalChat(), environment(data=given)
    right: dict[str, list[list[bool]]] = defaultdict(list)
    doubts: list[float] = []
    failed: list[bool] = []
    for task in tasks:
        answers = [await ask(model, world, task, number, arguments) for number in range(arguments.draws)]
        right[task.stratum or "-"].append([one for one, _, _ in answers])
        doubts += [doubt for _, doubt, _ in answers]
        failed += [not one for one, _, _ in answers]
        if arguments.answers:
            print(json.dumps([task.id, *answers], ensure_ascii=False), flush=True)
    print(f"temperature {arguments.temperature}, {arguments.draws} draws a question, {len(tasks)} questions\n")
    print("| kind | questions | right | draws that differ |\n| --- | --- | --- | --- |")
    right = dict(sorted(right.items())) | {"all": [row for rows in right.values() for row in rows]}
    for kind, rows in right.items():
        share = sum(map(sum, rows)) / (arguments.draws * len(rows))
        differ = sum(len(set(row)) > 1 for row in rows) / len(rows)
        print(f"| {kind} | {len(rows)} | {100 * share:.0f} % | {100 * differ:.0f} % |")
    print(f"\n1 − mean token probability against failure: AUROC {auroc(failed, doubts):.2f}")


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path, help="a file of questions; left out: those that are shipped")
    parser.add_argument("--draws", type=int, default=2)
    parser.add_argument("--temperature", type=float, default=0.7)
    parser.add_argument("--grammar", action="store_true", help="hold answers to the choices, where there are any")
    parser.add_argument("--n", type=int, help="only so many questions")
    parser.add_argument("--answers", action="store_true", help="print every answer")
    asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    main()
