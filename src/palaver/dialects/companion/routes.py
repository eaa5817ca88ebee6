"""Every URL of the `companion` contract, in the order of its document."""

from typing import Final

from palaver.dialects.companion import authentication, conversations, messages, users, wire
from palaver.dialects.companion.errors import render_token_error
from palaver.web.endpoint import Access, Endpoint

PUBLIC: Final = Access.PUBLIC
PROVIDER_REFUSES: Final = (404, 429, 502, 504)
EVENTS: Final = (wire.Content, wire.Done, wire.Failure)

ENDPOINTS: Final = (
    # Authentication
    Endpoint(
        "POST",
        "/token",
        authentication.sign_in,
        PUBLIC,
        takes_form=True,
        refuses=(400, 429),
        render_error=render_token_error,
    ),
    # Conversations
    Endpoint("GET", "/api/v1/conversations/", conversations.list_),
    Endpoint("POST", "/api/v1/conversations/", conversations.create, status=201),
    # Messages
    Endpoint("GET", "/api/v1/conversations/{conversation_id}/messages", messages.list_),
    Endpoint("POST", "/api/chat", messages.send, refuses=PROVIDER_REFUSES, events=EVENTS),
    # Users
    Endpoint("GET", "/api/v1/users/me", users.me),
)
