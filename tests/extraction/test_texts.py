"""Plain text and Markdown: the text stays as it is, whatever its encoding."""

# ruff: noqa: RUF001

import pytest

from palaver.domain.extraction import Extracted, ExtractionError
from palaver.outbound.extractor import ChildExtractor

RUSSIAN = "Корабли вернулись в гавань сегодня утром."
ARABIC = "عادت السفن إلى الميناء اليوم"
JAPANESE = "船は今朝、港に帰ってきました。とても嬉しいです。"
CHINESE = "我们的船已经回来了，他们说这个地方很好。"
KOREAN = "배가 오늘 아침에 항구로 돌아왔습니다. 우리는 매우 기쁩니다."


def shown(extracted: Extracted) -> list[tuple[str, str]]:
    """Return the kinds and texts of the blocks."""
    text = extracted.text
    return [(block.kind, text[block.start : block.end]) for block in extracted.blocks]


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (RUSSIAN, "utf-8"),
        (RUSSIAN, "utf-8-sig"),
        (JAPANESE, "utf-16"),
        ("Plain words.", "utf-16-le"),
        ("Plain words.", "utf-16-be"),
        ("Grüße aus Österreich – „schön“", "cp1252"),
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "koi8_r"),
        (ARABIC, "cp1256"),
        (JAPANESE, "shift_jis"),
        (JAPANESE, "euc_jp"),
        (CHINESE, "gb18030"),
        (KOREAN, "euc_kr"),
    ],
)
async def test_an_encoding_that_nobody_names_is_found(
    extractor: ChildExtractor, text: str, encoding: str
) -> None:
    assert (await extractor.extract(text.encode(encoding), "text/plain")).text == text


async def test_an_encoding_that_is_named_is_taken(extractor: ChildExtractor) -> None:
    read = extractor.extract
    assert (await read("Ž".encode("iso8859-2"), "text/plain; charset=iso-8859-2")).text == "Ž"
    assert (await read("“é”".encode("cp1252"), 'text/plain; charset="latin1"')).text == "“é”"
    assert (await read("é".encode(), "text/plain; charset=rot13")).text == "é"


async def test_no_byte_fails_and_no_byte_that_is_no_text_stays(extractor: ChildExtractor) -> None:
    every = bytes(range(32, 256)) * 4 + b"a\0b\x0cc\r\nd\re"
    text = (await extractor.extract(every, "text/plain")).text
    assert text.endswith("ab\nc\nd\ne")
    assert "\0" not in text


async def test_paragraphs_stand_between_blank_lines(extractor: ChildExtractor) -> None:
    extracted = await extractor.extract(b"\n one\ntwo\n \n\nthree\n", "text/plain")
    assert extracted.text == "\n one\ntwo\n \n\nthree\n"
    assert shown(extracted) == [("paragraph", " one\ntwo"), ("paragraph", "three")]
    assert [span.end for span in extracted.spans] == [18]


MARKDOWN = """\
---
title: no heading
---
# The Harbour #

Boats come.
They go.

Evening
-------
* oil
  and rope

  for two
* sails
1. x

       deep

> It was quiet,
said he.

| a | b |
|---|--:|
| 1 | 2 |
```py
# no heading

```
***
    indented

The end.
"""


async def test_the_blocks_of_markdown_are_told_by_its_marks(extractor: ChildExtractor) -> None:
    extracted = await extractor.extract(MARKDOWN.encode(), "text/markdown; charset=utf-8")
    assert extracted.text == MARKDOWN
    assert extracted.title == "The Harbour"
    assert shown(extracted) == [
        ("code", "---\ntitle: no heading\n---"),
        ("heading", "# The Harbour #"),
        ("paragraph", "Boats come.\nThey go."),
        ("heading", "Evening\n-------"),
        ("list", "* oil\n  and rope\n\n  for two"),
        ("list", "* sails"),
        ("list", "1. x\n\n       deep"),
        ("quote", "> It was quiet,\nsaid he."),
        ("table", "| a | b |\n|---|--:|\n| 1 | 2 |"),
        ("code", "```py\n# no heading\n\n```"),
        ("code", "    indented"),
        ("paragraph", "The end."),
    ]
    assert [block.level for block in extracted.blocks if block.kind == "heading"] == [1, 2]
    assert {span.heading for span in extracted.spans} >= {"The Harbour › Evening"}


@pytest.mark.parametrize("content", [b"", b" \n\t ", b"\xef\xbb\xbf", b"\xff\xfe"])
async def test_an_empty_file_is_refused(extractor: ChildExtractor, content: bytes) -> None:
    for mime_type in ("text/plain", "text/markdown", "text/html"):
        with pytest.raises(ExtractionError, match="no text"):
            await extractor.extract(content, mime_type)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"%PDF-1.7 whatever", "It is a PDF"),
        (b"PK\x03\x04whatever", "ZIP archive"),
        (b"\x7fELF\x02\x01\x01" + bytes(100), "a program"),
        (bytes(range(256)) * 64, "something else"),
        (bytes(1000), "something else"),
    ],
)
async def test_what_is_no_text_is_refused(
    extractor: ChildExtractor, content: bytes, words: str
) -> None:
    with pytest.raises(ExtractionError, match=words):
        await extractor.extract(content, "text/plain")


async def test_more_text_than_can_be_taken_is_refused(extractor: ChildExtractor) -> None:
    with pytest.raises(ExtractionError, match="20 million"):
        await extractor.extract(b"twenty-one million. " * 1_050_000, "text/plain")
    with pytest.raises(ExtractionError, match="500,000"):
        await extractor.extract(b"a\n\n" * 500_001, "text/plain")


async def test_a_single_broken_character_makes_no_text_another_file(
    extractor: ChildExtractor,
) -> None:
    assert (await extractor.extract(b"Price \x00 5", "text/plain")).text == "Price  5"


async def test_a_kind_that_nobody_reads_is_refused(extractor: ChildExtractor) -> None:
    with pytest.raises(ExtractionError, match="Files of this kind"):
        await extractor.extract(b"x", "application/octet-stream")
