"""What a file is by its first bytes, whatever its name says."""

from typing import Final

from palaver.domain.extraction import ExtractionError

_SIGNATURES: Final = (
    (b"%PDF-", "a PDF"),
    (b"PK\x03\x04", "a ZIP archive, as Word's files are"),
    (b"PK\x05\x06", "an empty ZIP archive"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office file"),
    (b"{\\rtf", "an RTF file"),
    (b"\x89PNG\r\n\x1a\n", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"\x1f\x8b\x08", "packed by gzip"),
    (b"\x7fELF", "a program"),
    (b"SQLite format 3\x00", "a database"),
)


def kind_of(content: bytes) -> str | None:
    """Return what a file says it is, as words; None where its bytes do not tell."""
    for signature, words in _SIGNATURES:
        if content.startswith(signature):
            return words
    return None


def refuse(content: bytes, wanted: str) -> ExtractionError:
    """Return the refusal of a file that is not `wanted`: "a PDF"."""
    kind = kind_of(content)
    what = (
        f"It is {kind}: give it with the ending of its kind, or convert it."
        if kind
        else "It is damaged, or something else: save it anew."
    )
    return ExtractionError(f"The file is not {wanted}. {what}")
