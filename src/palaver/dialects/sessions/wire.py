"""The shapes of the `sessions` contract, in its document's words and its document's order."""

from collections.abc import Sequence
from typing import Annotated, Final, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType

from palaver.domain import accounts, conversations, users
from palaver.domain.errors import Fault, FieldFault, InvalidInput, NotFound
from palaver.domain.exchanges import Exchange, Transcript
from palaver.domain.passwords import PASSWORD_MAX_LENGTH, PasswordPolicy
from palaver.domain.users import TokenSignIn
from palaver.kit.clock import iso_text

ACCESS_SECONDS: Final = 3600
TITLE_MAX_LENGTH: Final = 255
PAGE_SIZE: Final = 20

# The domain holds these rules; this tells of them.
Title: TypeAlias = Annotated[
    str,
    Meta(extra_json_schema={"minLength": 1, "maxLength": TITLE_MAX_LENGTH, "pattern": r"\S"}),
]
Text: TypeAlias = Annotated[str, Meta(extra_json_schema={"minLength": 1, "pattern": r"\S"})]
Secret: TypeAlias = Annotated[str, Meta(min_length=1, max_length=PASSWORD_MAX_LENGTH)]
Token: TypeAlias = Annotated[str, Meta(min_length=1)]
Id: TypeAlias = Annotated[str, Meta(extra_json_schema={"format": "uuid"})]
Time: TypeAlias = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
Link: TypeAlias = Annotated[str, Meta(extra_json_schema={"format": "uri"})]
PageNumber: TypeAlias = Annotated[str, Meta(description="From 1 on, or `last`.")]


def render_time(at: int) -> Time:
    """Return an instant as this contract writes it: `2024-03-13T10:00:00.000000Z`."""
    return f"{iso_text(at)}Z"


def parse_page(text: str) -> int | None:
    """Return the number of a page, None for the last one. Raises `NotFound`."""
    if text == "last":
        return None
    try:
        return int(text or "1")
    except ValueError:
        raise NotFound("page") from None


# Error Responses


class Error(Struct):
    """Every failure but those of fields."""

    detail: str


class TokenProblem(Struct):
    """Why a token was not taken."""

    token_class: str
    token_type: str
    message: str


class AuthenticationError(Struct):
    """Nobody is signed in; `code` and `messages` tell of a token that was sent."""

    detail: str
    code: str | UnsetType = UNSET
    messages: list[TokenProblem] | UnsetType = UNSET


ValidationError: TypeAlias = dict[str, list[str] | str]
"""What is wrong by field, or as `detail` where the whole cannot be read."""


# Authentication API


class Registration(Struct):
    """The body of "Register"; `invite_code` where the operator asks for one."""

    username: str
    email: str
    password: str
    confirm_password: str
    invite_code: str | None = None

    @property
    def checked(self) -> accounts.Registration:
        """Return what makes an account. Raises `InvalidInput`, which names every wrong field."""
        given = accounts.Registration(
            username=self.username.strip(), password=self.password, email=self.email.strip()
        )
        blank = [name for name in _REQUIRED if not getattr(self, name).strip()]
        faults = [FieldFault(("body", name), Fault.BLANK, _BLANK, limit=1) for name in blank]
        # What only an operator can ask for is checked by the service.
        faults += [
            fault for fault in given.faults(PasswordPolicy.STANDARD) if fault.field not in blank
        ]
        if self.password != self.confirm_password and "confirm_password" not in blank:
            path = ("body", "confirm_password")
            faults.append(FieldFault(path, Fault.NOT_ALLOWED, _MISMATCH))
        if faults:
            raise InvalidInput(faults)
        return given


_REQUIRED: Final = ("username", "email", "password", "confirm_password")
_BLANK: Final = "This field may not be blank."
_MISMATCH: Final = "The two password fields didn't match."


class Login(Struct):
    """The body of "Login"; `username` may be the e-mail address."""

    username: Annotated[str, Meta(min_length=1)]
    password: Secret
    otp: str | None = None


class Refresh(Struct):
    """The body of "Token Refresh" and of "Logout"."""

    refresh: Token


class Access(Struct):
    """A new access token; the refresh token stays as it is."""

    access: str


class User(Struct):
    """A user, as they see themselves; `email` is empty where there is none."""

    id: int
    username: str
    email: str

    @classmethod
    def of(cls, user: users.User) -> "User":
        """Render a user."""
        return cls(user.id, user.username, user.email or "")


class SignedIn(Struct):
    """Who has signed in, with the tokens for it."""

    user: User
    refresh: str
    access: str
    message: str

    @classmethod
    def of(cls, sign_in: TokenSignIn, message: str) -> "SignedIn":
        """Render a sign-in."""
        user = User.of(sign_in.user)
        return cls(user, sign_in.refresh_token, sign_in.access_token, message)


class Notice(Struct):
    """What was done."""

    message: str


# Chat API


class SessionCreate(Struct):
    """The body of "Create Chat Session"."""

    title: Title | None = None

    @property
    def stored_title(self) -> str | None:
        """Return what is stored, None for the default. Raises `InvalidInput`."""
        return conversations.parse_new_chat(self.title, max_length=TITLE_MAX_LENGTH)


class SessionUpdate(Struct):
    """The body that renames a session."""

    title: Title

    @property
    def stored_title(self) -> str | None:
        """Return what is stored, None for the default. Raises `InvalidInput`."""
        return conversations.parse_new_chat(self.title, max_length=TITLE_MAX_LENGTH)


class ChatCreate(Struct):
    """The body of "Create Chat in Session"."""

    message: Text

    @property
    def text(self) -> str:
        """Return what is asked. Raises `InvalidInput` where there is no word."""
        if not self.message.strip():
            raise InvalidInput.of("message", Fault.BLANK, _BLANK, limit=1)
        return self.message


class Chat(Struct, gc=False):
    """A message with its answer, null while there is none."""

    id: int
    message: str
    response: str | None
    created_at: Time

    @classmethod
    def of(cls, exchange: Exchange) -> "Chat":
        """Render an exchange."""
        at = render_time(exchange.created_at)
        return cls(exchange.id, exchange.message, exchange.response, at)


class Session(Struct):
    """A session with its newest chats, the oldest of them first."""

    id: Id
    title: str
    created_at: Time
    chats: Sequence[Chat]
    last_message: Chat | None

    @classmethod
    def of(
        cls, conversation: conversations.Conversation, exchanges: Sequence[Exchange] = ()
    ) -> "Session":
        """Render a conversation; an untitled one shows the default."""
        chats = [Chat.of(exchange) for exchange in exchanges]
        return cls(
            conversation.uuid,
            conversation.title or conversations.NEW_CHAT,
            render_time(conversation.created_at),
            chats,
            chats[-1] if chats else None,
        )

    @classmethod
    def of_transcript(cls, transcript: Transcript) -> "Session":
        """Render a conversation with what was said in it."""
        return cls.of(transcript.conversation, transcript.exchanges)


class Page(Struct):
    """What the pages of all lists have in common; `count` is the number of items on all pages."""

    count: int
    next: Link | None
    previous: Link | None


class SessionPage(Page):
    """A page of sessions."""

    results: list[Session]


class ChatPage(Page):
    """A page of chats."""

    results: list[Chat]
