"""Pictures, at the addresses that the chapter "Chatbots" names."""

from typing import Final

from starlette.responses import FileResponse, Response

from palaver.domain.errors import NotFound
from palaver.web import pictures
from palaver.web.call import Call

_A_DAY: Final = "private, max-age=86400"
_GIVEN: Final = {
    "cache-control": _A_DAY,
    "x-content-type-options": "nosniff",
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


async def own_image(call: Call, name: str) -> Image:
    """Send a picture that was made for the caller, or given by them; nobody else finds it.

    Contract: "Get Session Messages" (`image_url`).
    """
    picture, path = await call.services.pictures.find(call.actor, name)
    return Image(path, headers=_GIVEN, media_type=picture.media_type)


async def nothing(call: Call, folder: str, name: str) -> Png:  # noqa: ARG001  # see below
    """Answer for every other address below `/media/`: nothing is there. Beyond the document."""
    raise NotFound("file")


async def chatbot_image(call: Call, name: str) -> Png | Image:
    """Send the picture of a chatbot, to everybody who has signed in.

    Contract: "List Available Chatbots".
    """
    if name not in pictures.NAMES:
        media_type, path = await call.services.portraits.find(call.actor, name)
        return Image(path, headers=_GIVEN, media_type=media_type)
    picture = pictures.load(name)
    headers = {
        "etag": f'"{picture.tag}"',
        "cache-control": _A_DAY,
        "x-content-type-options": "nosniff",
    }
    if call.header(b"if-none-match") == headers["etag"]:
        return Png(None, 304, headers)
    return Png(picture.content, 200, headers)
