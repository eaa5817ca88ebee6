"""Tavily. Source: Tavily's API reference, "Search", and its help page "Errors Code"."""

from typing import Any, Final

import msgspec

from palaver.domain.web import WebHit, WebSearchSettings
from palaver.outbound.web_search.client import Client, Reply, hits, shortened

MAX_QUERY_LENGTH: Final = 400
MAX_RESULTS: Final = 20


class Result(msgspec.Struct, frozen=True):
    """One of `results`."""

    url: str
    title: str | None = None
    content: str | None = None


class Results(msgspec.Struct, frozen=True):
    """The body of an answer."""

    results: list[Result]


class Tavily:
    """The engine of `TAVILY_API_KEY`."""

    name: Final = "Tavily"

    def __init__(self, settings: WebSearchSettings) -> None:
        key = {"Authorization": f"Bearer {settings.api_key}"} if settings.api_key else None
        self._client = Client(self.name, settings, Results, headers=key)

    async def search(self, query: str, *, limit: int) -> list[WebHit]:
        """Return the best hits first, at most `limit`. Raises `ProviderError`."""
        reply = await self._client.ask(
            "POST",
            "/search",
            body={
                "query": shortened(query, max_length=MAX_QUERY_LENGTH),
                "max_results": min(limit, MAX_RESULTS),
                "search_depth": "basic",
                "include_answer": False,
                "include_raw_content": False,
                "include_images": False,
            },
        )
        if reply.status != 200:
            raise self._client.failure(reply, _message(reply))
        results = self._client.read(reply).results
        return hits(((r.url, r.title or "", r.content or "") for r in results), limit)

    async def close(self) -> None:
        """Give up every connection."""
        await self._client.close()


def _message(reply: Reply) -> str:
    """Return what a refusal says: `{"detail": {"error": …}}`, or `detail` alone."""
    try:
        body: Any = msgspec.json.decode(reply.body)
    except ValueError:
        return ""
    detail = body.get("detail") if isinstance(body, dict) else None
    said = detail.get("error") if isinstance(detail, dict) else detail
    return said if isinstance(said, str) else ""
