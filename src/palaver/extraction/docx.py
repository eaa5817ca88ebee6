"""DOCX: mammoth turns its styles into HTML, which is read as HTML is.

mammoth builds trees of everything, so what it gets is looked through before: how much it is when
unpacked, that it declares no entities, and how deep it goes.
"""

import io
import zipfile
from collections.abc import Callable
from typing import Final
from xml.parsers import expat

import mammoth

from palaver.domain.extraction import Extracted, ExtractionError
from palaver.extraction.html import text_of_html
from palaver.extraction.magic import refuse
from palaver.extraction.writer import title_of

_MAX_FILES: Final = 10_000
_MAX_XML_BYTES: Final = 64 << 20
"""Unpacked, of all parts that are XML; a book of 1,000 pages has some 10 MiB."""

_MAX_RATIO: Final = 200
"""How much smaller XML gets when packed: 10 to 30 times; a bomb gets 1,000."""

_SMALL_BYTES: Final = 1 << 20
_MAX_DEPTH: Final = 150
_MAIN: Final = "word/document.xml"
_OLD_OFFICE: Final = b"\xd0\xcf\x11\xe0"
_ENCRYPTED: Final = "EncryptedPackage".encode("utf-16-le")
_PROTECTED: Final = "The document is protected by a password. Save it without one."
_DAMAGED: Final = "The document is damaged. Open it in a word processor, and save it anew."
_AS_PDF: Final = "Save it as PDF or text, and give that."
_NO_DOCX: Final = "a Word document (DOCX)"


def read_docx(content: bytes, on_progress: Callable[[float], None]) -> Extracted:
    """Read a Word document. Raises `ExtractionError`."""
    if content.startswith(_OLD_OFFICE) and _ENCRYPTED in content:
        raise ExtractionError(_PROTECTED)
    if not content.startswith(b"PK"):
        raise refuse(content, _NO_DOCX)
    title = _look_through(content)
    on_progress(0.3)
    # No style map of the file's own, no pictures, nothing from outside of it.
    result = mammoth.convert_to_html(
        io.BytesIO(content),
        include_embedded_style_map=False,
        external_file_access=False,
        convert_image=lambda _: [],
    )
    on_progress(0.9)
    # Every byte is ASCII or UTF-8, which the mark says.
    _, extracted = text_of_html(b"\xef\xbb\xbf" + result.value.encode(), is_page=False)
    return Extracted(extracted.text, extracted.blocks, title=title_of(title))


def _look_through(content: bytes) -> str | None:
    """Return the title of a document that can be read safely."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            infos = archive.infolist()
            _weigh(infos)
            if _MAIN not in {info.filename for info in infos}:
                raise ExtractionError(
                    f"The file is not {_NO_DOCX}. It is another ZIP archive: unpack it."
                )
            title = None
            for info in infos:
                if _is_xml(info):
                    found = _look_into(archive.read(info))
                    title = found if info.filename == "docProps/core.xml" else title
            return title
    except (zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        raise ExtractionError(_DAMAGED) from error


def _weigh(infos: list[zipfile.ZipInfo]) -> None:
    if len(infos) > _MAX_FILES:
        raise ExtractionError(f"The document consists of too many files. {_AS_PDF}")
    total = 0
    for info in infos:
        if info.flag_bits & 1:
            raise ExtractionError(_PROTECTED)
        if not _is_xml(info):
            continue
        total += info.file_size
        is_bomb = info.file_size > max(_SMALL_BYTES, info.compress_size * _MAX_RATIO)
        if is_bomb or total > _MAX_XML_BYTES:
            raise ExtractionError(
                f"The document is far larger unpacked than it should be. {_AS_PDF}"
            )


def _is_xml(info: zipfile.ZipInfo) -> bool:
    return info.filename.endswith((".xml", ".rels"))


def _look_into(xml: bytes) -> str | None:
    """Return the text of the title in it. Raises `ExtractionError` where it is not harmless."""
    parser = expat.ParserCreate(namespace_separator=" ")
    depth = 0
    title: list[str] | None = None

    def start(name: str, _: dict[str, str]) -> None:
        nonlocal depth, title
        depth += 1
        if depth > _MAX_DEPTH:
            raise ExtractionError(
                f"The document is nested deeper than {_MAX_DEPTH} levels. {_AS_PDF}"
            )
        if title is None and depth == 2 and name == "http://purl.org/dc/elements/1.1/ title":
            title = []
            parser.CharacterDataHandler = title.append

    def end(_: str) -> None:
        nonlocal depth
        depth -= 1
        parser.CharacterDataHandler = None

    def refuse_entities(*_: object) -> None:
        raise ExtractionError(
            f"The document declares entities, as no Word document does. {_AS_PDF}"
        )

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.StartDoctypeDeclHandler = refuse_entities
    try:
        parser.Parse(xml, True)
    except expat.ExpatError as error:
        raise ExtractionError(_DAMAGED) from error
    return "".join(title) if title else None
