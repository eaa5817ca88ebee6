"""How the contract words a failure on its pages, and one of "Rename Session"."""

from typing import Final

from starlette.responses import RedirectResponse, Response

from palaver.dialects.sessions import errors as api
from palaver.dialects.sessions.pages import wire
from palaver.dialects.sessions.pages.addresses import SECOND_FACTOR, login_for
from palaver.domain.errors import DomainError, ErrorKind, Fault, FieldFault, InvalidInput
from palaver.web.answers import json_answer, wants_json
from palaver.web.authentication import is_foreign
from palaver.web.call import Call
from palaver.web.html import problem_page

_NOBODY: Final = {
    ErrorKind.UNAUTHENTICATED,
    ErrorKind.SESSION_EXPIRED,
    ErrorKind.INVALID_TOKEN,
    ErrorKind.USER_INACTIVE,
}
_ABOUT_RENAMING: Final = {
    ErrorKind.NOT_FOUND,
    ErrorKind.INVALID_INPUT,
    ErrorKind.IDEMPOTENCY_MISMATCH,
}
_OUT_OF_DATE: Final = "This form is out of date. Go back, load its page anew, and send it again."


def render_page_error(error: DomainError, call: Call) -> Response:
    """Return a failure of a page: a page, or JSON for a script that asks for it."""
    if error.kind in _NOBODY:
        return RedirectResponse(login_for(call), 302)
    if wants_json(call):
        return api.render_error(error, call)
    if error.kind is ErrorKind.SECOND_FACTOR_REQUIRED:
        return RedirectResponse(SECOND_FACTOR, 302)
    return _page(error, call)


def _page(error: DomainError, call: Call) -> Response:
    status, _ = api.meaning(error.kind)
    title, message = None, error.message
    if error.kind is ErrorKind.NOT_FOUND:
        title, message = "Not found.", "There is no such conversation here, or it is gone."
    elif error.kind is ErrorKind.CSRF_INVALID and not is_foreign(call):
        title, message = "Please send that once more", _OUT_OF_DATE
    return problem_page(status, message, request_id=call.request_id, title=title)


def render_rename_error(error: DomainError, call: Call) -> Response:
    """Return a failure of "Rename Session": what is wrong with the title has a shape of its own."""
    if error.kind not in _ABOUT_RENAMING:
        return api.render_error(error, call)
    if error.kind is ErrorKind.NOT_FOUND:
        return json_answer(wire.Refused(False, "Not found."), 404)
    reason = error.message
    if isinstance(error, InvalidInput):
        reason = " ".join(_about_title(fault) for fault in error.faults)
    return json_answer(wire.Refused(False, reason), 400)


def _about_title(fault: FieldFault) -> str:
    match fault.fault:
        case Fault.MISSING | Fault.NULL:
            return "A title is required."
        case Fault.WRONG_TYPE if fault.field == "title":
            return "A title has to be text."
        case _:
            return fault.message
