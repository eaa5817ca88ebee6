"""Pages of the web as text: fetched through the gate, read in the extractor's own process."""

import re
from typing import Final

from palaver.domain.errors import ErrorKind, ProviderError
from palaver.domain.extraction import ExtractionError, Extractor
from palaver.domain.web import Page
from palaver.outbound.gate import Answer, Gate, Limits

LIMITS: Final = Limits(max_bytes=2 * 1024 * 1024, whole_seconds=10.0)
_ACCEPT: Final = (
    "text/html,application/xhtml+xml,text/markdown;q=0.9,text/plain;q=0.8,application/pdf;q=0.7"
)
_READ_AS: Final = {
    "text/html": "text/html",
    "application/xhtml+xml": "text/html",
    "text/markdown": "text/markdown",
    "text/x-markdown": "text/markdown",
    "text/plain": "text/plain",
    "application/pdf": "application/pdf",
}
_CUTTABLE: Final = frozenset({"text/html", "text/markdown", "text/plain"})
_CHARSET: Final = re.compile(r"""charset\s*=\s*["']?([a-z0-9_.:-]{1,40})""", re.IGNORECASE)
_TITLE_LENGTH: Final = 300


class PageReader:
    """The `PageFetcher` of the house; gate and extractor belong to somebody else."""

    def __init__(self, gate: Gate, extractor: Extractor) -> None:
        self._gate = gate
        self._extractor = extractor

    async def fetch(self, url: str) -> Page:
        """Return a page as text; of a long one its first two MiB. Raises `ProviderError`."""
        answer = await self._gate.get(url, accept=_ACCEPT, limits=LIMITS)
        if answer.status != 200:
            raise ProviderError(f"{answer.host} answered with status {answer.status}.")
        mime_type = _mime_type(answer)
        try:
            extracted = await self._extractor.extract(answer.body, mime_type)
        except ExtractionError as error:
            raise ProviderError(f"The page of {answer.host} cannot be read.") from error
        except OSError as error:
            sentence = "Pages cannot be read at the moment."
            raise ProviderError(sentence, kind=ErrorKind.PROVIDER_UNREACHABLE) from error
        title = " ".join((extracted.title or "").split())[:_TITLE_LENGTH]
        return Page(url=answer.url, title=title, extracted=extracted)

    async def close(self) -> None:
        """Give up nothing: the connections are the gate's."""


def _mime_type(answer: Answer) -> str:
    """Return as what to read an answer, with its charset. Raises `ProviderError`."""
    media_type = answer.media_type
    if not media_type and answer.body.lstrip()[:9].lower() in {b"<!doctype", b"<html"}:
        media_type = "text/html"
    read_as = _READ_AS.get(media_type)
    if read_as is None:
        raise ProviderError(f"What {answer.host} has there is no page of text.")
    if not answer.is_whole and read_as not in _CUTTABLE:
        raise ProviderError(f"The document of {answer.host} is too long.")
    charset = _CHARSET.search(answer.headers.get("Content-Type", ""))
    return f"{read_as}; charset={charset[1].lower()}" if charset else read_as
