"""Pictures, at the addresses that the chapter "Chatbots" names."""

from pathlib import Path
from typing import Final

from starlette.responses import FileResponse, Response

from palaver.domain.errors import NotFound
from palaver.web import pictures
from palaver.web.call import Call

_KEPT: Final = {"cache-control": "private, max-age=86400", "x-content-type-options": "nosniff"}
_ASKED: Final = {"cache-control": "private, no-cache"}
"""What its owner may delete is asked for each time; it comes again only if it has changed."""
_GIVEN: Final = {
    "content-security-policy": "default-src 'none'; sandbox",
    "content-disposition": "inline",
}
"""What goes with a file that came from outside, however clean it is."""


class Png(Response):
    """A picture."""

    media_type = pictures.MEDIA_TYPE


class Image(FileResponse):
    """A picture, as it was made or given."""

    media_type = "image/*"


class NotModified(Response):
    """The client has it already."""


async def own_image(call: Call, name: str) -> Image | NotModified:
    """Send a picture that was made for the caller, or given by them; nobody else finds it.

    Contract: "Get Session Messages" (`image_url`).
    """
    picture, path = await call.services.pictures.find(call.actor, name)
    return _sent(call, path, picture.media_type, _ASKED)


async def nothing(call: Call, folder: str, name: str) -> Png:  # noqa: ARG001  # see below
    """Answer for every other address below `/media/`: nothing is there. Beyond the document."""
    raise NotFound("file")


async def chatbot_image(call: Call, name: str) -> Png | Image | NotModified:
    """Send the picture of a chatbot, to everybody who has signed in.

    Contract: "List Available Chatbots".
    """
    if name not in pictures.NAMES:
        media_type, path = await call.services.portraits.find(call.actor, name)
        return _sent(call, path, media_type)
    picture = pictures.load(name)
    headers = _KEPT | {"etag": f'"{picture.tag}"'}
    return _unchanged(call, headers) or Png(picture.content, 200, headers)


def _sent(
    call: Call, path: Path, media_type: str, more: dict[str, str] = _KEPT
) -> Image | NotModified:
    """Send a file of ours: another picture has another name."""
    headers = _KEPT | _GIVEN | more | {"etag": f'"{path.name}"'}
    return _unchanged(call, headers) or Image(path, headers=headers, media_type=media_type)


def _unchanged(call: Call, headers: dict[str, str]) -> NotModified | None:
    if call.header(b"if-none-match") != headers["etag"]:
        return None
    return NotModified(None, 304, headers)
