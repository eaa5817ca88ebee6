"""HTTP to a provider, as every adapter needs it: one session, time-outs, further tries."""

import asyncio
import io
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeVar

import aiohttp
from aiohttp.http import HttpProcessingError

from palaver.domain.errors import ErrorKind, ProviderError
from palaver.domain.providers import ProviderSettings

T = TypeVar("T")

CONNECT_TIMEOUT_SECONDS: Final = 10.0
LIST_TIMEOUT_SECONDS: Final = 15.0
ERROR_TIMEOUT_SECONDS: Final = 5.0
MAX_LIST_BYTES: Final = 16 * 1024 * 1024
MAX_ERROR_BYTES: Final = 64 * 1024
LONGEST_PAUSE_SECONDS: Final = 5.0
"""Who waits for an answer is better told "later" than kept waiting for longer than this."""
DEFAULT_RETRY_AFTER_SECONDS: Final = 10
_DRAIN_SECONDS: Final = 0.02
_BROKEN: Final = (aiohttp.ClientError, HttpProcessingError, OSError)


class PassingError(ProviderError):
    """A failure that the same request may not meet a moment later."""

    @property
    def may_be_repeated(self) -> bool:
        """Tell that it may: whatever its kind."""
        return True


class Transport:
    """The connections to one provider. Makes its session within the loop that first uses it."""

    def __init__(self, settings: ProviderSettings, *, headers: Mapping[str, str]) -> None:
        self.settings = settings
        self._headers = {
            "Accept-Encoding": "identity",  # a compressing server gathers before it sends
            "User-Agent": "palaver",
            **headers,
        }
        self._session: aiohttp.ClientSession | None = None

    @property
    def patience_seconds(self) -> float:
        """Return how long an answer's first delta may take, or all of one that is not streamed."""
        settings = self.settings
        if not settings.streams:
            return settings.whole_timeout_seconds
        return settings.first_timeout_seconds or settings.idle_timeout_seconds

    async def open(
        self, method: str, path: str, *, body: bytes | None = None, wait_seconds: float
    ) -> "Reply":
        """Send a request and wait for the head of its answer, whatever its status.

        `path` goes on where the base URL ends; an address in full must be of the same host.
        `wait_seconds` also bounds how long the answer's first delta may take from now on.
        Raises `ProviderError`; the caller closes the reply.
        """
        loop = asyncio.get_running_loop()
        started_at = loop.time()
        headers = {"Content-Type": "application/json"} if body is not None else None
        try:
            async with asyncio.timeout(wait_seconds):
                response = await self._sessions().request(
                    method,
                    path if "://" in path else self.settings.base_url + path,
                    # Bytes would be written at once, however many; a file goes in pieces.
                    data=None if body is None else io.BytesIO(body),
                    headers=headers,
                    # A redirect could carry the key to somebody else.
                    allow_redirects=False,
                )
        except aiohttp.ConnectionTimeoutError as error:
            sentence = f"{self.settings.name} cannot be reached: no connection came about in time."
            raise ProviderError(sentence, kind=ErrorKind.PROVIDER_TIMEOUT) from error
        except TimeoutError as error:
            raise silent(self.settings.name, wait_seconds) from error
        except _BROKEN as error:
            raise self._unreachable(error) from error
        return Reply(self.settings.name, response, limit_seconds=wait_seconds, since=started_at)

    async def repeated(self, work: Callable[[], Awaitable[T]]) -> T:
        """Return what `work` returns; it is tried again where that may help, after a pause."""
        tries = 0
        while True:
            try:
                return await work()
            except ProviderError as error:
                pause_seconds = self._pause_seconds(error, tries)
                if pause_seconds is None:
                    if error.kind is ErrorKind.PROVIDER_OVERLOADED:
                        error.retry_after_seconds = (
                            error.retry_after_seconds or DEFAULT_RETRY_AFTER_SECONDS
                        )
                    raise
            await asyncio.sleep(pause_seconds)
            tries += 1

    async def close(self) -> None:
        """Give up every connection."""
        if self._session is not None:
            await self._session.close()

    def _sessions(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(
                # A limit would let some hundred slow answers starve the next question.
                connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=300),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=self._headers,
                timeout=aiohttp.ClientTimeout(connect=CONNECT_TIMEOUT_SECONDS),
                trust_env=False,
            )
        return self._session

    def _unreachable(self, error: Exception) -> ProviderError:
        name = self.settings.name
        if isinstance(error, aiohttp.InvalidURL | aiohttp.NonHttpUrlClientError):
            return ProviderError(f"The address of {name} is no web address.")
        if isinstance(error, aiohttp.ClientResponseError | HttpProcessingError):
            return ProviderError(f"What answers at the address of {name} does not speak HTTP.")
        if isinstance(error, aiohttp.ClientSSLError | aiohttp.ClientConnectorCertificateError):
            return ProviderError(
                f"{name} cannot be reached: no secure connection came about.",
                kind=ErrorKind.PROVIDER_UNREACHABLE,
            )
        reason = "the connection was lost"
        if isinstance(error, aiohttp.ClientConnectorDNSError):
            reason = "its host name is not known"
        elif isinstance(error, aiohttp.ClientConnectorError):
            reason = "nothing accepts connections at its address"
        return PassingError(
            f"{name} cannot be reached: {reason}.", kind=ErrorKind.PROVIDER_UNREACHABLE
        )

    def _pause_seconds(self, error: ProviderError, tries: int) -> float | None:
        """Return how long to wait before the next try, None where there is to be none."""
        if tries >= self.settings.retries or not error.may_be_repeated:
            return None
        if error.retry_after_seconds is None:
            longest: float = self.settings.backoff_seconds * 2**tries
            return min(longest, LONGEST_PAUSE_SECONDS) * random.uniform(0.5, 1.0)  # noqa: S311  # jitter
        if error.retry_after_seconds > LONGEST_PAUSE_SECONDS:
            return None
        return error.retry_after_seconds


