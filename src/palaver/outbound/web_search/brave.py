"""Brave Search. Source: Brave's documentation, "Web Search API", and its headers and codes."""

from typing import Final

import msgspec

from palaver.domain.errors import ProviderError
from palaver.domain.web import WebHit, WebSearchSettings
from palaver.outbound.web_search.client import Client, Reply, hits, shortened

MAX_QUERY_LENGTH: Final = 400
MAX_QUERY_WORDS: Final = 50
MAX_COUNT: Final = 20
_KEY_REFUSED: Final = frozenset({"SUBSCRIPTION_TOKEN_INVALID", "SUBSCRIPTION_NOT_FOUND"})
_NOTHING_LEFT: Final = frozenset({"QUOTA_LIMITED", "USAGE_LIMIT_EXCEEDED"})


class Result(msgspec.Struct, frozen=True):
    """One of `web.results`."""

    url: str
    title: str = ""
    description: str | None = None
    extra_snippets: list[str] | None = None


class Web(msgspec.Struct, frozen=True):
    """The part `web` of an answer."""

    results: list[Result] = []


class Results(msgspec.Struct, frozen=True):
    """The body of an answer; without hits it has no `web`."""

    type: str
    web: Web | None = None


class Error(msgspec.Struct, frozen=True):
    """The part `error` of a refusal."""

    code: str = ""
    detail: str | None = None


class Refusal(msgspec.Struct, frozen=True):
    """The body of a refusal."""

    error: Error = Error()


class Brave:
    """The engine of `BRAVE_API_KEY`."""

    name: Final = "Brave Search"

    def __init__(self, settings: WebSearchSettings) -> None:
        key = {"X-Subscription-Token": settings.api_key} if settings.api_key else None
        self._client = Client(self.name, settings, Results, headers=key)

    async def search(self, query: str, *, limit: int) -> list[WebHit]:
        """Return the best hits first, at most `limit`. Raises `ProviderError`."""
        asked = shortened(query, max_length=MAX_QUERY_LENGTH, max_words=MAX_QUERY_WORDS)
        reply = await self._client.ask(
            "GET",
            "/web/search",
            query={
                "q": asked,
                "count": str(min(limit, MAX_COUNT)),
                "result_filter": "web",
                "text_decorations": "false",
            },
        )
        if reply.status != 200:
            raise self._failure(reply)
        web = self._client.read(reply).web or Web()
        found = ((r.url, r.title, _snippet(r)) for r in web.results)
        return hits(found, limit)

    async def close(self) -> None:
        """Give up every connection."""
        await self._client.close()

    def _failure(self, reply: Reply) -> ProviderError:
        error = _error(reply)
        if error.code in _KEY_REFUSED:
            return self._client.refused_key()
        if error.code in _NOTHING_LEFT:
            reply = msgspec.structs.replace(reply, status=402)
        return self._client.failure(reply, error.detail or "")


def _snippet(result: Result) -> str:
    return " … ".join([result.description or "", *(result.extra_snippets or [])])


def _error(reply: Reply) -> Error:
    try:
        return msgspec.json.decode(reply.body, type=Refusal).error
    except ValueError:
        return Error()
