"""A language model as a critic: the probability of failure that it gives to a proposal."""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from forbear.contracts.border import config_of
from forbear.contracts.critic import Score
from forbear.contracts.draw import Draw
from forbear.errors import AgentError, InvalidInput
from forbear.models.chat import ChatModel, ChatOptions, Completion, Message, Token, require_count
from forbear.models.prompts import prompt as prompt_of
from forbear.models.transcript import transcript
from forbear.records.codec import config_digest
from forbear.records.model import JSON, Action, Trajectory
from forbear.templates import fill_template
from forbear.wording import shown

HOLES = ("history", "action", "task", "seen")
"""`{history}`: all that was seen and done; `{action}`: the proposal; `{task}`: the task's id; `{seen}`: what was seen
first, which mostly says what is to be done."""

_TOP = 20
_NUMBER = re.compile(
    r"[^\w\n]{0,12}FAILURE[^\w\n]{0,4}?[:=][*\s]{0,8}([0-9]{1,3}(?:\.[0-9]{1,6})?)\s?%?[*.\s]{0,8}", re.I
)
"""One line that holds nothing else. Each line is looked at once, and only as far as its beginning is right."""
_AROUND = " \t\r\n.,:;!*'\"`()▁Ġ"
"""What may stand around a word in a token: marks, and how tokenizers write a blank."""
_REPAIR = {
    "logprob": "Answer with one word: Yes or No.",
    "number": "End with one line that holds nothing but FAILURE: and a whole number from 0 to 100.",
}


class UnreadableReply(AgentError):
    """A critic's model answered, twice, with what is no score."""


class ChatCritic:
    """Asks a model whether the agent will fail.

    Two ways to read its answer. `logprob`: it is asked for yes or no, and p_fail is what it gives to yes against no
    among the likeliest first tokens. `number`: it names a number. `auto` reads log-probabilities where the server gives
    them and asks for a number where it does not, which costs a second call.

    A reply that cannot be read is asked about once more; then it is a fault, which `max_critic_faults` counts: a critic
    that does not answer must be heard of.
    """

    def __init__(
        self,
        model: ChatModel,
        *,
        mode: Literal["auto", "logprob", "number"] = "auto",
        prompt: str | Path | None = None,
        explain: bool = False,
        temperature: float | None = 0.0,
        max_tokens: int | None = None,
        last_steps: int | None = None,
        name: str = "chat-critic",
    ) -> None:
        """Says how it is asked.

        Args:
            model: Which model.
            mode: How its answer is read.
            prompt: A text with holes (`HOLES`) or the path of one; omitted: the shipped one.
            explain: With log-probabilities: ask for a reason behind the answer, which `{why}` in a message shows. With
                numbers the shipped prompt always asks for one.
            temperature: Of the answer; log-probabilities do not depend on it everywhere.
            max_tokens: Of the answer; omitted: 1 without a reason, else 120.
            last_steps: How many of the latest steps it reads, at least 1; None: all.
            name: In records and reports.

        Raises:
            InvalidInput: An unknown mode, or a prompt that cannot be used.
        """
        if mode not in ("auto", "logprob", "number"):
            raise InvalidInput(f"the chat critic's mode must be auto, logprob or number, got {mode!r:.60}.")
        ChatOptions(temperature=temperature, max_tokens=max_tokens)  # which refuses what no model can follow
        if last_steps is not None:
            require_count(last_steps, "last_steps")
        self._model, self._mode, self._explain = model, mode, explain
        self._temperature, self._max_tokens, self._last_steps, self._name = temperature, max_tokens, last_steps, name
        asked = "yes_no_why.txt" if explain else "yes_no.txt"
        self._prompts = {
            way: prompt_of(prompt, shipped=shipped, package=__package__, holes=HOLES, whose="the chat critic's prompt")
            for way, shipped in (("logprob", asked), ("number", "number.txt"))
            if way == mode or mode == "auto"
        }

    async def score(self, trajectory: Trajectory, proposed: Action, *, draw: Draw) -> Score:
        """Returns what the model makes of the proposal.

        Raises:
            UnreadableReply: It answered twice with what is no score.
            AgentError: As its model raises: a history that is too long, say.
            ProviderError: The provider is down.
        """
        if self._mode != "number":
            score, has_tokens = await self._asked("logprob", trajectory, proposed, draw)
            if score is not None:
                return score
            if self._mode == "logprob" and not has_tokens:
                raise UnreadableReply(
                    "the server gives no log-probabilities; ask for numbers (mode = 'number'), or another server."
                )
        score, _ = await self._asked("number", trajectory, proposed, draw.sample(1))
        assert score is not None
        return score

    async def _asked(self, way: str, trajectory: Trajectory, proposed: Action, draw: Draw) -> tuple[Score | None, bool]:
        """The score in this way, None where there are no log-probabilities to read; whether there were any."""
        fills = {
            "history": transcript(trajectory, last_steps=self._last_steps),
            "action": proposed.text,
            "task": trajectory.task.id,
            "seen": trajectory.steps[0].observation if trajectory.steps else "",
        }
        conversation: list[Message] = [{"role": "user", "content": fill_template(self._prompts[way], fills)}]
        options = self._options(way)
        said = await self._model.complete(conversation, options=options, draw=draw)
        if way == "logprob" and said.tokens is None:
            return None, False
        score = _read(way, said)
        if score is None:
            replied = _replied(said) or "(nothing)"
            conversation += [{"role": "assistant", "content": replied}, {"role": "user", "content": _REPAIR[way]}]
            said = await self._model.complete(conversation, options=options, draw=draw.sample(2))
            score = _read(way, said)
        if score is None:
            raise UnreadableReply(
                f"the critic's model gave no score, asked twice; it said '{shown(_replied(said), limit=200)}'"
            )
        return score, True

    def _options(self, way: str) -> ChatOptions:
        short = 1 if way == "logprob" and not self._explain else 120
        with_tokens = way == "logprob"
        return ChatOptions(
            temperature=self._temperature,
            max_tokens=self._max_tokens or short,
            logprobs=with_tokens,
            top_logprobs=_TOP if with_tokens else 0,
        )

    def config(self) -> Mapping[str, JSON]:
        """Returns the model's config, how it is asked, and the digest of its prompts."""
        return {
            "name": self._name,
            "model": dict(config_of(self._model, what="chat critic's model")),
            "mode": self._mode,
            "explain": self._explain,
            "temperature": self._temperature,
            "max_tokens": self._max_tokens,
            "last_steps": self._last_steps,
            "prompts": config_digest(self._prompts),
        }


