"""The chapter "Images"."""

from palaver.dialects.native import images_wire as wire
from palaver.web.binding import Uuid
from palaver.web.call import Call


async def create(call: Call, body: wire.ImageUpload) -> wire.Image:
    """Give a picture, to be sent with a message. Contract: "Give Image"."""
    file = body.file
    picture = await call.services.pictures.give(
        call.actor, file.content, size_bytes=file.size_bytes
    )
    return wire.Image.of(picture)


async def delete(call: Call, image_id: Uuid) -> None:
    """Take back a picture that was not sent. Contract: "Take Back Image"."""
    await call.services.pictures.delete(call.actor, image_id)
