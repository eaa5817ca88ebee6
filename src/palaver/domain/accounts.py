"""The rules of accounts: which names there may be, and what an operator can set."""

import enum
import re
import unicodedata
from typing import Final

import msgspec

from palaver.domain.errors import DomainError, ErrorKind, Fault, FieldFault, InvalidInput
from palaver.domain.passwords import PasswordPolicy, password_faults
from palaver.kit.text import fold

USERNAME_MAX_LENGTH: Final = 150
NAME_MAX_LENGTH: Final = 150
EMAIL_MAX_LENGTH: Final = 254
LOCAL_PART_MAX_LENGTH: Final = 64
PHONE_NUMBER_MAX_LENGTH: Final = 32

_LABEL: Final = r"[^\W_](?:(?:[^\W_]|-){0,61}[^\W_])?"
_ATOM: Final = r"[\w!#$%&'*+/=?^`{|}~-]+"
# RFC 5322 "dot-atom", with the letters of every script (RFC 6531); no quoted local parts.
_EMAIL: Final = re.compile(rf"{_ATOM}(?:\.{_ATOM})*@(?:{_LABEL}(?:\.{_LABEL})+|localhost)", re.I)
_PHONE_NUMBER: Final = re.compile(r"\+?[0-9]{3,20}")
_PHONE_SEPARATORS: Final = str.maketrans("", "", " -./()\u00a0")
_USERNAME_SIGNS: Final = frozenset("_.@+-")


class RegistrationMode(enum.StrEnum):
    """Who may make an account."""

    OPEN = "open"
    INVITE = "invite"
    CLOSED = "closed"


class SecondFactorDuty(enum.StrEnum):
    """Whose account must have a second factor."""

    OFF = "off"
    ADMINS = "admins"
    EVERYBODY = "everybody"

    def binds(self, *, is_admin: bool) -> bool:
        """Tell whether it is a duty of an administrator, or of anybody else."""
        return self is SecondFactorDuty.EVERYBODY or (self is SecondFactorDuty.ADMINS and is_admin)


class AccountPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator can set about accounts."""

    secret_key: str  # signs tokens; whoever has it can sign in as anybody
    registration: RegistrationMode = RegistrationMode.OPEN
    password_policy: PasswordPolicy = PasswordPolicy.STANDARD
    session_lifetime_seconds: int = 7 * 24 * 3600  # of a cookie, after its last use
    refresh_lifetime_seconds: int = 30 * 24 * 3600  # of a family of tokens, after sign-in
    attempts_per_minute: int = 10  # failed sign-ins of one account from one address; 0 = any number
    second_factor: SecondFactorDuty = SecondFactorDuty.OFF
    bootstrap_token: str = ""  # "" = nobody becomes the first administrator by a token

    def __repr__(self) -> str:
        # Secrets stay out of logs.
        return f"AccountPolicy(registration={self.registration!r}, …)"


class Taken(DomainError):
    """Somebody else has these names: of `username`, `email`, `phone_number` those that clash."""

    def __init__(self, fields: tuple[str, ...]) -> None:
        nouns = {"username": "user name", "email": "e-mail address", "phone_number": "phone number"}
        taken = " and the ".join(nouns[field] for field in fields)
        kinds = {"username": ErrorKind.USERNAME_TAKEN, "email": ErrorKind.EMAIL_TAKEN}
        kind = kinds.get(fields[0], ErrorKind.CONFLICT)
        super().__init__(f"The {taken} {'is' if len(fields) == 1 else 'are'} taken.", kind=kind)
        self.fields = fields


class Registration(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody gives to get an account; "" is the same as None."""

    username: str
    password: str
    email: str | None = None
    phone_number: str | None = None
    name: str | None = None

    def __repr__(self) -> str:
        return f"Registration(username={self.username!r}, …)"

    def checked(self, policy: PasswordPolicy) -> "Registration":
        """Return it as it is stored. Raises `InvalidInput`, which names every wrong field."""
        clean = msgspec.structs.replace(
            self,
            username=unicodedata.normalize("NFC", self.username.strip()),
            email=(self.email or "").strip() or None,
            phone_number=(self.phone_number or "").strip() or None,
            name=(self.name or "").strip() or None,
        )
        if faults := clean.faults(policy):
            raise InvalidInput(faults)
        return clean

    def faults(self, policy: PasswordPolicy) -> list[FieldFault]:
        """Say what is wrong with it."""
        return [
            *_username_faults(self.username, self.email),
            *_email_faults(self.email),
            *_phone_number_faults(self.phone_number),
            *_name_faults(self.name),
            *password_faults(self.password, names=(self.username, self.email), policy=policy),
        ]


