"""An extractor of texts that works in this process, waits when it is told to, and fails as told."""

import asyncio
from collections import deque
from collections.abc import Callable
from pathlib import Path

from palaver.domain.extraction import MAX_SIDE, CleanImage, Extracted, ExtractionError


class TextExtractor:
    """Reads a file as it stands; what begins with `broken` is refused."""

    def __init__(self) -> None:
        self.seen: list[str] = []  # the content types of what was read
        self.order: list[str] = []  # the first line of what was read
        self.trouble: deque[Exception] = deque()  # raised instead, one at a time
        self.may_go = asyncio.Event()
        self.may_go.set()
        self.begun = asyncio.Semaphore(0)
        self.progress = 0.5

    async def extract(
        self,
        source: Path | bytes,
        mime_type: str,
        *,
        on_progress: Callable[[float], None] | None = None,
    ) -> Extracted:
        """Return a file's text, without structure."""
        content = (
            source if isinstance(source, bytes) else await asyncio.to_thread(source.read_bytes)
        )
        text = content.decode()
        self.seen.append(mime_type)
        self.order.append(text.partition("\n")[0])
        if on_progress is not None:
            on_progress(self.progress)
        self.begun.release()
        await self.may_go.wait()
        if self.trouble:
            raise self.trouble.popleft()
        if text.startswith("broken"):
            raise ExtractionError("This file is broken.")
        return Extracted(text, ())

    async def clean_image(self, content: bytes, *, max_side: int = MAX_SIDE) -> CleanImage:
        """Refuse it."""
        raise ExtractionError("This reads texts alone.")

    async def close(self) -> None:
        """End nothing."""
