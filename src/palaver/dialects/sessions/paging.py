"""The links between the pages of a list, as Django REST framework makes them."""

from typing import Any, Final
from urllib.parse import parse_qs, urlencode

from palaver.domain.paging import Page
from palaver.web.call import Call

_PARAMETER: Final = "page"


def links(call: Call, page: Page[Any]) -> tuple[str | None, str | None]:
    """Return the absolute addresses of the next and the previous page, None where there is none."""
    return (
        _link(call, page.number + 1) if page.has_next else None,
        _link(call, page.number - 1) if page.has_previous else None,
    )


def _link(call: Call, number: int) -> str:
    scope = call.request.scope
    given = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    given.pop(_PARAMETER, None)
    if number > 1:  # the first page is what the bare address shows
        given[_PARAMETER] = [str(number)]
    path = (scope.get("raw_path") or scope["path"].encode()).partition(b"?")[0].decode("latin-1")
    query = urlencode(sorted(given.items()), doseq=True)
    return f"{call.origin}{path}?{query}" if query else f"{call.origin}{path}"
