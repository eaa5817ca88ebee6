"""An embedder that counts words: texts that share words are near, whatever the machine."""

import asyncio
import hashlib
import math
import struct
from collections.abc import Mapping, Sequence

from palaver.domain.embedders import Embedded
from palaver.kit.words import words


class WordEmbedder:
    """Adds up a vector for each word, drawn from its hash; `means` gives words the same meaning.

    `pause_seconds` lets it answer late, `error` lets it fail.
    """

    def __init__(
        self,
        id: str = "fake/words",
        *,
        dimensions: int = 256,
        means: Mapping[str, str] | None = None,
    ) -> None:
        self.id = id
        self.dimensions = dimensions
        self.means = means or {}
        self.pause_seconds = 0.0
        self.error: Exception | None = None
        self.asked: list[str] = []

    async def embed(self, texts: Sequence[str], *, is_query: bool = False) -> Embedded:
        self.asked += texts
        await asyncio.sleep(self.pause_seconds)
        if self.error is not None:
            raise self.error
        return Embedded(tuple(map(self.vector, texts)), tokens=sum(map(len, map(words, texts))))

    async def close(self) -> None:
        """Nothing runs."""

    def vector(self, text: str) -> bytes:
        """Return the vector of a text."""
        total = [1e-6] * self.dimensions
        for word in words(text):
            for place, number in enumerate(self._of_word(self.means.get(word, word))):
                total[place] += number
        length = math.sqrt(sum(number * number for number in total))
        return struct.pack(f"<{self.dimensions}f", *(number / length for number in total))

    def _of_word(self, word: str) -> list[float]:
        seed = hashlib.shake_256(word.encode()).digest(self.dimensions)
        return [(byte - 127.5) / 127.5 for byte in seed]
