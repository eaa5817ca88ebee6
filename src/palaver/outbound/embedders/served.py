"""A model that a provider serves at `/embeddings`, as OpenAI's API has it.

OpenAI, LM Studio, Ollama, llama.cpp, vLLM …; Gemini has the same beside its own protocol.
https://platform.openai.com/docs/api-reference/embeddings, https://ai.google.dev/gemini-api/docs/openai
"""

import asyncio
import math
import struct
from collections.abc import Iterator, Sequence
from operator import mul
from typing import Any, Final

import aiohttp
import msgspec
from aiohttp.http import HttpProcessingError

from palaver.domain.embedders import Embedded
from palaver.domain.errors import ErrorKind, ProviderError
from palaver.domain.providers import ProviderSettings
from palaver.outbound.embedders.prefixes import prefixes_of

TEXTS_MAX: Final = 64  # of one request
LENGTH_MAX: Final = 100_000  # code points of one request
WHOLE_SECONDS: Final = 120.0
CONNECT_SECONDS: Final = 10.0
DEFAULT_RETRY_AFTER_SECONDS: Final = 10
MAX_BYTES: Final = 64 << 20
MAX_MESSAGE_LENGTH: Final = 300

_PATHS: Final = {"openai": "/embeddings", "gemini": "/v1beta/openai/embeddings"}


class _Item(msgspec.Struct, gc=False):
    embedding: list[float]
    index: int | None = None


class _Usage(msgspec.Struct, gc=False):
    prompt_tokens: int | None = None
    total_tokens: int | None = None


class _List(msgspec.Struct, gc=False):
    data: list[_Item]
    usage: _Usage | None = None


_decode = msgspec.json.Decoder(_List).decode


