"""The world's side of one episode: set up and stepped only where the memo does not know what it would answer."""

from collections.abc import Callable, Coroutine
from typing import Any, NoReturn, TypeVar

from forbear.contracts.border import checked_environment, checked_observation
from forbear.contracts.environment import Environment, Observation, Restorable
from forbear.errors import InvalidInput, NotReproducible
from forbear.policy.foreign import ForeignFault, answer, answer_at_once, as_it_is, called
from forbear.records.model import Action, Termination
from forbear.runner.cell import Cell, Fault
from forbear.runner.memo import Memo, Node, Scene

_T = TypeVar("_T")
_Checked = TypeVar("_Checked")


class WorldSide:
    """Answers from the memo; brings an environment to the present state when it has to be asked."""

    def __init__(self, cell: Cell, memo: Memo) -> None:
        self._cell = cell
        self._memo = memo
        self._environment: Environment | None = None
        self._stands: int | None = None
        """How many actions of the path the environment has executed; None where it is elsewhere, or not there."""
        self._path: list[tuple[Action, int, Scene]] = []
        """What was executed on the way here and stands: action, attempt, and where it led."""
        self._stepped: dict[int, int] = {}
        """How often this episode has stepped the world at each index."""

    async def open(self) -> Node:
        """Returns the history of an episode in which nothing has happened yet."""
        if self._memo.root is None:
            self._memo.root = Node(self._scene(await self._reset()))
        return self._memo.root

    async def step(self, node: Node, action: Action) -> Node:
        """Executes an action and returns the history after it."""
        index = len(self._path)
        attempt = self._stepped.get(index, 0)
        after = node.executed.get((action, attempt))
        if after is None:
            environment = await self._bring_here()
            after = Node(self._scene(await self._step(environment, action, index=index, attempt=attempt)))
            node.executed[action, attempt] = after
            self._stands = index + 1
        self._stepped[index] = attempt + 1
        self._path.append((action, attempt, after.scene))
        return after

    async def see(self) -> None:
        """Completes scenes that were read from a journal, which keeps no legal actions, on the way here."""
        await self._bring_here()

    def rewind(self, index: int) -> None:
        """Goes back to where nothing was executed at `index` yet."""
        del self._path[index:]
        if self._stands is not None and self._stands > index:
            self._stands = None

    async def _bring_here(self) -> Environment:
        here, root = len(self._path), self._memo.root
        if self._environment is not None and self._stands == here:
            return self._environment
        assert root is not None
        scene = self._path[-1][2] if self._path else root.scene
        if self._environment is None or (scene.snapshot is None and self._stands is None):
            _check(root.scene, await self._reset(), index=None, cell=self._cell)
        environment = self._environment
        assert environment is not None
        if scene.snapshot is not None and isinstance(environment, Restorable):
            restore, snapshot = environment.restore, scene.snapshot
            self._at_once(lambda: restore(snapshot), check=as_it_is)
        elif self._stands != here:
            await self._replay(environment)
        self._stands = here
        return environment

    async def _replay(self, environment: Environment) -> None:
        if not self._at_once(lambda: environment.replay_safe, check=as_it_is):
            raise InvalidInput(
                f"{self._cell.name}: it has to go back to step {len(self._path)}, but the environment can neither be "
                "replayed nor restored. Run the pilot with design='independent'."
            )
        begin = self._stands or 0
        for index, (action, attempt, scene) in enumerate(self._path[begin:], start=begin):
            seen = await self._step(environment, action, index=index, attempt=attempt)
            _check(scene, seen, index=index, cell=self._cell)

    async def _reset(self) -> Observation:
        environment = self._at_once(self._cell.conditions.environment, check=checked_environment)
        self._environment, self._stands = environment, None
        draw = self._cell.draw("reset", step_index=0, attempt=0)
        seen = await self._answer(lambda: called(environment.reset, self._cell.task, draw=draw))
        self._stands = 0
        return seen

    async def _step(self, environment: Environment, action: Action, *, index: int, attempt: int) -> Observation:
        draw = self._cell.draw("environment", step_index=index, attempt=attempt)
        return await self._answer(lambda: called(environment.step, action, draw=draw))

    async def _answer(self, call: Callable[[], Coroutine[Any, Any, Observation]]) -> Observation:
        limit_s = self._cell.conditions.call_deadline_s
        try:
            with self._cell.calling("environment", limit_s=limit_s):
                return await answer(call, seconds=limit_s, check=checked_observation)
        except ForeignFault as fault:
            _broken(fault)

    def _at_once(self, call: Callable[[], _T], *, check: Callable[[_T], _Checked]) -> _Checked:
        try:
            with self._cell.calling("environment", limit_s=self._cell.conditions.call_deadline_s):
                return answer_at_once(call, check=check)
        except ForeignFault as fault:
            _broken(fault)

    def _scene(self, seen: Observation) -> Scene:
        environment = self._environment
        if self._cell.conditions.world_restorable and isinstance(environment, Restorable):
            return Scene(seen, snapshot=self._at_once(environment.snapshot, check=as_it_is))
        return Scene(seen)


def _broken(fault: ForeignFault) -> NoReturn:
    """A world that breaks, hangs or answers wrongly says nothing about the agent."""
    text = f"the environment gave {fault.text}" if fault.kind in ("timeout", "invalid") else fault.text
    raise Fault(Termination.ENVIRONMENT_ERROR, text) from fault


def _check(scene: Scene, seen: Observation, *, index: int | None, cell: Cell) -> None:
    """Compares what a replay shows with what was recorded, and completes what a journal left out."""
    known = scene.observation
    compared = ["text", "payload", "done", "irreversible"]
    if seen.done:
        compared.append("success")
    if not scene.is_partial:
        compared.append("legal_actions")
    others = [name for name in compared if getattr(known, name) != getattr(seen, name)]
    if others:
        where = "after reset" if index is None else f"after step {index}"
        shows = f"another {' and '.join(others)} {where}"
        if "text" in others:
            shows = f"{seen.text!r:.120} {where}, where it had shown {known.text!r:.120}"
        raise NotReproducible(
            f"{cell.name}: the world is not deterministic: replayed, it shows {shows}. Make it a function of its "
            "actions and draws, or set replay_safe = False."
        )
    scene.observation, scene.is_partial = seen, False
