"""The shapes of the `platform` contract, in its document's words and its document's order."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Final, Literal, TypeAlias
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from palaver.domain import accounts, conversations, providers, sources, users
from palaver.domain.conversations import MessageRole, parse_new_chat
from palaver.domain.errors import Fault, FieldFault, InvalidInput
from palaver.domain.generations import Options
from palaver.kit.clock import iso_text
from palaver.web.bodies import INT64_MAX

Offset: TypeAlias = Annotated[int, Meta(ge=0, le=INT64_MAX)]
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
Given: TypeAlias = Annotated[str, Meta(min_length=1, max_length=1024)]
ModelName: TypeAlias = Annotated[str, Meta(min_length=1, max_length=500)]
Id: TypeAlias = Annotated[str, Meta(extra_json_schema={"format": "uuid"})]
Time: TypeAlias = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
FinishReason: TypeAlias = Literal["stop", "length", "canceled", "error"]

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
    auth_provider: Literal["local"]
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
            "local",
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
        """Return the metadata as JSON. Raises `InvalidInput` for integers beyond 64 bits."""
        if not self.metadata:
            return None
        if faults := list(_huge_numbers(self.metadata, ("body", "metadata"))):
            raise InvalidInput(faults)
        return msgspec.json.encode(self.metadata).decode()


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


# Chat Completions


class Turn(Struct):
    """What somebody said."""

    role: MessageRole
    content: str


class CompletionRequest(Struct):
    """The body of "Send Message"."""

    messages: Annotated[list[Turn], Meta(min_length=1, max_length=1000)]
    chat_id: UUID | None = None
    model: ModelName | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    max_tokens: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    stream: bool = False
    use_web_grounding: bool | None = None
    use_extended_thinking: bool | None = None
    use_rag: bool | None = None

    def checked(self) -> "CompletionRequest":
        """Return it. Raises `InvalidInput`: the last message must be a question."""
        if faults := list(self._faults()):
            raise InvalidInput(faults)
        return self

    @property
    def key(self) -> str | None:
        """Return which chat goes on, None for none."""
        return None if self.chat_id is None else str(self.chat_id)

    @property
    def question(self) -> str:
        """Return the new message."""
        return self.messages[-1].content

    @property
    def turns(self) -> Sequence[providers.Turn]:
        """Return what is sent; an answer that was stopped before its first word is no turn."""
        said = [turn for turn in self.messages if turn.content.strip()]
        return [providers.Turn(turn.role, turn.content) for turn in said]

    @property
    def context(self) -> Sequence[providers.Turn] | None:
        """Return what is sent in place of the chat's history, None for that history."""
        return None if len(self.messages) == 1 else self.turns

    @property
    def options(self) -> Options:
        """Return how the model is asked."""
        return Options(
            temperature=self.temperature,
            top_p=self.top_p,
            max_tokens=self.max_tokens,
            use_rag=self.use_rag,
            use_web_grounding=self.use_web_grounding,
            use_extended_thinking=self.use_extended_thinking,
        )

    def _faults(self) -> Iterator[FieldFault]:
        place, last = ("body", "messages", len(self.messages) - 1), self.messages[-1]
        if last.role != "user":
            message = "The last message must be the user's."
            yield FieldFault((*place, "role"), Fault.NOT_ALLOWED, message, "user")
        elif not last.content.strip():
            message = "A message may not be blank."
            yield FieldFault((*place, "content"), Fault.BLANK, message, "str", 1)


class Citation(Struct):
    """A span that the answer cites as `[index]`.

    `quote` is what stands from `start` to `end` of the source's text, in code points.
    """

    index: int
    kind: Literal["document", "web", "memory"]
    id: str
    title: str
    url: str | None
    page: int | None
    quote: str
    start: int
    end: int
    score: float

    @classmethod
    def of(cls, citation: sources.Citation) -> "Citation":
        """Render a citation."""
        return cls(*msgspec.structs.astuple(citation))


class Said(Struct):
    """The answer; what the model thought before it, where that was asked for."""

    role: Literal["assistant"]
    content: str
    thinking: str | UnsetType = UNSET


class Completion(Struct):
    """The whole answer; its `model` is the name that was asked for.

    `citations` are there where the answer was to rest on documents or the web.
    """

    id: str
    model: str | None
    message: Said
    tokens_used: int
    finish_reason: FinishReason
    citations: list[Citation] | UnsetType = UNSET


class Streamed(Struct):
    """The whole answer at the end of a stream; the id is the message's, where there is a chat."""

    id: str
    role: Literal["assistant"]
    content: str
    model: str | None
    tokens_used: int
    finish_reason: FinishReason
    thinking: str | UnsetType = UNSET
    citations: list[Citation] | UnsetType = UNSET


class Content(Struct, tag="content"):
    """An event of a stream: more of the answer."""

    text: str


class Thinking(Struct, tag="thinking"):
    """An event of a stream: more of what the model thinks, where that was asked for."""

    text: str


class Done(Struct, tag="done"):
    """The last event of a stream."""

    message: Streamed


class Failure(Struct, tag="error"):
    """The last event of a stream that could not be brought to its end."""

    error: str
    message: str


def _huge_numbers(value: Any, path: tuple[str | int, ...]) -> Iterator[FieldFault]:
    if isinstance(value, int):
        if not -INT64_MAX - 1 <= value <= INT64_MAX:
            message = "This integer has more than 64 bits."
            yield FieldFault(path, Fault.TOO_LARGE, message, "int", INT64_MAX)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _huge_numbers(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _huge_numbers(item, (*path, index))
