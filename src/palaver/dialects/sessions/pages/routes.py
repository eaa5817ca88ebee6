"""Every URL of the contract's web routes, in the order of its document.

OpenAPI describes those that answer with JSON; the others are pages, and forms lead through them.
"""

from functools import partial
from typing import Final

from palaver.dialects.sessions.pages import accounts, chat, sessions, wire
from palaver.dialects.sessions.pages.errors import render_page_error, render_rename_error
from palaver.domain.api_keys import Scope
from palaver.web.endpoint import Access, Csrf, Endpoint
from palaver.web.forms import FORM_MAX_BYTES

PUBLIC: Final = Access.PUBLIC
REFUSED: Final = {400: wire.Refused, 404: wire.Refused}

_page = partial(Endpoint, "GET", is_documented=False, render_error=render_page_error)
_form = partial(
    Endpoint, "POST", is_documented=False, takes_form=True, render_error=render_page_error
)
_json = partial(Endpoint, csrf=Csrf.OPTIONAL)  # the document asks scripts for no token

ROUTES: Final = (
    # Authentication
    _page("/accounts/register/", accounts.show_registration, PUBLIC),
    _form("/accounts/register/", accounts.register, PUBLIC, max_bytes=FORM_MAX_BYTES),
    _page("/accounts/login/", accounts.show_login, PUBLIC),
    _form("/accounts/login/", accounts.login, PUBLIC, max_bytes=FORM_MAX_BYTES),
    _page("/accounts/logout/", accounts.logout, no_keys=True, lets_enrol=True),
    _form("/accounts/logout/", accounts.logout_by_form, no_keys=True, lets_enrol=True),
    # Chat Interface
    _page("/", chat.home),
    _form("/", chat.begin, scope=Scope.CHAT),
    _json("POST", "/chat/session/create/", sessions.create, status=201),
    _json(
        "POST",
        "/chat/session/{session_id}/rename/",
        sessions.rename,
        answers=REFUSED,
        render_error=render_rename_error,
    ),
    _json("DELETE", "/chat/session/{session_id}/delete/", sessions.delete),
    _json("GET", "/load_session/{session_id}/", sessions.load),
    _page("/chat/{session_id}/", chat.show),
    _form("/chat/{session_id}/", chat.send),
)
