"""PDF: paragraphs, headings and pages, and every way in which a PDF can fail."""

import io

import pytest
from fpdf import FPDF
from PIL import Image

from palaver.domain.chunks import cut
from palaver.domain.extraction import ExtractionError
from palaver.outbound.extractor import ChildExtractor, Limits, build
from tests.extraction.files import PDF, a_book, a_page_with, a_pdf, a_raw_pdf, lines
from tests.extraction.test_texts import shown


def a_letter(pdf: FPDF) -> None:
    pdf.set_font("Times", "B", 20)
    lines(pdf, "The Harbour")
    pdf.ln(4)
    pdf.set_font("Times", "", 11)
    lines(
        pdf,
        "The government of the harbour did, as everybody who lived there in those days, under-",
        "stand nothing of the river, which came down from the hills beyond the town in winter and",
        "in summer.",
        "The next paragraph says that they went on and on without it, all of them, until at last the",
        "evening came.",
    )
    pdf.ln(6)
    lines(pdf, "- oil for the lamps", "- rope", "2. sails")


async def test_lines_are_joined_to_paragraphs_headings_and_items(
    extractor: ChildExtractor,
) -> None:
    extracted = await extractor.extract(a_pdf(a_letter), PDF)
    assert extracted.title == "The Harbour"
    assert shown(extracted) == [
        ("heading", "The Harbour"),
        (
            "paragraph",
            "The government of the harbour did, as everybody who lived there in those days, "
            "understand nothing of the river, which came down from the hills beyond the town in "
            "winter and in summer.",
        ),
        (
            "paragraph",
            "The next paragraph says that they went on and on without it, all of them, until at "
            "last the evening came.",
        ),
        ("list", "- oil for the lamps"),
        ("list", "- rope"),
        ("list", "2. sails"),
    ]


async def test_a_chunk_of_short_pages_knows_where_each_begins(extractor: ChildExtractor) -> None:
    pages = ("First of all.", "Plums ripen in August.", "The end.")

    def write(pdf: FPDF) -> None:
        for number, text in enumerate(pages):
            if number:
                pdf.add_page()
            lines(pdf, text)

    extracted = await extractor.extract(a_pdf(write), PDF)
    (chunk,) = cut(extracted)
    assert chunk.page == 1
    assert chunk.page_starts == tuple(extracted.text.index(text) for text in pages[1:])


async def test_pages_are_told_and_what_repeats_on_each_is_left_out(
    extractor: ChildExtractor,
) -> None:
    shares: list[float] = []
    extracted = await extractor.extract(a_book(20), PDF, on_progress=shares.append)
    assert "The Harbour, page" not in extracted.text
    assert len(extracted.pages) == 20
    for number, start in enumerate(extracted.pages, 1):
        assert extracted.text.startswith(f"Chapter {number}\n\nThe harbour was quiet", start)
    chunks = cut(extracted)
    assert {(chunk.page, chunk.heading) for chunk in chunks} == {
        (number, f"Chapter {number}") for number in range(1, 21)
    }
    assert shares == sorted(shares)
    assert len(shares) > 10


async def test_columns_are_read_one_after_the_other(extractor: ChildExtractor) -> None:
    def write(pdf: FPDF) -> None:
        with pdf.text_columns(ncols=2, gutter=10) as columns:
            columns.write(" ".join(f"word{number}" for number in range(700)))

    extracted = await extractor.extract(a_pdf(write), PDF)
    assert extracted.text.split() == [f"word{number}" for number in range(700)]
    assert len(extracted.blocks) <= 2


async def test_a_password_is_asked_for_by_no_one(extractor: ChildExtractor) -> None:
    locked = a_pdf(a_letter, owner_password="a", user_password="b")
    with pytest.raises(ExtractionError, match="protected by a password"):
        await extractor.extract(locked, PDF)
    printable = a_pdf(a_letter, owner_password="a")
    assert "government" in (await extractor.extract(printable, PDF)).text


async def test_pictures_of_pages_are_no_text(extractor: ChildExtractor) -> None:
    scan = io.BytesIO()
    Image.radial_gradient("L").save(scan, "PNG")
    with pytest.raises(ExtractionError, match="pictures of pages and no text"):
        await extractor.extract(a_pdf(lambda pdf: pdf.image(scan, w=100) and None), PDF)
    with pytest.raises(ExtractionError, match=r"holds no text\."):
        await extractor.extract(a_pdf(lambda _: None), PDF)


async def test_a_broken_file_says_so(extractor: ChildExtractor) -> None:
    whole = a_pdf(a_letter)
    for broken in (b"%PDF-1.7\n", whole[:300], b"%PDF-1.4\n" + bytes(range(256)) * 40):
        with pytest.raises(ExtractionError, match=r"damaged|no text"):
            await extractor.extract(broken, PDF)
    for other in (b"", b"hello", b"\x89PNG\r\n\x1a\n"):
        with pytest.raises(ExtractionError, match="is not a PDF"):
            await extractor.extract(other, PDF)


async def test_a_file_may_begin_late_and_lose_its_end(extractor: ChildExtractor) -> None:
    whole = a_pdf(a_letter)
    assert "evening" in (await extractor.extract(b"\n\n" + whole + b"trailing", PDF)).text


async def test_deep_nesting_and_circles_hurt_nobody(extractor: ChildExtractor) -> None:
    deep = b"<</Type/Catalog/Pages 2 0 R/X %b%b>>" % (b"[" * 200_000, b"]" * 200_000)
    circle = b"<</Type/Pages/Kids[2 0 R 2 0 R]/Count 1000000/Parent 2 0 R>>"
    pages = b"<</Type/Pages/Kids[]/Count 0>>"
    for objects in ([deep, pages], [b"<</Type/Catalog/Pages 2 0 R>>", circle]):
        with pytest.raises(ExtractionError):
            await build(Limits(cpu_seconds=2)).extract(a_raw_pdf(objects), PDF)


async def test_a_stream_that_swells_is_given_up() -> None:
    bomb = a_page_with(b"q 1 0 0 1 0 0 cm Q " * 20_000_000)
    assert len(bomb) < 2_000_000
    with pytest.raises(ExtractionError):
        await build(Limits(cpu_seconds=2)).extract(bomb, PDF)


async def test_a_page_of_endless_text_is_given_up() -> None:
    bomb = a_page_with(b"BT /F 9 Tf (aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa) Tj ET " * 1_000_000)
    with pytest.raises(ExtractionError):
        await build(Limits(cpu_seconds=2)).extract(bomb, PDF)
