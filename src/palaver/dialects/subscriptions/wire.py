"""The shapes of the `subscriptions` contract, in its document's words and its document's order."""

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Annotated, Final, Literal, Protocol, TypeAlias, TypeVar

from msgspec import UNSET, Meta, Struct, UnsetType

from palaver.domain import chatbots, conversations, models, usage
from palaver.domain.checks import render_decimal
from palaver.domain.conversations import NEW_CHAT, MessageRole, parse_new_chat
from palaver.domain.errors import Fault, InvalidInput
from palaver.domain.limits import Window
from palaver.domain.pictures import attached
from palaver.kit.clock import iso_text
from palaver.web.bodies import INT64_MAX, Int64

LIST_LIMIT: Final = conversations.LIST_LIMIT

Limit: TypeAlias = Annotated[int, Meta(ge=1, le=INT64_MAX)]
"""How many items at most; more than 1000 counts as 1000."""

ItemId: TypeAlias = Annotated[int, Meta(ge=0, le=INT64_MAX)]
EventNumber: TypeAlias = Annotated[int, Meta(ge=0, le=INT64_MAX)]
"""The `id` of an event: how much of a run its reader has seen."""

Id: TypeAlias = Annotated[str, Meta(extra_json_schema={"format": "uuid"})]
Time: TypeAlias = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
Money: TypeAlias = Annotated[str, Meta(extra_json_schema={"pattern": r"^\d+\.\d{2,6}$"})]
"""A decimal number with at least two places."""

# The service holds the rule; this tells of it.
Title: TypeAlias = Annotated[
    str,
    Meta(
        extra_json_schema={
            "minLength": 1,
            "maxLength": conversations.TITLE_MAX_LENGTH,
            "pattern": r"\S",
        }
    ),
]
ModelId: TypeAlias = Annotated[str, Meta(min_length=1)]
Text: TypeAlias = Annotated[str, Meta(extra_json_schema={"minLength": 1, "pattern": r"\S"})]


def render_time(at: int) -> Time:
    """Return an instant as this contract writes it: `2023-01-01T00:00:00.000000Z`."""
    return f"{iso_text(at)}Z"


def render_time_if(at: int | None) -> Time | None:
    """Return an instant, null where there is none."""
    return None if at is None else render_time(at)


class Numbered(Protocol):
    """What has an integer id, which grows with time."""

    @property
    def id(self) -> int:
        """Return the id."""


N = TypeVar("N", bound=Numbered)


def newest(items: Iterable[N], *, limit: int, before: int | None) -> Sequence[N]:
    """Return the newest first, or those that follow the one with the id `before`."""
    page = [item for item in items if before is None or item.id < before]
    page.sort(key=attrgetter("id"), reverse=True)
    return page[: min(limit, LIST_LIMIT)]


class Error(Struct):
    """A failure: a short phrase for programs that compare it, a sentence for people."""

    error: str
    detail: str


class LimitError(Struct):
    """Too much at once; the last three are there where it is a plan's limit that refuses."""

    error: str
    detail: str
    limit: str | UnsetType = UNSET
    window: Window | UnsetType = UNSET
    reset_at: Time | UnsetType | None = UNSET


# Users: `users_wire.py`

# Chatbots


class Chatbot(Struct):
    """A persona to talk to."""

    id: int
    name: str
    description: str
    image: str
    is_active: bool
    system_prompt: str
    chatbot_type: str

    @classmethod
    def of(cls, chatbot: chatbots.Chatbot) -> "Chatbot":
        """Render a chatbot."""
        return cls(
            chatbot.id,
            chatbot.name,
            chatbot.description,
            chatbot.image,
            bool(chatbot.is_active),
            chatbot.system_prompt,
            chatbot.chatbot_type,
        )


# AI Models


class AiModel(Struct):
    """A model; `model_id` names it in requests."""

    id: int
    name: str
    model_id: str
    description: str
    model_type: models.ModelType
    is_active: bool
    is_free: bool
    token_cost_multiplier: Money

    @classmethod
    def of(cls, model: models.Model) -> "AiModel":
        """Render a model."""
        return cls(
            model.id,
            model.label,
            model.name,
            model.description,
            model.model_type,
            bool(model.is_active),
            bool(model.is_free),
            render_decimal(model.multiplier_percent, places=2),
        )


# Chat Sessions


class SessionCreate(Struct):
    """The body of "Create Chat Session"."""

    chatbot_id: Int64 | None = None
    ai_model_id: ModelId | None = None
    title: Title | None = None

    @property
    def stored_title(self) -> str | None:
        """Return the title, None for what is shown without one."""
        return parse_new_chat(self.title)


