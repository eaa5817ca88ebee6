"""Pages as text: what is read, as what, and what is not."""

import ipaddress
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from palaver.domain.errors import ErrorKind, ProviderError
from palaver.outbound.gate import Gate
from palaver.outbound.pages import PageReader
from tests.fakes.extractor import PlainExtractor
from tests.fakes.site import Names, Site


@pytest.fixture
def extractor() -> PlainExtractor:
    return PlainExtractor()


@pytest.fixture
async def reader(extractor: PlainExtractor) -> AsyncIterator[PageReader]:
    names = Names(site_test=["127.0.0.1"], inner_test=["10.0.0.1"])
    gate = Gate([ipaddress.ip_network("127.0.0.1/32")], names=names)
    yield PageReader(gate, extractor)
    await gate.close()


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with Site() as site:
        yield site


def a_page(body: bytes, content_type: str) -> web.Response:
    return web.Response(body=body, headers={"Content-Type": content_type} if content_type else {})


async def refusal(reader: PageReader, url: str) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await reader.fetch(url)
    return caught.value


async def test_a_page_has_its_title_its_text_and_where_it_was_found(reader: PageReader, site: Site):
    site.pages["/old"] = web.Response(status=301, headers={"Location": "/new"})
    site.pages["/new"] = a_page(
        "<title> A\n title</title><p>Grüße<p>Ende".encode(), "text/html; charset=UTF-8"
    )
    page = await reader.fetch(site.url("/old"))
    assert (page.url, page.extracted.text) == (site.url("/new"), "Grüße\n\nEnde")
    assert page.title == "A title"
    assert "text/html" in site.requests[0].headers["Accept"]


@pytest.mark.parametrize(
    ("content_type", "read_as"),
    [
        ("text/html", "text/html"),
        ("Text/HTML; Charset=ISO-8859-1", "text/html; charset=iso-8859-1"),
        ('text/html; charset="utf-8"; x=y', "text/html; charset=utf-8"),
        ("application/xhtml+xml", "text/html"),
        ("text/plain; charset=utf-16", "text/plain; charset=utf-16"),
        ("text/markdown", "text/markdown"),
        ("application/pdf", "application/pdf"),
        ("text/html; charset=../../etc", "text/html; charset=.."),
        ("text/html; charset=<x>", "text/html"),
    ],
)
async def test_each_kind_is_read_as_what_it_says_it_is(
    reader: PageReader, site: Site, extractor: PlainExtractor, content_type: str, read_as: str
):
    extractor.extract = recorder = _Recorder(extractor)  # type: ignore[method-assign]
    site.pages["/"] = a_page(b"x", content_type)
    await reader.fetch(site.url())
    assert recorder.mime_types == [read_as]


class _Recorder:
    def __init__(self, extractor: PlainExtractor) -> None:
        self.extract = extractor.extract
        self.mime_types: list[str] = []

    async def __call__(self, source: bytes, mime_type: str):
        self.mime_types.append(mime_type)
        return await self.extract(source, "text/plain")


@pytest.mark.parametrize(
    "content_type",
    ["image/png", "application/zip", "application/json", "video/mp4", "x", "text/css"],
)
async def test_what_holds_no_text_is_not_read(
    reader: PageReader, site: Site, extractor: PlainExtractor, content_type: str
):
    site.pages["/"] = a_page(b"x", content_type)
    error = await refusal(reader, site.url())
    assert error.message == "What site.test has there is no page of text."
    assert extractor.mime_types == []


@pytest.mark.parametrize("status", [204, 301, 403, 404, 410, 500])
async def test_a_page_that_is_not_there_is_said_with_its_status(
    reader: PageReader, site: Site, status: int
):
    site.pages["/"] = web.Response(status=status)
    assert (
        await refusal(reader, site.url())
    ).message == f"site.test answered with status {status}."


async def test_of_a_long_page_the_beginning_is_read_and_of_a_long_document_nothing(
    reader: PageReader, site: Site
):
    site.pages["/page"] = a_page(b"word " * 1_000_000, "text/plain")
    site.pages["/document"] = a_page(b"word " * 1_000_000, "application/pdf")
    page = await reader.fetch(site.url("/page"))
    assert 2_000_000 < len(page.extracted.text) <= 2 * 1024 * 1024
    assert "is too long" in (await refusal(reader, site.url("/document"))).message


async def test_a_page_that_cannot_be_read_is_said_in_our_words(reader: PageReader, site: Site):
    site.pages["/"] = a_page(b"%%", "text/html")
    error = await refusal(reader, site.url())
    assert error.message == "The page of site.test cannot be read."


async def test_an_extractor_that_does_not_start_is_no_fault_of_the_page(
    reader: PageReader, site: Site, extractor: PlainExtractor
):
    async def broken(source: bytes, mime_type: str):
        raise BlockingIOError

    extractor.extract = broken  # type: ignore[method-assign]
    site.pages["/"] = a_page(b"x", "text/html")
    assert (await refusal(reader, site.url())).kind is ErrorKind.PROVIDER_UNREACHABLE


@pytest.mark.parametrize("url", ["http://inner.test/", "http://127.0.0.2/", "file:///etc/passwd"])
async def test_a_page_within_is_not_fetched(reader: PageReader, url: str):
    await refusal(reader, url)