class Reply:
    """An answer whose head is here and whose body is still to come.

    A watch closes the connection once nothing was *heard* for `limit_seconds`: comments, empty
    deltas and other bytes without news do not count, nor does the time the reader takes.
    """

    __slots__ = (
        "_heard_at",
        "_is_late",
        "_is_reading",
        "_limit_seconds",
        "_loop",
        "_name",
        "_response",
        "_stream",
        "_watch",
    )

    def __init__(
        self, name: str, response: aiohttp.ClientResponse, *, limit_seconds: float, since: float
    ) -> None:
        self._name = name
        self._response = response
        self._stream = response.content
        self._loop = asyncio.get_running_loop()
        self._heard_at = since
        self._limit_seconds = limit_seconds
        self._is_reading = False
        self._is_late = False
        # One timer that is moved on when it fires costs nothing per delta.
        self._watch = self._loop.call_at(since + limit_seconds, self._look)

    @property
    def status(self) -> int:
        """Return the HTTP status."""
        return self._response.status

    @property
    def headers(self) -> Mapping[str, str]:
        """Return the headers; names in any case."""
        return self._response.headers

    @property
    def media_type(self) -> str:
        """Return the type without its parameters, in lower case; "" where there is none."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    async def read(self) -> bytes:
        """Return the next bytes, as many as there are; b"" at the end. Raises `ProviderError`."""
        self._is_reading = True
        try:
            return await self._stream.readany()
        except _BROKEN as error:
            if self._is_late:
                raise silent(self._name, self._limit_seconds) from error
            raise PassingError(
                f"{self._name} broke the connection off.", kind=ErrorKind.PROVIDER_UNREACHABLE
            ) from error
        finally:
            self._is_reading = False

    async def whole(self, *, max_bytes: int) -> bytes:
        """Return the rest of the body, or of what is larger its first `max_bytes` and a bit."""
        body = bytearray()
        while len(body) < max_bytes and (chunk := await self.read()):
            body += chunk
        return bytes(body)

    async def complaint(self) -> bytes:
        """Return the body of an error, as far as it comes soon; b"" where it does not come."""
        self.heard(ERROR_TIMEOUT_SECONDS)
        try:
            return await self.whole(max_bytes=MAX_ERROR_BYTES)
        except ProviderError:
            return b""

    def heard(self, limit_seconds: float) -> None:
        """Start the silence anew, and say how long it may last from now on."""
        self._heard_at = self._loop.time()
        if limit_seconds != self._limit_seconds:
            self._limit_seconds = limit_seconds
            self._watch.cancel()
            self._watch = self._loop.call_at(self._heard_at + limit_seconds, self._look)

    async def drain(self) -> None:
        """Read to the end of a body that has said all, if the end is near.

        It nearly always is, and then the connection serves the next request as well.
        """
        try:
            async with asyncio.timeout(_DRAIN_SECONDS):
                while await self._stream.readany():
                    pass
        except (TimeoutError, *_BROKEN):
            self.close()

    def close(self) -> None:
        """Close the connection at once, unless the body has ended."""
        self._watch.cancel()
        self._response.close()

    def _look(self) -> None:
        left_seconds = self._heard_at + self._limit_seconds - self._loop.time()
        if left_seconds <= 0 and self._is_reading:
            self._is_late = True
            self._response.close()
        else:
            # A reader that is busy elsewhere will say when it has heard something.
            pause_seconds = left_seconds if left_seconds > 0 else self._limit_seconds
            self._watch = self._loop.call_later(pause_seconds, self._look)


def silent(name: str, seconds: float) -> ProviderError:
    """Return the time-out of a provider that has said nothing for so long."""
    return ProviderError(
        f"{name} has not said anything for {seconds:g} seconds.", kind=ErrorKind.PROVIDER_TIMEOUT
    )
