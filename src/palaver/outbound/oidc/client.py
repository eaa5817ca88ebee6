"""HTTP to an identity provider: one request, one small answer in JSON, and failures told apart."""

import asyncio
from collections.abc import Mapping
from typing import Final, TypeVar

import aiohttp
import msgspec
from aiohttp.http import HttpProcessingError

from palaver.domain.errors import ErrorKind, ProviderError
from palaver.domain.identity_providers import IdentityProviderSettings

T = TypeVar("T")

MAX_BYTES: Final = 256 * 1024
CONNECT_SECONDS: Final = 5.0


class Reply(msgspec.Struct, frozen=True):
    """What a provider answered, whatever its status."""

    status: int
    body: bytes


class Client:
    """The connections to one provider. Makes its session within the loop that first uses it."""

    def __init__(self, settings: IdentityProviderSettings) -> None:
        self.settings = settings
        self._session: aiohttp.ClientSession | None = None

    async def get(self, url: str, kind: type[T], *, bearer: str | None = None) -> T:
        """Return the answer of an address. Raises `ProviderError`."""
        headers = {} if bearer is None else {"Authorization": f"Bearer {bearer}"}
        reply = await self._ask("GET", url, headers, None)
        if reply.status != 200:
            raise self.failure(reply.status)
        return self.read(reply, kind)

    async def post(self, url: str, form: Mapping[str, str], *, headers: Mapping[str, str]) -> Reply:
        """Send a form; return the answer, whatever its status. Raises `ProviderError`."""
        return await self._ask("POST", url, headers, form)

    def read(self, reply: Reply, kind: type[T]) -> T:
        """Return what an answer holds. Raises `ProviderError`."""
        try:
            return msgspec.json.decode(reply.body, type=kind)
        except (ValueError, RecursionError) as error:
            raise self.nonsense() from error

    def failure(self, status: int) -> ProviderError:
        """Return what a status means that is no success."""
        name = self.settings.name
        if status == 429 or status >= 500:
            sentence = f"{name} failed with status {status}. Try again in a moment."
            return ProviderError(sentence, kind=ErrorKind.PROVIDER_UNREACHABLE)
        return ProviderError(
            f"{name} answered with status {status}: check {self.settings.setting}."
        )

    def nonsense(self) -> ProviderError:
        """Return the failure of an answer that OpenID Connect does not know."""
        settings = self.settings
        return ProviderError(
            f"What {settings.name} answered is not OpenID Connect: check {settings.setting}."
        )

    async def close(self) -> None:
        """Give up every connection."""
        if self._session is not None:
            await self._session.close()

    async def _ask(
        self, method: str, url: str, headers: Mapping[str, str], form: Mapping[str, str] | None
    ) -> Reply:
        name = self.settings.name
        try:
            async with (
                asyncio.timeout(self.settings.timeout_seconds),
                # A redirect could carry the secret to somebody else.
                self._sessions().request(
                    method, url, headers=headers, data=form, allow_redirects=False
                ) as response,
            ):
                return Reply(response.status, await self._whole(response))
        except TimeoutError as error:
            sentence = f"{name} did not answer in time. Try again in a moment."
            raise ProviderError(sentence, kind=ErrorKind.PROVIDER_TIMEOUT) from error
        except (aiohttp.ClientResponseError, HttpProcessingError, ValueError) as error:
            raise self.nonsense() from error
        except (aiohttp.ClientError, OSError) as error:
            sentence = f"{name} cannot be reached. Try again in a moment."
            raise ProviderError(sentence, kind=ErrorKind.PROVIDER_UNREACHABLE) from error

    async def _whole(self, response: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for data in response.content.iter_any():
            body += data
            if len(body) > MAX_BYTES:
                raise ProviderError(f"What {self.settings.name} answered is too long.")
        return bytes(body)

    def _sessions(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"Accept": "application/json", "User-Agent": "palaver"},
                timeout=aiohttp.ClientTimeout(connect=CONNECT_SECONDS),
                trust_env=False,
            )
        return self._session
