"""A generation: the run that writes one assistant message, and belongs to the server."""

import enum
from typing import Final

import msgspec

from palaver.domain.events import EventKind
from palaver.domain.providers import Turn
from palaver.domain.sources import Source
from palaver.domain.usage import Terms


class GenerationState(enum.StrEnum):
    """`queued → running → completed | failed | canceled | interrupted`."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"
    INTERRUPTED = "interrupted"

    @property
    def is_live(self) -> bool:
        """Tell whether more may come."""
        return self in LIVE


LIVE = frozenset({GenerationState.QUEUED, GenerationState.RUNNING})

ENDINGS = {
    EventKind.FINISHED: GenerationState.COMPLETED,
    EventKind.FAILED: GenerationState.FAILED,
    EventKind.CANCELED: GenerationState.CANCELED,
    EventKind.INTERRUPTED: GenerationState.INTERRUPTED,
}
"""The state in which each final event leaves its generation."""


class Options(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the caller asked for beside the model; None = the model's own default.

    A flag that is None is left to the conversation, then to the model: the demo does all it can.
    """

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    use_rag: bool | None = None
    use_web_grounding: bool | None = None
    use_extended_thinking: bool | None = None


class Recipe(msgspec.Struct, frozen=True, omit_defaults=True):
    """How the prompt was made, so that a takeover makes the same; not the history's text."""

    leaf_id: int
    prompt_tokens: int  # our estimate, before the provider's own figure
    max_tokens: int  # the answer's cap, sent upstream and reserved
    cap: int | None = None  # the one beside which the prompt was made, before the plan's limits
    context: tuple[Turn, ...] | None = None  # sent instead of the history, where a request says so
    sources: tuple[Source, ...] = ()  # memories and passages that went into the prompt, and why
    thinking_tokens: int | None = None  # of the cap, for a model that thinks first
    room_tokens: int = 0  # of the context, kept free for what is found on the web
    searches_web: bool = False
    cites: bool = True


class Generation(msgspec.Struct, frozen=True):
    """The record of a run. `(worker, attempt)` fences whoever lost it."""

    id: int
    uuid: str
    owner_id: int
    conversation_id: int
    message_id: int  # the user message that asks
    answer_id: int  # the assistant message that it writes
    model: str  # `provider/name`
    state: GenerationState
    worker: int | None
    attempt: int
    cancel_requested_at: int | None
    options: Options
    recipe: Recipe
    terms: Terms
    outline: str | None  # the log in short, once it has ended: see `Outline`
    created_at: int
    finished_at: int | None


class Run(msgspec.Struct, frozen=True, gc=False):
    """A run as its conversation shows it: of the message that asks, and of the one it writes."""

    uuid: str
    state: GenerationState
    message_id: int
    answer_id: int
    outline: str | None


class ShownRun(msgspec.Struct, frozen=True, gc=False):
    """A run as its owner sees it, with the uuids of all that it is about."""

    uuid: str
    state: GenerationState
    conversation_uuid: str
    message_uuid: str
    answer_uuid: str
    model: str
    outline: str | None
    created_at: int
    finished_at: int | None


class OutlineItem(msgspec.Struct, frozen=True, array_like=True):
    """One segment of an ended run; the bodies of spans stand in the message, in order."""

    kind: EventKind
    until: int
    body: str | None = None


_outline: Final = msgspec.json.Decoder(list[OutlineItem]).decode


def parse_outline(outline: str | None) -> list[OutlineItem]:
    """Return what `Generation.outline` says, nothing for a run that is not over."""
    return _outline(outline) if outline else []
