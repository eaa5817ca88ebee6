"""The shapes of what makes an answer: options of a conversation, sources of a message."""

from typing import Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from palaver.domain import generations, sources
from palaver.services import sources as services


class Options(Struct):
    """How answers are made where a request does not say; null is left to the server."""

    use_rag: bool | None
    use_web_grounding: bool | None
    use_extended_thinking: bool | None

    @classmethod
    def of(cls, options: generations.Options) -> "Options":
        """Render options."""
        return cls(options.use_rag, options.use_web_grounding, options.use_extended_thinking)


class OptionsChange(Struct):
    """What is to be different; what is absent stays."""

    use_rag: bool | UnsetType | None = UNSET
    use_web_grounding: bool | UnsetType | None = UNSET
    use_extended_thinking: bool | UnsetType | None = UNSET

    @property
    def given(self) -> dict[str, bool | None]:
        """Return what was given, by name."""
        return {
            name: value
            for name in self.__struct_fields__
            if (value := getattr(self, name)) is not UNSET
        }


class Reason(Struct):
    """Why a source was chosen: its places, from 1, by full text and by meaning."""

    text_rank: int | None
    vector_rank: int | None
    note: str | None


class Source(Struct):
    """A passage that was found: `[start, end)` of its source's text, in code points."""

    index: int
    kind: Literal["document", "web", "memory"]
    id: str
    title: str
    url: str | None
    page: int | None
    start: int
    end: int
    score: float
    reason: Reason
    is_gone: bool

    @classmethod
    def of(cls, source: sources.Source, *, is_gone: bool = False) -> "Source":
        """Render a source."""
        return cls(
            index=source.index,
            kind=source.kind.value,
            id=source.id,
            title=source.title,
            url=source.url,
            page=source.page,
            start=source.start,
            end=source.end,
            score=source.score,
            reason=Reason(*msgspec.structs.astuple(source.reason)),
            is_gone=is_gone,
        )


class Citation(Struct):
    """A span that the answer cites as `[index]`."""

    index: int
    kind: Literal["document", "web", "memory"]
    id: str
    title: str
    url: str | None
    page: int | None
    quote: str
    start: int
    end: int
    score: float


class AnswerSources(Struct):
    """What was found for an answer, and what of it the answer cites."""

    sources: list[Source]
    citations: list[Citation]

    @classmethod
    def of(cls, found: services.AnswerSources) -> "AnswerSources":
        """Render both."""
        return cls(
            [Source.of(each, is_gone=each.index in found.gone) for each in found.sources],
            [Citation(*msgspec.structs.astuple(citation)) for citation in found.citations],
        )
