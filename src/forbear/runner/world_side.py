"""The world's side of one episode: set up and stepped only where the memo does not know what it would answer."""

from collections.abc import Coroutine
from typing import Any

from forbear.contracts.border import checked_observation
from forbear.contracts.environment import Environment, Observation, Restorable
from forbear.errors import InvalidInput, NotReproducible, ProviderError, brief_error
from forbear.policy.deadline import within
from forbear.records.model import Action, Termination
from forbear.runner.cell import Cell, Fault
from forbear.runner.memo import Memo, Node, Scene


class WorldSide:
    """Answers from the memo; brings an environment to the present state when it has to be asked."""

    def __init__(self, cell: Cell, memo: Memo) -> None:
        self._cell = cell
        self._memo = memo
        self._environment: Environment | None = None
        self._is_present = False
        """Whether the environment stands where the episode does."""
        self._path: list[tuple[Action, int, Scene]] = []
        """What was executed on the way here and stands: action, attempt, and where it led."""
        self._stepped: dict[int, int] = {}
        """How often this episode has stepped the world at each index."""

    async def open(self) -> Node:
        """Returns the history of an episode in which nothing has happened yet."""
        if self._memo.root is None:
            self._memo.root = Node(self._scene(await self._reset()))
            self._is_present = True
        return self._memo.root

    async def step(self, node: Node, action: Action) -> Node:
        """Executes an action and returns the history after it."""
        index = len(self._path)
        attempt = self._stepped.get(index, 0)
        after = node.executed.get((action, attempt))
        if after is None:
            environment = await self._bring_here()
            draw = self._cell.draw("environment", step_index=index, attempt=attempt)
            after = Node(self._scene(await self._answer(environment.step(action, draw=draw))))
            node.executed[action, attempt] = after
        else:
            self._is_present = False
        self._stepped[index] = attempt + 1
        self._path.append((action, attempt, after.scene))
        return after

    async def see(self) -> None:
        """Completes scenes that were read from a journal, which keeps no legal actions, on the way here."""
        await self._bring_here()

    def rewind(self, index: int) -> None:
        """Goes back to where nothing was executed at `index` yet."""
        del self._path[index:]
        self._is_present = False

    async def _bring_here(self) -> Environment:
        if self._environment is not None and self._is_present:
            return self._environment
        root = self._memo.root
        assert root is not None
        scene = self._path[-1][2] if self._path else root.scene
        environment = self._environment
        if environment is None or scene.snapshot is None:
            _check(root.scene, await self._reset(), index=None, cell=self._cell)
            environment = self._environment
            assert environment is not None
        if scene.snapshot is not None and isinstance(environment, Restorable):
            environment.restore(scene.snapshot)
        elif self._path:
            await self._replay(environment)
        self._is_present = True
        return environment

    async def _replay(self, environment: Environment) -> None:
        if not environment.replay_safe:
            raise InvalidInput(
                f"{self._cell.name}: it has to go back to step {len(self._path)}, but the environment can neither be "
                "replayed nor restored. Run the pilot with design='independent'."
            )
        for index, (action, attempt, scene) in enumerate(self._path):
            draw = self._cell.draw("environment", step_index=index, attempt=attempt)
            _check(scene, await self._answer(environment.step(action, draw=draw)), index=index, cell=self._cell)

    async def _reset(self) -> Observation:
        self._environment = self._cell.conditions.environment()
        draw = self._cell.draw("reset", step_index=0, attempt=0)
        return await self._answer(self._environment.reset(self._cell.task, draw=draw))

    async def _answer(self, call: Coroutine[Any, Any, Observation]) -> Observation:
        try:
            seen = await within(self._cell.conditions.call_deadline_s, call)
        except TimeoutError:
            cause = f"the environment did not answer within {self._cell.conditions.call_deadline_s:g} s"
            raise Fault(Termination.ENVIRONMENT_ERROR, cause) from None
        except ProviderError as error:
            raise Fault(Termination.ENVIRONMENT_ERROR, brief_error(error)) from error
        try:
            return checked_observation(seen)
        except InvalidInput as error:
            raise InvalidInput(f"{self._cell.name}: {error}") from None

    def _scene(self, seen: Observation) -> Scene:
        environment = self._environment
        if self._cell.conditions.world_restorable and isinstance(environment, Restorable):
            return Scene(seen, snapshot=environment.snapshot())
        return Scene(seen)


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
