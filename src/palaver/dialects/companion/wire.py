"""The shapes of the `companion` contract, in its document's words and its document's order."""

from collections.abc import Sequence
from typing import Annotated, Final, Literal, TypeAlias
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from palaver.domain import conversations, users
from palaver.domain.conversations import MessageRole
from palaver.domain.errors import Fault, FieldFault, InvalidInput
from palaver.kit.clock import iso_text
from palaver.web.bodies import INT64_MAX

DEFAULT_TITLE: Final = "New Conversation"

Skip: TypeAlias = Annotated[int, Meta(ge=0, le=INT64_MAX)]
Limit: TypeAlias = Annotated[int, Meta(ge=1, le=INT64_MAX)]
"""How many items at most; more than 1000 counts as 1000."""

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
Id: TypeAlias = Annotated[str, Meta(extra_json_schema={"format": "uuid"})]
Time: TypeAlias = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]


def render_time(at: int) -> Time:
    """Return an instant as this contract writes it: `2023-01-01T00:00:00.000000Z`."""
    return f"{iso_text(at)}Z"


class Error(Struct):
    """Every failure but those of validation."""

    detail: str


class Problem(Struct):
    """One wrong field: where it stands, what is wrong for people, and for programs."""

    loc: list[str | int]
    msg: str
    type: str


class ValidationError(Struct):
    """Everything that is wrong with a request."""

    detail: list[Problem]


# Authentication


class Credentials(Struct):
    """The body of "Get Access Token"; OAuth2's other fields are of no account."""

    username: Annotated[str, Meta(min_length=1, max_length=1000)]
    password: Annotated[str, Meta(min_length=1, max_length=1024)]
    otp: str | None = None


class Token(Struct):
    """What opens all other routes, for half an hour."""

    access_token: str
    token_type: Literal["bearer"]


# Conversations


class ConversationCreate(Struct):
    """The body of "Create Conversation"."""

    title: Title | None = None


class Conversation(Struct):
    """A conversation."""

    id: Id
    title: str
    created_at: Time
    updated_at: Time

    @classmethod
    def of(cls, conversation: conversations.Conversation) -> "Conversation":
        """Render a conversation; an untitled one shows the default."""
        return cls(
            conversation.uuid,
            conversation.title or DEFAULT_TITLE,
            render_time(conversation.created_at),
            render_time(conversation.updated_at),
        )


# Messages


class Message(Struct):
    """A message of a conversation."""

    id: Id
    content: str
    role: MessageRole
    created_at: Time

    @classmethod
    def of(cls, message: conversations.Message) -> "Message":
        """Render a message."""
        return cls(message.uuid, message.text, message.role, render_time(message.created_at))


class ChatMessage(Struct):
    """What somebody said; a system message tells the model how to behave."""

    role: MessageRole
    content: str


class ChatRequest(Struct):
    """The body of "Send Message"."""

    messages: Annotated[list[ChatMessage], Meta(min_length=1, max_length=1000)]
    conversation_id: UUID | None = None
    stream: bool = False

    @property
    def key(self) -> str | None:
        """Return which conversation goes on, None for a new one."""
        return None if self.conversation_id is None else str(self.conversation_id)

    @property
    def turns(self) -> Sequence[tuple[MessageRole, str]]:
        """Return what is to be stored. Raises `InvalidInput` unless the last one is a question."""
        place = ("body", "messages", len(self.messages) - 1)
        last = self.messages[-1]
        if last.role != "user":
            fault = Fault.NOT_ALLOWED
            raise InvalidInput([FieldFault((*place, "role"), fault, _NO_QUESTION, "user")])
        if not last.content.strip():
            fault = Fault.BLANK
            raise InvalidInput([FieldFault((*place, "content"), fault, _BLANK, "str", limit=1)])
        if self.conversation_id is not None:
            return [("user", last.content)]
        return [(message.role, message.content) for message in self.messages if _is_turn(message)]

    @property
    def system_prompt(self) -> str | None:
        """Return what the model is told before everything else."""
        told = [message.content for message in self.messages if message.role == "system"]
        return "\n\n".join(filter(str.strip, told)) or None


_NO_QUESTION: Final = "The last message must be the user's."
_BLANK: Final = "A message may not be blank."


def _is_turn(message: ChatMessage) -> bool:
    # An answer that was stopped before its first word is no turn.
    return message.role != "system" and bool(message.content.strip())


class ChatAnswer(Struct):
    """The answer; `conversation_id` is there when the request began a conversation."""

    response: str
    message_id: Id
    conversation_id: Id | UnsetType = UNSET


class Content(Struct, tag="content"):
    """An event of a stream: more of the answer."""

    text: str


class Done(Struct, tag="done"):
    """The last event of a stream: the whole answer."""

    response: str
    message_id: Id
    conversation_id: Id


class Failure(Struct, tag="error"):
    """The last event of a stream that could not be brought to its end."""

    error: str
    message: str


# Users


class User(Struct):
    """A user, as they see themselves."""

    id: Id
    email: str | None
    is_active: bool
    is_superuser: bool

    @classmethod
    def of(cls, user: users.User) -> "User":
        """Render a user."""
        return cls(user.uuid, user.email, user.is_active, user.is_admin)
