"""Pictures: made, kept as files of their owner, and found by nobody else."""

import asyncio
import io
from base64 import b64encode
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Final

from msgspec.structs import replace

from palaver.domain.errors import (
    DomainError,
    ErrorKind,
    Fault,
    InvalidInput,
    NotFound,
    ProviderError,
)
from palaver.domain.events import UsageReported
from palaver.domain.extraction import MAX_SIDE, CleanImage, ExtractionError, Extractor
from palaver.domain.pictures import LEFT_OUT, UNSENT_MAX, Picture, check_file, name_of
from palaver.domain.providers import ImageRef, ImageRequest, Turn
from palaver.domain.users import Actor
from palaver.kit.clock import DAY, Clock, system_clock
from palaver.kit.ids import new_uuid
from palaver.services.models import ResolvedModel
from palaver.services.sweeping import sweep
from palaver.storage.database import Database, retrying
from palaver.storage.files import Files
from palaver.storage.tx import Tx

UNSENT_KEPT: Final = DAY
SWEPT_MAX: Final = 500
_NOT_BY_ITSELF_SECONDS: Final = 3_600
_STEP_BYTES: Final = 3 * 256 * 1024  # base64 makes four of three


class PictureService:
    """Keeps what models make, and what users give to be seen."""

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
        return await self._write(new_uuid(), actor.owner_id, clean), made.usage

    async def give(self, actor: Actor, content: BinaryIO, *, size_bytes: int) -> Picture:
        """Keep a picture that is going to be sent with a message; once, however often it is asked.

        Nothing of the file but its pixels is kept. Raises `DomainError` (`PAYLOAD_TOO_LARGE`,
        `UNSUPPORTED_MEDIA_TYPE`, `QUOTA_EXCEEDED`), `InvalidInput`.
        """
        uuid = actor.uuid_for("image")
        async with self.db.read() as tx:
            made = await tx.pictures.get(uuid, owner_id=actor.owner_id)
            if made is None:
                await _check_room(tx, actor)
        if made is not None:
            return made
        clean = await clean_upload(self.extractor, content, size_bytes=size_bytes)
        picture = await self._write(uuid, actor.owner_id, clean)
        try:
            return await self._keep(actor, picture)
        except DomainError:
            await self.files.remove(uuid)
            raise

    @retrying
    async def _keep(self, actor: Actor, picture: Picture) -> Picture:
        async with self.db.transaction() as tx:
            # Held from here on: of two pictures that there is room for one of, one is refused.
            await tx.users.lock(actor.owner_id)
            await _check_room(tx, actor)
            kept = await tx.pictures.insert(picture)
            if kept is None:
                kept = await tx.pictures.get(picture.uuid, owner_id=actor.owner_id)
        if kept is None:
            raise NotFound("image")
        return kept

    async def delete(self, actor: Actor, uuid: str) -> None:
        """Take back a picture that was not sent yet.

        Raises `NotFound`, `DomainError` (`CONFLICT`) for one that belongs to a message.
        """
        async with self.db.transaction() as tx:
            if await tx.pictures.get(uuid, owner_id=actor.owner_id) is None:
                raise NotFound("image")
            if not await tx.pictures.delete(uuid, owner_id=actor.owner_id):
                message = "This picture belongs to a message."
                raise DomainError(message, kind=ErrorKind.CONFLICT)
        await self.files.remove(uuid)

    async def shown(self, turns: Sequence[Turn]) -> tuple[tuple[Turn, ...], Mapping[str, bytes]]:
        """Return turns with what their pictures hold, as base64 by name.

        A word stands in the place of a picture whose file is gone.
        """
        refs = list(chain.from_iterable(turn.images for turn in turns))
        if not refs:
            return tuple(turns), {}
        contents = await asyncio.to_thread(self._contents, refs)
        return tuple(_with_those_of(turn, contents) for turn in turns), contents

    def _contents(self, refs: Sequence[ImageRef]) -> dict[str, bytes]:
        contents = {}
        for name in {ref.name for ref in refs}:
            try:
                content = self.files.path(name.partition(".")[0]).read_bytes()
            except FileNotFoundError:
                continue
            contents[name] = _base64(content)
        return contents

    async def find(self, actor: Actor, name: str) -> tuple[Picture, Path]:
        """Return one's own picture and its file. Raises `NotFound`."""
        async with self.db.read() as tx:
            picture = await tx.pictures.find(name, owner_id=actor.owner_id)
        if picture is None or not await self.files.has(picture.uuid):
            raise NotFound("file")
        return picture, self.files.path(picture.uuid)

    async def sweep(self, actor: Actor) -> int:
        """Remove what was never sent, and files that no row knows; return how many. For jobs."""
        actor.require_admin()
        await self._forget_unsent()
        return await sweep(self.db, self.files, lambda tx, names: tx.pictures.known(names))

    async def _forget_unsent(self) -> None:
        forgotten = SWEPT_MAX
        while forgotten == SWEPT_MAX:
            async with self.db.transaction() as tx:
                before = self.clock() - UNSENT_KEPT
                forgotten = await tx.pictures.forget_unsent(before=before, limit=SWEPT_MAX)

    async def _write(self, uuid: str, owner_id: int, clean: CleanImage) -> Picture:
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


async def clean_upload(
    extractor: Extractor, content: BinaryIO, *, size_bytes: int, max_side: int = MAX_SIDE
) -> CleanImage:
    """Return a picture that somebody gives, as nothing but itself.

    Raises `DomainError` (`PAYLOAD_TOO_LARGE`, `UNSUPPORTED_MEDIA_TYPE`, `BUSY`), `InvalidInput`.
    """
    given = await asyncio.to_thread(_read, content)
    check_file(given, size_bytes=size_bytes)
    try:
        return await extractor.clean_image(given, max_side=max_side)
    except ExtractionError as error:
        raise InvalidInput.of("file", Fault.WRONG_FORMAT, error.message) from error
    except OSError as error:
        message = "Pictures cannot be looked into right now."
        raise DomainError(message, kind=ErrorKind.BUSY) from error


def _base64(content: bytes) -> bytes:
    """Return it encoded, in steps between which the streams get their turn."""
    steps = range(0, len(content), _STEP_BYTES)
    return b"".join(b64encode(content[at : at + _STEP_BYTES]) for at in steps)


def _read(content: BinaryIO) -> bytes:
    content.seek(0)
    return content.read()


def _with_those_of(turn: Turn, contents: Mapping[str, bytes]) -> Turn:
    there = tuple(ref for ref in turn.images if ref.name in contents)
    if len(there) == len(turn.images):
        return turn
    left_out = f"\n{LEFT_OUT}" * (len(turn.images) - len(there))
    return replace(turn, text=turn.text + left_out, images=there)


async def _check_room(tx: Tx, actor: Actor) -> None:
    if await tx.pictures.count_unsent(owner_id=actor.owner_id) >= UNSENT_MAX:
        raise DomainError(
            f"You have {UNSENT_MAX} pictures that were not sent. Send or delete some first.",
            kind=ErrorKind.QUOTA_EXCEEDED,
            retry_after_seconds=_NOT_BY_ITSELF_SECONDS,
        )
