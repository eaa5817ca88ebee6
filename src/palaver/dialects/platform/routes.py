"""Every URL of the `platform` contract, in the order of its document."""

from typing import Final

from palaver.dialects.platform import authentication, chats, completions, wire
from palaver.web.endpoint import Access, Endpoint

PUBLIC: Final = Access.PUBLIC
PROVIDER_REFUSES: Final = (403, 404, 502, 504)
EVENTS: Final = (wire.Content, wire.Done, wire.Failure)

ENDPOINTS: Final = (
    # Authentication
    Endpoint(
        "POST",
        "/api/v1/auth/register",
        authentication.register,
        PUBLIC,
        gate=authentication.may_register,
        refuses=(403, 409),
    ),
    Endpoint("POST", "/api/v1/auth/login", authentication.login, PUBLIC, refuses=(401,)),
    Endpoint("POST", "/api/v1/auth/refresh", authentication.refresh, PUBLIC, refuses=(401,)),
    Endpoint("POST", "/api/v1/auth/logout", authentication.logout),
    # Chats
    Endpoint("POST", "/api/v1/chats", chats.create, refuses=(403, 502, 504)),
    Endpoint("GET", "/api/v1/chats", chats.list_),
    Endpoint("GET", "/api/v1/chats/{chat_id}", chats.get),
    Endpoint("PATCH", "/api/v1/chats/{chat_id}", chats.update),
    Endpoint("DELETE", "/api/v1/chats/{chat_id}", chats.delete),
    Endpoint("GET", "/api/v1/chats/{chat_id}/messages", chats.list_messages),
    # Chat Completions
    Endpoint(
        "POST",
        "/api/v1/chat/completions",
        completions.send,
        refuses=PROVIDER_REFUSES,
        events=EVENTS,
    ),
)
