"""How many small mistakes would go unnoticed: mutants of the modules that decide, and those that no test kills.

Usage: python measurements/mutants.py [--module policy/judge ...] [--sample 40] [--seed 1] [--jobs 2]

A mutant has a comparison flipped, an `and` for an `or`, a number one off, a `not`, a `return`, a `raise` or an awaited
call dropped, or True for False. It is killed where the quick tests of its module fail or take too long. Some
survivors do what the original does; the others are missing tests.
"""

import argparse
import ast
import contextlib
import copy
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[1]
TESTS = {
    "stats/decision": ["tests/stats/test_decision.py", "tests/outcomes/test_missing.py"],
    "analysis/pairing": ["tests/analysis/test_pairing.py", "tests/analysis/test_evidence.py"],
    "policy/judge": ["tests/policy"],
    "records/journal": ["tests/records"],
    "runner/row": ["tests/runner/test_resume.py", "tests/runner/test_effects.py", "tests/runner/test_pilot.py"],
}
QUICK, LIMIT_S = "not slow and not statistical", 300
FLIPS = [(ast.Lt, ast.LtE), (ast.Gt, ast.GtE), (ast.Eq, ast.NotEq), (ast.Is, ast.IsNot), (ast.In, ast.NotIn)]
OTHER = {a: b for flip in FLIPS for a, b in (flip, flip[::-1])}


def mutations(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """What may stand in a node's place, and how to call it."""
    match node:
        case ast.Compare(ops=[first, *rest]):
            yield "comparison flipped", ast.Compare(node.left, [OTHER[type(first)](), *rest], node.comparators)
        case ast.BoolOp():
            yield "and or or flipped", ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
        case ast.Constant(value=bool(value)):
            yield f"{not value} for {value}", ast.Constant(not value)
        case ast.Constant(value=int(value) | float(value)):
            yield from ((f"{other} for {value}", ast.Constant(other)) for other in (value + 1, value - 1))
        case ast.UnaryOp(op=ast.Not()):
            yield "not dropped", node.operand
        case ast.Return(value=ast.expr()) | ast.Raise() | ast.Expr(value=ast.Await()):
            yield f"{ast.unparse(node).split()[0]} dropped", ast.Pass()


def mutants(source: str) -> list[tuple[int, str, str]]:
    """Line, what was changed, and the changed source."""
    tree, found, passed_over = ast.parse(source), [], set[ast.AST]()
    for node in ast.walk(tree):  # what is declared, rather than done
        if isinstance(node, ast.ClassDef):
            passed_over.update(*(ast.walk(part) for part in [*node.decorator_list, *node.keywords]))
    for place, node in enumerate(ast.walk(tree)):
        for what, other in () if node in passed_over else mutations(node):
            changed = copy.deepcopy(tree)
            target = list(ast.walk(changed))[place]
            target.__class__, target.__dict__ = type(other), {**vars(target), **vars(other)}
            found.append((node.lineno, what, ast.unparse(changed)))
    return sorted(found)


def survives(module: str, source: str) -> bool:
    """Whether the module's tests pass with that source in its place."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder, contextlib.suppress(subprocess.TimeoutExpired):
        shutil.copytree(ROOT / "src", folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        (Path(folder) / f"forbear/{module}.py").write_text(source, encoding="utf-8")
        command = [sys.executable, *["-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-m"], QUICK, *TESTS[module]]
        here = {"cwd": ROOT, "env": {**os.environ, "PYTHONPATH": folder}, "stdout": subprocess.DEVNULL}
        return not subprocess.call(command, timeout=LIMIT_S, **here)
    return False


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--module", action="append", choices=TESTS, help="one of them; default: all")
    parser.add_argument("--sample", type=int, help="no more than so many of a module, chosen by --seed")
    for name, default in (("--seed", 0), ("--jobs", 2)):
        parser.add_argument(name, type=int, default=default)
    options = parser.parse_args()
    for module in options.module or TESTS:
        source = (ROOT / f"src/forbear/{module}.py").read_text(encoding="utf-8")
        assert survives(module, source), f"{module}: its tests fail without a mutant"
        every = mutants(source)
        tried = sorted(random.Random(options.seed).sample(every, min(options.sample or len(every), len(every))))
        with ThreadPoolExecutor(options.jobs) as pool:
            alive = list(pool.map(survives, [module] * len(tried), [changed for _, _, changed in tried]))
        for line, what, _ in [mutant for mutant, lives in zip(tried, alive, strict=True) if lives]:
            print(f"{module}.py:{line}: {what}: {source.splitlines()[line - 1].strip()}")
        print(f"{module}: {len(tried) - sum(alive)} of {len(tried)} killed", flush=True)


if __name__ == "__main__":
    main()
