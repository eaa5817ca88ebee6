"""The extractor itself: every file goes through a real process."""

from collections.abc import AsyncIterator

import pytest

from palaver.outbound.extractor import ChildExtractor, build


@pytest.fixture
async def extractor() -> AsyncIterator[ChildExtractor]:
    """Give what reads files."""
    extractor = build()
    yield extractor
    await extractor.close()
