"""Documents: what a user has given to be answered from, and the chunks that are found in it.

Contract `platform`: "Documents".
"""

from typing import Literal, TypeAlias

import msgspec

DocumentStatus: TypeAlias = Literal["pending", "ready", "failed"]


class Document(msgspec.Struct, frozen=True, gc=False):
    """A document; its file lies in the data directory, its text and chunks in the database."""

    id: int
    uuid: str
    owner_id: int
    title: str
    mime_type: str
    size_bytes: int  # of the file
    metadata: str | None  # JSON of the client that made it
    status: DocumentStatus
    error: str | None  # why it failed, as a sentence for its owner
    chunks: int  # how many there are
    embedded: int  # how many of them have a vector of `embedder`
    embedder: str | None  # the space of its vectors, None for full text alone
    attempt: int
    created_at: int
    updated_at: int


class Chunk(msgspec.Struct, frozen=True, gc=False):
    """A stretch of a document's extracted text: `text` is its `[start:end]`, in code points."""

    number: int  # from 0, in the document's order
    start: int
    end: int
    page: int | None  # from 1
    heading: str | None  # under which it stands
    text: str


class FoundChunk(msgspec.Struct, frozen=True, gc=False):
    """A chunk as a passage for an answer, with the document that it is of."""

    id: int
    document_uuid: str
    title: str
    number: int
    start: int
    end: int
    page: int | None
    heading: str | None
    text: str
    text_tokens: int
