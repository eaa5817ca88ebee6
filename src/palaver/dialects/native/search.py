"""The chapter "Search"."""

from palaver.dialects.native import wire
from palaver.domain.search import PAGE_MAX
from palaver.web.call import Call


async def search(
    call: Call, *, q: wire.Search = "", cursor: str | None = None, limit: wire.Limit = PAGE_MAX
) -> wire.SearchPage:
    """Find titles and messages of one's own, the best first. Contract: "Search"."""
    page = await call.services.search.search(call.actor, q, cursor=cursor, limit=limit)
    return wire.SearchPage.of(page)
