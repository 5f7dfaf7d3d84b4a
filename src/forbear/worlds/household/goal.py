"""Goals: a formula of `and`, `or`, `not`, `imply`, `exists` and `forall`, compiled to a test of the state.

Quantifiers are written out over the household, and everything that no command changes is decided at once, so that what
is left to test after a command is small. The writing out is bounded; a goal that explodes is refused.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

from forbear.errors import InvalidInput
from forbear.wording import described
from forbear.worlds.household.pddl import Expression, Fact, Problem, typed_names
from forbear.worlds.household.world import DYNAMIC, PREDICATES, State, World

MAX_WORK = 200_000
"""Substitutions allowed while writing a goal out; the goals of the public games need at most a few thousand."""

MAX_VARIABLES = 16
"""Variables of one quantifier, those of quantifiers of its kind right inside it included; the public games have 4."""

Test = Callable[[State], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """A compiled goal."""

    reached: Test
    touches: frozenset[str]
    """The predicates it reads: after commands that change none of them, the answer is the same."""


@dataclass(frozen=True, slots=True)
class _Node:
    """A written-out formula: `all`, `any` or `not` of parts, or a dynamic fact."""

    kind: str
    parts: tuple["_Node", ...] = ()
    fact: Fact = ()


_TRUE = _Node("all")
_FALSE = _Node("any")


def compile_goal(problem: Problem, *, world: World) -> Goal:
    """Compiles the problem's goal.

    Raises:
        InvalidInput: An unknown word, predicate or name, wrong arguments, or a goal too large to write out.
    """
    writer = _Writer(problem)
    node = writer.write(problem.goal, {})
    return Goal(reached=_test(node, world), touches=frozenset(_predicates(node)))


class _Writer:
    """Substitutes and decides, within one budget of work."""

    def __init__(self, problem: Problem) -> None:
        self.objects = problem.objects
        self.facts = frozenset(problem.init)
        self.index: dict[tuple[str, int, str], list[Fact]] = {}
        self.of_type: dict[str, list[str]] = {}
        self.work = 0
        words = _words(problem.goal)
        for fact in sorted(fact for fact in self.facts if fact[0] in words and fact[0] not in DYNAMIC):
            for position, word in enumerate(fact):
                self.index.setdefault((fact[0], position, word), []).append(fact)
        for name, kind in problem.objects.items():
            self.of_type.setdefault(kind, []).append(name)

    def spend(self, amount: int = 1) -> None:
        self.work += amount
        if self.work > MAX_WORK:
            raise InvalidInput(
                f"the goal needs more than {MAX_WORK:,} substitutions to write out; expected a small goal."
            )

    def write(self, part: Expression, values: Mapping[str, str]) -> _Node:
        self.spend()
        if isinstance(part, str) or not part or not isinstance(part[0], str):
            raise InvalidInput(f"expected a formula like (and ...) in the goal, got {described(part)}.")
        word, rest = part[0], part[1:]
        if word in ("and", "or"):
            return self.joined(word, rest, values)
        if word == "not" and len(rest) == 1:
            return _negated(self.write(rest[0], values))
        if word == "imply" and len(rest) == 2:
            return _combined("any", [_negated(self.write(rest[0], values)), self.write(rest[1], values)])
        if word in ("exists", "forall") and len(rest) == 2:
            return self.quantified(word, rest[0], rest[1], values)
        return self.atom(part, values)

    def joined(self, word: str, parts: Sequence[Expression], values: Mapping[str, str]) -> _Node:
        kind, absorbing = ("all", _FALSE) if word == "and" else ("any", _TRUE)
        done = []
        # Facts before quantifiers: most substitutions are refuted by a fact that never changes.
        for part in sorted(parts, key=lambda each: each[:1] in (("and",), ("or",), ("exists",), ("forall",))):
            node = self.write(part, values)
            if node == absorbing:
                return absorbing
            done.append(node)
        return _combined(kind, done)

    def quantified(self, word: str, declared: Expression, body: Expression, values: Mapping[str, str]) -> _Node:
        variables = _declared(declared)
        # One quantifier right inside another of its kind is the same as both at once, and binds with less searching.
        while body[:1] == (word,) and len(body) == 3 and not variables.keys() & _declared(body[1]).keys():
            variables |= _declared(body[1])
            body = body[2]
        if len(variables) > MAX_VARIABLES:
            raise InvalidInput(f"a quantifier in the goal has {len(variables)} variables, expected <= {MAX_VARIABLES}.")
        for name, kind in variables.items():
            if not name.startswith("?") or kind not in self.of_type:
                raise InvalidInput(
                    f"in the goal, {described(name)} ranges over {described(kind)}, of which there is nothing."
                )
        assignments: list[dict[str, str]] = [dict(values)]
        for name in variables:
            assignments[0].pop(name, None)
        if word == "exists":
            for pattern in self.constraints(body, {*values, *variables}):
                assignments = list(self.matched(pattern, assignments, variables))
        for name, kind in variables.items():
            assignments = list(self.spread(name, kind, assignments))
        nodes = [self.write(body, assignment) for assignment in assignments]
        return _combined("any" if word == "exists" else "all", nodes)

    def constraints(self, body: Expression, known: Set[str]) -> list[Fact]:
        """The unchanging facts in a conjunction, those with the fewest matches first: they bind variables."""
        parts = body[1:] if body[:1] == ("and",) else (body,)
        patterns = []
        for part in parts:
            words = tuple(word for word in part if isinstance(word, str)) if isinstance(part, tuple) else ()
            kinds = PREDICATES.get(words[0]) if words and words[0] not in DYNAMIC else None
            variables = {word for word in words if word.startswith("?")}
            if kinds and len(words) == len(part) == len(kinds) + 1 and variables <= known:
                patterns.append(words)
        return sorted(patterns, key=lambda pattern: len(self.candidates(pattern, {})))

    def candidates(self, pattern: Fact, values: Mapping[str, str]) -> Sequence[Fact]:
        """The shortest list of facts that holds all that match."""
        best = self.index.get((pattern[0], 0, pattern[0]), ())
        for position, word in enumerate(pattern[1:], start=1):
            value = values.get(word) if word.startswith("?") else word
            if value is not None:
                best = min(best, self.index.get((pattern[0], position, value), ()), key=len)
        return best

    def matched(
        self, pattern: Fact, assignments: list[dict[str, str]], variables: Mapping[str, str]
    ) -> Iterator[dict[str, str]]:
        for assignment in assignments:
            facts = self.candidates(pattern, assignment)
            self.spend(len(facts))
            for fact in facts:
                bound = dict(assignment)
                for want, got in zip(pattern, fact, strict=True):
                    if want.startswith("?"):
                        want = bound.setdefault(want, got)
                    if want != got:
                        break
                else:
                    if all(self.objects[bound[name]] == kind for name, kind in variables.items() if name in bound):
                        yield bound

    def spread(self, name: str, kind: str, assignments: list[dict[str, str]]) -> Iterator[dict[str, str]]:
        for assignment in assignments:
            if name in assignment:
                yield assignment
                continue
            self.spend(len(self.of_type[kind]))
            for value in self.of_type[kind]:
                yield {**assignment, name: value}

    def atom(self, part: tuple[Expression, ...], values: Mapping[str, str]) -> _Node:
        words = tuple(values.get(word, word) for word in part if isinstance(word, str))
        predicate, arguments = words[0], words[1:]
        if predicate != "=" and predicate not in PREDICATES:
            raise InvalidInput(
                f"the goal uses {described(predicate)}, expected and, or, not, exists, forall or a predicate."
            )
        kinds = tuple(self.objects.get(argument) for argument in arguments)
        if (
            len(words) != len(part)
            or None in kinds
            or (len(kinds) != 2 if predicate == "=" else kinds != PREDICATES[predicate])
        ):
            raise InvalidInput(f"the goal holds {described(' '.join(words), limit=120)}, whose arguments do not fit.")
        if predicate == "=":
            return _TRUE if arguments[0] == arguments[1] else _FALSE
        if predicate in DYNAMIC:
            return _Node("fact", fact=words)
        return _TRUE if words in self.facts else _FALSE


def _declared(variables: Expression) -> dict[str, str]:
    if isinstance(variables, str):
        raise InvalidInput(f"expected (?x - type) after a quantifier in the goal, got {described(variables)}.")
    return typed_names(variables, what="variable")


def _words(goal: Expression) -> set[str]:
    words, stack = set(), [goal]
    while stack:
        part = stack.pop()
        if isinstance(part, str):
            words.add(part)
        else:
            stack += part
    return words


def _negated(node: _Node) -> _Node:
    if node in (_TRUE, _FALSE):
        return _FALSE if node == _TRUE else _TRUE
    return _Node("not", (node,))


def _combined(kind: str, parts: Sequence[_Node]) -> _Node:
    neutral, absorbing = (_TRUE, _FALSE) if kind == "all" else (_FALSE, _TRUE)
    kept = tuple(dict.fromkeys(part for part in parts if part != neutral))
    if absorbing in kept:
        return absorbing
    return kept[0] if len(kept) == 1 else _Node(kind, kept)


def _predicates(node: _Node) -> Iterator[str]:
    if node.fact:
        yield node.fact[0]
    for part in node.parts:
        yield from _predicates(part)


def _test(node: _Node, world: World) -> Test:
    if node.kind == "fact":
        return _fact_test(node.fact, world)
    tests = tuple(_test(part, world) for part in node.parts)
    if node.kind == "not":
        return lambda state: not tests[0](state)

    def every(state: State) -> bool:
        for test in tests:  # noqa: SIM110 - a generator costs more than the tests
            if not test(state):
                return False
        return True

    def some(state: State) -> bool:
        for test in tests:  # noqa: SIM110
            if test(state):
                return True
        return False

    return every if node.kind == "all" else some


def _fact_test(fact: Fact, world: World) -> Test:
    predicate = fact[0]
    if predicate == "holdsany":
        return lambda state: state.held >= 0
    number = world.numbers.get(fact[-1], -1)
    if predicate == "atlocation":
        return lambda state: state.place == number
    if predicate == "opened":
        return lambda state: bool(state.opened >> number & 1)
    thing = world.numbers.get(fact[1] if predicate in ("inreceptacle", "objectatlocation") else fact[-1], -1)
    if thing < 0:  # declared, but nothing is known about it: it can never be moved or changed
        return lambda _state: False
    bit = 1 << thing
    tests: Mapping[str, Test] = {
        "inreceptacle": lambda state: thing in state.inside[number],
        "objectatlocation": lambda state: bool(state.lying[thing] >> number & 1),
        "holds": lambda state: state.held == thing,
        "isclean": lambda state: bool(state.clean & bit),
        "ishot": lambda state: bool(state.hot & bit),
        "iscool": lambda state: bool(state.cool & bit),
        "ison": lambda state: bool(state.on & bit),
        "istoggled": lambda state: bool(state.toggled & bit),
        "issliced": lambda state: bool(state.sliced & bit),
    }
    return tests[predicate]
