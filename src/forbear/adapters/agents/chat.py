"""A language model as an agent: it sees what the trajectory says, and proposes by a tool call, a line or a choice."""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

from forbear.adapters.agents.tools import ToolSet
from forbear.contracts.border import config_of
from forbear.contracts.draw import Draw
from forbear.errors import AgentError, InvalidInput
from forbear.models.chat import ChatModel, ChatOptions, Completion, Message, require_count
from forbear.models.prompts import prompt
from forbear.records.codec import config_digest
from forbear.records.model import JSON, Action, Step, Trajectory
from forbear.templates import fill_template
from forbear.wording import counted, described

Mode: TypeAlias = Literal["tools", "text", "line", "choice"]
Legal: TypeAlias = Literal["ignore", "hint", "grammar"]

HOLES = ("task",)
"""Of the system prompt: `{task}` is the task's id. What is to be done stands in the world's first observation."""

_ACTION = re.compile(
    r"^(?P<marks>[^\w\n]{0,12})action(?:[ \t]?\d{1,3})?[^\w\n:]{0,4}:[*`]{0,3}\s{0,8}(?P<text>\S[^\n]*)",
    re.IGNORECASE | re.MULTILINE,
)
"""Bounded throughout: a text of a million line breaks is searched once, not once from each."""
_LETTERS = "ABCDEFGHIJKLMNOPQRST"
_NOTHING = "(no action)"
"""What a step is spent on where the model said nothing at all."""
_UNSEEN = "(nothing)"
"""What an observation without a text is to a model: some servers take no empty message."""


