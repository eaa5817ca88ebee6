"""API keys: long-lived secrets of programs, each allowed as much as its scopes say."""

import enum
import unicodedata
from collections.abc import Iterable
from typing import Final

import msgspec

from palaver.domain.errors import Fault, FieldFault, InvalidInput

MARK: Final = "pk_"
"""What every key begins with: so it is told from a token, and found where it was leaked."""
PREFIX_LENGTH: Final = 11
"""So much of a key is shown afterwards, to tell it from others: eight characters of 43."""
NAME_MAX_LENGTH: Final = 100
KEYS_MAX: Final = 100
"""Keys that one user may have at a time."""


class Scope(enum.StrEnum):
    """What a key may be used for."""

    READ = "read"  # everything that one may see oneself
    CHAT = "chat"  # conversations, messages, answers
    KNOWLEDGE = "knowledge"  # memories and documents
    ADMIN = "admin"  # administration, where its owner is an administrator


DEFAULT_SCOPES: Final = frozenset({Scope.READ, Scope.CHAT, Scope.KNOWLEDGE})


class ApiKey(msgspec.Struct, frozen=True, gc=False):
    """A key, without the secret: that is known to its owner alone."""

    id: int
    uuid: str
    owner_id: int
    name: str
    prefix: str
    scopes: frozenset[Scope]
    created_at: int
    expires_at: int | None
    last_used_at: int | None
    revoked_at: int | None


class NewApiKey(msgspec.Struct, frozen=True):
    """A key that was made just now, with its secret, which is shown this once."""

    api_key: ApiKey
    key: str

    def __repr__(self) -> str:
        return f"NewApiKey({self.api_key!r}, …)"


def checked_name(name: str) -> str:
    """Return the name of a key as it is stored. Raises `InvalidInput`."""
    name = unicodedata.normalize("NFC", name.strip())
    path = ("body", "name")
    if not name:
        raise InvalidInput([FieldFault(path, Fault.BLANK, "A key needs a name.", limit=1)])
    if len(name) > NAME_MAX_LENGTH:
        message = f"A name has at most {NAME_MAX_LENGTH} characters."
        raise InvalidInput([FieldFault(path, Fault.TOO_LONG, message, limit=NAME_MAX_LENGTH)])
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in name):
        message = "This name holds a control character."
        raise InvalidInput([FieldFault(path, Fault.WRONG_FORMAT, message)])
    return name


def write_scopes(scopes: Iterable[Scope]) -> str:
    """Return scopes as they are stored: words in the order in which they stand above."""
    given = frozenset(scopes)
    return " ".join(scope for scope in Scope if scope in given)


def read_scopes(text: str) -> frozenset[Scope]:
    """Return scopes as they were stored."""
    return frozenset(map(Scope, text.split()))
