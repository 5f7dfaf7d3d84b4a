"""What a question is."""

import hashlib

import msgspec
from msgspec import Struct

from forbear.records.model import Task


class Paragraph(Struct, frozen=True):
    """What may be read before answering."""

    title: str
    sentences: tuple[str, ...]

    @property
    def text(self) -> str:
        """Its sentences, one after the other."""
        return " ".join(sentence.strip() for sentence in self.sentences)


class Question(Struct, frozen=True, kw_only=True):
    """A question, what may be read, and what is accepted as its answer."""

    id: str
    text: str
    answers: tuple[str, ...]
    """At least one; the first is how it is told, the others are accepted as well."""
    context: tuple[Paragraph, ...] = ()
    choices: tuple[str, ...] = ()
    """Where it is to be chosen; else empty."""
    kind: str | None = None
    """The stratum of its task."""
    cluster: str | None = None
    """Questions about the same text are not independent of one another."""


def task_of(question: Question) -> Task:
    """The question as a task: its payload names its content, and gives nothing of it away."""
    digest = hashlib.sha256(msgspec.json.encode(question)).hexdigest()
    return Task(id=question.id, payload={"sha256": digest}, stratum=question.kind, cluster=question.cluster)
