"""The ports to the web: a search engine, and whatever fetches a page as text."""

from collections.abc import Sequence
from typing import Literal, Protocol, TypeAlias

import msgspec

from palaver.domain.extraction import Extracted

SearchMode: TypeAlias = Literal["searxng", "brave", "tavily", "provider", "off"]
"""Who searches: one engine, the provider of the model by itself, or nobody."""


class WebSearchSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where a search engine is and how it wants to be spoken to."""

    engine: str  # a key of `palaver.outbound.web_search.ENGINES`
    base_url: str  # without a slash at its end
    api_key: str | None = None
    key_setting: str | None = None  # where the key is set, for sentences: `BRAVE_API_KEY`
    url_setting: str  # where the address is set

    def __repr__(self) -> str:
        """Leave the key out: what is shown may be logged."""
        return f"WebSearchSettings({self.engine!r}, {self.base_url!r})"


class WebHit(msgspec.Struct, frozen=True, gc=False):
    """What a search engine names for a query."""

    url: str
    title: str
    snippet: str = ""


class Page(msgspec.Struct, frozen=True, gc=False):
    """A page of the web reduced to its text."""

    url: str  # where it was found in the end, after redirects
    title: str  # as it calls itself; "" where it does not
    extracted: Extracted


class WebSearch(Protocol):
    """One search engine. Raises `ProviderError` and nothing else."""

    @property
    def name(self) -> str:
        """Return what people call it."""

    async def search(self, query: str, *, limit: int) -> Sequence[WebHit]:
        """Return the best hits first, at most `limit`."""

    async def close(self) -> None:
        """Give up every connection."""


class PageFetcher(Protocol):
    """Fetches pages from addresses that nobody has checked. Raises `ProviderError` alone."""

    async def fetch(self, url: str) -> Page:
        """Return a page as text, through the outbound gate."""

    async def close(self) -> None:
        """Give up every connection."""
