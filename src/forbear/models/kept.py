"""A model whose answers are kept, metered and priced; what asks for them is what others add."""

import asyncio
import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import msgspec
from msgspec import structs

from forbear.contracts.border import checked_config
from forbear.contracts.draw import Draw
from forbear.errors import AgentError, InvalidInput, JournalUnwritable, ModelUnusable
from forbear.models.chat import ChatOptions, Completion, Message
from forbear.models.session import current_loop, current_meter, current_session, priced
from forbear.records.codec import config_digest
from forbear.records.model import JSON

_CANONICAL = msgspec.json.Encoder(order="deterministic")

MAX_ANSWER = 1 << 20
"""Characters of an answer, in text and tool calls together: a journal's line would take no more."""


class KeptModel(ABC):
    """Implements `ChatModel.complete`: the same request under the same draw has one answer for ever.

    A subclass says how a provider is asked (`ask`), and what decides its answers (`config`). Within a pilot's session
    an answer is kept before it is used; without one nothing is kept.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """As prices call it."""

    defaults: ChatOptions = ChatOptions()
    """Options for requests that do not say otherwise; part of `config`."""
    is_remote = False
    """Others compute its answers, many at a time: who gets one goes on in turns (`session.Turns`)."""
    _config: bytes | None = None
    """Digest of `config`, which does not change, once it was asked for."""

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
        options = _merged(self.defaults, options)
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
            completion = _checked(completion)
            if store is not None:
                store.put(key, completion, draw=draw)
        except (InvalidInput, JournalUnwritable, ModelUnusable) as error:
            if session is not None:
                session.broken = error
            raise
        meter.add(priced(completion.usage, model=self.name), key=key, paid=True)
        if self.is_remote and session is not None and session.turns is not None:
            await session.turns.take()
        return completion

    def complete_sync(
        self, messages: Sequence[Message], *, options: ChatOptions = ChatOptions(), draw: Draw
    ) -> Completion:
        """The same for code that does not wait: from a thread beside a pilot's loop, or where there is no loop.

        Raises:
            InvalidInput: Called within a running event loop, which it would block: await `complete` there.
        """
        loop = current_loop()
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            if loop is None:
                return asyncio.run(self._once(messages, options, draw))
            call = self.complete(messages, options=options, draw=draw)
            return asyncio.run_coroutine_threadsafe(call, loop).result()
        raise InvalidInput("complete_sync would block the event loop that runs here: await complete(...) instead.")

    async def _once(self, messages: Sequence[Message], options: ChatOptions, draw: Draw) -> Completion:
        try:
            return await self.complete(messages, options=options, draw=draw)
        finally:
            await self.aclose()

    async def aclose(self) -> None:  # noqa: B027  # most have nothing open
        """Lets go of what is open in the loop that runs; it opens again when asked. A pilot does this at its end."""

    def key(self, messages: Sequence[Message], *, options: ChatOptions, draw: Draw) -> str:
        """Names a request under a draw.

        Raises:
            AgentError: No message, one that is none, or that JSON cannot hold.
        """
        if not messages or not all(isinstance(one, Mapping) for one in messages):
            raise AgentError("a conversation is a list of at least one message: {'role': ..., 'content': ...}.")
        if self._config is None:
            self._config = config_digest(checked_config(self.config(), what="model")).encode()
        try:
            request = _CANONICAL.encode((self._config, messages, options))
        except (TypeError, ValueError, RecursionError) as error:
            raise AgentError(f"a conversation holds only what JSON can: {error!s:.200}.") from None
        digest = hashlib.sha256(request)
        digest.update(draw.digest())
        return digest.hexdigest()[:40]


_STANDARD = ChatOptions()


def _merged(defaults: ChatOptions, options: ChatOptions) -> ChatOptions:
    if options == _STANDARD:
        return defaults
    given = {name: getattr(options, name) for name in options.__struct_fields__}
    return structs.replace(defaults, **{k: v for k, v in given.items() if v != getattr(_STANDARD, k)})


def _checked(completion: Completion) -> Completion:
    """The answer, bounded and Unicode, as everything that comes in from outside."""
    size = len(completion.text) + sum(len(call.name) + len(call.arguments) for call in completion.tool_calls)
    if size > MAX_ANSWER:
        raise AgentError(f"the model's answer has {size:,} characters, more than {MAX_ANSWER:,}: set max_tokens.")
    try:
        msgspec.json.encode(completion)
    except UnicodeEncodeError:  # half of a pair of surrogates: no file could hold it
        told = json.dumps(msgspec.to_builtins(completion), ensure_ascii=False)
        return msgspec.json.decode(told.encode("utf-16", "surrogatepass").decode("utf-16", "replace"), type=Completion)
    return completion
