"""Contract tests: inherit one, say how to make yours, and its tests run on it.

class TestMyAgent(AgentContract):
    def make(self):
        return MyAgent(temperature=0.7)
    def variants(self):
        return [MyAgent(temperature=0.2)]
    def trajectories(self):
        return [...]
"""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from typing import Generic, Protocol, TypeVar

from msgspec.structs import replace

from forbear.contracts.agent import Agent
from forbear.contracts.critic import Critic, Score
from forbear.contracts.draw import Draw
from forbear.contracts.environment import Environment, Observation, Restorable
from forbear.contracts.intervention import Effect, Intervention, Replace, Retry, is_control, undoes_steps
from forbear.errors import AgentError, InvalidInput
from forbear.models.chat import ChatModel, ChatOptions, Completion, Message
from forbear.records.codec import canonical_json
from forbear.records.model import JSON, Action, Task, Trajectory, Usage


class _Configured(Protocol):
    def config(self) -> Mapping[str, JSON]: ...


_Made = TypeVar("_Made", bound=_Configured)


def _require(holds: bool, sentence: str) -> None:
    if not holds:
        raise AssertionError(sentence)


class _ConfigContract(Generic[_Made]):
    def make(self) -> _Made:
        """Returns a fresh instance, always of the same configuration."""
        raise NotImplementedError("say how to make one: def make(self): return Mine(...)")

    def variants(self) -> Sequence[_Made]:
        """Returns instances that behave differently from `make()` and from one another, one for each option."""
        return ()

    def test_config_is_json_and_the_same_for_every_instance(self) -> None:
        """Digests of plans are taken of it."""
        first, second = canonical_json(self.make().config()), canonical_json(self.make().config())
        _require(first == second, f"two instances of one configuration say {first:.200} and {second:.200}")

    def test_what_behaves_differently_has_another_config(self) -> None:
        """Else a pilot would pass for evidence about something else."""
        configs = [canonical_json(made.config()) for made in (self.make(), *self.variants())]
        _require(len(set(configs)) == len(configs), f"variants share a config: {sorted(configs)!r:.400}")


class AgentContract(_ConfigContract[Agent]):
    """Tests that an agent is a pure function of (trajectory, draw, excluded)."""

    def trajectories(self) -> Sequence[Trajectory]:
        """Returns at least two trajectories whose last step is open."""
        raise NotImplementedError("return trajectories for the agent to act on, their last step open")

    def _situations(self) -> list[tuple[Trajectory, Draw]]:
        return [
            (trajectory, _draw(trajectory.task, "agent", len(trajectory.steps) - 1, attempt))
            for trajectory in self.trajectories()
            for attempt in (0, 1)
        ]

    def test_acts_alike_given_the_same_trajectory_and_draw(self) -> None:
        """In another instance, in any order, and after other calls."""
        situations = self._situations()
        fresh = [asyncio.run(self.make().act(seen, draw=draw)) for seen, draw in situations]
        if isinstance(self.make(), Restorable):
            return  # has a memory of its own and says so
        used = self.make()
        backwards = [asyncio.run(used.act(seen, draw=draw)) for seen, draw in reversed(situations)]
        _require(fresh == backwards[::-1], "the action depends on more than the trajectory and the draw")

    def test_returns_actions(self) -> None:
        """With a text, also when something is excluded."""
        for seen, draw in self._situations():
            agent = self.make()
            action = asyncio.run(agent.act(seen, draw=draw))
            _require(isinstance(action, Action) and isinstance(action.text, str), f"got {action!r:.100}")
            again = asyncio.run(self.make().act(seen, draw=draw, excluded=(action,)))
            _require(isinstance(again, Action), f"with an action excluded, got {again!r:.100}")

    def test_acting_leaves_the_config_alone(self) -> None:
        """A config describes the agent, not the run."""
        agent = self.make()
        before = canonical_json(agent.config())
        for seen, draw in self._situations():
            asyncio.run(agent.act(seen, draw=draw))
        _require(canonical_json(agent.config()) == before, "the config changed while it acted")


