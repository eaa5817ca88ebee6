"""Every URL of the `native` contract, in the order of its document."""

from functools import partial
from typing import Final

from palaver.dialects.native import (
    account,
    admin_chatbots,
    admin_models,
    admin_plans,
    admin_records,
    admin_users,
    admin_webhooks,
    answers,
    api_keys,
    conversations,
    documents,
    generations,
    images,
    memories,
    messages,
    search,
    sessions,
    settings,
)
from palaver.dialects.native.errors import render_account_error, render_admin_error
from palaver.dialects.native.stream import EVENTS
from palaver.domain.pictures import FILE_MAX_BYTES
from palaver.web.endpoint import Access, Endpoint
from palaver.web.uploads import UPLOAD_MAX_BYTES

CLASH: Final = (409,)
MODEL_REFUSES: Final = (403, 502, 504)
IMAGE_MAX_BYTES: Final = FILE_MAX_BYTES + 64 * 1024
"""A body may be so long: its picture, and what stands around it."""

# For who signed in: no API key may do it. Who has to set up a second factor may.
_own = partial(Endpoint, no_keys=True, lets_enrol=True, render_error=render_account_error)
_admin = partial(Endpoint, access=Access.ADMIN, render_error=render_admin_error)

ENDPOINTS: Final = (
    # Conversations
    Endpoint("GET", "/api/palaver/conversations", conversations.list_),
    Endpoint(
        "POST",
        "/api/palaver/conversations",
        conversations.create,
        status=201,
        refuses=MODEL_REFUSES,
    ),
    Endpoint("GET", "/api/palaver/conversations/{conversation_id}", conversations.get),
    Endpoint(
        "PATCH",
        "/api/palaver/conversations/{conversation_id}",
        conversations.update,
        refuses=MODEL_REFUSES,
    ),
    Endpoint(
        "DELETE", "/api/palaver/conversations/{conversation_id}", conversations.delete, status=204
    ),
    # Messages
    Endpoint("GET", "/api/palaver/conversations/{conversation_id}/messages", messages.list_),
    Endpoint(
        "POST",
        "/api/palaver/conversations/{conversation_id}/messages",
        messages.send,
        status=201,
        refuses=(*CLASH, 429, *MODEL_REFUSES),
    ),
    # Generations
    Endpoint("GET", "/api/palaver/generations/{generation_id}", generations.get),
    Endpoint(
        "GET", "/api/palaver/generations/{generation_id}/events", generations.follow, events=EVENTS
    ),
    Endpoint("POST", "/api/palaver/generations/{generation_id}/cancel", generations.cancel),
    Endpoint(
        "POST",
        "/api/palaver/generations/{generation_id}/retry",
        generations.retry,
        status=201,
        refuses=(*CLASH, 429, *MODEL_REFUSES),
    ),
    # Images
    Endpoint(
        "POST",
        "/api/palaver/images",
        images.create,
        status=201,
        max_bytes=IMAGE_MAX_BYTES,
        refuses=(429, 503),
    ),
    Endpoint("DELETE", "/api/palaver/images/{image_id}", images.delete, status=204, refuses=CLASH),
    # Search
    Endpoint("GET", "/api/palaver/search", search.search),
    # Options of a conversation
    Endpoint("GET", "/api/palaver/conversations/{conversation_id}/options", answers.get_options),
    Endpoint(
        "PATCH",
        "/api/palaver/conversations/{conversation_id}/options",
        answers.change_options,
        refuses=(403, 502, 504),
    ),
    # Sources of an answer
    Endpoint("GET", "/api/palaver/messages/{message_id}/sources", answers.list_sources),
    # Memories
    Endpoint("GET", "/api/palaver/memories", memories.list_),
    Endpoint("POST", "/api/palaver/memories", memories.create, status=201, refuses=(404, 429)),
    Endpoint("GET", "/api/palaver/memories/search", memories.search),
    Endpoint("POST", "/api/palaver/memories/clear", memories.clear),
    Endpoint("GET", "/api/palaver/memories/{memory_id}", memories.get),
    Endpoint("PATCH", "/api/palaver/memories/{memory_id}", memories.update),
    Endpoint("DELETE", "/api/palaver/memories/{memory_id}", memories.delete, status=204),
    # Documents
    Endpoint("GET", "/api/palaver/documents", documents.list_),
    Endpoint(
        "POST",
        "/api/palaver/documents",
        documents.create,
        status=201,
        max_bytes=UPLOAD_MAX_BYTES,
        refuses=(429,),
    ),
    Endpoint("GET", "/api/palaver/documents/{document_id}", documents.get),
    Endpoint("GET", "/api/palaver/documents/{document_id}/text", documents.get_text, refuses=CLASH),
    Endpoint("GET", "/api/palaver/documents/{document_id}/file", documents.download),
    Endpoint("POST", "/api/palaver/documents/{document_id}/reingest", documents.reingest),
    Endpoint("DELETE", "/api/palaver/documents/{document_id}", documents.delete, status=204),
    # Settings
    Endpoint("GET", "/api/palaver/settings", settings.get),
    Endpoint("PATCH", "/api/palaver/settings", settings.update),
    # Account
    Endpoint("GET", "/api/palaver/account", account.get, lets_enrol=True),
    _own(
        "POST", "/api/palaver/account/password", account.change_password, status=204, refuses=(429,)
    ),
    _own("DELETE", "/api/palaver/account", account.delete, status=204, refuses=(409, 429)),
    # Second factor
    _own("GET", "/api/palaver/account/second-factor", account.get_second_factor),
    _own(
        "POST",
        "/api/palaver/account/second-factor",
        account.enrol,
        status=201,
        refuses=(409, 429),
    ),
    _own("POST", "/api/palaver/account/second-factor/confirm", account.confirm, refuses=CLASH),
    _own(
        "POST",
        "/api/palaver/account/second-factor/recovery-codes",
        account.renew_codes,
        refuses=(409, 429),
    ),
    _own(
        "DELETE",
        "/api/palaver/account/second-factor",
        account.disable,
        status=204,
        refuses=(403, 409, 429),
    ),
    # Sessions
    _own("GET", "/api/palaver/sessions", sessions.list_),
    _own("DELETE", "/api/palaver/sessions", sessions.end_others),
    _own("DELETE", "/api/palaver/sessions/{session_id}", sessions.end, status=204),
    # API keys
    Endpoint("GET", "/api/palaver/api-keys", api_keys.list_, no_keys=True),
    Endpoint(
        "POST",
        "/api/palaver/api-keys",
        api_keys.create,
        status=201,
        no_keys=True,
        refuses=(403, 409),
    ),
    Endpoint("DELETE", "/api/palaver/api-keys/{key_id}", api_keys.revoke, status=204, no_keys=True),
    # Plans, for administrators
    _admin("GET", "/api/palaver/admin/plans", admin_plans.list_),
    _admin("POST", "/api/palaver/admin/plans", admin_plans.create, status=201, refuses=CLASH),
    _admin("GET", "/api/palaver/admin/plans/{plan_id}", admin_plans.get),
    _admin("PATCH", "/api/palaver/admin/plans/{plan_id}", admin_plans.update, refuses=CLASH),
    _admin(
        "DELETE",
        "/api/palaver/admin/plans/{plan_id}",
        admin_plans.delete,
        status=204,
        refuses=CLASH,
    ),
    # Users and subscriptions, for administrators
    _admin("GET", "/api/palaver/admin/users", admin_users.list_),
    _admin("POST", "/api/palaver/admin/users", admin_users.create, status=201, refuses=CLASH),
    _admin("GET", "/api/palaver/admin/users/{user}", admin_users.get),
    _admin("PATCH", "/api/palaver/admin/users/{user}", admin_users.update),
    _admin("DELETE", "/api/palaver/admin/users/{user}", admin_users.delete, status=204),
    _admin(
        "POST",
        "/api/palaver/admin/users/{user}/password-reset",
        admin_users.reset_password,
        status=201,
        no_keys=True,
    ),
    _admin(
        "DELETE",
        "/api/palaver/admin/users/{user}/second-factor",
        admin_users.remove_second_factor,
        status=204,
        no_keys=True,
        refuses=CLASH,
    ),
    _admin("PUT", "/api/palaver/admin/users/{user}/subscription", admin_users.subscribe),
    _admin(
        "DELETE",
        "/api/palaver/admin/users/{user}/subscription",
        admin_users.unsubscribe,
        status=204,
    ),
    # Invites and the audit log, for administrators
    _admin("GET", "/api/palaver/admin/invites", admin_records.list_invites),
    _admin("POST", "/api/palaver/admin/invites", admin_records.create_invite, status=201),
    _admin("DELETE", "/api/palaver/admin/invites/{code}", admin_records.revoke_invite, status=204),
    _admin("GET", "/api/palaver/admin/audit", admin_records.list_audit),
    # Chatbots, for administrators
    _admin("GET", "/api/palaver/admin/chatbots", admin_chatbots.list_),
    _admin(
        "POST",
        "/api/palaver/admin/chatbots",
        admin_chatbots.create,
        status=201,
        refuses=CLASH,
    ),
    _admin("GET", "/api/palaver/admin/chatbots/{chatbot_id}", admin_chatbots.get),
    _admin(
        "PATCH",
        "/api/palaver/admin/chatbots/{chatbot_id}",
        admin_chatbots.update,
        refuses=CLASH,
    ),
    _admin(
        "POST",
        "/api/palaver/admin/chatbots/{chatbot_id}/image",
        admin_chatbots.give_image,
        max_bytes=IMAGE_MAX_BYTES,
        refuses=(*CLASH, 503),
    ),
    _admin(
        "DELETE",
        "/api/palaver/admin/chatbots/{chatbot_id}",
        admin_chatbots.delete,
        status=204,
        refuses=CLASH,
    ),
    # Models, for administrators
    _admin("GET", "/api/palaver/admin/models", admin_models.list_),
    _admin("POST", "/api/palaver/admin/models", admin_models.create, status=201, refuses=CLASH),
    _admin("GET", "/api/palaver/admin/models/{model_id}", admin_models.get),
    _admin("PATCH", "/api/palaver/admin/models/{model_id}", admin_models.update, refuses=CLASH),
    _admin(
        "DELETE",
        "/api/palaver/admin/models/{model_id}",
        admin_models.delete,
        status=204,
        refuses=CLASH,
    ),
    # Webhooks, for administrators
    _admin("GET", "/api/palaver/admin/webhooks", admin_webhooks.list_),
    _admin(
        "POST", "/api/palaver/admin/webhooks", admin_webhooks.create, status=201, refuses=(429,)
    ),
    _admin("GET", "/api/palaver/admin/webhooks/{webhook_id}", admin_webhooks.get),
    _admin("PATCH", "/api/palaver/admin/webhooks/{webhook_id}", admin_webhooks.update),
    _admin("DELETE", "/api/palaver/admin/webhooks/{webhook_id}", admin_webhooks.delete, status=204),
    _admin(
        "POST",
        "/api/palaver/admin/webhooks/{webhook_id}/rotate-secret",
        admin_webhooks.rotate_secret,
    ),
    _admin(
        "POST",
        "/api/palaver/admin/webhooks/{webhook_id}/redeliver",
        admin_webhooks.redeliver_since,
        refuses=CLASH,
    ),
    _admin(
        "GET",
        "/api/palaver/admin/webhooks/{webhook_id}/deliveries",
        admin_webhooks.list_deliveries,
    ),
    _admin(
        "POST",
        "/api/palaver/admin/webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver",
        admin_webhooks.redeliver,
        refuses=CLASH,
    ),
)
