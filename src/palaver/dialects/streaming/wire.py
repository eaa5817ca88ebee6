"""The shapes of the `streaming` contract, in its document's words and its document's order."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType

from palaver.domain import accounts, conversations, models, users
from palaver.domain.generations import Options
from palaver.domain.providers import Capabilities
from palaver.domain.users import Role
from palaver.kit.clock import iso_text
from palaver.services.health import DatabaseHealth
from palaver.services.models import ListedProvider
from palaver.services.starting import Choice
from palaver.web.bodies import INT64_MAX, Int64

DEFAULT_TITLE: Final = "New Conversation"
LIST_LIMIT: Final = conversations.LIST_LIMIT
LAST_ID: Final = INT64_MAX

Limit: TypeAlias = Annotated[int, Meta(ge=1, le=INT64_MAX)]
"""How many items at most; more than 1000 counts as 1000."""

ItemId: TypeAlias = Annotated[int, Meta(ge=0, le=INT64_MAX)]
EventNumber: TypeAlias = Annotated[int, Meta(ge=0, le=INT64_MAX)]
"""The `id` of an event: how much of a run its reader has seen."""

Time: TypeAlias = Annotated[str, Meta(description="UTC, with microseconds, without an offset")]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def render_time(at: int) -> Time:
    """Return an instant as this contract writes it: `2024-01-15T10:30:00.000000`."""
    return iso_text(at)


def render_time_if(at: int | None) -> Time | None:
    """Return an instant, null where there is none."""
    return None if at is None else render_time(at)


def parse_since(moment: datetime | None) -> int:
    """Return microseconds since the epoch; a time without an offset is UTC, none the epoch."""
    if moment is None:
        return 0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // _MICROSECOND


class Error(Struct):
    """Every failure."""

    code: str
    message: str
    request_id: str


class Notice(Struct):
    """What was done."""

    message: str


# Conversations


class ConversationCreate(Struct):
    """The body of "Create Conversation"."""

    title: str | None = None


class ConversationRename(Struct):
    """The body of "Rename Conversation"."""

    title: str


class Conversation(Struct, gc=False):
    """A conversation."""

    id: int
    title: str
    created_at: Time
    updated_at: Time

    @classmethod
    def of(cls, conversation: conversations.Conversation) -> "Conversation":
        """Render a conversation; an untitled one shows the default."""
        return cls(
            conversation.id,
            conversation.title or DEFAULT_TITLE,
            render_time(conversation.created_at),
            render_time(conversation.updated_at),
        )


# Messages


class MessageAppend(Struct):
    """The body of "Append Message"."""

    content: str


class AppendedMessage(Struct):
    """Where a message stands."""

    message_id: int
    conversation_id: int

    @classmethod
    def of(cls, message: conversations.Message) -> "AppendedMessage":
        """Render where a message stands."""
        return cls(message.id, message.conversation_id)


class TokenUsage(Struct):
    """What an answer has used, prompt and completion together."""

    total_tokens: int


class Message(Struct, kw_only=True, gc=False):
    """A message; `token_usage` is there on answers, null where nothing was measured."""

    id: int
    role: conversations.MessageRole
    content: str
    token_usage: TokenUsage | UnsetType | None = UNSET
    created_at: Time

    @classmethod
    def of(cls, message: conversations.Message) -> "Message":
        """Render a message."""
        usage: TokenUsage | UnsetType | None = UNSET
        if message.role == "assistant":
            total = message.total_tokens
            usage = None if total is None else TokenUsage(total)
        return cls(
            id=message.id,
            role=message.role,
            content=message.text,
            token_usage=usage,
            created_at=render_time(message.created_at),
        )


# Chat


class StreamRequest(Struct):
    """The body of "Stream Chat"."""

    provider_id: str | None = None
    model: str | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    max_tokens: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None

    @property
    def choice(self) -> Choice:
        """Return which model is asked, and how."""
        options = Options(self.temperature, self.top_p, self.max_tokens)
        return Choice(self.provider_id, self.model, options)


class RetryRequest(StreamRequest, kw_only=True):
    """The body of "Retry Chat"."""

    conversation_id: Int64


class Ping(Struct):
    """The data of `ping`."""

    generation_id: str


class Delta(Struct):
    """The data of `delta`."""

    generation_id: str
    delta: str


class Usage(Struct):
    """The data of `usage`."""

    generation_id: str
    usage: TokenUsage


class Done(Struct, omit_defaults=True):
    """The data of `done`; a successful one names the answer."""

    generation_id: str
    status: Literal["ok", "canceled", "error"]
    message_id: int | None = None


class StreamError(Struct):
    """The data of `error`; `done` follows it."""

    generation_id: str
    code: str
    message: str


# Authentication


class Login(Struct):
    """The body of "Login"."""

    username: Annotated[str, Meta(min_length=1)]
    password: Annotated[str, Meta(min_length=1)]
    otp: str | None = None


class Register(Struct):
    """The body of a registration."""

    username: str
    password: str
    email: str | None = None
    invite_code: str | None = None

    @property
    def registration(self) -> accounts.Registration:
        """Return what the new account is to be."""
        return accounts.Registration(
            username=self.username, password=self.password, email=self.email
        )


class Person(Struct):
    """A user, as they see themselves."""

    id: int
    username: str
    role: Role

    @classmethod
    def of(cls, user: users.User) -> "Person":
        """Render a user."""
        return cls(user.id, user.username, user.role)


class Me(Struct):
    """Who is signed in."""

    user: Person


class SignedIn(Struct):
    """Who has signed in, and what proves that a request is this page's own."""

    user: Person
    csrf_token: str


# Admin: `admin_wire.py`

# Providers


class Model(Struct):
    """A model; its id goes into `model` where a request names its provider."""

    id: str
    label: str

    @classmethod
    def of(cls, model: models.Model) -> "Model":
        """Render a model."""
        return cls(model.upstream_name, model.label)


class Models(Struct):
    """The models of a provider."""

    models: list[Model]


class Provider(Struct):
    """A provider and its models; `error` says why its list could not be had."""

    provider_id: str
    name: str
    capabilities: Capabilities
    models: list[Model]
    error: str | UnsetType = UNSET

    @classmethod
    def of(cls, provider: ListedProvider) -> "Provider":
        """Render a provider."""
        return cls(
            provider.id,
            provider.name,
            provider.capabilities,
            [Model.of(model) for model in provider.models],
            provider.error or UNSET,
        )


class ProviderHealth(Struct):
    """Whether a provider answers."""

    ok: bool
    detail: str


# Health


class Health(Struct):
    """Whether the server answers."""

    status: Literal["healthy", "unhealthy"]


class DeepHealth(Struct):
    """Whether the server and what it stands on answer."""

    status: Literal["healthy", "unhealthy"]
    db: DatabaseHealth


class Version(Struct):
    """Which version this is."""

    version: str
