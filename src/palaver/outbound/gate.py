"""The outbound gate: the one way to an address that a user, or a fetched page, has chosen.

An address is parsed strictly, its name is looked up once, and a socket is made only for an address
that may be connected to: no redirect and no second answer of a name server leads around that. No
cookies, no credentials, no proxies; bytes and seconds are bounded.
"""

import asyncio
import concurrent.futures
import contextlib
import errno
import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Final, TypeAlias
from urllib.parse import urljoin

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.http import HttpProcessingError
from yarl import URL

from palaver.domain.errors import ErrorKind, ProviderError
from palaver.outbound.addresses import Network, Reach, Refused, parse_url

Names: TypeAlias = Callable[[str], Awaitable[Sequence[str]]]
"""Looks a host name up; raises `OSError`."""

ADDRESSES_MAX: Final = 8
"""Of one name: who offers more wants us to try them all."""
LOOKUPS_MAX: Final = 8
"""At once, in threads of their own: a name server that is silent holds up nobody else's work."""
CONNECTIONS_MAX: Final = 256
CONNECTIONS_PER_HOST_MAX: Final = 8
COMPRESSED_SLACK_BYTES: Final = 65_536
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_UNKNOWN: Final = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})
_HEADERS: Final = {
    "User-Agent": "Mozilla/5.0 (compatible; Palaver)",
    "Accept-Encoding": "gzip",
}


class Limits(msgspec.Struct, frozen=True):
    """How much of an answer is taken, and how long it may take."""

    max_bytes: int = 2 * 1024 * 1024  # decoded
    whole_seconds: float = 10.0  # redirects included
    connect_seconds: float = 4.0
    silence_seconds: float = 5.0
    max_redirects: int = 5


DEFAULT_LIMITS: Final = Limits()