class CriticContract(_ConfigContract[Critic]):
    """Tests that a critic is a pure function of (trajectory, proposed, draw) into [0, 1], an advantage, or None."""

    def proposals(self) -> Sequence[tuple[Trajectory, Action]]:
        """Returns at least two (trajectory whose last step is open, proposed action)."""
        raise NotImplementedError("return (trajectory, proposed action) pairs for the critic to score")

    def _said(self, critic: Critic, seen: Trajectory, proposed: Action) -> Score:
        draw = _draw(seen.task, "critic", len(seen.steps) - 1, 0)
        said = asyncio.run(critic.score(seen, proposed, draw=draw))
        return said if isinstance(said, Score) else Score(said)

    def _score(self, critic: Critic, seen: Trajectory, proposed: Action) -> float | None:
        return self._said(critic, seen, proposed).signal

    def test_scores_are_probabilities_or_abstentions(self) -> None:
        """NaN, 2.0 and True are neither."""
        for seen, proposed in self.proposals():
            said = self._said(self.make(), seen, proposed)
            for value, least in ((said.p_fail, 0), (said.advantage, -1)):
                valid = value is None or (
                    isinstance(value, float | int) and not isinstance(value, bool) and least <= value <= 1
                )
                _require(valid, f"expected a number in [{least}, 1] or None, got {value!r:.100}")

    def test_scores_alike_given_the_same_prefix_and_draw(self) -> None:
        """In another instance, in any order, and after other calls."""
        pairs = self.proposals()
        fresh = [self._score(self.make(), seen, proposed) for seen, proposed in pairs]
        used = self.make()
        backwards = [self._score(used, seen, proposed) for seen, proposed in reversed(pairs)]
        _require(fresh == backwards[::-1], "the score depends on more than the prefix, the proposal and the draw")


class EnvironmentContract(_ConfigContract[Environment]):
    """Tests that an environment can be replayed, and restored where it says so."""

    def tasks(self) -> Sequence[Task]:
        """Returns a few tasks to play."""
        raise NotImplementedError("return a few tasks for the environment")

    def actions(self, task: Task) -> Sequence[Action]:
        """Returns actions to play on the task; by default a random walk over the legal actions, 12 long."""
        return asyncio.run(self._random_walk(task))

    async def _random_walk(self, task: Task) -> list[Action]:
        environment, walked = self.make(), list[Action]()
        seen = await environment.reset(task, draw=_draw(task, "environment", 0, 0))
        while not seen.done and seen.legal_actions and len(walked) < 12:
            draw = _draw(task, "walk", len(walked), 0)
            choice = draw.gumbel_choice([0.0] * len(seen.legal_actions), keys=seen.legal_actions)
            walked.append(Action(seen.legal_actions[choice]))
            seen = await environment.step(walked[-1], draw=_draw(task, "environment", len(walked), 0))
        return walked

    async def _play(self, task: Task, actions: Sequence[Action]) -> list[Observation]:
        environment = self.make()
        seen = [await environment.reset(task, draw=_draw(task, "environment", 0, 0))]
        for number, action in enumerate(actions, start=1):
            if not seen[-1].done:
                seen.append(await environment.step(action, draw=_draw(task, "environment", number, 0)))
        return seen

    def test_the_same_actions_give_the_same_observations(self) -> None:
        """In a fresh instance, under the same draws."""
        if not self.make().replay_safe:
            return
        for task in self.tasks():
            actions = self.actions(task)
            _require(len(actions) > 0, f"no action to play on task {task.id!r}: override actions()")
            first, second = asyncio.run(self._play(task, actions)), asyncio.run(self._play(task, actions))
            _require(first == second, f"task {task.id!r}: two plays of the same actions differ")

    def test_the_end_tells_the_outcome(self) -> None:
        """`done` comes with `success`."""
        for task in self.tasks():
            for seen in asyncio.run(self._play(task, self.actions(task))):
                _require(isinstance(seen.text, str), f"task {task.id!r}: an observation without text")
                _require(
                    not seen.done or isinstance(seen.success, bool), f"task {task.id!r}: done, but success is None"
                )

    def test_nonsense_is_answered(self) -> None:
        """Agents say anything; the world goes on."""

        async def play(task: Task) -> Observation:
            environment = self.make()
            await environment.reset(task, draw=_draw(task, "environment", 0, 0))
            return await environment.step(Action("\x00 no such action ☃"), draw=_draw(task, "environment", 1, 0))

        for task in self.tasks():
            _require(isinstance(asyncio.run(play(task)), Observation), f"task {task.id!r}: nonsense was not answered")

    def test_a_restored_state_goes_on_as_the_kept_one_did(self) -> None:
        """In the same instance and in another, any number of times."""

        async def play(task: Task, actions: Sequence[Action], kept_at: int) -> tuple[list[Observation], ...]:
            environment, other = self.make(), self.make()
            if not (isinstance(environment, Restorable) and isinstance(other, Restorable)):
                return ()
            await other.reset(task, draw=_draw(task, "environment", 0, 0))
            await environment.reset(task, draw=_draw(task, "environment", 0, 0))
            for number in range(kept_at):
                await environment.step(actions[number], draw=_draw(task, "environment", number + 1, 0))
            snapshot = environment.snapshot()
            tails = []
            for world in (environment, environment, other, other):
                world.restore(snapshot)
                tails.append(
                    [
                        await world.step(actions[number], draw=_draw(task, "environment", number + 1, 0))
                        for number in range(kept_at, len(actions))
                    ]
                )
            return tuple(tails)

        for task in self.tasks():
            actions = self.actions(task)
            for kept_at in range(len(actions)):
                tails = asyncio.run(play(task, actions, kept_at))
                _require(
                    all(tail == tails[0] for tail in tails[1:]),
                    f"task {task.id!r}: after restoring step {kept_at}, the same actions give other observations",
                )


