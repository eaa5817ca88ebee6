"""Files: whole or not at all, whatever breaks off."""

import asyncio
import io
import os
import stat
import time
from pathlib import Path

import pytest

from palaver.kit.ids import new_uuid
from palaver.storage.files import Files

KEY = "0190a7f2-9c1d-7f35-b0a2-4f7d6e8c2b19"
AN_HOUR = 3600.0


class Broken(io.BytesIO):
    """Content that cannot be read to its end."""

    def read(self, size: int | None = -1) -> bytes:
        if self.tell():
            raise OSError("the disk is gone")
        return super().read(3)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path / "data" / "files")


def names(files: Files) -> list[str]:
    folder = files.path(KEY).parent.parent
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


async def test_a_file_is_kept_from_its_beginning_to_its_end(files: Files) -> None:
    content = io.BytesIO(b"x" * 3_000_000)
    content.seek(100)
    await files.write(KEY, content)
    assert await files.has(KEY)
    assert files.path(KEY).stat().st_size == 3_000_000
    assert files.path(KEY).parent.name == KEY[-2:]
    for folder in files.path(KEY).parents[:2]:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


async def test_the_later_content_takes_the_place_of_the_former(files: Files) -> None:
    for content in (b"first", b"second"):
        await files.write(KEY, io.BytesIO(content))
    assert files.path(KEY).read_bytes() == b"second"
    assert names(files) == [KEY]


async def test_what_breaks_off_leaves_what_was_there(files: Files) -> None:
    with pytest.raises(OSError, match="gone"):
        await files.write(KEY, Broken(b"first"))
    assert names(files) == []
    await files.write(KEY, io.BytesIO(b"first"))
    with pytest.raises(OSError, match="gone"):
        await files.write(KEY, Broken(b"second"))
    assert files.path(KEY).read_bytes() == b"first"
    assert names(files) == [KEY]


async def test_many_at_once_do_not_meet(files: Files) -> None:
    keys = [new_uuid() for _ in range(20)]
    await asyncio.gather(*(files.write(key, io.BytesIO(key.encode())) for key in keys))
    assert names(files) == sorted(keys)
    assert all(files.path(key).read_text() == key for key in keys)


async def test_a_file_is_removed_once_and_twice(files: Files) -> None:
    await files.write(KEY, io.BytesIO(b"x"))
    for _ in range(2):
        await files.remove(KEY)
        assert not await files.has(KEY)


@pytest.mark.parametrize(
    "key", ["", "x", "..", "../../../etc/passwd", KEY.upper(), f"{KEY}/..", f"{KEY}\0", f"./{KEY}"]
)
async def test_only_keys_of_ours_name_files(files: Files, key: str) -> None:
    with pytest.raises(ValueError, match="names no file"):
        files.path(key)


async def test_what_has_lain_long_is_told_apart(files: Files) -> None:
    shard = KEY[-2:]
    assert await files.old(shard, age_seconds=AN_HOUR) == []
    await files.write(KEY, io.BytesIO(b"x"))
    draft = files.path(KEY).with_name(f".{KEY}.draft")
    draft.write_bytes(b"x")
    assert await files.old(shard, age_seconds=AN_HOUR) == []
    before = time.time() - AN_HOUR - 1
    os.utime(draft, (before, before))
    assert await files.old(shard, age_seconds=AN_HOUR) == [draft.name]
    await files.sweep(shard, [draft.name, "gone already"])
    assert names(files) == [KEY]
