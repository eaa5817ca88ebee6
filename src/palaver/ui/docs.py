"""The contracts' documentation: Swagger UI over one OpenAPI document each, all served from here."""

from typing import Final

from starlette.responses import Response

from palaver.domain.errors import NotFound
from palaver.web.call import Call
from palaver.web.endpoint import Dialect
from palaver.web.files import url
from palaver.web.html import Html, fill, joined, page
from palaver.web.openapi import document, is_documented

# Swagger UI has pictures as data, and asks the server it documents.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; form-action 'none'; "
    "base-uri 'none'; frame-ancestors 'none'"
)

_HEAD: Final = """\
<link rel="stylesheet" href="{swagger_css}">
<link rel="stylesheet" href="{css}">
<script src="{swagger_js}" defer></script>
<script src="{js}" defer></script>
"""
_TABS: Final = '<nav class="tabs" aria-label="Contracts">{tabs}</nav>'
_TAB: Final = '<a href="/docs/{name}"{current}>{title}</a>'

_MAIN: Final = """\
<main>
<h1 hidden>{title}</h1>
<div id="swagger-ui" data-document="{document}"></div>
<noscript><p class="without-script">This page needs scripts; the document itself does not:
<a href="{document}">{document}</a></p></noscript>
</main>"""


async def show_first(call: Call) -> Response:
    """Show the documentation of the first contract. No contract: ours."""
    return _page(call, contracts(call)[0])


async def show(call: Call, contract: str) -> Response:
    """Show the documentation of a contract. No contract: ours."""
    return _page(call, _find(call, contract))


async def document_file(call: Call, file: str) -> Response:
    """Send the OpenAPI document of a contract: `companion.json`. No contract: ours."""
    if not file.endswith(".json"):
        raise NotFound("document")
    dialect = _find(call, file.removesuffix(".json"))
    content = document(dialect, version=call.settings.version)
    headers = {"cache-control": "no-cache", "x-content-type-options": "nosniff"}
    return Response(content, 200, headers, "application/json")


def contracts(call: Call) -> list[Dialect]:
    """Return what there is to document."""
    dialects: tuple[Dialect, ...] = call.request.app.dialects
    return [dialect for dialect in dialects if is_documented(dialect)]


def _find(call: Call, name: str) -> Dialect:
    for dialect in contracts(call):
        if dialect.name == name:
            return dialect
    raise NotFound("contract")


def _page(call: Call, shown: Dialect) -> Response:
    title = f"{shown.title} API"
    tabs = (_tab(dialect, is_shown=dialect is shown) for dialect in contracts(call))
    return page(
        title,
        fill(_MAIN, title=title, document=f"/openapi/{shown.name}.json"),
        head=fill(
            _HEAD,
            swagger_css=url("swagger-ui.css"),
            css=url("docs.css"),
            swagger_js=url("swagger-ui-bundle.js"),
            js=url("docs.js"),
        ),
        bar=fill(_TABS, tabs=joined(tabs, by="")),
        body_class="docs",
        policy=POLICY,
    )


def _tab(dialect: Dialect, *, is_shown: bool) -> Html:
    current = Html(' aria-current="page"' if is_shown else "")
    return fill(_TAB, name=dialect.name, current=current, title=dialect.title)
