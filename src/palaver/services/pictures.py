"""Pictures: made, kept as files of their owner, and found by nobody else."""

import io
from pathlib import Path
from typing import Final

from palaver.domain.errors import NotFound, ProviderError
from palaver.domain.events import UsageReported
from palaver.domain.extraction import CleanImage, ExtractionError, Extractor
from palaver.domain.pictures import Picture, name_of
from palaver.domain.providers import ImageRequest
from palaver.domain.users import Actor
from palaver.kit.clock import Clock, system_clock
from palaver.kit.ids import new_uuid
from palaver.services.models import ResolvedModel
from palaver.storage.database import Database
from palaver.storage.files import SHARDS, Files

STRAY_SECONDS: Final = 24 * 3600.0
"""A file that no row knows by then belongs to an answer that never ended."""


class PictureService:
    """Keeps what models make."""

    def __init__(
        self, db: Database, files: Files, extractor: Extractor, *, clock: Clock = system_clock
    ) -> None:
        self.db = db
        self.files = files
        self.extractor = extractor
        self.clock = clock

    async def make(
        self, actor: Actor, resolved: ResolvedModel, prompt: str
    ) -> tuple[Picture, UsageReported | None]:
        """Have a picture made, and keep its file; the row is for whoever ends the run.

        Nothing that a provider sends is kept as it came: it is looked into apart from the server.
        Raises `ProviderError`.
        """
        request = ImageRequest(model=resolved.model.upstream_name, prompt=prompt)
        made = await resolved.provider.make_image(request)
        try:
            clean = await self.extractor.clean_image(made.content)
        except (ExtractionError, OSError) as error:
            sentence = f"What {resolved.provider.name} sent cannot be read as a picture."
            raise ProviderError(sentence) from error
        return await self._write(actor.owner_id, clean), made.usage

    async def find(self, actor: Actor, name: str) -> tuple[Picture, Path]:
        """Return one's own picture and its file. Raises `NotFound`."""
        async with self.db.read() as tx:
            picture = await tx.pictures.find(name, owner_id=actor.owner_id)
        if picture is None or not await self.files.has(picture.uuid):
            raise NotFound("file")
        return picture, self.files.path(picture.uuid)

    async def sweep(self, actor: Actor) -> int:
        """Remove files that no row knows; return how many. For jobs."""
        actor.require_admin()
        swept = 0
        for shard in SHARDS:
            names = await self.files.old(shard, age_seconds=STRAY_SECONDS)
            if not names:
                continue
            async with self.db.read() as tx:
                known = await tx.pictures.known(names)
            strays = [name for name in names if name not in known]
            await self.files.sweep(shard, strays)
            swept += len(strays)
        return swept

    async def _write(self, owner_id: int, clean: CleanImage) -> Picture:
        uuid = new_uuid()
        await self.files.write(uuid, io.BytesIO(clean.content))
        return Picture(
            id=0,
            uuid=uuid,
            owner_id=owner_id,
            name=name_of(uuid, clean.media_type),
            media_type=clean.media_type,
            size_bytes=len(clean.content),
            width=clean.width,
            height=clean.height,
            message_id=None,
            created_at=self.clock(),
        )
