"""Pictures: made by a model, or given with a message; files that belong to one user.

Contract `subscriptions`: "Chat Sessions" (`image_url`); decisions: "subscriptions".
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from palaver.domain.errors import DomainError, ErrorKind, Fault, InvalidInput

FILE_MAX_BYTES: Final = 10 * 1024 * 1024
UNSENT_MAX: Final = 50
"""So many pictures that were given and not sent yet one user may have."""
PER_MESSAGE: Final = 10
PER_PROMPT: Final = 20
PROMPT_MAX_BYTES: Final = 40 * 1024 * 1024
"""Of a prompt's pictures the newest are shown: so many, and of so many bytes in all."""
LEFT_OUT: Final = "[image]"
"""What stands in a prompt for a picture that its model is not shown."""

FOLDER: Final = "/media/images/"
ALT_MAX_LENGTH: Final = 200
SUFFIXES: Final = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/webp": "webp",
    "image/gif": "gif",
}

_MAGIC: Final = re.compile(rb"\x89PNG\r\n\x1a\n|\xff\xd8\xff|GIF8[79]a|RIFF....WEBP", re.DOTALL)
_MAGIC_BYTES: Final = 12

_PATCH_SIDE: Final = 32
_QUARTERS_OF_A_PATCH: Final = 9
_MOST_TOKENS: Final = 4_400
_WHOLE_SIDE: Final = 384  # what is no larger is one tile
_TILE_SIDES: Final = (256, 768)
_TILE_TOKENS: Final = 233

_SPECIAL: Final = re.compile(r"([\\\[\]`*_<>!])")


class Picture(msgspec.Struct, frozen=True, gc=False):
    """A picture of one user; its file goes by `uuid`, its address by `name`."""

    id: int  # 0 until it is stored
    uuid: str
    owner_id: int
    name: str
    media_type: str
    size_bytes: int
    width: int
    height: int
    message_id: int | None  # None for one that was given and not sent yet
    created_at: int

    @property
    def url(self) -> str:
        """Return where its owner finds it."""
        return FOLDER + self.name


class Attached(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A picture as its message knows it: enough to show it, and to put it into a prompt."""

    uuid: str
    media_type: str
    width: int
    height: int
    size_bytes: int

    @property
    def name(self) -> str:
        """Return the name of its file on the wire."""
        return name_of(self.uuid, self.media_type)

    @property
    def url(self) -> str:
        """Return where its owner finds it."""
        return FOLDER + self.name

    @property
    def tokens(self) -> int:
        """Return what a model counts for it, by an estimate that leans upwards.

        The dearer of two ways to count: two and a half tokens for each patch of 32 by 32 points
        (OpenAI's, as of GPT-4.1 nano), 4,784 at most (Anthropic's, as of Opus 4.7); or 258 for each
        tile (Google's). Nine tenths of that, since estimates are divided by `ESTIMATE_SHARE`.
        docs/tokens.md has the sources.
        """
        patches = -(-self.width // _PATCH_SIDE) * -(-self.height // _PATCH_SIDE)
        by_patches = min(patches * _QUARTERS_OF_A_PATCH // 4, _MOST_TOKENS)
        return max(by_patches, self._tiles * _TILE_TOKENS)

    @property
    def _tiles(self) -> int:
        if max(self.width, self.height) <= _WHOLE_SIDE:
            return 1
        side = min(max(min(self.width, self.height) * 2 // 3, _TILE_SIDES[0]), _TILE_SIDES[1])
        return -(-self.width // side) * -(-self.height // side)


_attached: Final = msgspec.json.Decoder(tuple[Attached, ...]).decode
_encode: Final = msgspec.json.Encoder().encode


def attach(pictures: Iterable[Picture]) -> str | None:
    """Return pictures as their message keeps them, None for none."""
    kept = [
        Attached(each.uuid, each.media_type, each.width, each.height, each.size_bytes)
        for each in pictures
    ]
    return _encode(kept).decode() if kept else None


def attached(images: str | None) -> Sequence[Attached]:
    """Return the pictures of a message, in their order."""
    return _attached(images) if images else ()


def check_file(head: bytes, *, size_bytes: int) -> None:
    """Check a file that somebody gives as a picture, by its size and its first bytes.

    Raises `DomainError` (`PAYLOAD_TOO_LARGE`, `UNSUPPORTED_MEDIA_TYPE`), `InvalidInput`.
    """
    if not size_bytes:
        raise InvalidInput.of("file", Fault.BLANK, "There is nothing in this file.", limit=1)
    if size_bytes > FILE_MAX_BYTES:
        message = f"A picture has at most {FILE_MAX_BYTES} bytes."
        raise DomainError(message, kind=ErrorKind.PAYLOAD_TOO_LARGE)
    if _MAGIC.match(head[:_MAGIC_BYTES]) is None:
        message = "Pictures are PNG, JPEG, WebP or GIF."
        raise DomainError(message, kind=ErrorKind.UNSUPPORTED_MEDIA_TYPE)


def check_ids(ids: Sequence[str]) -> None:
    """Check what pictures a message names. Raises `InvalidInput`."""
    if len(ids) > PER_MESSAGE:
        message = f"A message has at most {PER_MESSAGE} pictures."
        raise InvalidInput.of("image_ids", Fault.TOO_LONG, message, limit=PER_MESSAGE)
    if len(set(ids)) < len(ids):
        message = "A picture can be in a message once."
        raise InvalidInput.of("image_ids", Fault.NOT_ALLOWED, message)


def name_of(uuid: str, media_type: str) -> str:
    """Return the name of a picture's file on the wire."""
    return f"{uuid}.{SUFFIXES[media_type]}"


def markdown_of(url: str, prompt: str) -> str:
    """Return the text of an answer that is a picture: `![prompt](/media/…)`."""
    alt = " ".join(prompt.split())
    if len(alt) > ALT_MAX_LENGTH:
        alt = alt[: ALT_MAX_LENGTH - 1].rstrip() + "…"
    escaped = _SPECIAL.sub(r"\\\1", alt)
    return f"![{escaped}]({url})"
