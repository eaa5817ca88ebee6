"""What the server and the process that embeds for it say to one another."""

from typing import Final, TypeAlias

import msgspec

MAX_FRAME_BYTES: Final = 16 << 20


class Load(msgspec.Struct, frozen=True):
    """The first message: which model to read."""

    folder: str


class Ask(msgspec.Struct, frozen=True):
    """Texts to embed, with the model's prefix before each."""

    texts: tuple[str, ...]


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The model is read; and the prefixes that its folder names."""

    query_prefix: str | None = None
    passage_prefix: str | None = None


class Vectors(msgspec.Struct, frozen=True, tag="vectors"):
    """One for each text: little-endian 32-bit floats of length 1; and the tokens of all."""

    vectors: tuple[bytes, ...]
    tokens: int


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """It cannot be done: a sentence for the operator."""

    reason: str


Answer: TypeAlias = Ready | Vectors | Refused
