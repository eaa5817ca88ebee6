"""HTML: what is no HTML yet is escaped; the frame of every page, and the headers around it."""

from collections.abc import Iterable, Mapping
from html import escape
from http import HTTPStatus
from typing import Final

from starlette.responses import HTMLResponse

from palaver.web.files import url

POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)

_HEADERS: Final = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cache-control": "no-cache",
}

_PAGE: Final = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<link rel="icon" href="{icon}" type="image/svg+xml">
<link rel="stylesheet" href="{tokens}">
<link rel="stylesheet" href="{pages}">
{head}</head>
<body{body_class}>
{bar}{main}
</body>
</html>
"""

_BAR: Final = '<header class="bar">\n{mark}\n{more}</header>\n'

_MARK: Final = (
    '<a class="mark" href="/"><img src="{icon}" alt="" width="24" height="24">Palaver</a>'
)

_PROBLEM: Final = """\
<main class="page">
<header>
<h1>{title}</h1>
<p class="lead">{advice}</p>
</header>
<div class="actions"><a class="button" href="/">To the front page</a></div>
<p class="soft">{status} · request {request_id}</p>
</main>"""

_TITLES: Final = {
    403: "That came from somewhere else",
    404: "There is nothing here",
    405: "That cannot be done here",
    429: "Not so fast",
    500: "Something went wrong",
    503: "Busy just now",
}
_ADVICE: Final = {
    404: "The address may be mistyped, or what it named may be gone.",
    500: "It has been noted in the server's log, with the request id below.",
    503: "The database is held by somebody else. Try again in a moment.",
}


class Html(str):
    """Text that is HTML already: nothing in it wants to be escaped."""

    __slots__ = ()


NOTHING: Final = Html()


def fill(template: str, /, **values: object) -> Html:
    """Put values into a template of ours, in the manner of `str.format`; text is escaped."""
    return Html(
        template.format(
            **{
                name: value if isinstance(value, Html) else escape(str(value))
                for name, value in values.items()
            }
        )
    )


def joined(parts: Iterable[Html], *, by: str = "\n") -> Html:
    """Put pieces of HTML one after the other."""
    return Html(by.join(parts))


def mark() -> Html:
    """Return our name as it stands at the head of pages, which leads to the front page."""
    return fill(_MARK, icon=url("icon.svg"))


def page(
    title: str,
    main: Html,
    *,
    status: int = 200,
    head: Html = NOTHING,
    bar: Html | None = NOTHING,
    body_class: str = "",
    policy: str = POLICY,
    headers: Mapping[str, str] | None = None,
) -> HTMLResponse:
    """Return a whole page; with `bar` None there is none above `main`."""
    content = fill(
        _PAGE,
        title=f"{title} · Palaver" if title else "Palaver",
        icon=url("icon.svg"),
        tokens=url("tokens.css"),
        pages=url("pages.css"),
        head=head,
        bar=NOTHING if bar is None else fill(_BAR, mark=mark(), more=bar),
        main=main,
        body_class=fill(' class="{name}"', name=body_class) if body_class else NOTHING,
    )
    return HTMLResponse(
        content, status, {**_HEADERS, "content-security-policy": policy, **(headers or {})}
    )


def problem_page(
    status: int, message: str, *, request_id: str, title: str | None = None
) -> HTMLResponse:
    """Return the page of a failure: what it is, what to do, and the id under which it is logged.

    Without a title, both are what such a status commonly means.
    """
    if title is None:
        title = _TITLES.get(status, HTTPStatus(status).phrase)
        message = _ADVICE.get(status, message)
    main = fill(_PROBLEM, title=title, advice=message, status=status, request_id=request_id)
    return page(title.removesuffix("."), main, status=status)
