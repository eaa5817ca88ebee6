"""The chapter "Chat Completions": answers that rest on the web, by the operator's engine."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from palaver import main
from palaver.config import Settings
from palaver.domain.extraction import Extracted
from tests.dialects.platform.helpers import (
    COMPLETIONS,
    HELLO,
    a_chat,
    assert_refused,
    saying,
    streamed,
    text_of,
)
from tests.fakes.extractor import PlainExtractor
from tests.fakes.scripts import Script
from tests.fakes.search_engines import SearchEngines
from tests.fakes.site import Site
from tests.fakes.upstream import Upstream
from tests.http import Visitor

PAGE = """<!doctype html><title>The Minster</title><main><h1>Ulm Minster</h1>
<p>Its tower is 161.53 metres tall.</p></main>"""
QUESTION = "How tall is the tower of the minster?"


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with Site({"/ulm": PAGE}) as site:
        yield site


@pytest.fixture
async def engines(site: Site) -> AsyncIterator[SearchEngines]:
    found = (site.url("/ulm", host="127.0.0.1"), "Ulm", "A minster with a tower.")
    async with SearchEngines(found) as engines:
        yield engines


@pytest.fixture
def settings(settings: Settings, engines: SearchEngines) -> Settings:
    return msgspec.structs.replace(
        settings,
        search_engine=engines.settings("searxng"),
        outbound_allow_networks=("127.0.0.1/32",),
    )


def grounded(**more: object) -> dict[str, object]:
    return saying(QUESTION, model="sim/sim", use_web_grounding=True, **more)


@pytest.mark.parametrize("is_in_chat", [True, False])
async def test_the_answer_cites_the_page_that_it_rests_on(
    owner: Visitor, upstream: Upstream, site: Site, *, is_in_chat: bool
) -> None:
    upstream.default = Script(words=("161.53", " metres", " [1]."))
    id = await a_chat(owner) if is_in_chat else None
    answer = await owner.post(COMPLETIONS, grounded(chat_id=id))
    assert answer.status == 200, answer
    (seen,) = [one for one in upstream.requests if "161.53" in str(one.body)]
    assert "The Minster" in str(seen.body["messages"])
    assert site.paths == ["/ulm"]
    (citation,) = answer.json["citations"]
    assert citation["url"] == site.url("/ulm", host="127.0.0.1")
    assert citation["title"] == "The Minster"
    assert "161.53 metres" in citation["quote"]


async def test_a_search_that_fails_is_told_and_the_answer_goes_on(
    owner: Visitor, engines: SearchEngines
) -> None:
    engines.gives_json = False
    events = await streamed(owner, grounded())
    text = text_of(events)
    assert text.startswith("*The web could not be searched: SearXNG does not answer in JSON")
    assert text.endswith(HELLO)


async def test_a_page_of_the_house_is_not_read(
    owner: Visitor, engines: SearchEngines, site: Site, upstream: Upstream
) -> None:
    async with Site({"/": "<p>The keys of the tower."}, address="127.0.0.2") as inner:
        engines.found = [(inner.url("/", host="127.0.0.2"), "Keys", "")]
        answer = await owner.post(COMPLETIONS, grounded())
        assert answer.status == 200, answer
        assert inner.requests == []
    assert "The keys" not in str([one.body for one in upstream.requests])


class OneByOne(PlainExtractor):
    """Reads one file after the other, and a long one until the house ends."""

    def __init__(self, is_busy: asyncio.Event) -> None:
        super().__init__()
        self.turn = asyncio.Lock()
        self.is_busy = is_busy

    async def extract(self, source: Path | bytes, mime_type: str, **more: Any) -> Extracted:
        async with self.turn:
            extracted = await super().extract(source, mime_type, **more)
            if extracted.text.startswith("Long"):
                self.is_busy.set()
                await asyncio.Event().wait()
            return extracted


@pytest.fixture
def is_reading(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Return what is set once one of the house's extractors is busy for good."""
    is_busy = asyncio.Event()
    monkeypatch.setattr(main, "build_extractor", lambda *_: OneByOne(is_busy))
    return is_busy


@pytest.mark.usefixtures("is_reading")
async def test_a_page_does_not_wait_for_a_document_that_is_read(
    owner: Visitor, upstream: Upstream, is_reading: asyncio.Event
) -> None:
    document = {"title": "Long", "content": "Long", "mime_type": "text/plain"}
    assert (await owner.post("/api/v1/documents", document)).status == 200
    await is_reading.wait()
    upstream.default = Script(words=("161.53", " metres", " [1]."))
    answer = await owner.post(COMPLETIONS, grounded())
    (citation,) = answer.json["citations"]
    assert "161.53 metres" in citation["quote"]


class TestWithoutAnEngine:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return msgspec.structs.replace(settings, search_engine=None)

    async def test_it_is_refused_with_the_setting_before_anything_is_stored(
        self, owner: Visitor, upstream: Upstream
    ) -> None:
        id = await a_chat(owner)
        answer = await owner.post(COMPLETIONS, grounded(chat_id=id))
        message = (
            "This server has no web search: set PALAVER_SEARXNG_URL, BRAVE_API_KEY or "
            "TAVILY_API_KEY, or choose a model whose provider searches by itself."
        )
        assert_refused(answer, 400, "bad_request", details={"use_web_grounding": message})
        assert upstream.requests == []
        assert (await owner.get(f"/api/v1/chats/{id}/messages")).json == []