class SessionUpdate(Struct):
    """The body of "Update Chat Session": what is absent stays as it is."""

    title: Title | UnsetType = UNSET
    chatbot_id: Int64 | UnsetType = UNSET
    ai_model_id: ModelId | UnsetType = UNSET
    auto_generate_title: bool | UnsetType = UNSET
    is_active: bool | UnsetType = UNSET

    @property
    def stored_title(self) -> str | UnsetType | None:
        """Return the title, None for what is shown without one."""
        return UNSET if self.title is UNSET else parse_new_chat(self.title)


class Session(Struct, gc=False):
    """A chat session."""

    id: int
    chatbot: Chatbot
    ai_model: AiModel
    title: str
    auto_generate_title: bool
    created_at: Time
    updated_at: Time
    is_active: bool

    @classmethod
    def of(
        cls, conversation: conversations.Conversation, chatbot: Chatbot, ai_model: AiModel
    ) -> "Session":
        """Render a conversation; an untitled one shows the default."""
        return cls(
            conversation.id,
            chatbot,
            ai_model,
            conversation.title or NEW_CHAT,
            conversation.auto_titled != 0,
            render_time(conversation.created_at),
            render_time(conversation.updated_at),
            conversation.archived_at is None,
        )


class Success(Struct):
    """It was done."""

    success: Literal[True] = True


class Message(Struct, gc=False):
    """A message of a session; `disabled` tells that another version has taken its place."""

    message_id: Id
    message_type: MessageRole
    content: str
    tokens_count: int
    image_url: str
    created_at: Time
    edited_at: Time | None
    disabled: bool

    @classmethod
    def of(cls, message: conversations.Message) -> "Message":
        """Render a message."""
        produced = message.completion_tokens
        pictures = attached(message.images)
        is_picture = bool(pictures) and message.role == "assistant"
        return cls(
            message.uuid,
            message.role,
            "" if is_picture else message.text,
            message.text_tokens if produced is None else produced,
            pictures[0].url if pictures else "",
            render_time(message.created_at),
            render_time_if(message.edited_at),
            not message.is_active,
        )


class Messages(Struct):
    """What was said in a session, oldest first."""

    messages: list[Message]


class MessageSend(Struct):
    """The body of "Send Message to Session"."""

    message: Text

    @property
    def text(self) -> str:
        """Return what is said. Raises `InvalidInput` for a blank."""
        if not self.message.strip():
            raise InvalidInput.of("message", Fault.BLANK, "A message may not be blank.", limit=1)
        return self.message


class Sent(Struct):
    """The message that is being answered."""

    user_message: Message


class TitleUpdate(Struct):
    """The body of "Update Session Title"."""

    title: Title

    @property
    def stored_title(self) -> str | None:
        """Return the title, None for what is shown without one."""
        return parse_new_chat(self.title)


class TitleUpdated(Struct, kw_only=True):
    """A session has a new title."""

    success: Literal[True] = True
    title: str

    @classmethod
    def of(cls, conversation: conversations.Conversation) -> "TitleUpdated":
        """Render the title of a conversation."""
        return cls(title=conversation.title or NEW_CHAT)


class MessageEdit(Struct):
    """The body of "Edit Message"."""

    content: Text


class Edited(Struct, kw_only=True):
    """A message has a new text; the ids are those of the messages that left the session."""

    success: Literal[True] = True
    disabled_message_ids: list[Id]


# Chat Session Usage


class SessionUsage(Struct, gc=False):
    """What the answers of one session have used, prompt and completion together."""

    id: int
    tokens_count: int
    free_model_tokens_count: int
    is_free_model: bool
    created_at: Time
    updated_at: Time

    @classmethod
    def of(cls, row: usage.ConversationUsage) -> "SessionUsage":
        """Render what a conversation has used."""
        return cls(
            row.id,
            row.tokens,
            row.free_tokens,
            bool(row.is_free),
            render_time(row.created_at),
            render_time(row.updated_at),
        )


# Live answers, beyond the document: the events of `streaming`


class Ping(Struct):
    """The data of `ping`."""

    generation_id: Id


class Delta(Struct):
    """The data of `delta`."""

    generation_id: Id
    delta: str


class TokenUsage(Struct):
    """What an answer has used, prompt and completion together."""

    total_tokens: int


class Usage(Struct):
    """The data of `usage`."""

    generation_id: Id
    usage: TokenUsage


class Done(Struct, omit_defaults=True):
    """The data of `done`; a successful one names the answer."""

    generation_id: Id
    status: Literal["ok", "canceled", "error"]
    message_id: Id | None = None


class StreamError(Struct):
    """The data of `error`; `done` follows it."""

    generation_id: Id
    code: str
    message: str
