"""The port to embedders: whatever turns texts into vectors whose nearness is one of meaning."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from palaver.domain.providers import ProviderSettings


class EmbedderSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Which model embeds: one that a provider serves, or one from a folder."""

    model: str  # the provider's own id, or the folder's name
    provider: ProviderSettings | None = None
    folder: Path | None = None


class Embedded(msgspec.Struct, frozen=True):
    """Vectors in the order of their texts, and the tokens that were read, 0 where nobody says.

    A vector is `dimensions` little-endian 32-bit floats, of length 1.
    """

    vectors: tuple[bytes, ...]
    tokens: int = 0


class Embedder(Protocol):
    """One embedding model. Every method raises `ProviderError` and nothing else."""

    @property
    def id(self) -> str:
        """Return the name of its space, such as `openai/text-embedding-3-small`.

        Vectors of two spaces have nothing to do with each other.
        """

    async def embed(self, texts: Sequence[str], *, is_query: bool = False) -> Embedded:
        """Return a vector for each text; some models tell a query from what is searched."""

    async def close(self) -> None:
        """Give up every connection, and end what runs."""
