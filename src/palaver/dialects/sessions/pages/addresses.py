"""Where pages are, and where a browser may be sent."""

from typing import Final
from urllib.parse import quote, urlencode

from palaver.web.call import Call

LOGIN: Final = "/accounts/login/"
REGISTER: Final = "/accounts/register/"
LOGOUT: Final = "/accounts/logout/"
HOME: Final = "/"
SECOND_FACTOR: Final = "/app/second-factor"
NEW_CHAT: Final = "/?new=1"
_ACCOUNTS: Final = "/accounts/"


def chat(uuid: str, **query: int | None) -> str:
    """Return the address of a conversation's page; what is None is left out of the query."""
    return _with_query(f"/chat/{uuid}/", query)


def home(**query: int | None) -> str:
    """Return the address of the front page."""
    return _with_query(HOME, query)


def login_for(call: Call) -> str:
    """Return the address of the form that leads back to the page that this request asked for."""
    scope = call.request.scope
    path = quote(scope["path"], safe="/")
    # Whoever wanted to sign out does not want to do it after signing in.
    if path.startswith(_ACCOUNTS):
        return LOGIN
    query: bytes = scope["query_string"]
    asked = f"{path}?{query.decode('latin-1')}" if query else path
    return f"{LOGIN}?next={quote(asked, safe='/')}"


def with_next(address: str, target: str) -> str:
    """Return the address of a form that leads on to a page."""
    return f"{address}?next={quote(target, safe='/')}" if target != HOME else address


def local(target: str) -> str:
    """Return where to go on to: a page of this site, the front page in place of all else."""
    if not (target.isascii() and target.isprintable()) or " " in target or "\\" in target:
        # Browsers read a backslash as a slash, and drop what cannot be seen.
        return HOME
    if not target.startswith("/") or target.startswith(("//", _ACCOUNTS)):
        return HOME
    return target


def _with_query(path: str, query: dict[str, int | None]) -> str:
    given = {name: value for name, value in query.items() if value is not None}
    return f"{path}?{urlencode(given)}" if given else path
