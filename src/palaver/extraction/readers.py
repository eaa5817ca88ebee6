"""Which reader a job wants. Each is imported when it is wanted: a process reads one file."""

# ruff: noqa: PLC0415

from collections.abc import Callable
from typing import Final, TypeAlias

from palaver.domain.extraction import Extracted, ExtractionError
from palaver.domain.reading import Job, Picture
from palaver.extraction.encodings import charset_of

OnProgress: TypeAlias = Callable[[float], None]
Reader: TypeAlias = Callable[[bytes, OnProgress], Extracted | Picture]

DOCX: Final = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


def reader_of(job: Job) -> Reader:
    """Return what reads the file of a job. Raises `ExtractionError` where nothing does."""
    if job.task == "image":
        from palaver.extraction.pictures import clean

        return lambda content, _: clean(content, max_side=job.max_side)
    mime_type = job.mime_type.partition(";")[0].strip().lower()
    charset = charset_of(job.mime_type)
    if mime_type == "application/pdf":
        from palaver.extraction.pdf import read_pdf

        return read_pdf
    if mime_type == DOCX:
        from palaver.extraction.docx import read_docx

        return read_docx
    if mime_type in ("text/html", "application/xhtml+xml"):
        from palaver.extraction.html import text_of_html

        return lambda content, _: text_of_html(content, charset=charset)[1]
    if mime_type in ("text/markdown", "text/x-markdown"):
        from palaver.extraction.markdown import read_markdown

        return lambda content, _: read_markdown(content, charset=charset)
    if mime_type.startswith("text/"):
        from palaver.extraction.plain import read_plain

        return lambda content, _: read_plain(content, charset=charset)
    raise ExtractionError(
        "Files of this kind cannot be read. Give text, Markdown, HTML, PDF or DOCX."
    )
