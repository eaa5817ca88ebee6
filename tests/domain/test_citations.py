"""Citations: the spans of its sources that an answer rests on."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palaver.domain.citations import QUOTE_MAX_LENGTH, cite
from palaver.domain.sources import Source, SourceKind

HANDBOOK = (
    "Welcome to the company.\nEverybody has thirty days of leave a year. "
    "Leave that is not taken ends in March. Ask your lead first."
)


def a_source(index: int, *, start: int = 0, quote: str = "") -> Source:
    return Source(
        index, SourceKind.DOCUMENT, f"id-{index}", f"Title {index}", start=start, quote=quote
    )


def test_a_mark_cites_the_sentence_that_was_said_before_it() -> None:
    (cited,) = cite(
        "You get thirty days of leave each year [1].", [a_source(1, start=100)], {1: HANDBOOK}
    )
    assert cited.quote == "Everybody has thirty days of leave a year."
    assert HANDBOOK[cited.start - 100 : cited.end - 100] == cited.quote


def test_sentences_that_were_said_as_well_are_cited_too() -> None:
    answer = (
        "Everybody has thirty days of leave a year, and leave that is not taken ends in March [1]"
    )
    (cited,) = cite(answer, [a_source(1)], {1: HANDBOOK})
    assert cited.quote.endswith("ends in March.")
    assert cited.quote.startswith("Everybody")


def test_a_quote_does_not_reach_into_another_paragraph() -> None:
    text = "# Leave\n\nThirty days of leave.\n\nThirty days of leave are enough."
    (cited,) = cite("Thirty days of leave [1]", [a_source(1)], {1: text})
    assert cited.quote == "Thirty days of leave."


def test_sources_that_are_not_named_are_not_cited() -> None:
    assert cite("Thirty days.", [a_source(1)], {1: HANDBOOK}) == ()
    assert cite("Thirty days [2].", [a_source(1)], {1: HANDBOOK}) == ()


@pytest.mark.parametrize(
    "answer",
    [
        "names[1] is the first",
        "```python\nx = [1]\n```",
        "Write `[1]` there.",
        "See [1](https://example.org).",
    ],
)
def test_code_and_links_cite_nothing(answer: str) -> None:
    assert cite(answer, [a_source(1)], {1: HANDBOOK}) == ()


@pytest.mark.parametrize("marks", ["[1][2]", "[1, 2]", "[1] [2]"])
def test_marks_that_stand_together_rest_on_the_same_words(marks: str) -> None:
    answer = f"Thirty days of leave {marks}."
    cited = cite(answer, [a_source(1), a_source(2)], {1: HANDBOOK, 2: HANDBOOK})
    assert [citation.index for citation in cited] == [1, 2]
    assert cited[0].quote == cited[1].quote


def test_a_source_whose_text_nobody_has_is_cited_by_its_quote() -> None:
    (cited,) = cite("It rains [3].", [a_source(3, quote="Rain today.")], {})
    assert (cited.quote, cited.start, cited.end) == ("Rain today.", 0, 11)


def test_chinese_sentences_are_told_apart() -> None:
    text = "公司成立于一九九〇年。每位员工每年有三十天假期。食堂在一楼。"
    (cited,) = cite("员工每年有三十天假期 [1]。", [a_source(1)], {1: text})
    assert cited.quote == "每位员工每年有三十天假期。"


def test_a_quote_is_on_the_page_where_it_begins() -> None:
    pages = ("First page, and long.", "Rain falls on Sunday.", "Last of all.")
    text = "\n\n".join(pages)
    starts = tuple(100 + text.index(page) for page in pages)
    source = msgspec.structs.replace(a_source(1, start=100), page=4, page_starts=starts[1:])
    said = {"First page [1]": 4, "Rain falls [1]": 5, "The last of all [1]": 6, "Nothing [1]": 4}
    for answer, page in said.items():
        (cited,) = cite(answer, [source], {1: text})
        assert cited.page == page
    assert cite("First [1]", [a_source(1)], {1: text})[0].page is None


@given(st.text(max_size=300), st.text(max_size=600))
def test_whatever_is_cited_stands_there(said: str, text: str) -> None:
    for cited in cite(f"{said} [1]", [a_source(1, start=7)], {1: text}):
        assert text[cited.start - 7 : cited.end - 7] == cited.quote
        assert len(cited.quote) <= QUOTE_MAX_LENGTH


def test_of_sentences_that_were_said_alike_the_question_tells_which_is_meant() -> None:
    text = "The gate closes at eight. The cook, who has been here for years and years, is Marta."
    (cited,) = cite(f"> {text} [1]", [a_source(1)], {1: text}, question="When does the gate close?")
    assert cited.quote.startswith("The gate closes at eight.")
    (cited,) = cite("Yes [1].", [a_source(1)], {1: text}, question="Is Marta the cook?")
    assert "Marta" in cited.quote


def test_an_answer_of_nothing_but_marks_is_read_in_one_go() -> None:
    answer = "[1] `a` " * 20_000 + "[" + "1," * 5_000 + "1]"
    (cited,) = cite(answer, [a_source(1)], {1: HANDBOOK})
    assert cited.index == 1
