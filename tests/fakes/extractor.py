"""An extractor in this process, for tests of those who use one: paragraphs, a title, PNG."""

import html
import re
from collections.abc import Callable
from pathlib import Path

from palaver.domain.extraction import MAX_SIDE, Block, CleanImage, Extracted, ExtractionError

_TITLE = re.compile(r"<title>(.*?)</title>", re.DOTALL)


class PlainExtractor:
    """Takes tags away; records as what it was asked to read. `%%` stands for a broken file."""

    def __init__(self) -> None:
        self.mime_types: list[str] = []

    async def extract(
        self,
        source: Path | bytes,
        mime_type: str,
        *,
        on_progress: Callable[[float], None] | None = None,
    ) -> Extracted:
        self.mime_types.append(mime_type)
        content = source if isinstance(source, bytes) else source.read_bytes()  # noqa: ASYNC240
        if content.startswith(b"%%"):
            raise ExtractionError("The file is broken.")
        charset = mime_type.partition("charset=")[2] or "utf-8"
        text = content.decode(charset, "replace")
        title = _TITLE.search(text)
        text = _TITLE.sub("", text)
        text = html.unescape(re.sub(r"<[^>]*>", "\n\n", text)).strip()
        blocks = tuple(
            Block("paragraph", found.start(), found.end())
            for found in re.finditer(r"\S(?:.|\n(?!\n))*", text)
        )
        return Extracted(text, blocks, title=title[1] if title else None)

    async def clean_image(self, content: bytes, *, max_side: int = MAX_SIDE) -> CleanImage:
        if not content.startswith(b"\x89PNG"):
            raise ExtractionError("No picture.")
        return CleanImage("image/png", content, width=2, height=1)

    async def close(self) -> None:
        pass
