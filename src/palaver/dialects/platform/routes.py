"""Every URL of the `platform` contract, in the order of its document."""

from typing import Final

from palaver.dialects.platform import (
    authentication,
    chats,
    completions,
    completions_wire,
    documents,
    memories,
    sso,
    webhooks,
)
from palaver.dialects.platform.errors import render_completion_error
from palaver.web.endpoint import Access, Endpoint
from palaver.web.uploads import UPLOAD_MAX_BYTES

PUBLIC: Final = Access.PUBLIC
PROVIDER_REFUSES: Final = (403, 404, 502, 504)
EVENTS: Final = (
    completions_wire.Content,
    completions_wire.Thinking,
    completions_wire.Done,
    completions_wire.Failure,
)

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
    Endpoint(
        "GET",
        "/api/v1/auth/sso/login",
        sso.login,
        PUBLIC,
        refuses=(502, 504),
        render_error=sso.render_error,
    ),
    Endpoint("POST", "/api/v1/auth/refresh", authentication.refresh, PUBLIC, refuses=(401,)),
    Endpoint("POST", "/api/v1/auth/logout", authentication.logout, no_keys=True, lets_enrol=True),
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
        render_error=render_completion_error,
        events=EVENTS,
    ),
    # Memories
    Endpoint("POST", "/api/v1/memories", memories.create, refuses=(404,)),
    Endpoint("GET", "/api/v1/memories", memories.list_),
    Endpoint("POST", "/api/v1/memories/search", memories.search),
    Endpoint("DELETE", "/api/v1/memories/{memory_id}", memories.delete),
    # Documents
    Endpoint("POST", "/api/v1/documents", documents.create, max_bytes=UPLOAD_MAX_BYTES),
    Endpoint("GET", "/api/v1/documents", documents.list_),
    Endpoint("DELETE", "/api/v1/documents/{document_id}", documents.delete),
    # Webhooks
    Endpoint("POST", "/api/v1/webhooks", webhooks.create),
    Endpoint("GET", "/api/v1/webhooks", webhooks.list_),
    Endpoint("GET", "/api/v1/webhooks/{webhook_id}", webhooks.get),
    Endpoint("PATCH", "/api/v1/webhooks/{webhook_id}", webhooks.update),
    Endpoint("DELETE", "/api/v1/webhooks/{webhook_id}", webhooks.delete),
    Endpoint("POST", "/api/v1/webhooks/{webhook_id}/rotate-secret", webhooks.rotate_secret),
    Endpoint("GET", "/api/v1/webhooks/{webhook_id}/deliveries", webhooks.list_deliveries),
    Endpoint(
        "POST",
        "/api/v1/webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver",
        webhooks.redeliver,
        refuses=(409,),
    ),
    # Beyond the document
    Endpoint(
        "GET",
        sso.CALLBACK,
        sso.callback,
        PUBLIC,
        is_documented=False,  # only browsers come here, from the provider
        render_error=sso.render_error,
    ),
    Endpoint("POST", "/api/v1/auth/sso/token", sso.token, PUBLIC, refuses=(401,)),
    Endpoint("GET", "/api/v1/documents/{document_id}", documents.get),
)
