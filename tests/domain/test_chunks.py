"""Cutting: what holds for every text, and where the cuts fall in real ones."""

# ruff: noqa: RUF001

from itertools import pairwise
from typing import get_args

from hypothesis import example, given
from hypothesis import strategies as st

from palaver.domain.chunks import MAX_TOKENS, cut, find_spans
from palaver.domain.documents import Chunk
from palaver.domain.extraction import Block, BlockKind, Extracted
from palaver.domain.tokens import estimate_tokens

PROSE = "The harbour was quiet. Nobody had seen the boats since noon! Would they come back? "
PLACES = st.integers(-3, 400)
BLOCKS = st.builds(Block, st.sampled_from(get_args(BlockKind)), PLACES, PLACES, st.integers(0, 7))
LETTERS = st.sampled_from("ab Z9.!?\n\t #|-。、漢かа́ا\u3000\u0301\N{WAVING HAND SIGN}")
TEXTS = st.text(LETTERS, max_size=400) | st.builds(
    lambda text, times: text * times, st.text(LETTERS, max_size=40), st.integers(1, 300)
)


@given(TEXTS, st.lists(BLOCKS, max_size=12), st.lists(st.integers(0, 400), max_size=4))
@example("漢" * 5_000, [], [])
@example(" " * 50_000 + "a", [], [])
@example("a" + "\N{COMBINING ACUTE ACCENT}" * 5_000, [Block("heading", 0, 5_000, 1)], [0])
def test_chunks_are_slices_in_order_and_lose_nothing_but_whitespace(
    text: str, blocks: list[Block], pages: list[int]
) -> None:
    extracted = Extracted(text, tuple(blocks), tuple(sorted(pages)))
    chunks = cut(extracted)
    kept = ""
    for number, chunk in enumerate(chunks):
        assert chunk.number == number
        assert chunk.text == text[chunk.start : chunk.end] == chunk.text.strip() != ""
        assert len(chunk.text) <= 2_100
        kept += chunk.text
    for before, after in pairwise(chunks):
        assert before.end <= after.start
        assert not text[before.end : after.start].strip()
    assert "".join(kept.split()) == "".join(text.split())
    assert cut(Extracted(text, (), extracted.pages, None, find_spans(extracted))) == chunks


def whole(*parts: tuple[BlockKind, str, int], between: str = "\n\n") -> Extracted:
    """Return a document of blocks."""
    text, blocks = "", []
    for kind, words, level in parts:
        text += between if text else ""
        blocks.append(Block(kind, len(text), len(text) + len(words), level))
        text += words
    return Extracted(text, tuple(blocks))


def sizes(chunks: list[Chunk]) -> list[int]:
    return [estimate_tokens(chunk.text) for chunk in chunks]


def test_a_heading_starts_a_chunk_and_names_its_path() -> None:
    chunks = cut(
        whole(
            ("heading", "# Guide", 1),
            ("paragraph", "How it goes.", 0),
            ("heading", "Install\n-------", 2),
            ("heading", "### On  Linux ###", 3),
            ("paragraph", "Type make.", 0),
            ("heading", "## C# and F#", 2),
            ("paragraph", "None.", 0),
        )
    )
    assert [chunk.heading for chunk in chunks] == [
        "Guide",
        "Guide › Install › On Linux",
        "Guide › C# and F#",
    ]
    assert chunks[1].text.startswith("Install\n-------\n\n### On  Linux")


def test_short_paragraphs_stand_together_and_none_is_cut() -> None:
    paragraphs = [PROSE.strip()] * 100
    chunks = cut(whole(*(("paragraph", words, 0) for words in paragraphs)))
    assert all(set(chunk.text.split("\n\n")) == {PROSE.strip()} for chunk in chunks)
    assert max(map(len, (chunk.text for chunk in chunks))) <= 1_600
    assert min(map(len, (chunk.text for chunk in chunks))) >= 1_000


def test_a_long_paragraph_is_cut_between_sentences() -> None:
    chunks = cut(whole(("paragraph", PROSE * 200, 0)))
    assert len(chunks) > 5
    assert all(chunk.text[-1] in ".!?" for chunk in chunks)
    assert max(sizes(chunks)) <= MAX_TOKENS
    assert min(sizes(chunks)) > MAX_TOKENS / 2


def test_chinese_is_cut_between_sentences_without_spaces() -> None:
    chunks = cut(
        whole(("paragraph", "他说：“船已经回来了。”我们都很高兴！港口又热闹起来。" * 100, 0))
    )
    assert all(chunk.text.endswith(("。", "。”", "！")) for chunk in chunks)
    assert not any(chunk.text.startswith("”") for chunk in chunks)
    assert max(len(chunk.text) for chunk in chunks) < 420


def test_code_that_fits_is_whole_and_longer_code_is_cut_between_lines() -> None:
    line = "    total = price * count  # without taxes. Those come later."
    short = "\n".join([line] * 12)
    long = "\n".join([line] * 120)
    chunks = cut(whole(("paragraph", PROSE * 10, 0), ("code", short, 0), ("code", long, 0)))
    assert any(short in chunk.text for chunk in chunks)
    assert all(chunk.text.endswith((".", "!", "?", "later.")) for chunk in chunks)
    assert all(line.strip() in chunk.text for chunk in chunks[3:])


def test_the_page_of_a_chunk_is_the_one_on_which_it_begins() -> None:
    text = "\n\n".join(PROSE * 12 for _ in range(4))
    starts = tuple(n * (len(PROSE) * 12 + 2) for n in range(4))
    chunks = cut(Extracted(text, (), starts))
    assert [chunk.page for chunk in chunks] == [1, 2, 3, 4]
    assert cut(Extracted("a", ()))[0].page is None


def test_a_chunk_says_where_later_pages_begin_within_it() -> None:
    text = "First page.\n\nSecond.\n\nThird page."
    starts = tuple(text.index(page) for page in ("First", "Second", "Third"))
    (chunk,) = cut(Extracted(text, (), starts))
    assert (chunk.page, chunk.page_starts) == (1, starts[1:])
    paragraph = PROSE * 12 + "\n\n"
    chunks = cut(Extracted(paragraph * 2, (), (0, 5, len(paragraph))))
    assert [(chunk.page, chunk.page_starts) for chunk in chunks] == [(1, (5,)), (3, ())]
    (late,) = cut(Extracted(text, (), starts[1:]))
    assert (late.page, late.page_starts) == (1, starts[2:])


def test_nothing_gives_no_chunk() -> None:
    assert cut(Extracted(" \n ", ())) == []


def test_a_very_long_heading_names_nothing_endless() -> None:
    chunks = cut(whole(("heading", "word " * 10_000, 1), ("paragraph", "Text.", 0)))
    assert {len(chunk.heading or "") for chunk in chunks} <= set(range(1, 201))
