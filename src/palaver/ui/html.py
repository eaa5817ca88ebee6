"""The frame of every page, and the headers that keep foreign scripts and frames out."""

from collections.abc import Mapping
from html import escape
from typing import Final

from starlette.responses import HTMLResponse

from palaver.ui.files import url

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
<div class="bar">
<a class="mark" href="/"><img src="{icon}" alt="" width="24" height="24">Palaver</a>
{bar}</div>
{main}
</body>
</html>
"""


def page(
    title: str,
    main: str,
    *,
    status: int = 200,
    head: str = "",
    bar: str = "",
    body_class: str = "",
    policy: str = POLICY,
    headers: Mapping[str, str] | None = None,
) -> HTMLResponse:
    """Return a whole page. `main`, `head` and `bar` are HTML, `title` is text."""
    content = _PAGE.format(
        title=escape(f"{title} · Palaver" if title else "Palaver"),
        icon=url("icon.svg"),
        tokens=url("tokens.css"),
        pages=url("pages.css"),
        head=head,
        bar=bar,
        main=main,
        body_class=f' class="{body_class}"' if body_class else "",
    )
    return HTMLResponse(
        content, status, {**_HEADERS, "content-security-policy": policy, **(headers or {})}
    )
