"""The ports to the web: a search engine, and whatever fetches a page as text."""

from collections.abc import Sequence
from typing import Protocol

import msgspec


class WebHit(msgspec.Struct, frozen=True, gc=False):
    """What a search engine names for a query."""

    url: str
    title: str
    snippet: str = ""


class Page(msgspec.Struct, frozen=True, gc=False):
    """A page of the web reduced to its text."""

    url: str  # where it was found in the end, after redirects
    title: str
    text: str


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
