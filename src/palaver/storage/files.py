"""Files below the data directory: whole or not at all, under keys of our own making.

Several hosts on one PostgreSQL share the data directory.
"""

import asyncio
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from palaver.kit.clock import SECOND, system_clock
from palaver.kit.ids import new_secret, parse_uuid

SHARDS: Final = tuple(f"{number:02x}" for number in range(256))
_MODE: Final = 0o600
_FOLDER_MODE: Final = 0o700


class Files:
    """The files of one kind: each goes by a uuid, and lies in the folder of its last two digits."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, key: str) -> Path:
        """Return where a file lies, if it is there. Raises `ValueError` for what is no uuid."""
        if parse_uuid(key) != key:
            raise ValueError(f"{key!r} names no file of ours")
        return self._folder / key[-2:] / key

    async def write(self, key: str, content: BinaryIO) -> None:
        """Keep what `content` holds from its beginning; durable once this returns."""
        await asyncio.to_thread(_write, self.path(key), content)

    async def has(self, key: str) -> bool:
        """Tell whether a file is there."""
        return await asyncio.to_thread(self.path(key).is_file)

    async def remove(self, key: str) -> None:
        """Remove a file, if it is there."""
        await asyncio.to_thread(self.path(key).unlink, missing_ok=True)

    async def old(self, shard: str, *, age_seconds: float, since: int = 0) -> list[str]:
        """Return the names of what has lain in one of `SHARDS` for so long, drafts included.

        What was there before the instant `since` is left out.
        """
        before = system_clock() - int(age_seconds * SECOND)
        return await asyncio.to_thread(lambda: list(_old(self._folder / shard, since, before)))

    async def sweep(self, shard: str, names: list[str]) -> None:
        """Remove files by the names that `old` gave."""
        for name in names:
            await asyncio.to_thread((self._folder / shard / name).unlink, missing_ok=True)


def _write(path: Path, content: BinaryIO) -> None:
    """Write beside, then move: a crash leaves a draft, which `old` finds, or the whole file."""
    _make_folder(path.parent)
    draft = path.with_name(f".{path.name}.{new_secret(size_bytes=6)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
    try:
        with open(handle, "wb") as file:
            content.seek(0)
            shutil.copyfileobj(content, file, 1 << 20)
            file.flush()
            os.fsync(handle)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _make_folder(folder: Path) -> None:
    if folder.is_dir():
        return
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir(mode=_FOLDER_MODE, exist_ok=True)
        _sync_folder(each.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _old(folder: Path, since: int, before: int) -> Iterator[str]:
    try:
        entries = os.scandir(folder)
    except FileNotFoundError:
        return
    with entries:
        for entry in entries:
            if since <= entry.stat(follow_symlinks=False).st_mtime_ns // 1_000 < before:
                yield entry.name
