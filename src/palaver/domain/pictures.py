"""Pictures: made by a model, or given with a message; files that belong to one user.

Contract `subscriptions`: "Chat Sessions" (`image_url`); decisions: "subscriptions".
"""

import re
from typing import Final

import msgspec

FOLDER: Final = "/media/images/"
ALT_MAX_LENGTH: Final = 200
SUFFIXES: Final = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/webp": "webp",
    "image/gif": "gif",
}

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