def _read(way: str, said: Completion) -> Score | None:
    if way == "number":
        return _of_number(said.text)
    return _of_tokens(said.tokens or (), said.text)


def _replied(said: Completion) -> str:
    return said.text.strip() or (said.refusal or "").strip()


def _of_number(text: str) -> Score | None:
    """The last line that names it; what stands before is the reason.

    Whole numbers from 0 to 100, or with a fraction from above 1: whether 0.8 is a probability or means 0.8 % nobody
    knows.
    """
    lines = text.splitlines(keepends=True)
    for number in range(len(lines) - 1, -1, -1):
        if found := _NUMBER.fullmatch(lines[number].strip()):
            value = float(found[1])
            if value > 100 or ("." in found[1] and value <= 1):
                return None
            return Score(value / 100, "".join(lines[:number]).strip() or None)
    return None


def _of_tokens(tokens: Sequence[Token], text: str) -> Score | None:
    """Yes against no at the first token that is no blank; what the answer goes on to say is the reason."""
    for token in tokens:
        if not _word(token.text):
            continue
        alternatives = {**token.top, token.text: token.logprob}
        yes, no = (_mass(alternatives, word) for word in ("yes", "no"))
        if yes + no <= 0:
            return None
        reason = re.sub(r"^\W{0,12}(?:yes|no)\b\W{0,12}", "", text, flags=re.IGNORECASE).strip()
        return Score(yes / (yes + no), reason or None)
    return None


def _word(token: str) -> str:
    return token.strip(_AROUND).lower()


def _mass(alternatives: Mapping[str, float], word: str) -> float:
    """Of the tokens that are the word or, where a tokenizer splits it, begin it."""
    return math.fsum(
        math.exp(p) for token, p in alternatives.items() if (said := _word(token)) and word.startswith(said)
    )
