"""Every URL of the `sessions` contract's API, in the order of its document."""

from typing import Final

from palaver.dialects.sessions import authentication, chat
from palaver.dialects.sessions.errors import render_login_error
from palaver.web.endpoint import Access, Endpoint

PUBLIC: Final = Access.PUBLIC
PROVIDER_REFUSES: Final = (403, 409, 429, 502, 504)

ENDPOINTS: Final = (
    # Authentication API
    Endpoint(
        "POST",
        "/api/v1/auth/register/",
        authentication.register,
        PUBLIC,
        status=201,
        gate=authentication.may_register,
        refuses=(403,),
    ),
    Endpoint(
        "POST",
        "/api/v1/auth/login/",
        authentication.login,
        PUBLIC,
        refuses=(429,),
        render_error=render_login_error,
    ),
    Endpoint("POST", "/api/v1/auth/logout/", authentication.logout, no_keys=True, lets_enrol=True),
    Endpoint("GET", "/api/v1/auth/profile/", authentication.profile),
    Endpoint("POST", "/api/v1/auth/token/refresh/", authentication.refresh, PUBLIC, refuses=(401,)),
    # Chat API
    Endpoint("GET", "/api/v1/chat/sessions/", chat.list_sessions, refuses=(404,)),
    Endpoint("POST", "/api/v1/chat/sessions/", chat.create_session, status=201),
    Endpoint("GET", "/api/v1/chat/sessions/{session_id}/", chat.get_session),
    Endpoint("PUT", "/api/v1/chat/sessions/{session_id}/", chat.rename_session),
    Endpoint("PATCH", "/api/v1/chat/sessions/{session_id}/", chat.rename_session),
    Endpoint("DELETE", "/api/v1/chat/sessions/{session_id}/", chat.delete_session, status=204),
    Endpoint("GET", "/api/v1/chat/sessions/{session_id}/chats/", chat.list_chats),
    Endpoint(
        "POST",
        "/api/v1/chat/sessions/{session_id}/chats/",
        chat.create_chat,
        status=201,
        refuses=PROVIDER_REFUSES,
    ),
    Endpoint("GET", "/api/v1/chat/sessions/{session_id}/chats/{chat_id}/", chat.get_chat),
    Endpoint(
        "DELETE",
        "/api/v1/chat/sessions/{session_id}/chats/{chat_id}/",
        chat.delete_chat,
        status=204,
    ),
)