class InterventionContract(_ConfigContract[Intervention]):
    """Tests that an intervention is a pure function into one of the four effects."""

    def proposals(self) -> Sequence[tuple[Trajectory, Action]]:
        """Returns at least one (trajectory whose last step is open, proposed action)."""
        raise NotImplementedError("return (trajectory, proposed action) pairs to intervene on")

    def _effects(self, intervention: Intervention) -> list[Effect]:
        async def apply(seen: Trajectory, proposed: Action, score: Score) -> Effect:
            draw = _draw(seen.task, "intervention", len(seen.steps) - 1, 0)
            effect = intervention.apply(seen, proposed, score=score, draw=draw)
            return await effect if isinstance(effect, Awaitable) else effect

        scores = (Score(0.9, "it has been here before"), Score(1.0))
        return [asyncio.run(apply(seen, proposed, score)) for seen, proposed in self.proposals() for score in scores]

    def test_the_same_proposal_has_the_same_effect(self) -> None:
        """In another instance, in any order, whether the critic gave a reason or not."""
        first, second = self._effects(self.make()), self._effects(self.make())
        for effect in first:
            _require(isinstance(effect, Effect), f"expected an effect, got {effect!r:.100}")
            _require(
                not isinstance(effect, Replace) or isinstance(effect.action, Action), f"not an action: {effect!r:.100}"
            )
        _require(first == second, "two instances of one configuration intervene differently")

    def test_what_undoes_steps_says_so(self) -> None:
        """A plan is refused by it where the world cannot go back."""
        undone = max(effect.undo if isinstance(effect, Retry) else 0 for effect in self._effects(self.make()))
        _require(undone == 0 or undoes_steps(self.make()), f"{undone} steps undone, but undoes_steps is not True")

    def test_it_has_a_name(self) -> None:
        """Reports and journals call it by one word."""
        name = self.make().name
        _require(
            name.replace("-", "_").isidentifier() and name not in ("proceed", "refused", "failed"),
            f"expected one word, got {name!r:.60}",
        )

    def test_what_it_says_of_itself_is_true_or_false(self) -> None:
        """A method that was to be a property is always true."""
        for read in (undoes_steps, is_control):
            try:
                read(self.make())
            except InvalidInput as error:
                raise AssertionError(str(error)) from None