def username_key(username: str) -> str:
    """Return the form in which two user names are the same."""
    return fold(username.strip())


def email_key(email: str | None) -> str | None:
    """Return the form in which two e-mail addresses are the same; None where there is none."""
    return fold(email.strip()) if email else None


def phone_key(phone_number: str | None) -> str | None:
    """Return the form in which two phone numbers are the same; None where there is none."""
    return fold(phone_number).translate(_PHONE_SEPARATORS) if phone_number else None


def login_key(name: str) -> str | None:
    """Return the folded form of what somebody typed as their name; None if nobody can have it."""
    key = username_key(name)
    return key if 0 < len(key) <= EMAIL_MAX_LENGTH and _is_storable(key) else None


def is_email(text: str) -> bool:
    """Tell whether this could be somebody's e-mail address."""
    return not _email_faults(text)


def is_name(text: str) -> bool:
    """Tell whether this could be what somebody is called."""
    return not _name_faults(text)


def _username_faults(username: str, email: str | None) -> list[FieldFault]:
    path = ("body", "username")
    if not username:
        return [FieldFault(path, Fault.BLANK, "A user name may not be blank.", limit=1)]
    if len(username) > USERNAME_MAX_LENGTH:
        message = f"A user name has at most {USERNAME_MAX_LENGTH} characters."
        return [FieldFault(path, Fault.TOO_LONG, message, limit=USERNAME_MAX_LENGTH)]
    if not all(map(_is_username_character, username)):
        message = "A user name has only letters, digits and the signs @ . + - _"
        return [FieldFault(path, Fault.WRONG_FORMAT, message)]
    if "@" in fold(username) and username_key(username) != email_key(email):
        message = "An @ may be in a user name only if it is your own e-mail address."
        return [FieldFault(path, Fault.NOT_ALLOWED, message)]
    return []


def _is_username_character(character: str) -> bool:
    # Marks too, without which many scripts cannot be written.
    return character in _USERNAME_SIGNS or unicodedata.category(character)[0] in "LMN"


def _email_faults(email: str | None) -> list[FieldFault]:
    if email is None:
        return []
    path = ("body", "email")
    if len(email) > EMAIL_MAX_LENGTH:
        message = f"An e-mail address has at most {EMAIL_MAX_LENGTH} characters."
        return [FieldFault(path, Fault.TOO_LONG, message, limit=EMAIL_MAX_LENGTH)]
    is_long = len(email.partition("@")[0]) > LOCAL_PART_MAX_LENGTH
    if is_long or not _EMAIL.fullmatch(fold(email)) or not _EMAIL.fullmatch(email):
        return [FieldFault(path, Fault.WRONG_FORMAT, "Enter a valid e-mail address.")]
    return []


def _phone_number_faults(phone_number: str | None) -> list[FieldFault]:
    if phone_number is None:
        return []
    path = ("body", "phone_number")
    if len(phone_number) > PHONE_NUMBER_MAX_LENGTH:
        message = f"A phone number has at most {PHONE_NUMBER_MAX_LENGTH} characters."
        return [FieldFault(path, Fault.TOO_LONG, message, limit=PHONE_NUMBER_MAX_LENGTH)]
    if not _PHONE_NUMBER.fullmatch(phone_key(phone_number) or ""):
        return [FieldFault(path, Fault.WRONG_FORMAT, "Enter a valid phone number.")]
    return []


def _name_faults(name: str | None) -> list[FieldFault]:
    if name is None:
        return []
    path = ("body", "name")
    if len(name) > NAME_MAX_LENGTH:
        message = f"A name has at most {NAME_MAX_LENGTH} characters."
        return [FieldFault(path, Fault.TOO_LONG, message, limit=NAME_MAX_LENGTH)]
    if not _is_storable(name):
        return [FieldFault(path, Fault.WRONG_FORMAT, "This name holds a control character.")]
    return []


def _is_storable(text: str) -> bool:
    # NUL and lone surrogates are no text for PostgreSQL; no name needs the other controls.
    return not any(unicodedata.category(character) in {"Cc", "Cs"} for character in text)
