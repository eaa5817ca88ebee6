"""Pictures of chatbots that administrators give; those that Palaver brings along lie in `web`.

A picture is known by the address of its chatbot alone: there is no row beside it.
"""

import io
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, Final

from palaver.domain.chatbots import Chatbot, ChatbotChange
from palaver.domain.errors import NotFound
from palaver.domain.extraction import Extractor
from palaver.domain.pictures import SUFFIXES, name_of
from palaver.domain.users import Actor
from palaver.kit.ids import parse_uuid
from palaver.services.chatbots import ChatbotService
from palaver.services.pictures import clean_upload
from palaver.services.sweeping import sweep
from palaver.storage.database import Database
from palaver.storage.files import Files
from palaver.storage.tx import Tx

FOLDER: Final = "/media/chatbot_images/"
MAX_SIDE: Final = 512
_MEDIA_TYPES: Final = {suffix: media_type for media_type, suffix in SUFFIXES.items()}


class PortraitService:
    """Takes and keeps them."""

    def __init__(
        self, db: Database, files: Files, extractor: Extractor, chatbots: ChatbotService
    ) -> None:
        self.db = db
        self.files = files
        self.extractor = extractor
        self.chatbots = chatbots

    async def give(
        self, actor: Actor, chatbot_id: int, content: BinaryIO, *, size_bytes: int
    ) -> Chatbot:
        """Give a chatbot another picture. For administrators.

        Raises `NotFound`, `DomainError` (`PAYLOAD_TOO_LARGE`, `UNSUPPORTED_MEDIA_TYPE`, `BUSY`),
        `InvalidInput`.
        """
        actor.require_admin()
        await self.chatbots.get(actor, chatbot_id)
        clean = await clean_upload(
            self.extractor, content, size_bytes=size_bytes, max_side=MAX_SIDE
        )
        uuid = actor.uuid_for("portrait")
        await self.files.write(uuid, io.BytesIO(clean.content))
        change = ChatbotChange(image=FOLDER + name_of(uuid, clean.media_type))
        return await self.chatbots.update(actor, chatbot_id, change)

    async def find(self, actor: Actor, name: str) -> tuple[str, Path]:  # noqa: ARG002  # everybody's
        """Return the media type of a picture, and its file. Raises `NotFound`."""
        uuid, _, suffix = name.partition(".")
        media_type = _MEDIA_TYPES.get(suffix)
        if media_type is None or parse_uuid(uuid) != uuid or not await self.files.has(uuid):
            raise NotFound("picture")
        return media_type, self.files.path(uuid)

    async def sweep(self, actor: Actor) -> int:
        """Remove what no chatbot shows any more; return how many. For jobs."""
        actor.require_admin()
        return await sweep(self.db, self.files, _known)


async def _known(tx: Tx, names: Iterable[str]) -> set[str]:
    shown = {chatbot.image for chatbot in await tx.chatbots.all()}
    uuids = {image.removeprefix(FOLDER).partition(".")[0] for image in shown}
    return uuids.intersection(names)
