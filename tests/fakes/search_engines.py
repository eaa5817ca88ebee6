"""Search engines on loopback ports: the wire formats of SearXNG, Brave and Tavily.

They follow the vendors' documents ("Search API"; "Web Search API" with its codes of errors; "Search"
with "Errors Code"), and refuse what those would refuse.
"""

import asyncio
import json
from typing import Any, Self

from aiohttp import web

from palaver.domain.web import WebSearchSettings
from tests.fakes.site import Site

KEY = "the-key"
Found = tuple[str, str, str]


class SearchEngines:
    """All three, finding the same; `status` makes them fail as they would with it."""

    def __init__(self, *found: Found) -> None:
        self.found = list(found)
        self.status = 200
        self.statuses: list[int] = []  # of the next requests, before `status`
        self.body: bytes | None = None  # instead of an answer
        self.gives_json = True
        self.unresponsive: list[list[str]] = []
        self.headers: dict[str, str] = {}
        self.queries: list[str] = []
        self.site = Site(
            {
                "/searxng/search": self._searxng,
                "/brave/web/search": self._brave,
                "/tavily/search": self._tavily,
            }
        )

    def settings(self, engine: str, *, key: str | None = KEY) -> WebSearchSettings:
        """Return the settings of one of them."""
        has_key = engine != "searxng"
        return WebSearchSettings(
            engine=engine,
            base_url=f"http://127.0.0.1:{self.site.port}/{engine}",
            api_key=key if has_key else None,
            key_setting=f"{engine.upper()}_API_KEY" if has_key else None,
            url_setting=f"{engine.upper()}_BASE_URL" if has_key else "PALAVER_SEARXNG_URL",
        )

    async def hang(self, request: web.Request) -> web.StreamResponse:
        """Say nothing."""
        await asyncio.sleep(60)
        return web.Response()

    async def __aenter__(self) -> Self:
        await self.site.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.site.__aexit__(*exc)

    def _status(self) -> int:
        return self.statuses.pop(0) if self.statuses else self.status

    def _answer(self, body: Any, status: int = 200) -> web.Response:
        data = json.dumps(body).encode() if self.body is None else self.body
        return web.Response(
            body=data, status=status, content_type="application/json", headers=self.headers
        )

    async def _searxng(self, request: web.Request) -> web.StreamResponse:
        query = request.query
        if not query.get("q"):
            return web.Response(status=400, text="No query")
        if query.get("format", "html") != "html" and not self.gives_json:
            return web.Response(status=403, text="<!doctype html><h1>Forbidden</h1>")
        if (status := self._status()) != 200:
            return web.Response(status=status, text="Too Many Requests", headers=self.headers)
        self.queries.append(query["q"])
        results = [
            {
                "url": url,
                "title": title,
                "content": snippet,
                "thumbnail": None,
                "engine": "duckduckgo",
                "parsed_url": ["https", "example.org", "/", "", "", ""],
                "template": "default.html",
                "engines": ["duckduckgo"],
                "positions": [number],
                "score": 1.0 / number,
                "category": "general",
                "publishedDate": None,
            }
            for number, (url, title, snippet) in enumerate(self.found, start=1)
        ]
        return self._answer(
            {
                "query": query["q"],
                "number_of_results": 0,
                "results": results,
                "answers": [],
                "corrections": [],
                "infoboxes": [],
                "suggestions": [],
                "unresponsive_engines": self.unresponsive,
            }
        )

    async def _brave(self, request: web.Request) -> web.StreamResponse:
        query = request.query
        if request.headers.get("X-Subscription-Token") != KEY:
            return self._refused(422, "SUBSCRIPTION_TOKEN_INVALID", "The token is invalid.")
        is_valid = (
            1 <= len(query.get("q", "")) <= 400
            and len(query["q"].split()) <= 50
            and 1 <= int(query.get("count", "20")) <= 20
        )
        if not is_valid:
            return self._refused(422, "VALIDATION", "Unable to validate request parameter(s)")
        codes = {402: "QUOTA_LIMITED", 429: "RATE_LIMITED"}
        if (status := self._status()) != 200:
            shown = 429 if status == 402 else status
            return self._refused(shown, codes.get(status, "INTERNAL"), "Request not possible.")
        self.queries.append(query["q"])
        results = [
            {
                "title": title,
                "url": url,
                "is_source_local": False,
                "is_source_both": False,
                "description": snippet,
                "profile": {"name": "Example", "url": url, "long_name": "example.org"},
                "language": "en",
                "family_friendly": True,
                "type": "search_result",
                "subtype": "generic",
                "meta_url": {"scheme": "https", "netloc": "example.org", "hostname": "x"},
            }
            for url, title, snippet in self.found[: int(query.get("count", "20"))]
        ]
        found = {"web": {"type": "search", "results": results}} if results else {}
        return self._answer(
            {"type": "search", "query": {"original": query["q"]}, "mixed": {}, **found}
        )

    def _refused(self, status: int, code: str, detail: str) -> web.Response:
        error = {"id": "1f2e", "status": status, "code": code, "detail": detail, "meta": {}}
        return self._answer({"type": "ErrorResponse", "error": error, "time": 1}, status)

    async def _tavily(self, request: web.Request) -> web.StreamResponse:
        if request.method != "POST":
            return self._answer({"detail": "Method Not Allowed"}, 405)
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            sentence = "Unauthorized: missing or invalid API key."
            return self._answer({"detail": {"error": sentence}}, 401)
        body = await request.json()
        if not 1 <= len(body["query"]) <= 400 or not 0 <= body["max_results"] <= 20:
            return self._answer({"detail": {"error": "Query is too long."}}, 400)
        if (status := self._status()) != 200:
            return self._answer({"detail": {"error": "This request is not possible."}}, status)
        self.queries.append(body["query"])
        results = [
            {"url": url, "title": title, "content": snippet, "score": 0.9, "raw_content": None}
            for url, title, snippet in self.found[: body["max_results"]]
        ]
        return self._answer(
            {
                "query": body["query"],
                "follow_up_questions": None,
                "answer": None,
                "images": [],
                "results": results,
                "response_time": 0.7,
                "request_id": "4b5c",
            }
        )
