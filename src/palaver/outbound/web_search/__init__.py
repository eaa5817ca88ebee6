"""Search engines, each in its own wire format. Their servers are the operator's choice: no gate."""

from collections.abc import Callable, Mapping
from typing import Final

from palaver.domain.web import WebSearch, WebSearchSettings
from palaver.outbound.web_search.brave import Brave
from palaver.outbound.web_search.searxng import SearXNG
from palaver.outbound.web_search.tavily import Tavily

__all__ = ["ENGINES", "Brave", "SearXNG", "Tavily", "build"]

ENGINES: Final[Mapping[str, Callable[[WebSearchSettings], WebSearch]]] = {
    "searxng": SearXNG,
    "brave": Brave,
    "tavily": Tavily,
}


def build(settings: WebSearchSettings) -> WebSearch:
    """Return the engine that the settings name."""
    return ENGINES[settings.engine](settings)
