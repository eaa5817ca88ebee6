"""Files as others write them, and files that no honest program writes."""

import io
import zipfile
import zlib
from collections.abc import Callable, Sequence

from docx import Document
from fpdf import FPDF

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
PDF = "application/pdf"
_TYPES = b'<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>'
_W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def a_pdf(write: Callable[[FPDF], None], **options: str) -> bytes:
    """Return a PDF of what `write` puts onto its first page, and the pages after it."""
    pdf = FPDF()
    pdf.set_title("The Harbour")
    if options:
        pdf.set_encryption(**options)
    pdf.add_page()
    pdf.set_font("Times", "", 11)
    write(pdf)
    return bytes(pdf.output())


def lines(pdf: FPDF, *texts: str) -> None:
    """Write lines one below the other."""
    for text in texts:
        pdf.cell(0, 5.5, text, new_x="LMARGIN", new_y="NEXT")


def a_book(pages: int) -> bytes:
    """Return a PDF with a heading, paragraphs, and a line that repeats, on each page."""
    sentence = "The harbour was quiet in the evening, and nobody had seen the boats since noon. "

    def write(pdf: FPDF) -> None:
        for number in range(1, pages + 1):
            if number > 1:
                pdf.add_page()
            pdf.set_font("Times", "", 9)
            lines(pdf, f"The Harbour, page {number}")
            pdf.set_font("Times", "B", 16)
            lines(pdf, f"Chapter {number}")
            pdf.set_font("Times", "", 11)
            for _ in range(6):
                pdf.multi_cell(0, 5.5, sentence * 6, new_x="LMARGIN", new_y="NEXT")
                pdf.ln(2)

    return a_pdf(write)


def a_raw_pdf(objects: Sequence[bytes]) -> bytes:
    """Return a PDF of objects written by hand, numbered from 1; the first is the catalogue."""
    out = io.BytesIO(b"%PDF-1.7\n")
    out.seek(0, io.SEEK_END)
    places = []
    for number, body in enumerate(objects, 1):
        places.append(out.tell())
        out.write(b"%d 0 obj\n%b\nendobj\n" % (number, body))
    start = out.tell()
    out.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    for place in places:
        out.write(b"%010d 00000 n \n" % place)
    out.write(b"trailer\n<</Size %d/Root 1 0 R>>\n" % (len(objects) + 1))
    out.write(b"startxref\n%d\n%%%%EOF" % start)
    return out.getvalue()


def a_page_with(content: bytes) -> bytes:
    """Return a PDF whose one page is drawn by a packed stream."""
    packed = zlib.compress(content, 9)
    return a_raw_pdf(
        [
            b"<</Type/Catalog/Pages 2 0 R>>",
            b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 500 500]/Contents 4 0 R"
            b"/Resources<</Font<</F<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>>>",
            b"<</Filter/FlateDecode/Length %d>>stream\n%b\nendstream" % (len(packed), packed),
        ]
    )


def a_docx(write: Callable[[Document], None]) -> bytes:
    """Return a Word document."""
    document = Document()
    document.core_properties.title = "The Harbour"
    write(document)
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def a_raw_docx(body: str, *, before: str = "") -> bytes:
    """Return a Word document whose text is written by hand."""
    document = f'<?xml version="1.0"?>{before}<w:document {_W}><w:body>{body}</w:body></w:document>'
    parts = {"[Content_Types].xml": _TYPES, "word/document.xml": document.encode()}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return out.getvalue()
