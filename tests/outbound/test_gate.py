"""The outbound gate over real sockets: where it connects, what it takes, how long it waits."""

import asyncio
import contextlib
import gzip
import ipaddress
import socket
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from palaver.domain.errors import ErrorKind, ProviderError
from palaver.outbound.addresses import Refused
from palaver.outbound.gate import Gate, Limits
from tests.fakes.site import Names, Site, certificates

HERE = ipaddress.ip_network("127.0.0.1/32")
SHORT = Limits(whole_seconds=0.3)
Open = Callable[..., Gate]


@pytest.fixture
def names() -> Names:
    return Names(site_test=["127.0.0.1"], other_test=["127.0.0.1"], inner_test=["127.0.0.2"])


@pytest.fixture
async def opened(names: Names) -> AsyncIterator[Open]:
    """Make gates that let 127.0.0.1 through, and nothing else of this machine."""
    gates: list[Gate] = []

    def make(**given: Any) -> Gate:
        gates.append(Gate([HERE], **{"names": names, **given}))
        return gates[-1]

    yield make
    for gate in gates:
        await gate.close()


@pytest.fixture
def gate(opened: Open) -> Gate:
    return opened()


@contextlib.asynccontextmanager
async def a_server(said: AsyncGenerator[bytes, None]) -> AsyncIterator[str]:
    """Answer one request with these bytes, whatever they are; give the address."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            async for data in said:
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            await said.aclose()
            writer.close()
            ended.set()

    ended = asyncio.Event()
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield f"http://site.test:{server.sockets[0].getsockname()[1]}/"
    await ended.wait()
    server.close()
    await server.wait_closed()


async def refusal(work: Any) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await work
    assert caught.value.message.endswith(".")
    assert "127.0.0" not in caught.value.message
    return caught.value


# Where it connects


async def test_a_page_is_fetched(gate: Gate):
    async with Site({"/a": "<p>Hello"}) as site:
        answer = await gate.get(site.url("/a?b=c#d"), accept="text/html")
    assert (answer.status, answer.body, answer.is_whole) == (200, b"<p>Hello", True)
    assert (answer.media_type, answer.host) == ("text/html", "site.test")
    (request,) = site.requests
    assert request.path_qs == "/a?b=c"
    assert request.headers["Host"] == f"site.test:{site.port}"
    assert request.headers["Accept"] == "text/html"
    assert not {"Cookie", "Authorization", "Referer"} & set(request.headers)


async def test_a_name_that_changes_its_mind_leads_nowhere_else(opened: Open):
    names = Names()
    names.answers["site.test"] = [["127.0.0.1"], ["127.0.0.2"]]
    gate = opened(names=names)
    async with Site({"/": "outside"}) as site, Site(address="127.0.0.2", port=site.port) as inner:
        answer = await gate.get(site.url())
        assert answer.body == b"outside"
        assert names.asked == ["site.test"]  # once: what was checked is what was connected to
        site.pages["/"] = web.Response(status=302, headers={"Location": "/", "Connection": "close"})
        await refusal(gate.get(site.url()))
        assert inner.requests == []


async def test_a_socket_is_made_for_no_address_that_was_not_checked(gate: Gate, monkeypatch):
    """Even where the check of names would fail us."""

    async def deceived(host: str) -> list[str]:
        return ["127.0.0.2"]

    monkeypatch.setattr(gate, "addresses", deceived)
    async with Site({"/": "inside"}, address="127.0.0.2") as inner:
        for host in ("site.test", "127.0.0.2"):
            with pytest.raises(ProviderError, match="cannot be reached"):
                await gate.get(inner.url(host=host))
    assert inner.requests == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_followed_and_each_is_checked(gate: Gate, status: int):
    async with Site({"/end": "here"}) as site:
        site.pages["/"] = web.Response(status=status, headers={"Location": "/middle"})
        site.pages["/middle"] = web.Response(
            status=status, headers={"Location": f"//other.test:{site.port}/end#x"}
        )
        answer = await gate.get(site.url())
        assert (answer.url, answer.body) == (site.url("/end", host="other.test"), b"here")
        site.pages["/middle"] = web.Response(
            status=status, headers={"Location": f"http://inner.test:{site.port}/end"}
        )
        async with Site({"/end": "inside"}, address="127.0.0.2", port=site.port) as inner:
            assert isinstance(await refusal(gate.get(site.url())), Refused)
            assert inner.requests == []


@pytest.mark.parametrize(
    "location",
    [
        *("http://[::1]/", "http://2130706433/", "http://0x7f.1/", "http://user@site.test/"),
        *(
            "file:///etc/passwd",
            "gopher://site.test/",
            "http://site.test:22/",
            "//[::ffff:7f00:1]/",
        ),
        *("\\\\inner.test\\", "http://site.test\\@inner.test/", "http://[/", "http://nobody.test/"),
        *("http://169.254.169.254/latest/meta-data/", "https://localhost/", "http:\t//x/"),
    ],
)
async def test_a_redirect_to_what_is_no_address_for_us_is_refused(gate: Gate, location: str):
    async with Site() as site:
        site.pages["/"] = web.Response(status=302, headers={"Location": location})
        with pytest.raises(Refused):
            await gate.get(site.url())
    assert site.paths == ["/"]


async def test_redirects_come_to_an_end(gate: Gate):
    async with Site() as site:
        site.pages["/"] = web.Response(status=302, headers={"Location": "/"})
        error = await refusal(gate.get(site.url()))
    assert error.message == "site.test redirects too often."
    assert len(site.requests) == 6


async def test_cookies_are_forgotten(gate: Gate):
    async with Site({"/end": "here"}) as site:
        site.pages["/"] = web.Response(
            status=302, headers={"Location": "/end", "Set-Cookie": "a=b; Path=/"}
        )
        await gate.get(site.url())
    assert "Cookie" not in site.requests[1].headers


async def test_a_proxy_of_the_environment_is_not_used(gate: Gate, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.2:1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.2:1")
    async with Site({"/": "here"}) as site:
        assert (await gate.get(site.url())).body == b"here"


async def test_tls_is_for_the_name_and_the_connection_for_the_checked_address(
    opened: Open, tmp_path
):
    server, client = certificates(tmp_path, "site.test")
    gate = opened(tls=client)
    async with Site({"/": "safe"}, tls=server) as site:
        assert (await gate.get(site.url())).body == b"safe"
        error = await refusal(gate.get(site.url(host="other.test")))
        assert error.message == "No secure connection to other.test came about."
        stranger = opened()  # trusts what the machine trusts
        error = await refusal(stranger.get(site.url()))
        assert error.kind is ErrorKind.PROVIDER_UNREACHABLE
        async with Site({"/": "open"}) as plain:
            site.pages["/"] = web.Response(status=302, headers={"Location": plain.url()})
            error = await refusal(gate.get(site.url()))
            assert error.message == "site.test redirects to an address without encryption."
            assert plain.requests == []


async def test_a_request_of_ones_own_follows_nothing(gate: Gate):
    async with Site() as site:
        site.pages["/hook"] = web.Response(status=302, headers={"Location": "/elsewhere"})
        answer = await gate.send(
            "POST", site.url("/hook"), headers={"webhook-id": "1"}, body=b'{"a":1}'
        )
        assert answer.status == 302
    (request,) = site.requests
    assert (request.method, request.headers["webhook-id"]) == ("POST", "1")


async def test_an_address_can_be_checked_without_a_request(gate: Gate):
    async with Site() as site:
        await gate.check(site.url())
        with pytest.raises(Refused):
            await gate.check(site.url(host="inner.test"))
    assert site.requests == []


async def test_a_name_server_that_fails_is_no_refusal(opened: Open):
    names = Names()
    names.answers["site.test"] = [socket.gaierror(socket.EAI_AGAIN, "Temporary failure")]
    error = await refusal(opened(names=names).get("http://site.test/"))
    assert (error.kind, error.may_be_repeated) == (ErrorKind.PROVIDER_UNREACHABLE, True)
    assert error.message == "The name site.test cannot be looked up at the moment."


async def test_this_machine_is_known_by_its_name_and_refused():
    gate = Gate()  # with the machine's own names
    with pytest.raises(Refused):
        await gate.get("http://localhost:8000/")
    await gate.close()


async def test_where_nobody_listens_that_is_said(gate: Gate, unused_tcp_port: int):
    error = await refusal(gate.get(f"http://site.test:{unused_tcp_port}/"))
    assert error.message == "site.test cannot be reached."


# What it takes


def stuffed(size: int) -> bytes:
    """Return a gzip bomb that becomes so many bytes."""
    return gzip.compress(bytes(size), mtime=0)


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "GZIP"])
async def test_a_packed_page_is_unpacked(gate: Gate, encoding: str):
    async with Site() as site:
        site.pages["/"] = web.Response(
            body=gzip.compress(b"text " * 1000), headers={"Content-Encoding": encoding}
        )
        answer = await gate.get(site.url())
    assert (answer.body, answer.is_whole) == (b"text " * 1000, True)


@pytest.mark.parametrize("is_packed", [False, True])
async def test_of_what_is_too_long_the_beginning_is_taken(gate: Gate, *, is_packed: bool):
    async with Site() as site:
        body = b"0123456789" * 1000
        headers = {"Content-Encoding": "gzip"} if is_packed else {}
        site.pages["/"] = web.Response(
            body=gzip.compress(body) if is_packed else body, headers=headers
        )
        exact = await gate.get(site.url(), limits=Limits(max_bytes=10_000))
        short = await gate.get(site.url(), limits=Limits(max_bytes=9_999))
    assert (exact.body, exact.is_whole) == (body, True)
    assert (short.body, short.is_whole) == (body[:9_999], False)


async def test_a_bomb_is_not_blown_up(gate: Gate):
    async with Site() as site:
        site.pages["/"] = web.Response(
            body=stuffed(300_000_000), headers={"Content-Encoding": "gzip"}
        )
        answer = await gate.get(site.url())
    assert (len(answer.body), answer.is_whole) == (2 * 1024 * 1024, False)


async def test_a_body_without_end_is_left(gate: Gate):
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 65_536)

    async with Site({"/": endless}) as site:
        answer = await gate.get(site.url(), limits=Limits(max_bytes=100_000))
    assert (len(answer.body), answer.is_whole) == (100_000, False)


async def test_a_stream_that_becomes_nothing_is_left(gate: Gate):
    """Empty blocks of deflate, on and on: each takes five bytes and gives none."""
    packer = zlib.compressobj(wbits=31)
    start = packer.compress(b"") + packer.flush(zlib.Z_FULL_FLUSH)

    async def nothing(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Encoding": "gzip"})
        await response.prepare(request)
        await response.write(start)
        while True:
            await response.write(b"\x00\x00\x00\xff\xff" * 10_000)

    async with Site({"/": nothing}) as site:
        answer = await gate.get(site.url(), limits=Limits(max_bytes=100_000))
    assert (answer.body, answer.is_whole) == (b"", False)


async def test_a_packed_page_that_breaks_off_is_not_whole(gate: Gate):
    async with Site() as site:
        body = gzip.compress(b"text " * 1000)[:-10]
        site.pages["/"] = web.Response(body=body, headers={"Content-Encoding": "gzip"})
        answer = await gate.get(site.url())
    assert not answer.is_whole


@pytest.mark.parametrize(
    ("encoding", "body"),
    [("br", b"x"), ("gzip, gzip", b"x"), ("deflate", b"x"), ("zstd", b"x"), ("gzip", b"no gzip")],
)
async def test_a_form_that_cannot_be_unpacked_is_said(gate: Gate, encoding: str, body: bytes):
    async with Site() as site:
        site.pages["/"] = web.Response(body=body, headers={"Content-Encoding": encoding})
        error = await refusal(gate.get(site.url()))
    assert error.kind is ErrorKind.PROVIDER_FAILED
    assert error.message.startswith("site.test sent ")


# How long it waits


async def test_silence_ends(gate: Gate):
    async with Site() as site:
        site.pages["/"] = site.hang
        error = await refusal(gate.get(site.url(), limits=Limits(silence_seconds=0.05)))
    assert error.kind is ErrorKind.PROVIDER_TIMEOUT
    assert error.message == "site.test did not answer in time."


async def test_drop_by_drop_ends_as_well(gate: Gate):
    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x")
            await asyncio.sleep(0.01)

    async with Site({"/": drip}) as site:
        error = await refusal(gate.get(site.url(), limits=SHORT))
    assert error.kind is ErrorKind.PROVIDER_TIMEOUT


async def test_a_head_that_drips_ends_as_well(gate: Gate):
    async def drip() -> AsyncGenerator[bytes, None]:
        yield b"HTTP/1.1 200 OK\r\nA: "
        while True:
            await asyncio.sleep(0.01)
            yield b"x"

    async with a_server(drip()) as url:
        error = await refusal(gate.get(url, limits=SHORT))
    assert error.kind is ErrorKind.PROVIDER_TIMEOUT


async def test_a_name_server_that_says_nothing_ends_as_well(opened: Open):
    async def silent(host: str) -> list[str]:
        await asyncio.Event().wait()
        return []

    error = await refusal(opened(names=silent).get("http://site.test/", limits=SHORT))
    assert error.kind is ErrorKind.PROVIDER_TIMEOUT


async def test_redirects_share_the_time(gate: Gate):
    async def slow(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0.12)
        return web.Response(status=302, headers={"Location": "/"})

    async with Site({"/": slow}) as site:
        error = await refusal(gate.get(site.url(), limits=SHORT))
    assert error.kind is ErrorKind.PROVIDER_TIMEOUT
    assert len(site.requests) < 5


@pytest.mark.parametrize(
    "said",
    [b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 OK\r\n: \x00\r\n\r\n", b""],
)
async def test_what_speaks_no_http_is_told_without_what_it_said(gate: Gate, said: bytes):
    async def once() -> AsyncGenerator[bytes, None]:
        yield said

    async with a_server(once()) as url:
        error = await refusal(gate.get(url))
    assert error.message in {
        "What site.test answered cannot be read.",
        "site.test cannot be reached.",
    }


async def test_headers_without_end_are_refused(gate: Gate):
    async def many(request: web.Request) -> web.StreamResponse:
        return web.Response(headers={f"X-{n}": "x" * 4000 for n in range(2000)})

    async with Site({"/": many}) as site:
        error = await refusal(gate.get(site.url()))
    assert error.kind is ErrorKind.PROVIDER_FAILED


async def test_no_more_than_a_few_connections_go_to_one_host(gate: Gate):
    most = now = 0

    async def count(request: web.Request) -> web.StreamResponse:
        nonlocal most, now
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.02)
        now -= 1
        return web.Response()

    async with Site({"/": count}) as site:
        await asyncio.gather(*(gate.get(site.url()) for _ in range(24)))
    assert most == 8


def test_the_client_still_asks_for_a_socket_where_it_connects():
    """The whole of the gate hangs on this argument."""
    assert "socket_factory" in aiohttp.TCPConnector.__init__.__kwdefaults__
