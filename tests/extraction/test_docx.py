"""DOCX: its styles are its structure; bombs are found before anything is unpacked."""

import io
import zipfile

import pytest
from docx.document import Document

from palaver.domain.extraction import ExtractionError
from palaver.outbound.extractor import ChildExtractor
from tests.extraction.files import DOCX, a_docx, a_raw_docx
from tests.extraction.test_texts import shown


def a_report(document: Document) -> None:
    document.add_heading("The Harbour", 1)
    document.add_paragraph("It was evening.")
    document.add_heading("Boats", 2)
    document.add_paragraph("oil", style="List Bullet")
    document.add_paragraph("rope", style="List Bullet")
    table = document.add_table(2, 2)
    for cell, text in zip(table._cells, ("Name", "Year", "Ada", "1980"), strict=True):
        cell.text = text
    document.add_paragraph("The end.")


async def test_styles_are_told_as_structure(extractor: ChildExtractor) -> None:
    extracted = await extractor.extract(a_docx(a_report), DOCX)
    assert extracted.title == "The Harbour"
    assert shown(extracted) == [
        ("heading", "The Harbour"),
        ("paragraph", "It was evening."),
        ("heading", "Boats"),
        ("list", "- oil"),
        ("list", "- rope"),
        ("table", "Name | Year\nAda | 1980"),
        ("paragraph", "The end."),
    ]
    assert extracted.spans[-1].heading == "The Harbour › Boats"  # noqa: RUF001


def a_paragraph(text: str) -> str:
    return f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>"


async def test_a_text_written_by_hand_is_read(extractor: ChildExtractor) -> None:
    content = a_raw_docx(a_paragraph("漢字 &lt;b&gt;"))
    assert (await extractor.extract(content, DOCX)).text == "漢字 <b>"


async def test_entities_are_refused(extractor: ChildExtractor) -> None:
    laughs = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    bomb = f'<!DOCTYPE x [<!ENTITY a0 "ha">{laughs}]>'
    with pytest.raises(ExtractionError, match="declares entities"):
        await extractor.extract(a_raw_docx(a_paragraph("&a9;"), before=bomb), DOCX)
    outside = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
    with pytest.raises(ExtractionError, match="declares entities"):
        await extractor.extract(a_raw_docx(a_paragraph("&a;"), before=outside), DOCX)


async def test_zip_bombs_are_refused(extractor: ChildExtractor) -> None:
    for bomb in (
        a_raw_docx(a_paragraph("a" * (50 << 20))),
        a_raw_docx(
            a_paragraph(
                "".join(map(chr, range(32, 60))).replace("&", "").replace("<", "") * 3_000_000
            )
        ),
    ):
        assert len(bomb) < 1 << 20
        with pytest.raises(ExtractionError, match="far larger unpacked"):
            await extractor.extract(bomb, DOCX)


async def test_a_file_that_lies_about_its_size_is_refused(extractor: ChildExtractor) -> None:
    bomb = a_raw_docx(a_paragraph("a" * (50 << 20)))
    true = zipfile.ZipFile(io.BytesIO(bomb)).getinfo("word/document.xml").file_size
    lie = bomb.replace(true.to_bytes(4, "little"), (1000).to_bytes(4, "little"))
    assert lie != bomb
    with pytest.raises(ExtractionError, match="damaged"):
        await extractor.extract(lie, DOCX)


async def test_deep_nesting_is_refused(extractor: ChildExtractor) -> None:
    for depth in (1_000, 200_000):
        deep = "<w:ins>" * depth + "</w:ins>" * depth
        with pytest.raises(ExtractionError, match=r"nested deeper|far larger"):
            await extractor.extract(a_raw_docx(deep), DOCX)


async def test_what_is_no_word_document_says_so(extractor: ChildExtractor) -> None:
    empty = io.BytesIO()
    zipfile.ZipFile(empty, "w").close()
    other = io.BytesIO()
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("hello.txt", "hello")
    ole = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)
    whole = a_docx(a_report)
    for content, words in (
        (b"", "is not a Word document"),
        (b"hello", "is not a Word document"),
        (b"%PDF-1.7", "It is a PDF"),
        (other.getvalue(), "another ZIP archive"),
        (empty.getvalue(), "another ZIP archive"),
        (whole[:2000], "damaged"),
        (whole[:900] + bytes(200) + whole[1100:], "damaged"),
        (a_raw_docx("<w:p>"), "damaged"),
        (a_raw_docx(""), "no text"),
        (ole, "an old Office file"),
        (ole + "EncryptedPackage".encode("utf-16-le"), "protected by a password"),
    ):
        with pytest.raises(ExtractionError, match=words):
            await extractor.extract(content, DOCX)
