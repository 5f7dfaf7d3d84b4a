"""A model whose answers are kept, metered and priced; what asks for them is what others add."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import msgspec

from forbear.contracts.border import checked_config
from forbear.contracts.draw import Draw
from forbear.errors import AgentError, InvalidInput, JournalUnwritable, ModelUnusable
from forbear.models.chat import ChatOptions, Completion, Message
from forbear.models.session import current_meter, current_session, priced
from forbear.records.codec import canonical_json
from forbear.records.model import JSON

MAX_ANSWER = 1 << 20
"""Characters of an answer, in text and tool calls together: a journal's line would take no more."""


class KeptModel(ABC):
    """Implements `ChatModel.complete`: the same request under the same draw has one answer for ever.

    A subclass says how a provider is asked (`ask`), and what decides its answers (`config`). Within a pilot's session
    an answer is kept before it is used; without one nothing is kept.
    """

    name: str
    """As prices call it."""

    @abstractmethod
    async def ask(self, messages: Sequence[Message], *, options: ChatOptions, draw: Draw) -> Completion:
        """Asks the model; its usage has `calls=1`. Raises as `ChatModel.complete` does."""

    @abstractmethod
    def config(self) -> Mapping[str, JSON]:
        """Returns what decides its answers besides messages and options; no keys, no secrets."""

    async def complete(
        self, messages: Sequence[Message], *, options: ChatOptions = ChatOptions(), draw: Draw
    ) -> Completion:
        """Returns the answer: the kept one, or a new one; see `ChatModel.complete`."""
        meter, session = current_meter(), current_session()
        store = None if session is None else session.store
        key = self.key(messages, options=options, draw=draw)
        if store is not None and (found := store.get(key)) is not None:
            completion, is_own = found
            is_new = is_own and not meter.has(key)
            meter.add(priced(completion.usage, model=self.name), key=key, paid=is_new)
            return completion
        try:
            with meter.asking():
                completion = await self.ask(messages, options=options, draw=draw)
            _require_bounded(completion)
            if store is not None:
                store.put(key, completion, draw=draw)
        except (JournalUnwritable, ModelUnusable) as error:
            if session is not None:
                session.broken = error
            raise
        meter.add(priced(completion.usage, model=self.name), key=key, paid=True)
        return completion

    def key(self, messages: Sequence[Message], *, options: ChatOptions, draw: Draw) -> str:
        """Names a request under a draw.

        Raises:
            InvalidInput: No message, or one that JSON cannot hold.
        """
        if not messages or not all(isinstance(one, Mapping) and "role" in one for one in messages):
            raise InvalidInput("a conversation is a list of at least one message: {'role': ..., 'content': ...}.")
        request: dict[str, JSON] = {
            "model": checked_config(self.config(), what="model"),
            "messages": [dict(message) for message in messages],
            "options": msgspec.to_builtins(options),
        }
        digest = hashlib.sha256(canonical_json(request).encode("utf-8", "surrogatepass"))
        digest.update(draw.digest())
        return digest.hexdigest()[:40]


def _require_bounded(completion: Completion) -> None:
    size = len(completion.text) + sum(len(call.name) + len(call.arguments) for call in completion.tool_calls)
    if size > MAX_ANSWER:
        raise AgentError(f"the model's answer has {size:,} characters, more than {MAX_ANSWER:,}: set max_tokens.")