class ChatModelContract(_ConfigContract[ChatModel]):
    """Tests that a language model's answer is a function of (messages, options, draw)."""

    repeats = True
    """Whether asking again gives the same answer; a provider that honours no seed cannot say so of itself."""

    def requests(self) -> Sequence[tuple[Sequence[Message], ChatOptions]]:
        """Returns at least two requests that the model can answer; by default a sampled, a greedy and a longer one."""
        question: Message = {"role": "user", "content": "Name a colour."}
        talk: list[Message] = [
            {"role": "system", "content": "Be brief."},
            question,
            {"role": "assistant", "content": "Red."},
            {"role": "user", "content": "Another one, please."},
        ]
        return [
            ([question], ChatOptions(temperature=0.7, max_tokens=8)),
            ([question], ChatOptions(temperature=0.0, max_tokens=8, logprobs=True, top_logprobs=2)),
            (talk, ChatOptions(temperature=0.7, max_tokens=12, logprobs=True)),
        ]

    def too_long(self) -> Sequence[Message] | None:
        """Returns a conversation that the model's context cannot hold; None: there is none."""
        return None

    def unusable(self) -> Sequence[ChatOptions]:
        """Returns options that this model cannot follow; those that none can, `ChatOptions` refuses itself."""
        return []

    def _situations(self) -> list[tuple[Sequence[Message], ChatOptions, Draw]]:
        draws = [Draw(task_id="t", seed=0, role="agent", attempt=attempt) for attempt in (0, 1)]
        return [(messages, options, draw) for messages, options in self.requests() for draw in draws]

    def _answers(self, model: ChatModel, *, backwards: bool = False, together: bool = False) -> list[Completion]:
        """What it answers to each situation, in their order, without the time that it took."""
        situations = self._situations()

        async def ask() -> list[Completion]:
            asked = [model.complete(messages, options=options, draw=draw) for messages, options, draw in situations]
            if together:
                return await asyncio.gather(*asked)
            return [await one for one in (reversed(asked) if backwards else asked)]

        found = [replace(one, usage=Usage()) for one in asyncio.run(ask())]
        return found[::-1] if backwards else found

    def test_the_same_request_and_draw_give_the_same_answer(self) -> None:
        """In another instance, in any order, after other calls, and among others at the same time."""
        if not self.repeats:
            return
        model = self.make()
        first = self._answers(model)
        _require(first == self._answers(model), "asked again, it answers otherwise")
        _require(first == self._answers(self.make(), backwards=True), "in another order, it answers otherwise")
        _require(first == self._answers(self.make(), together=True), "asked together, it answers otherwise")

    def test_answers_say_what_they_took(self) -> None:
        """Budgets and bills are counted from it."""
        model = self.make()
        for messages, options, draw in self._situations():
            used = asyncio.run(model.complete(messages, options=options, draw=draw)).usage
            known = (used.input_tokens, used.output_tokens, used.cached_tokens, used.seconds, used.cost)
            _require(used.calls == 1, f"one call was made, and its usage counts {used.calls}")
            _require(all(value is None or value >= 0 for value in known), f"usage below 0: {used!r:.200}")

    def test_log_probabilities_are_at_most_0(self) -> None:
        """Natural logarithms, one for each token, and none where none were asked for."""
        model = self.make()
        for messages, options, draw in self._situations():
            answer = asyncio.run(model.complete(messages, options=options, draw=draw))
            _require(options.logprobs or answer.tokens is None, "log-probabilities that nobody asked for")
            for token in answer.tokens or ():
                told = [token.logprob, *token.top.values()]
                _require(all(-float("inf") < one <= 0 for one in told), f"log-probabilities {told!r:.100}")
                _require(len(token.top) <= options.top_logprobs, f"{len(token.top)} alternatives of a token")

    def test_what_cannot_be_asked_is_said(self) -> None:
        """A request that is too long is the agent's failure, options that cannot be followed are the user's."""
        model, draw = self.make(), Draw(task_id="t", seed=0, role="agent")
        messages, _ = self.requests()[0]
        for options in self.unusable():
            try:
                asyncio.run(model.complete(messages, options=options, draw=draw))
            except InvalidInput:
                continue
            raise AssertionError(f"expected InvalidInput for {options!r:.200}")
        long = self.too_long()
        if long is not None:
            try:
                asyncio.run(model.complete(long, options=ChatOptions(max_tokens=1), draw=draw))
            except AgentError:
                return
            raise AssertionError("expected AgentError for a conversation that is longer than the context")

    def test_answering_leaves_the_config_alone(self) -> None:
        """A config describes the model, not the run."""
        model = self.make()
        before = canonical_json(model.config())
        self._answers(model)
        _require(canonical_json(model.config()) == before, "the config changed while it answered")


def _draw(task: Task, role: str, step_index: int, attempt: int) -> Draw:
    return Draw(task_id=task.id, seed=0, role=role, step_index=max(0, step_index), attempt=attempt)
