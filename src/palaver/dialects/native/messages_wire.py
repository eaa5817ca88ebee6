"""The shapes of the chapter "Messages"."""

from collections.abc import Sequence
from typing import Annotated, Literal, TypeAlias
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from palaver.dialects.native.conversations_wire import ModelName
from palaver.dialects.native.generations_wire import Generation, Run
from palaver.dialects.native.images_wire import Image
from palaver.dialects.native.wire import Id, Time, render_time
from palaver.domain import generations
from palaver.domain.cursors import Stretch
from palaver.domain.generations import Options
from palaver.domain.pictures import PER_MESSAGE, attached
from palaver.services.branches import ShownMessage, has_sources
from palaver.services.starting import Choice

# The service holds the rule; this tells of it.
Content: TypeAlias = Annotated[str, Meta(extra_json_schema={"minLength": 1, "pattern": r"\S"})]


class Asking(Struct, kw_only=True):
    """How a message is to be answered."""

    model: ModelName | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    max_tokens: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    use_rag: bool | None = None
    use_web_grounding: bool | None = None
    use_extended_thinking: bool | None = None

    @property
    def choice(self) -> Choice:
        """Return which model is asked, and how."""
        options = Options(
            temperature=self.temperature,
            top_p=self.top_p,
            max_tokens=self.max_tokens,
            use_rag=self.use_rag,
            use_web_grounding=self.use_web_grounding,
            use_extended_thinking=self.use_extended_thinking,
        )
        return Choice(model=self.model, options=options)


class MessageSend(Asking, kw_only=True):
    """What somebody says, below which message, and how it is to be answered."""

    content: Content
    image_ids: Annotated[list[UUID], Meta(max_length=PER_MESSAGE)] = []
    parent_id: UUID | UnsetType | None = UNSET

    @property
    def images(self) -> Sequence[str]:
        """Return the uuids of its pictures."""
        return [str(id) for id in self.image_ids]

    @property
    def parent(self) -> str | UnsetType | None:
        """Return the uuid of the message below which it is to stand, UNSET for wherever."""
        return str(self.parent_id) if isinstance(self.parent_id, UUID) else self.parent_id


class Message(Struct, kw_only=True, gc=False):
    """A message of the active branch, and what became of its run."""

    id: Id
    parent_id: Id | None
    role: Literal["system", "user", "assistant"]
    content: str
    images: list[Image]
    model: str | None
    tokens: int
    generation: Run | None
    has_sources: bool
    created_at: Time
    edited_at: Time | None

    @classmethod
    def of(cls, shown: ShownMessage) -> "Message":
        """Render a message."""
        message = shown.message
        produced = message.completion_tokens
        return cls(
            id=message.uuid,
            parent_id=shown.parent_uuid,
            role=message.role,
            content=message.text,
            images=[Image.of(picture) for picture in attached(message.images)],
            model=message.model,
            tokens=message.text_tokens if produced is None else produced,
            generation=None if shown.run is None else Run.of(shown.run),
            has_sources=message.role == "assistant" and has_sources(shown.run),
            created_at=render_time(message.created_at),
            edited_at=None if message.edited_at is None else render_time(message.edited_at),
        )


class Messages(Struct):
    """Messages, oldest first; `next` is the `cursor` of those before them."""

    items: list[Message]
    next: str | None

    @classmethod
    def of(cls, found: Stretch[ShownMessage]) -> "Messages":
        """Render a stretch of the branch."""
        return cls([Message.of(shown) for shown in found.items], found.next)


class Sent(Struct):
    """What was said, and the run that answers it."""

    message: Message
    generation: Generation

    @classmethod
    def of(cls, shown: ShownMessage, run: generations.ShownRun) -> "Sent":
        """Render both."""
        return cls(Message.of(shown), Generation.of(run))
