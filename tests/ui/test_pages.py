"""The pages of no contract: their headers, strays, and the documentation."""

import asyncio
import re
from pathlib import Path

import pytest

from palaver.dialects import DIALECTS
from palaver.ui import PAGES
from tests import chromium
from tests.http import Answer, Palaver, Visitor
from tests.pages import assert_safe

SHOWN = ["/app/setup", "/app/setup?token=x", "/docs", "/docs/companion", "/nothing"]
LOADED = re.compile(r'(?:href|src)="(/app/files/[^"]+)"')


@pytest.fixture
async def visitor(palaver: Palaver) -> Visitor:
    """Give somebody who has not signed in."""
    return palaver.visitor()


def assert_page(answer: Answer, status: int = 200) -> str:
    """Hold an answer to be a page that no other site can put a script or a frame around."""
    assert answer.status == status
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert_safe(answer)
    return answer.content.decode()


async def test_every_page_keeps_foreign_scripts_and_frames_out(visitor: Visitor) -> None:
    for path in SHOWN:
        assert_page(await visitor.get(path), 404 if path == "/nothing" else 200)


async def test_what_pages_load_is_served_from_here(visitor: Visitor) -> None:
    for path in SHOWN:
        for address in LOADED.findall((await visitor.get(path)).content.decode()):
            answer = await visitor.get(address)
            assert answer.status == 200, address
            assert "immutable" in answer.headers["cache-control"]
            assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_file_that_is_known_is_not_sent_again(visitor: Visitor) -> None:
    first = await visitor.get("/app/files/pages.css")
    assert first.headers["cache-control"] == "no-cache"
    headers = {"If-None-Match": first.headers["etag"]}
    again = await visitor.get("/app/files/pages.css", headers=headers)
    assert (again.status, again.content) == (304, b"")


async def test_a_file_is_packed_for_those_who_can_unpack_it(visitor: Visitor) -> None:
    url = "/app/files/swagger-ui-bundle.js"
    plain = await visitor.get(url, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    async with visitor.open("GET", url, headers={"Accept-Encoding": "gzip"}) as response:
        assert response.headers["content-encoding"] == "gzip"
        assert int(response.headers["content-length"]) < len(plain.content) // 2
        assert await response.read() == plain.content


async def test_only_known_files_are_sent(visitor: Visitor) -> None:
    for name in ("nothing.css", "..%2f__init__.py", "swagger-ui.js", "__init__.py"):
        assert (await visitor.get(f"/app/files/{name}")).status == 404


async def test_a_stray_gets_a_page_or_the_json_that_it_asks_for(visitor: Visitor) -> None:
    assert "There is nothing here" in assert_page(await visitor.get("/nothing"), 404)
    answer = await visitor.get("/nothing", headers={"Accept": "application/json"})
    assert (answer.status, list(answer.json)) == (404, ["detail"])
    browser = {"Accept": "text/html,application/xhtml+xml,application/json;q=0.9,*/*;q=0.8"}
    assert_page(await visitor.get("/nothing", headers=browser), 404)


async def test_strays_below_the_shared_prefixes_are_json_for_all_who_may_ask(
    visitor: Visitor,
) -> None:
    answer = await visitor.get("/api/v1/nothing")
    assert answer.status == 404
    assert set(answer.json) == {"detail", "error", "message"}
    answer = await visitor.get("/api/nothing")
    assert answer.status == 404
    assert set(answer.json) == {"error", "detail"}


async def test_another_method_is_refused_with_those_that_there_are(visitor: Visitor) -> None:
    answer = await visitor.request("PUT", "/app/setup")
    assert_page(answer, 405)
    assert answer.headers["allow"] == "GET, POST"
    answer = await visitor.delete("/docs", headers={"Accept": "application/json"})
    assert (answer.status, list(answer.json)) == (405, ["detail"])


async def test_the_documentation_lists_every_contract(visitor: Visitor) -> None:
    text = assert_page(await visitor.get("/docs/companion"))
    assert 'data-document="/openapi/companion.json"' in text
    assert 'href="/docs/companion" aria-current="page"' in text
    for dialect in DIALECTS:
        assert f'href="/docs/{dialect.name}"' in text
    assert (await visitor.get("/docs/nothing")).status == 404


async def test_every_contract_has_its_document(visitor: Visitor) -> None:
    for dialect in DIALECTS:
        answer = await visitor.get(f"/openapi/{dialect.name}.json")
        assert answer.json["openapi"] == "3.1.0"
        assert answer.json["info"]["title"] == dialect.title
    for name in ("nothing.json", "companion", "pages.json"):
        assert (await visitor.get(f"/openapi/{name}")).status == 404


@pytest.mark.skipif(chromium.PATH is None, reason="there is no chromium here")
async def test_a_browser_shows_the_documentation(palaver: Palaver, tmp_path: Path) -> None:
    async with chromium.a_tab(tmp_path / "browser") as tab:
        await tab.call("Emulation.setScriptExecutionDisabled", value=False)
        await tab.goto(f"{palaver.base_url}/docs/companion")
        async with asyncio.timeout(20):
            while "opblock-summary-path" not in (html := await tab.html()):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    assert "OAS 3.1" in html
    assert 'data-path="/api/chat"' in html


async def test_a_head_is_answered_without_a_body(visitor: Visitor) -> None:
    answer = await visitor.request("HEAD", "/docs")
    assert (answer.status, answer.content) == (200, b"")


def test_pages_are_no_contract() -> None:
    assert PAGES not in DIALECTS
    assert len({dialect.name for dialect in (*DIALECTS, PAGES)}) == len(DIALECTS) + 1
