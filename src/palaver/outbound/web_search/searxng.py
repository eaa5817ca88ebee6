"""SearXNG: a metasearch engine that one runs oneself.

Source: SearXNG's documentation, "Search API" and "search:" of its settings.
"""

from typing import Any, Final

import msgspec

from palaver.domain.errors import ProviderError
from palaver.domain.web import WebHit, WebSearchSettings
from palaver.outbound.web_search.client import Client, hits, shortened

MAX_QUERY_LENGTH: Final = 400


class Result(msgspec.Struct, frozen=True):
    """One of `results`."""

    url: str | None = None
    title: str | None = None
    content: str | None = None


class Results(msgspec.Struct, frozen=True):
    """The body of an answer with `format=json`."""

    results: list[Result]
    unresponsive_engines: list[Any] = []


class SearXNG:
    """The engine at `PALAVER_SEARXNG_URL`."""

    name: Final = "SearXNG"

    def __init__(self, settings: WebSearchSettings) -> None:
        self._client = Client(self.name, settings, Results)

    async def search(self, query: str, *, limit: int) -> list[WebHit]:
        """Return the best hits first, at most `limit`. Raises `ProviderError`."""
        asked = shortened(query, max_length=MAX_QUERY_LENGTH)
        reply = await self._client.ask("GET", "/search", query={"q": asked, "format": "json"})
        if reply.status == 403:
            raise ProviderError(
                "SearXNG does not answer in JSON: add `json` to `search.formats` in its "
                "settings.yml, and start it anew."
            )
        if reply.status == 429:
            raise self._client.failure(
                reply,
                "its limiter took Palaver for a robot; let its address through or turn it off",
            )
        if reply.status != 200:
            raise self._client.failure(reply)
        found = self._client.read(reply)
        if not found.results and found.unresponsive_engines:
            raise ProviderError("None of the engines behind SearXNG answered.")
        return hits(((r.url or "", r.title or "", r.content or "") for r in found.results), limit)

    async def close(self) -> None:
        """Give up every connection."""
        await self._client.close()