class ChatAgent:
    """Proposes what a chat model answers; a function of trajectory and draw, by the pilot's store of answers.

    - `tools`: the world's actions are tools to call (its first observation's payload may hold them as "tools", in
      OpenAI's form; else there is one tool, `act`, that takes a text).
    - `text`: for models without tools: the first line "Action: ..." of the answer.
    - `line`: the first line of the answer is the action, for one-step questions and small models.
    - `choice`: legal actions are lettered, and one is drawn by the log-probabilities of the letters.

    An answer that is no action is asked about once more; then it is the action, the world says what it makes of it, and
    the step counts.
    """

    def __init__(
        self,
        model: ChatModel,
        *,
        mode: Mode = "tools",
        legal: Legal = "ignore",
        system: str | Path | None = None,
        examples: Sequence[Sequence[str]] = (),
        begin: str = "",
        temperature: float | None = None,
        max_tokens: int | None = None,
        logprobs: bool = False,
        history_steps: int | None = None,
        name: str = "chat",
    ) -> None:
        """Says how the model acts.

        Args:
            model: Which model.
            mode: How it proposes.
            legal: What is made of the actions that the world calls legal: nothing; a `hint` behind what was seen; a
                `grammar` that admits nothing else (`text` and `line` on llama.cpp's servers and in process).
            system: The system prompt, a text with holes (`HOLES`) or the path of one; omitted: the shipped one of the
                mode; "" for none.
            examples: Pairs of what a user says and what is answered, told before the task; small models need them.
            begin: What the answers of `line` begin with, as in the examples ("Answer:"); it is no part of the action.
            temperature: Of the answers; None: the model's own. With `choice`, 1 draws by the probabilities as they are.
            max_tokens: Of an answer; None: the model's own.
            logprobs: Ask for those of the answer's tokens, which `TokenProbability` reads.
            history_steps: How many of the latest steps it sees beside what was seen first, at least 1; None: all.
            name: In records and reports.

        Raises:
            InvalidInput: Options that do not go together, or a prompt that cannot be used.
        """
        if mode not in ("tools", "text", "line", "choice") or legal not in ("ignore", "hint", "grammar"):
            raise InvalidInput(
                "the chat agent's mode is tools, text, line or choice, and legal is ignore, hint or grammar; got "
                f"mode = {mode!r:.40} and legal = {legal!r:.40}."
            )
        if legal == "grammar" and mode not in ("text", "line"):
            raise InvalidInput(f"legal = 'grammar' goes with mode text or line, got mode = {mode!r}.")
        ChatOptions(temperature=temperature, max_tokens=max_tokens)  # which refuses what no model can follow
        if history_steps is not None:
            require_count(history_steps, "history_steps")
        self._examples = tuple(tuple(pair) for pair in examples)
        if not all(len(pair) == 2 and all(isinstance(text, str) and text for text in pair) for pair in self._examples):
            raise InvalidInput(f"the chat agent's examples are pairs of texts, got {described(examples)}.")
        if not isinstance(begin, str) or (begin and mode != "line"):
            raise InvalidInput(
                f"begin is a text that goes with mode = 'line', got {described(begin)} and mode {mode!r}."
            )
        self._begin = "Action:" if mode == "text" else begin
        self._model, self._mode, self._legal, self._name = model, mode, legal, name
        self._temperature, self._max_tokens, self._history = temperature, max_tokens, history_steps
        self._logprobs = logprobs or mode == "choice"
        self._system = (
            ""
            if system == ""
            else prompt(
                system, shipped=f"{mode}.txt", package=__package__, holes=HOLES, whose="the chat agent's system prompt"
            )
        )

    def config(self) -> Mapping[str, JSON]:
        """Returns the model's config, how it acts, and the digest of its prompt."""
        return {
            "name": self._name,
            "model": dict(config_of(self._model, what="chat agent's model")),
            "mode": self._mode,
            "legal": self._legal,
            "temperature": self._temperature,
            "max_tokens": self._max_tokens,
            "logprobs": self._logprobs,
            "history_steps": self._history,
            "system": config_digest(self._system),
            "examples": config_digest(self._examples),
            "begin": self._begin,
        }

    async def act(self, trajectory: Trajectory, *, draw: Draw, excluded: Sequence[Action] = ()) -> Action:
        """Returns what the model proposes.

        Raises:
            AgentError: A conversation longer than its context, or more choices than there are letters.
            ProviderError: Its provider is down.
        """
        tools = ToolSet.of(trajectory) if self._mode == "tools" else ToolSet({}, ())
        conversation = self._conversation(trajectory, tools, excluded)
        if self._mode == "choice":
            return await self._chosen(conversation, trajectory, draw, excluded)
        options = self._options(trajectory.steps[-1], tools)
        said = await self._model.complete(conversation, options=options, draw=draw)
        legal = trajectory.steps[-1].legal_actions or ()
        action, complaint = self._read(said, tools, legal)
        if complaint is not None:
            conversation += [
                {"role": "assistant", "content": said.text.strip() or action.text},
                {"role": "user", "content": complaint},
            ]
            said = await self._model.complete(conversation, options=options, draw=draw.sample(1))
            action, _ = self._read(said, tools, legal)
        return action

    def _options(self, step: Step, tools: ToolSet) -> ChatOptions:
        legal = step.legal_actions
        grammar = None
        if self._legal == "grammar" and legal:
            grammar = _grammar(legal, before=f"{self._begin} " if self._begin else "")
        return ChatOptions(
            temperature=self._temperature,
            max_tokens=self._max_tokens,
            logprobs=self._logprobs,
            tools=tools.offered(legal) if self._mode == "tools" else (),
            stop=("\nObservation:",) if self._mode == "text" else ("\n",) if self._begin else (),
            grammar=grammar,
        )

    # --- What it sees -----------------------------------------------------------------------------------------

    def _conversation(self, trajectory: Trajectory, tools: ToolSet, excluded: Sequence[Action]) -> list[Message]:
        conversation: list[Message] = []
        if self._system:
            filled = fill_template(self._system, {"task": trajectory.task.id})
            conversation.append({"role": "system", "content": filled})
        for user, assistant in self._examples:
            conversation += [{"role": "user", "content": user}, {"role": "assistant", "content": assistant}]
        steps = trajectory.steps
        conversation.append({"role": "user", "content": _seen(steps[0])})
        begin = 0 if self._history is None else max(0, len(steps) - 1 - self._history)
        if begin:
            conversation.append({"role": "user", "content": f"(... {counted(begin, 'step')} left out ...)"})
        for before, step in zip(steps[begin:], steps[begin + 1 :], strict=False):
            conversation += self._told(before)
            conversation += self._step(before, step, tools)
        conversation += self._told(steps[-1])
        hints = self._hints(steps[-1], excluded)
        if hints:
            conversation.append({"role": "user", "content": hints})
        return _joined(conversation)

    def _told(self, step: Step) -> list[Message]:
        return [{"role": "user", "content": message} for message in step.messages]

    def _step(self, before: Step, step: Step, tools: ToolSet) -> list[Message]:
        """What was done, and what was seen then."""
        action = before.executed
        assert action is not None, "steps that stand were executed"
        if self._mode == "tools":
            call = tools.call_of(action, id=f"call-{before.index}")
            return [
                {"role": "assistant", "content": action.rationale or "", "tool_calls": [call]},
                {"role": "tool", "tool_call_id": f"call-{before.index}", "content": _seen(step)},
            ]
        if self._mode == "text":
            thought = f"{action.rationale}\n" if action.rationale else ""
            said, seen = f"{thought}{self._begin} {action.text}", f"Observation: {_seen(step)}"
        else:
            said, seen = f"{self._begin} {action.text}".strip(), _seen(step)
        return [{"role": "assistant", "content": said}, {"role": "user", "content": seen}]

    def _hints(self, step: Step, excluded: Sequence[Action]) -> str:
        lines: list[str] = []
        if step.legal_actions and self._legal == "hint":
            lines.append("Possible actions: " + "; ".join(step.legal_actions))
        if step.legal_actions and self._mode == "choice":
            lines += [f"{letter}. {text}" for letter, text in zip(_LETTERS, step.legal_actions, strict=False)]
        if excluded and self._mode != "choice":
            lines.append("Do not do this: " + "; ".join(action.text for action in excluded))
        return "\n".join(lines)

    # --- What it said -----------------------------------------------------------------------------------------

    def _read(self, said: Completion, tools: ToolSet, legal: Sequence[str]) -> tuple[Action, str | None]:
        """The proposal, and what is to be asked where it is none."""
        text, logprobs = said.text.strip(), said.logprobs
        if said.refusal:
            return Action(said.refusal.strip() or _NOTHING, logprobs=logprobs), None
        if self._mode == "tools":
            text, payload, complaint = tools.read(said)
            return Action(
                text or _NOTHING, payload=payload, rationale=said.text.strip() or None, logprobs=logprobs
            ), complaint
        begun = text.removeprefix(self._begin).strip() if self._begin else text
        for one in legal:
            if begun == one.strip():  # which may have several lines
                return Action(one, logprobs=logprobs), None
        if self._mode == "line":
            text = begun
            line = next((line.strip() for line in text.splitlines() if line.strip()), "")
            return Action(line or _NOTHING, logprobs=logprobs), None if line else "Answer with one line of text."
        found = _ACTION.search(text)
        if found is None:
            return Action(text or _NOTHING, logprobs=logprobs), "End with one line: Action: what you do next"
        thought, action = text[: found.start()].strip(), found["text"].strip()
        for marks in ("**", "`"):  # of a line that is printed bold, or as code
            if action.endswith(marks) and (found["marks"].endswith(marks) or action.startswith(marks)):
                action = action.removeprefix(marks).removesuffix(marks).strip() or action
        return Action(action, rationale=thought or None, logprobs=logprobs), None

    async def _chosen(
        self, conversation: list[Message], trajectory: Trajectory, draw: Draw, excluded: Sequence[Action]
    ) -> Action:
        """Draws a legal action by the log-probabilities of its letter."""
        legal = trajectory.steps[-1].legal_actions or ()
        if not 0 < len(legal) <= len(_LETTERS):
            raise AgentError(
                f"mode = 'choice' takes 1 to {len(_LETTERS)} legal actions, this world offers {len(legal)} here; take "
                "legal = 'grammar' or 'hint'."
            )
        options = ChatOptions(temperature=0.0, max_tokens=1, logprobs=True, top_logprobs=20)
        said = await self._model.complete(conversation, options=options, draw=draw)
        if said.refusal:
            return Action(said.refusal.strip() or _NOTHING, logprobs=said.logprobs)
        if said.tokens is None:
            raise AgentError("mode = 'choice' needs log-probabilities, which this server does not give.")
        scores = dict.fromkeys(_LETTERS[: len(legal)], -math.inf)
        for first in said.tokens[:1]:
            for token, logprob in {**first.top, first.text: first.logprob}.items():
                letter = token.strip(" \t\n.:()*▁Ġ").upper()
                if letter in scores:
                    scores[letter] = max(scores[letter], logprob)
        free = [n for n in range(len(legal)) if Action(legal[n]) not in excluded] or list(range(len(legal)))
        values = [scores[_LETTERS[n]] for n in free]
        if all(value == -math.inf for value in values):
            return Action(said.text.strip() or _NOTHING, logprobs=said.logprobs)
        temperature = 1.0 if self._temperature is None else max(self._temperature, 1e-3)
        chosen = draw.gumbel_choice([v / temperature for v in values], keys=[legal[n] for n in free])
        return Action(legal[free[chosen]], logprobs=(min(values[chosen], 0.0),))


def _joined(conversation: list[Message]) -> list[Message]:
    """Neighbours of the user's as one: some servers take no two in a row."""
    joined: list[Message] = []
    for message in conversation:
        if joined and message["role"] == joined[-1]["role"] == "user":
            joined[-1] = {"role": "user", "content": f"{joined[-1]['content']}\n\n{message['content']}"}
        else:
            joined.append(message)
    return joined


def _seen(step: Step) -> str:
    return step.observation if step.observation.strip() else _UNSEEN


def _grammar(legal: Sequence[str], *, before: str) -> str:
    """A grammar (GBNF) of nothing but these."""
    either = " | ".join(map(_literal, dict.fromkeys(legal)))
    return f'root ::= "{before}" ({either})' if before else f"root ::= {either}"


def _literal(text: str) -> str:
    """A text in a grammar, whose escapes are not those of JSON."""
    return '"' + re.sub(r'[\x00-\x1f\x7f"\\]', lambda found: f"\\x{ord(found[0]):02X}", text) + '"'
