"""Pictures that an OpenAI-compatible server makes, as they come back.

Two shapes: the images API (OpenAI, LocalAI, servers of Stable Diffusion), and OpenRouter's answers,
whose message holds `images`. https://platform.openai.com/docs/api-reference/images,
https://openrouter.ai/docs/features/multimodal/image-generation.
"""

import binascii
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import msgspec

from palaver.domain.errors import ProviderError
from palaver.domain.events import UsageReported
from palaver.domain.providers import ProviderSettings
from palaver.providers.answers import ErrorSent, token_count
from palaver.providers.failures import quoted, readable
from palaver.providers.openai.wire import Usage

MAX_IMAGE_BYTES: Final = 32 * 1024 * 1024
MAX_BODY_BYTES: Final = MAX_IMAGE_BYTES * 4 // 3 + 1024 * 1024
"""Of an answer: the picture in base64, and what stands around it."""


class _Address(msgspec.Struct, gc=False):
    url: str | None = None


class _Picture(msgspec.Struct, gc=False):
    b64_json: str | None = None
    url: str | None = None
    image_url: _Address | None = None  # OpenRouter


class _Message(msgspec.Struct, gc=False):
    content: Any = None
    refusal: str | None = None
    images: list[_Picture] | None = None


class _Choice(msgspec.Struct, gc=False):
    message: _Message | None = None


class _Usage(Usage, gc=False):
    input_tokens: int | None = None
    output_tokens: int | None = None


class _Made(msgspec.Struct, gc=False):
    data: list[_Picture] | None = None
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    error: Any = None


_decode = msgspec.json.Decoder(_Made).decode


class Found(msgspec.Struct, frozen=True):
    """Where the picture is: here, or at an address."""

    content: bytes = b""
    address: str = ""
    usage: UsageReported | None = None


def parse(settings: ProviderSettings, body: bytes) -> Found:
    """Return the first picture of an answer. Raises `ProviderError`, `ErrorSent`."""
    if len(body) >= MAX_BODY_BYTES:
        raise too_large(settings)
    try:
        made = _decode(body)
    except (ValueError, RecursionError) as error:
        raise _unreadable(settings) from error
    if made.error:
        raise ErrorSent(made.error)
    message = (made.choices[0].message if made.choices else None) or _Message()
    pictures = made.data or message.images
    if not pictures:
        said = quoted(readable(message.refusal or message.content), settings)
        raise ProviderError(f"{settings.name} made no picture{said}")
    picture, usage = pictures[0], _reported(made.usage)
    if picture.b64_json:
        return Found(_decoded(settings, picture.b64_json), usage=usage)
    address = picture.url or (picture.image_url.url if picture.image_url else "") or ""
    if address.startswith("data:"):
        head, _, encoded = address.partition(",")
        if head.endswith(";base64"):
            return Found(_decoded(settings, encoded), usage=usage)
    return Found(address=_on_its_own_host(settings, address), usage=usage)


def too_large(settings: ProviderSettings) -> ProviderError:
    """Return the refusal of a picture that nobody could keep."""
    return ProviderError(f"{settings.name} sent a picture of more than 32 MiB.")


def _decoded(settings: ProviderSettings, encoded: str) -> bytes:
    try:
        content = binascii.a2b_base64(encoded)
    except ValueError as error:
        raise _unreadable(settings) from error
    if not content:
        raise _unreadable(settings)
    if len(content) > MAX_IMAGE_BYTES:
        raise too_large(settings)
    return content


def _unreadable(settings: ProviderSettings) -> ProviderError:
    return ProviderError(f"What {settings.name} sent cannot be read as a picture.")


def _on_its_own_host(settings: ProviderSettings, address: str) -> str:
    """Return an address that may be asked: what a provider names must not lead us elsewhere."""
    try:
        whole = urljoin(f"{settings.base_url}/", address)
        if address and whole.isprintable() and _origin(whole) == _origin(settings.base_url):
            return whole
    except ValueError:
        pass
    message = f"{settings.name} sent an address in place of a picture, and it is not its own."
    raise ProviderError(message)


def _origin(address: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(address)
    return parts.scheme, parts.hostname, parts.port


def _reported(usage: _Usage | None) -> UsageReported | None:
    """Return what a picture has used: in the images API's words, or in the chat's."""
    if usage is None:
        return None
    if usage.input_tokens is None and usage.output_tokens is None:
        return usage.reported()
    return UsageReported(token_count(usage.input_tokens), token_count(usage.output_tokens))
