"""The shapes of the `platform` contract, in its document's words and its document's order."""

from typing import Annotated, Any, Final, Literal, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType

from palaver.domain import accounts, conversations, users
from palaver.domain.conversations import MessageRole, parse_new_chat
from palaver.domain.errors import Fault, InvalidInput
from palaver.domain.metadata import encode_metadata
from palaver.kit.clock import iso_text
from palaver.web.bodies import INT64_MAX

Offset: TypeAlias = Annotated[int, Meta(ge=0, le=INT64_MAX)]
Limit: TypeAlias = Annotated[
    int,
    Meta(ge=1, le=INT64_MAX, description="How many at most; more than 1000 counts as 1000."),
]

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
Given: TypeAlias = Annotated[str, Meta(min_length=1, max_length=1024)]
ModelName: TypeAlias = Annotated[str, Meta(min_length=1, max_length=500)]
Id: TypeAlias = Annotated[str, Meta(extra_json_schema={"format": "uuid"})]
Time: TypeAlias = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]

_DEMO: Final = "demo/demo"
_NAMES_OF_DEMO: Final = frozenset({"demo", _DEMO})


def render_time(at: int) -> Time:
    """Return an instant as this contract writes it: `2024-01-15T10:30:00.000000Z`."""
    return f"{iso_text(at)}Z"


def model_of_answer(model: str | None, asked_model: str | None) -> str | None:
    """Return the name that an answer's model was asked by; the demo never goes by another's."""
    if model == _DEMO:
        return asked_model if asked_model in _NAMES_OF_DEMO else "demo"
    return asked_model or model


class Error(Struct):
    """Every failure; `details` names every wrong field."""

    error: str
    message: str
    details: dict[str, str] | UnsetType = UNSET


class Stray(Struct):
    """What answers below `/api/v1/` where there is nothing, for whichever contract was meant."""

    detail: str
    error: str
    message: str


class Notice(Struct):
    """What was done."""

    message: str


# Authentication


class Registration(Struct):
    """The body of "Register User"."""

    email: Given
    username: Given
    password: str
    auth_provider: Literal["local"] = "local"
    invite_code: str | None = None

    @property
    def registration(self) -> accounts.Registration:
        """Return what the new account is to be. Raises `InvalidInput` for a blank address."""
        if not self.email.strip():
            raise InvalidInput.of("email", Fault.BLANK, "This field may not be blank.", limit=1)
        return accounts.Registration(
            username=self.username, password=self.password, email=self.email
        )


class User(Struct):
    """An account, as its owner sees it."""

    id: Id
    email: str
    username: str
    auth_provider: Literal["local", "oidc"]
    is_active: bool
    is_verified: bool
    created_at: Time
    last_login: Time | None

    @classmethod
    def of(cls, user: users.User) -> "User":
        """Render a user."""
        return cls(
            user.uuid,
            user.email or "",
            user.username,
            "local" if user.has_password else "oidc",
            user.is_active,
            user.verified_at is not None,
            render_time(user.created_at),
            None if user.last_login_at is None else render_time(user.last_login_at),
        )


class Credentials(Struct):
    """The body of "Login"; `username` may be the e-mail address."""

    username: Given
    password: Given
    otp: str | None = None


class Refresh(Struct):
    """The body of "Refresh Token"."""

    refresh_token: str


class Logout(Struct):
    """The body of "Logout"; without a token the caller's own sign-in ends."""

    refresh_token: str | None = None


class Tokens(Struct):
    """What opens all other routes, for `expires_in` seconds."""

    access_token: str
    refresh_token: str
    token_type: Literal["bearer"]
    expires_in: int

    @classmethod
    def of(cls, sign_in: users.TokenSignIn) -> "Tokens":
        """Render a sign-in."""
        return cls(
            sign_in.access_token, sign_in.refresh_token, "bearer", sign_in.expires_in_seconds
        )


# Chats


class ChatCreate(Struct):
    """The body of "Create Chat"."""

    title: Title | None = None
    model: ModelName | None = None
    system_prompt: str | None = None
    metadata: dict[str, Any] | None = None

    @property
    def stored_title(self) -> str | None:
        """Return the title, None for the default. Raises `InvalidInput`."""
        return parse_new_chat(self.title)

    @property
    def stored_metadata(self) -> str | None:
        """Return the metadata as JSON. Raises `InvalidInput`."""
        return encode_metadata(self.metadata)


class ChatUpdate(Struct):
    """The body of "Update Chat"; what is absent stays."""

    title: Title | UnsetType = UNSET
    is_archived: bool | UnsetType = UNSET

    @property
    def stored_title(self) -> str | UnsetType | None:
        """Return the new title, None for the default. Raises `InvalidInput`."""
        return UNSET if self.title is UNSET else parse_new_chat(self.title)

    @property
    def stored_is_archived(self) -> bool | None:
        """Return whether it is put away, None to leave that alone."""
        return None if self.is_archived is UNSET else self.is_archived


class Chat(Struct, gc=False):
    """A chat; `model` is null until one is named."""

    id: Id
    user_id: Id
    title: str
    model: str | None
    is_archived: bool
    created_at: Time
    updated_at: Time

    @classmethod
    def of(cls, chat: conversations.Conversation, *, user_id: str) -> "Chat":
        """Render a conversation; an untitled one shows the default."""
        return cls(
            chat.uuid,
            user_id,
            chat.title or conversations.NEW_CHAT,
            chat.asked_model or chat.model,
            chat.archived_at is not None,
            render_time(chat.created_at),
            render_time(chat.updated_at),
        )


class Message(Struct, kw_only=True, gc=False):
    """A message; `model` and `tokens_used` are there on answers, null where nobody knows."""

    id: Id
    chat_id: Id
    role: MessageRole
    content: str
    model: str | UnsetType | None = UNSET
    tokens_used: int | UnsetType | None = UNSET
    created_at: Time

    @classmethod
    def of(cls, message: conversations.Message, *, chat_id: str) -> "Message":
        """Render a message."""
        is_answer = message.role == "assistant"
        return cls(
            id=message.uuid,
            chat_id=chat_id,
            role=message.role,
            content=message.text,
            model=model_of_answer(message.model, message.asked_model) if is_answer else UNSET,
            tokens_used=message.total_tokens if is_answer else UNSET,
            created_at=render_time(message.created_at),
        )
