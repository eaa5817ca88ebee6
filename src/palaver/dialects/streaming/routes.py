"""Every URL of the `streaming` contract, in the order of its document."""

from typing import Final

from palaver.dialects.streaming import (
    admin,
    authentication,
    chat,
    conversations,
    health,
    messages,
    providers,
    wire,
)
from palaver.web.endpoint import Access, Csrf, Endpoint

PUBLIC, ADMIN = Access.PUBLIC, Access.ADMIN
EVENTS: Final = (wire.Ping, wire.Delta, wire.Usage, wire.Done, wire.StreamError)

ENDPOINTS: Final = (
    # Conversations
    Endpoint("POST", "/conversations", conversations.create),
    Endpoint("GET", "/conversations", conversations.list_),
    Endpoint("GET", "/conversations/{conversation_id}", conversations.get),
    Endpoint("PATCH", "/conversations/{conversation_id}", conversations.rename),
    Endpoint("DELETE", "/conversations/{conversation_id}", conversations.delete),
    # Messages
    Endpoint("GET", "/conversations/{conversation_id}/messages", messages.list_),
    Endpoint("POST", "/conversations/{conversation_id}/messages", messages.append),
    # Chat; the document asks for no CSRF token where it streams
    Endpoint(
        "POST",
        "/conversations/{conversation_id}/stream",
        chat.stream,
        csrf=Csrf.OPTIONAL,
        refuses=(429, 502, 504),
        events=EVENTS,
    ),
    Endpoint("POST", "/chat/cancel/{generation_id}", chat.cancel),
    Endpoint("POST", "/chat/retry", chat.retry, refuses=(404, 429, 502, 504)),
    # Authentication
    Endpoint("POST", "/auth/login", authentication.login, PUBLIC, refuses=(401, 429)),
    Endpoint("POST", "/auth/logout", authentication.logout, no_keys=True, lets_enrol=True),
    Endpoint("GET", "/auth/me", authentication.me),
    # Admin
    Endpoint(
        "POST",
        "/admin/bootstrap",
        admin.bootstrap,
        PUBLIC,
        gate=admin.may_bootstrap,
        refuses=(403, 409, 429),
    ),
    Endpoint("GET", "/admin/users", admin.list_users, ADMIN),
    Endpoint("POST", "/admin/invites", admin.create_invite, ADMIN),
    # Providers
    Endpoint("GET", "/providers", providers.list_),
    # Health
    Endpoint("GET", "/health", health.check, PUBLIC),
    Endpoint("GET", "/version", health.version, PUBLIC),
    # Beyond the document
    Endpoint(
        "POST",
        "/auth/register",
        authentication.register,
        PUBLIC,
        gate=authentication.may_register,
        refuses=(403, 409),
    ),
    Endpoint("PATCH", "/admin/users/{user_id}", admin.update_user, ADMIN),
    Endpoint("GET", "/admin/invites", admin.list_invites, ADMIN),
    Endpoint("POST", "/admin/invites/{invite}/revoke", admin.revoke_invite, ADMIN),
    Endpoint("GET", "/admin/audit", admin.list_audit, ADMIN),
    Endpoint("GET", "/providers/{provider_id}/models", providers.list_models, refuses=(502, 504)),
    Endpoint("GET", "/providers/{provider_id}/health", providers.check),
    Endpoint("GET", "/health/deep", health.check_deeply, PUBLIC, answers={503: wire.DeepHealth}),
)