class ServedEmbedder:
    """One model of one provider. What may be repeated, its caller repeats."""

    def __init__(self, settings: ProviderSettings, model: str) -> None:
        self.settings = settings
        self.model = model
        self._url = settings.base_url + _PATHS[settings.protocol]
        self._prefixes = prefixes_of(model)
        self._session: aiohttp.ClientSession | None = None

    @property
    def id(self) -> str:
        """Return the name of the model, with its provider."""
        return f"{self.settings.id}/{self.model}"

    async def embed(self, texts: Sequence[str], *, is_query: bool = False) -> Embedded:
        """Return a vector for each text, by as many requests as it takes; see the port."""
        vectors: list[bytes] = []
        tokens = 0
        for some in _batches([self._prefixes.put(text, is_query=is_query) for text in texts]):
            found = await self._ask(some)
            vectors += found.vectors
            tokens += found.tokens
        if len({len(vector) for vector in vectors}) > 1:
            raise self._unreadable()
        return Embedded(tuple(vectors), tokens)

    async def close(self) -> None:
        """Give up every connection."""
        if self._session is not None:
            await self._session.close()

    async def _ask(self, texts: Sequence[str]) -> Embedded:
        body = msgspec.json.encode({"model": self.model, "input": texts})
        name = self.settings.name
        try:
            async with (
                asyncio.timeout(WHOLE_SECONDS),
                # A redirect could carry the key to somebody else.
                self._sessions().post(self._url, data=body, allow_redirects=False) as response,
            ):
                answer = await self._whole(response)
        except TimeoutError as error:
            sentence = f"{name} did not embed in time."
            raise ProviderError(sentence, kind=ErrorKind.PROVIDER_TIMEOUT) from error
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
            raise ProviderError(f"The address of {name} is no web address.") from error
        except (aiohttp.ClientResponseError, HttpProcessingError) as error:
            sentence = f"What answers at the address of {name} does not speak HTTP."
            raise ProviderError(sentence) from error
        except (aiohttp.ClientError, OSError) as error:
            sentence = f"{name} cannot be reached."
            raise ProviderError(sentence, kind=ErrorKind.PROVIDER_UNREACHABLE) from error
        if response.status != 200:
            raise self._failure(response, answer)
        try:
            # A batch is up to 200,000 numbers: too much for the loop.
            return await asyncio.to_thread(_read, answer, len(texts))
        except (ValueError, RecursionError) as error:
            raise self._unreadable() from error

    async def _whole(self, response: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for data in response.content.iter_any():
            body += data
            if len(body) > MAX_BYTES:
                raise self._unreadable()
        return bytes(body)

    def _sessions(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            key = self.settings.api_key
            self._session = aiohttp.ClientSession(
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={
                    "Content-Type": "application/json",
                    "User-Agent": "palaver",
                    **({"Authorization": f"Bearer {key}"} if key else {}),
                },
                timeout=aiohttp.ClientTimeout(connect=CONNECT_SECONDS),
                trust_env=False,
            )
        return self._session

    def _unreadable(self) -> ProviderError:
        return ProviderError(f"What {self.settings.name} sent are no vectors for these texts.")

    def _failure(self, response: aiohttp.ClientResponse, body: bytes) -> ProviderError:
        settings, status = self.settings, response.status
        name, said = settings.name, self._said(body)
        if status in {401, 403}:
            ask = "wants" if settings.api_key is None else "refused"
            check = f": check {settings.key_setting}" if settings.key_setting else ""
            return ProviderError(f"{name} {ask} a key{check}.")
        if status == 404:
            sentence = f'{name} has no embeddings of a model "{self.model}" at its address{said}'
            return ProviderError(sentence, kind=ErrorKind.MODEL_NOT_FOUND)
        if status in {429, 529} or (status == 503 and "Retry-After" in response.headers):
            return ProviderError(
                f"{name} has too much to do at the moment{said}",
                kind=ErrorKind.PROVIDER_OVERLOADED,
                retry_after_seconds=_seconds(response.headers.get("Retry-After", "")),
            )
        if status in {502, 503, 504}:
            sentence = f"{name} failed with status {status}{said}"
            return ProviderError(sentence, kind=ErrorKind.PROVIDER_UNREACHABLE)
        # Also 500: llama.cpp answers so to a text that is longer than its batch.
        return ProviderError(f"{name} refused to embed with status {status}{said}")

    def _said(self, body: bytes) -> str:
        """Return what the provider says to it as the end of a sentence, never with the key."""
        message = _message(body)
        if self.settings.api_key:
            message = message.replace(self.settings.api_key, "[key]")
        line = " ".join("".join(c if c.isprintable() else " " for c in message).split())
        shown = line[:MAX_MESSAGE_LENGTH].rstrip(" .")
        return f": {shown}." if shown else "."


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    length = 0
    for text in texts:
        if batch and (len(batch) == TEXTS_MAX or length + len(text) > LENGTH_MAX):
            yield batch
            batch, length = [], 0
        batch.append(text)
        length += len(text)
    if batch:
        yield batch


def _read(body: bytes, count: int) -> Embedded:
    """Return the vectors of an answer in the order of the texts. Raises `ValueError`."""
    found = _decode(body)
    by_index = {
        number if item.index is None else item.index: item.embedding
        for number, item in enumerate(found.data)
    }
    if by_index.keys() != set(range(count)):
        raise ValueError("Not a vector for each text.")
    usage = found.usage or _Usage()
    tokens = usage.prompt_tokens if usage.prompt_tokens is not None else usage.total_tokens
    vectors = tuple(unit(by_index[index]) for index in range(count))
    return Embedded(vectors, max(tokens or 0, 0))


def unit(numbers: Sequence[float]) -> bytes:
    """Return numbers as a vector of length 1. Raises `ValueError` where they have no direction."""
    length = math.sqrt(sum(map(mul, numbers, numbers)))
    if not length or not math.isfinite(length):
        raise ValueError("A vector of no length, or of no end, is none.")
    return struct.pack(f"<{len(numbers)}f", *[number / length for number in numbers])


def _message(body: bytes) -> str:
    try:
        given: Any = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return ""
    if isinstance(given, dict):
        given = given.get("error", given)
    if isinstance(given, dict):
        given = given.get("message")
    return given if isinstance(given, str) else ""


def _seconds(text: str) -> int:
    text = text.strip()
    is_number = text.isascii() and text.isdigit() and len(text) < 6
    return max(1, int(text)) if is_number else DEFAULT_RETRY_AFTER_SECONDS
