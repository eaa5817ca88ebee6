"""The shapes of the chapter "Generations", and of its events."""

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

from palaver.dialects.native.answers_wire import Citation, Source
from palaver.dialects.native.wire import Id, Time, render_time
from palaver.domain import generations
from palaver.domain.events import FinishReason
from palaver.domain.generations import GenerationState
from palaver.services.branches import failure_of
from palaver.web.bodies import INT64_MAX

EventNumber: TypeAlias = Annotated[int, Meta(ge=0, le=INT64_MAX)]


class Failure(Struct):
    """Why there is no answer, or no more of it: as an error has it."""

    code: str
    message: str

    @classmethod
    def of(cls, outline: str | None) -> "Failure | None":
        """Render how a run failed, None where it did not."""
        failed = failure_of(outline)
        return None if failed is None else cls(failed.kind.name, failed.message)


class Run(Struct, gc=False):
    """A generation, as a list of messages shows it."""

    id: Id
    state: GenerationState
    error: Failure | None

    @classmethod
    def of(cls, run: generations.Run) -> "Run":
        """Render a run."""
        return cls(run.uuid, run.state, Failure.of(run.outline))


class Generation(Struct, kw_only=True):
    """The run that writes one answer: of which message, into which, and how far it is."""

    id: Id
    state: GenerationState
    error: Failure | None
    conversation_id: Id
    message_id: Id
    answer_id: Id
    model: str
    created_at: Time
    finished_at: Time | None

    @classmethod
    def of(cls, run: generations.ShownRun) -> "Generation":
        """Render a run."""
        return cls(
            id=run.uuid,
            state=run.state,
            error=Failure.of(run.outline),
            conversation_id=run.conversation_uuid,
            message_id=run.message_uuid,
            answer_id=run.answer_uuid,
            model=run.model,
            created_at=render_time(run.created_at),
            finished_at=None if run.finished_at is None else render_time(run.finished_at),
        )


# The data of the events


class Ping(Struct):
    """The line is open."""

    generation_id: Id


class Text(Struct):
    """More of the answer (`text`), or of what the model thinks before it (`reasoning`)."""

    text: str


class Status(Struct):
    """What the run is busy with."""

    text: str


class SourceFound(Struct):
    """A passage that was found for the answer."""

    source: Source


class Cited(Struct):
    """What the answer cites, once it is complete."""

    citations: list[Citation]


class Usage(Struct):
    """What the run has used, in tokens."""

    prompt_tokens: int
    completion_tokens: int
    reasoning_tokens: int
    total_tokens: int


class Done(Struct):
    """The answer stands in this message: complete, or as far as it came before it was canceled."""

    state: Literal["completed", "canceled"]
    message_id: Id
    finish_reason: FinishReason | None


class Failed(Struct):
    """The answer ends here; what there is of it stays."""

    state: Literal["failed", "interrupted"]
    message_id: Id
    error: Failure
