"""Every URL of the `subscriptions` contract, in the order of its document."""

from typing import Final

from palaver.dialects.subscriptions import (
    ai_models,
    chat_session_usage,
    chat_sessions,
    chatbots,
    media,
    users,
    wire,
)
from palaver.dialects.subscriptions.errors import render_send_error
from palaver.web.endpoint import Endpoint

PROVIDER_REFUSES: Final = (429, 502, 504)
EVENTS: Final = (wire.Ping, wire.Delta, wire.Usage, wire.Done, wire.StreamError)

ENDPOINTS: Final = (
    # Users
    Endpoint("GET", "/api/users/", users.me),
    Endpoint("GET", "/api/users/subscription/", users.subscription, refuses=(404,)),
    # Chatbots
    Endpoint("GET", "/api/chatbots/", chatbots.list_),
    # AI Models
    Endpoint("GET", "/api/ai-models/", ai_models.list_),
    # Chat Sessions
    Endpoint("GET", "/api/chat-sessions/", chat_sessions.list_),
    Endpoint("POST", "/api/chat-sessions/", chat_sessions.create, status=201, refuses=(502, 504)),
    Endpoint("GET", "/api/chat-sessions/{session_id}/", chat_sessions.get),
    Endpoint("PUT", "/api/chat-sessions/{session_id}/", chat_sessions.update, refuses=(502, 504)),
    Endpoint("DELETE", "/api/chat-sessions/{session_id}/", chat_sessions.delete),
    Endpoint("GET", "/api/chat-sessions/{session_id}/messages/", chat_sessions.list_messages),
    Endpoint(
        "POST",
        "/api/chat-sessions/{session_id}/send/",
        chat_sessions.send,
        status=201,
        refuses=PROVIDER_REFUSES,
        render_error=render_send_error,
    ),
    Endpoint("POST", "/api/chat-sessions/{session_id}/update-title/", chat_sessions.update_title),
    Endpoint(
        "POST",
        "/api/chat-sessions/{session_id}/messages/{message_id}/edit/",
        chat_sessions.edit_message,
        refuses=PROVIDER_REFUSES,
    ),
    # Chat Session Usage
    Endpoint("GET", "/api/chat-session-usages/", chat_session_usage.list_),
    # Beyond the document
    Endpoint("GET", "/api/chat-sessions/{session_id}/events/", chat_sessions.follow, events=EVENTS),
    Endpoint("GET", "/media/chatbot_images/{name}", media.chatbot_image),
    Endpoint("GET", "/media/images/{name}", media.own_image),
    Endpoint("GET", "/media/{folder}/{name}", media.nothing, is_documented=False),
)
