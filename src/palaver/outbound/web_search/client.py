"""HTTP to a search engine: one request, one answer in JSON, and failures told apart."""

import asyncio
import html
import json
import re
from collections.abc import Iterable, Mapping
from typing import Final, Generic, TypeVar

import aiohttp
import msgspec
from aiohttp.http import HttpProcessingError

from palaver.domain.errors import ErrorKind, ProviderError
from palaver.domain.web import WebHit, WebSearchSettings

T = TypeVar("T")

CONNECT_SECONDS: Final = 3.0
WHOLE_SECONDS: Final = 8.0
PAUSE_MAX_SECONDS: Final = 2
"""Some plans allow one request a second: who waits for an answer can wait that long once."""
DEFAULT_RETRY_AFTER_SECONDS: Final = 10
MAX_BYTES: Final = 2 * 1024 * 1024
MAX_MESSAGE_LENGTH: Final = 200

_NUMBER: Final = re.compile(r"[0-9]{1,9}")
_TAG: Final = re.compile(r"<[^<>]{0,200}>")
_NOT_SHOWN: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")
_URL: Final = re.compile(r"https?://[!-~\xa1-\ud7ff\ue000-\U0010ffff]{1,2000}", re.IGNORECASE)
_TITLE_LENGTH: Final = 300
_SNIPPET_LENGTH: Final = 2_000