class Answer(msgspec.Struct, frozen=True):
    """What came back: of a body that is longer than the limit, its beginning."""

    url: str  # where it was found in the end
    status: int
    headers: Mapping[str, str]  # names in any case
    body: bytes
    is_whole: bool

    @property
    def host(self) -> str:
        """Return the host, as a sentence names it."""
        return URL(self.url).host or ""

    @property
    def media_type(self) -> str:
        """Return the type without its parameters, in lower case; "" where there is none."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()


class SystemNames:
    """Looks names up as the machine does, `/etc/hosts` included."""

    def __init__(self) -> None:
        self._threads = concurrent.futures.ThreadPoolExecutor(LOOKUPS_MAX, "names")

    async def __call__(self, host: str) -> list[str]:
        """Return the addresses of a name in the machine's order. Raises `OSError`."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, _look_up, host)
        return list(dict.fromkeys(str(address[0]) for *_, address in found))

    def close(self) -> None:
        """Look nothing up any more; what is under way ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class Gate:
    """Sends requests to addresses that nobody has checked. Raises `ProviderError` alone.

    An address that may not be connected to raises `Refused`, in the words for a name that does not
    exist: whoever asks learns nothing of the networks behind the server.
    """

    def __init__(
        self,
        allowed: Sequence[Network] = (),
        *,
        names: Names | None = None,
        tls: ssl.SSLContext | None = None,
        connections_per_host: int = CONNECTIONS_PER_HOST_MAX,
    ) -> None:
        self.reach = Reach(allowed)
        self._connections_per_host = connections_per_host
        self._names: Names = names or SystemNames()
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def check(self, url: str) -> None:
        """Raise `Refused` for an address that a request would not be sent to now."""
        target = parse_url(url)
        async with _failing(target, DEFAULT_LIMITS.connect_seconds):
            await self.addresses(target.raw_host or "")

    async def get(
        self, url: str, *, accept: str = "*/*", limits: Limits = DEFAULT_LIMITS
    ) -> Answer:
        """Fetch an address; redirects are followed, never from https to http."""
        target = first = parse_url(url)
        async with _failing(first, limits.whole_seconds):
            for _ in range(limits.max_redirects + 1):
                async with self._open("GET", target, {"Accept": accept}, None, limits) as response:
                    following = _redirect(response, target)
                    if following is None:
                        return await _answer(response, target, limits)
                target = following
        raise ProviderError(f"{first.host} redirects too often.")

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes,
        limits: Limits = DEFAULT_LIMITS,
    ) -> Answer:
        """Send a request of one's own; a redirect is an answer like any other."""
        target = parse_url(url)
        async with (
            _failing(target, limits.whole_seconds),
            self._open(method, target, headers, body, limits) as response,
        ):
            return await _answer(response, target, limits)

    async def addresses(self, host: str) -> list[str]:
        """Return the addresses of a host, if every one may be connected to. Raises `Refused`.

        A name that leads to one place within and one without is made to deceive.
        """
        found = [host] if _is_address(host) else await self._look_up(host)
        if not found or not all(map(self.reach.holds, found)):
            raise _not_there(host)
        return list(found[:ADDRESSES_MAX])

    async def close(self) -> None:
        """Give up every connection."""
        if self._session is not None:
            await self._session.close()
        if isinstance(self._names, SystemNames):
            self._names.close()

    async def _look_up(self, host: str) -> Sequence[str]:
        try:
            return await self._names(host)
        except socket.gaierror as error:
            if error.errno in _UNKNOWN:
                raise _not_there(host) from error
            sentence = f"The name {host} cannot be looked up at the moment."
            raise ProviderError(sentence, kind=ErrorKind.PROVIDER_UNREACHABLE) from error
        except (OSError, UnicodeError) as error:
            raise _not_there(host) from error

    @contextlib.asynccontextmanager
    async def _open(
        self,
        method: str,
        target: URL,
        headers: Mapping[str, str],
        body: bytes | None,
        limits: Limits,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        # A name is checked where it is looked up; an address would never be.
        if _is_address(target.raw_host or ""):
            await self.addresses(target.raw_host or "")
        timeout = aiohttp.ClientTimeout(
            sock_connect=limits.connect_seconds, sock_read=limits.silence_seconds
        )
        async with self._sessions().request(
            method, target, headers=headers, data=body, allow_redirects=False, timeout=timeout
        ) as response:
            yield response

    def _sessions(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            connector = aiohttp.TCPConnector(
                resolver=_Checked(self),
                use_dns_cache=False,  # each new connection is looked up and checked anew
                socket_factory=self._socket,
                ssl=True if self._tls is None else self._tls,
                limit=CONNECTIONS_MAX,
                limit_per_host=self._connections_per_host,
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=_HEADERS,
                auto_decompress=False,  # `_Body` does so, with a bound
                trust_env=False,
            )
        return self._session

    def _socket(self, info: aiohttp.AddrInfoType) -> socket.socket:
        """Make a socket for the address that is about to be connected to: nothing leads past it."""
        family, kind, protocol, _, address = info
        if not self.reach.holds(str(address[0])):
            raise PermissionError(errno.EACCES, "not an address to connect to")
        return socket.socket(family, kind, protocol)


class _Checked(AbstractResolver):
    """The gate's answers as the client wants them."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,  # noqa: ARG002  # both are taken
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in await self.gate.addresses(host)
        ]

    async def close(self) -> None:
        pass


class _Body:
    """Gathers a body, decoded, up to a bound: a bomb is never blown up beyond it."""

    def __init__(self, encoding: str, max_bytes: int) -> None:
        self.content = bytearray()
        self.has_room = True
        self._max_bytes = max_bytes
        self._left_bytes = max_bytes + COMPRESSED_SLACK_BYTES  # as they come: empty members too
        self._inflate = zlib.decompressobj(31) if encoding in {"gzip", "x-gzip"} else None

    def add(self, data: bytes) -> None:
        """Take the next bytes."""
        self._left_bytes -= len(data)
        room = self._max_bytes + 1 - len(self.content)
        self.content += (
            data[:room] if self._inflate is None else self._inflate.decompress(data, room)
        )
        if len(self.content) > self._max_bytes or self._left_bytes < 0:
            del self.content[self._max_bytes :]
            self.has_room = False

    @property
    def is_decoded(self) -> bool:
        """Tell whether the encoding came to its end: what follows is not read."""
        return self._inflate is not None and self._inflate.eof

    @property
    def is_cut(self) -> bool:
        """Tell whether something is missing, once all has come."""
        return not self.has_room or not (self._inflate is None or self._inflate.eof)


async def _answer(response: aiohttp.ClientResponse, target: URL, limits: Limits) -> Answer:
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in {"identity", "", "gzip", "x-gzip"}:
        raise ProviderError(f"{target.host} sent a form that nobody asked for.")
    body = _Body(encoding, limits.max_bytes)
    try:
        async for data in response.content.iter_any():
            body.add(data)
            if not body.has_room or body.is_decoded:
                break
    except zlib.error as error:
        raise ProviderError(f"{target.host} sent something that cannot be read.") from error
    return Answer(
        url=str(target),
        status=response.status,
        headers=response.headers,
        body=bytes(body.content),
        is_whole=not body.is_cut,
    )


def _redirect(response: aiohttp.ClientResponse, target: URL) -> URL | None:
    """Return where an answer leads, None where it is one. Raises `Refused`."""
    location = response.headers.get("Location", "").strip()
    if response.status not in _REDIRECTS or not location:
        return None
    try:
        following = parse_url(urljoin(str(target), location))
    except ValueError:
        raise Refused(f"{target.host} redirects to what is no address.") from None
    if target.scheme == "https" and following.scheme == "http":
        # What was private on its way would no longer be, and anybody there could redirect again.
        raise Refused(f"{target.host} redirects to an address without encryption.")
    return following


@contextlib.asynccontextmanager
async def _failing(target: URL, seconds: float) -> AsyncIterator[None]:
    """Put whatever goes wrong on the way to `target` into a sentence, and bound it in all."""
    host = target.host
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        sentence = f"{host} did not answer in time."
        raise ProviderError(sentence, kind=ErrorKind.PROVIDER_TIMEOUT) from error
    except aiohttp.ClientSSLError as error:
        sentence = f"No secure connection to {host} came about."
        raise ProviderError(sentence, kind=ErrorKind.PROVIDER_UNREACHABLE) from error
    except (aiohttp.ClientConnectorError, aiohttp.ClientOSError) as error:
        sentence = f"{host} cannot be reached."
        raise ProviderError(sentence, kind=ErrorKind.PROVIDER_UNREACHABLE) from error
    except (aiohttp.ClientError, HttpProcessingError, OSError, ValueError) as error:
        raise ProviderError(f"What {host} answered cannot be read.") from error


def _is_address(host: str) -> bool:
    """Tell an address from a name: `parse_url` lets no name end in a number."""
    return ":" in host or host.rpartition(".")[2].isdigit()


def _look_up(host: str) -> list[tuple[int, int, int, str, tuple[str | int, ...]]]:
    return socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)  # type: ignore[return-value]  # the first of an address is always text


def _not_there(host: str) -> Refused:
    return Refused(f"{host} is not known, or not on the public internet.")
