"""Gives memories and chunks their vectors as they come."""

from collections.abc import Awaitable, Callable

from palaver.domain.users import SYSTEM
from palaver.services.embedding import EmbeddingService


def embed_texts(embedding: EmbeddingService) -> Callable[[], Awaitable[float]]:
    """Return the step of a loop."""

    async def step() -> float:
        return await embedding.embed_some(SYSTEM)

    return step