class Reply(msgspec.Struct, frozen=True):
    """What an engine answered, whatever its status."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Client(Generic[T]):
    """The connections to one engine, whose answers are of type `T`."""

    def __init__(
        self,
        name: str,
        settings: WebSearchSettings,
        answer: type[T],
        *,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.settings = settings
        self._answer = answer
        self._decode = msgspec.json.Decoder(answer).decode
        self._headers = {"Accept": "application/json", "User-Agent": "palaver", **(headers or {})}
        self._session: aiohttp.ClientSession | None = None

    async def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
    ) -> Reply:
        """Send a request; once more where the engine wants a moment's pause.

        Raises `ProviderError`.
        """
        data = None if body is None else msgspec.json.encode(body)
        reply = await self._once(method, path, query, data)
        pause_seconds = retry_after_seconds(reply.headers) if reply.status == 429 else None
        if pause_seconds is not None and pause_seconds <= PAUSE_MAX_SECONDS:
            await asyncio.sleep(pause_seconds)
            reply = await self._once(method, path, query, data)
        return reply

    def read(self, reply: Reply) -> T:
        """Return the answer of a good reply. Raises `ProviderError`."""
        try:
            try:
                return self._decode(reply.body)
            except msgspec.DecodeError:
                # A snippet that was cut within an emoji holds half of it, which msgspec refuses.
                return msgspec.convert(json.loads(reply.body), self._answer)
        except (ValueError, RecursionError) as error:
            raise ProviderError(
                f"What {self.name} answered is no search result: "
                f"is {self.settings.url_setting} right?"
            ) from error

    def failure(self, reply: Reply, message: str = "") -> ProviderError:
        """Return what a status means, with what the engine says to it."""
        name, status = self.name, reply.status
        said = self._said(message)
        if status in {401, 403}:
            return self.refused_key()
        if status in {402, 432, 433}:
            return ProviderError(f"{name} has no searches left for this key{said}")
        if status == 429:
            return ProviderError(
                f"{name} has had too many searches for the moment{said}",
                kind=ErrorKind.PROVIDER_OVERLOADED,
                retry_after_seconds=retry_after_seconds(reply.headers)
                or DEFAULT_RETRY_AFTER_SECONDS,
            )
        if status == 404 or 300 <= status < 400:
            where = f"is {self.settings.url_setting} right?"
            return ProviderError(f"{name} has no search at its address (status {status}): {where}")
        if status >= 500:
            sentence = f"{name} failed with status {status}{said}"
            return ProviderError(sentence, kind=ErrorKind.PROVIDER_UNREACHABLE)
        return ProviderError(f"{name} refused the search with status {status}{said}")

    def refused_key(self) -> ProviderError:
        """Return the sentence about a key; what the engine says to it may quote the key."""
        setting = self.settings.key_setting
        if setting is None:
            return ProviderError(f"{self.name} wants a key, which Palaver does not send.")
        if self.settings.api_key is None:
            return ProviderError(f"{self.name} wants a key: set {setting}.")
        return ProviderError(f"{self.name} refused the key: check {setting}.")

    async def close(self) -> None:
        """Give up every connection."""
        if self._session is not None:
            await self._session.close()

    async def _once(
        self, method: str, path: str, query: Mapping[str, str] | None, data: bytes | None
    ) -> Reply:
        headers = {"Content-Type": "application/json"} if data is not None else None
        try:
            async with (
                asyncio.timeout(WHOLE_SECONDS),
                self._sessions().request(
                    method,
                    self.settings.base_url + path,
                    params=query,
                    data=data,
                    headers=headers,
                    # A redirect could carry the key to somebody else.
                    allow_redirects=False,
                ) as response,
            ):
                body = await self._whole(response)
                return Reply(response.status, response.headers, body)
        except TimeoutError as error:
            sentence = f"{self.name} did not answer in time."
            raise ProviderError(sentence, kind=ErrorKind.PROVIDER_TIMEOUT) from error
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
            where = self.settings.url_setting
            raise ProviderError(f"The address of {self.name} is none: check {where}.") from error
        except (aiohttp.ClientResponseError, HttpProcessingError) as error:
            raise ProviderError(f"What answers as {self.name} does not speak HTTP.") from error
        except (aiohttp.ClientError, OSError) as error:
            sentence = f"{self.name} cannot be reached."
            raise ProviderError(sentence, kind=ErrorKind.PROVIDER_UNREACHABLE) from error

    async def _whole(self, response: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for data in response.content.iter_any():
            body += data
            if len(body) > MAX_BYTES:
                raise ProviderError(f"What {self.name} answered is too long.")
        return bytes(body)

    def _sessions(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=self._headers,
                timeout=aiohttp.ClientTimeout(connect=CONNECT_SECONDS),
                trust_env=False,
            )
        return self._session

    def _said(self, message: str) -> str:
        if self.settings.api_key:
            message = message.replace(self.settings.api_key, "[key]")
        shown = plain(message, MAX_MESSAGE_LENGTH).rstrip(".")
        return f": {shown}." if shown else "."


def retry_after_seconds(headers: Mapping[str, str]) -> int | None:
    """Return how long an engine wants to be left alone, None where it does not say.

    Brave says of each of its limits how much is left of it, and in how many seconds it begins anew.
    """
    asked = _numbers(headers.get("Retry-After", ""))
    if asked:
        return asked[0]
    left = _numbers(headers.get("X-RateLimit-Remaining", ""))
    reset = _numbers(headers.get("X-RateLimit-Reset", ""))
    return max((wait for rest, wait in zip(left, reset, strict=False) if rest == 0), default=None)


def _numbers(text: str) -> list[int]:
    given = [part.strip() for part in text.split(",")]
    return [int(part) for part in given] if all(map(_NUMBER.fullmatch, given)) else []


def shortened(query: str, *, max_length: int, max_words: int = 1_000) -> str:
    """Return a query cut at a word, to what an engine takes."""
    words = query.split()[:max_words]
    text = " ".join(words)
    if len(text) <= max_length:
        return text
    cut = text[: max_length + 1].rpartition(" ")[0]
    return cut or text[:max_length]


def hits(found: Iterable[tuple[str, str, str]], limit: int) -> list[WebHit]:
    """Return hits of address, title and snippet, cleaned; each address once."""
    by_url: dict[str, WebHit] = {}
    for url, title, snippet in found:
        if len(by_url) == limit:
            break
        if _URL.fullmatch(url):
            hit = WebHit(url, plain(title, _TITLE_LENGTH), plain(snippet, _SNIPPET_LENGTH))
            by_url.setdefault(url, hit)
    return list(by_url.values())


def plain(text: str, max_length: int) -> str:
    """Return one line of text without markup and without what cannot be stored or shown."""
    bare = html.unescape(_TAG.sub("", text[: max_length * 4]))
    return " ".join(_NOT_SHOWN.sub(" ", bare).split())[:max_length]
