"""Planning problems as text: a bounded reader and its inverse.

PDDL is case-insensitive; everything is read as lower case, which is also what the planner behind the original games
does. Nothing here recurses, so that hostile nesting costs an error and not the interpreter's stack.

Source: McDermott et al. (1998), PDDL: the planning domain definition language.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from forbear.errors import InvalidInput
from forbear.wording import described

Expression: TypeAlias = str | tuple["Expression", ...]
Fact: TypeAlias = tuple[str, ...]

MAX_CHARACTERS = 1_000_000
"""Real games have 30 to 70 thousand."""
MAX_DEPTH = 64
"""Real goals are nested 8 deep."""

_TOKEN = re.compile(r"[()]|[^\s()]+")
_COMMENT = re.compile(r";[^\n]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is in the world, what holds at first, and what is wanted; all names in lower case."""

    objects: Mapping[str, str]
    """Name to type, in the order of declaration."""
    init: Sequence[Fact]
    """Each a predicate and its arguments; numeric fluents (`(= ...)`) are left out."""
    goal: Expression


def read_expression(text: str) -> Expression:
    """Reads exactly one s-expression.

    Args:
        text: At most `MAX_CHARACTERS`, nested at most `MAX_DEPTH` deep; `;` starts a comment.

    Raises:
        InvalidInput: Too long, too deep, unbalanced, empty, or followed by something else.
    """
    if len(text) > MAX_CHARACTERS:
        raise InvalidInput(f"the problem has {len(text):,} characters, expected at most {MAX_CHARACTERS:,}.")
    stack: list[list[Expression]] = [[]]
    for match in _TOKEN.finditer(_COMMENT.sub("", text)):
        piece = match.group()
        if piece == "(":
            if len(stack) > MAX_DEPTH:
                raise InvalidInput(f"the problem is nested more than {MAX_DEPTH} deep, expected a flat problem.")
            stack.append([])
        elif piece == ")":
            if len(stack) == 1:
                raise InvalidInput("the problem closes a parenthesis that was never opened.")
            done = tuple(stack.pop())
            stack[-1].append(done)
        else:
            stack[-1].append(piece.lower())
    if len(stack) > 1:
        raise InvalidInput(f"the problem ends with {len(stack) - 1} parentheses open; it was probably cut off.")
    if len(stack[0]) != 1:
        raise InvalidInput(f"expected one expression, (define ...), got {len(stack[0])}.")
    return stack[0][0]


def read_problem(text: str) -> Problem:
    """Reads `(define (problem NAME) (:domain NAME) (:objects ...) (:init ...) (:goal ...))`.

    Raises:
        InvalidInput: Not that shape, a name declared twice or without a type, or a fact that is not flat.
    """
    root = read_expression(text)
    if isinstance(root, str) or not root or root[0] != "define":
        raise InvalidInput("expected a problem, (define (problem ...) ...), got something else.")
    sections: dict[str, tuple[Expression, ...]] = {}
    for part in root[1:]:
        if isinstance(part, str) or not part or not isinstance(part[0], str):
            raise InvalidInput("expected sections like (:init ...) inside (define ...), got something else.")
        if part[0] in sections:
            raise InvalidInput(f"the section {described(part[0])} appears twice.")
        sections[part[0]] = part[1:]
    for needed in ("problem", ":objects", ":init", ":goal"):
        if needed not in sections:
            raise InvalidInput(f"the problem has no ({needed} ...) section.")
    if len(sections[":goal"]) != 1:
        raise InvalidInput(f"expected one formula in (:goal ...), got {len(sections[':goal'])}.")
    return Problem(
        objects=typed_names(sections[":objects"], what="object"),
        init=tuple(_facts(sections[":init"])),
        goal=sections[":goal"][0],
    )


def typed_names(parts: Sequence[Expression], *, what: str) -> dict[str, str]:
    """Reads `a b - type c - type`; a name without a type or declared twice raises InvalidInput."""
    names: dict[str, str] = {}
    waiting: list[str] = []
    position = 0
    while position < len(parts):
        part = parts[position]
        if not isinstance(part, str):
            raise InvalidInput(f"expected {what} names and types, got a nested expression.")
        position += 1
        if part != "-":
            waiting.append(part)
            continue
        kind = parts[position] if position < len(parts) else None
        position += 1
        if not isinstance(kind, str) or not waiting:
            raise InvalidInput(f"expected 'name - type' for each {what}, got a dangling '-'.")
        for name in waiting:
            if name in names:
                raise InvalidInput(f"the {what} {described(name)} is declared twice.")
            names[name] = kind
        waiting.clear()
    if waiting:
        raise InvalidInput(f"the {what} {described(waiting[0])} has no type.")
    return names


def _facts(parts: Sequence[Expression]) -> Iterator[Fact]:
    for part in parts:
        if isinstance(part, str) or not part:
            raise InvalidInput(f"expected facts like (openable x) in (:init ...), got {described(part)}.")
        if part[0] == "=":
            continue
        words = [word for word in part if isinstance(word, str)]
        if len(words) != len(part):
            raise InvalidInput(f"expected flat facts in (:init ...), got a nested one: {described(part)}.")
        yield tuple(words)


def write_problem(problem: Problem, *, name: str) -> str:
    """The text that `read_problem` reads back; planners accept it too."""
    objects = "\n".join(f"{name} - {kind}" for name, kind in problem.objects.items())
    facts = "\n".join(f"({' '.join(fact)})" for fact in problem.init)
    goal = write_expression(problem.goal)
    return (
        f"(define (problem {name})\n(:domain alfred)\n(:objects\n{objects}\n)\n(:init\n{facts}\n)\n(:goal {goal})\n)\n"
    )


def write_expression(expression: Expression) -> str:
    """One line of text; the expression is at most `MAX_DEPTH` deep if it was read or built by hand."""
    if isinstance(expression, str):
        return expression
    return f"({' '.join(write_expression(part) for part in expression)})"
