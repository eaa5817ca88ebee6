"""What an API key needs for an endpoint: every row of every table comes under one of these rules.

In their order: what no key may do; what a row says itself; administration; what only reads; else
the noun in the path.
"""

from typing import Final

from palaver.domain.api_keys import Scope
from palaver.domain.errors import DomainError, ErrorKind
from palaver.domain.users import Actor
from palaver.web.endpoint import Access, Endpoint

_CHAT: Final = frozenset({Scope.CHAT})
_KNOWLEDGE: Final = frozenset({Scope.KNOWLEDGE})
_NOUNS: Final = {
    "chat": _CHAT,
    "chats": _CHAT,
    "chat-sessions": _CHAT,
    "conversations": _CHAT,
    "generations": _CHAT,
    "images": _CHAT,
    "messages": _CHAT,
    "documents": _KNOWLEDGE,
    "memories": _KNOWLEDGE,
    "settings": _KNOWLEDGE,
    # They are told of conversations, memories and documents, and outlive the key that made them.
    "webhooks": frozenset({Scope.READ, Scope.CHAT, Scope.KNOWLEDGE}),
}


class NoScope(LookupError):
    """No rule says what a key needs for an endpoint: give the row a `scope`, or `no_keys`."""


def needed(endpoint: Endpoint) -> frozenset[Scope]:
    """Return the scopes that a key needs, all of them. Raises `NoScope`."""
    if endpoint.scope is not None:
        return frozenset({endpoint.scope})
    if endpoint.access is Access.ADMIN:
        return frozenset({Scope.ADMIN})
    segments = endpoint.path.strip("/").split("/")
    # `POST …/search` changes nothing: what is looked for stands in its body.
    if not endpoint.changes or segments[-1] == "search":
        return frozenset({Scope.READ})
    for segment in segments:
        if segment in _NOUNS:
            return _NOUNS[segment]
    raise NoScope(f"{endpoint.method} {endpoint.path}")


def check_scopes(actor: Actor, endpoint: Endpoint) -> None:
    """Raise `DomainError` (`SCOPE_REQUIRED`, `FORBIDDEN`) unless this caller's key may call this.

    Who signed in may do everything; a key never more than its scopes, and nothing that would let
    it outlive itself: other keys, sessions, passwords, second factors.
    """
    if actor.scopes is None:
        return
    if endpoint.no_keys:
        message = "No API key may do this: sign in instead."
        raise DomainError(message, kind=ErrorKind.FORBIDDEN)
    if missing := needed(endpoint) - actor.scopes:
        names = ", ".join(f"`{scope}`" for scope in Scope if scope in missing)
        message = f"This API key lacks the scope {names}."
        raise DomainError(message, kind=ErrorKind.SCOPE_REQUIRED)
