"""One tokenizer before both engines: what is a word, and where it stands in the text."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from palaver.kit.words import WORD_MAX_LENGTH, WORDS_MAX, Phrase, Query, _aligned, _image, words

TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=60)
MIXED = st.text("aZ9 -_'ßéﬁÅ①ﾊﾞｶ한국어ㅎㅏ日本語の中文ـَكتبة́̈קמָץไทยकि😀½İ", max_size=40)


def marked(text: str, query: str) -> list[str]:
    return [text[start:end] for start, end in Query(query).spans(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello, World!", ["hello", "world"]),
        ("snake_case isn't camelCase", ["snake", "case", "isn", "t", "camelcase"]),
        ("v3.11 of Python", ["v3", "11", "of", "python"]),
        ("Straße ＦＵＬＬ ﬁne", ["strasse", "full", "fine"]),  # noqa: RUF001
        ("Café naïve Ångström", ["cafe", "naive", "angstrom"]),
        ("cafe\u0301", ["cafe"]),
        ("ёлка и йога", ["елка", "и", "йога"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("كَـــتَبَ أحمد", ["كتب", "احمد"]),
        ("שָׁלוֹם", ["שלום"]),
        ("中文搜索", ["中文", "文搜", "搜索", "索"]),
        ("字", ["字"]),
        ("東京でPythonを", ["東京", "京で", "で", "python", "を"]),
        ("한국어 검색", ["한국", "국어", "어", "검색", "색"]),
        ("ｶﾞｯﾂ", ["ガッ", "ッツ", "ツ"]),
        ("co\u00adoperate", ["cooperate"]),
        ("  \n\t—!?", []),
        ("", []),
    ],
)
def test_a_text_becomes_words(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_a_very_long_word_is_cut_and_a_very_long_text_too() -> None:
    assert words("x" * 1000) == ["x" * WORD_MAX_LENGTH]
    assert len(words("a " * (WORDS_MAX + 5))) == WORDS_MAX
    assert len(words("字" * (WORDS_MAX + 5))) == WORDS_MAX


@given(TEXTS)
def test_words_hold_nothing_that_an_engine_could_read_as_syntax(text: str) -> None:
    for word in words(text):
        assert word
        assert not set(word) & set(" \t\n\r\0_:'\"\\*()^+-&|!<>{},")


@given(TEXTS)
def test_words_of_words_are_the_same_words(text: str) -> None:
    spaced = [word for word in words(text) if words(word) == [word]]
    assert words(" ".join(spaced)) == spaced


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("hello wor", [Phrase(("hello",)), Phrase(("wor",), is_prefix=True)]),
        ("hello wor ", [Phrase(("hello",)), Phrase(("wor",))]),
        ("hello.", [Phrase(("hello",))]),
        ("a", [Phrase(("a",))]),
        ("foo-bar", [Phrase(("foo", "bar"), is_prefix=True)]),
        ('"foo bar" baz ', [Phrase(("foo", "bar")), Phrase(("baz",))]),
        ('"foo bar', [Phrase(("foo",)), Phrase(("bar",), is_prefix=True)]),
        ("中", [Phrase(("中",), is_prefix=True)]),
        ("中文搜索", [Phrase(("中文", "文搜", "搜索"))]),
        (
            "中文Python教程",
            [Phrase(("中文",)), Phrase(("python", "教程"))],
        ),
        ("x x ", [Phrase(("x",))]),
        ("!?", []),
        ("", []),
    ],
)
def test_a_query_becomes_phrases(query: str, expected: list[Phrase]) -> None:
    assert list(Query(query).phrases) == expected
    assert bool(Query(query)) is bool(expected)


@pytest.mark.parametrize(
    ("text", "query", "expected"),
    [
        ("Hello, hello World", "HELLO", ["Hello", "hello"]),
        ("Hello world-wide", "wor", ["world"]),
        ("Hello world-wide", "wor ", []),
        ("Die Straße hier", "strasse ", ["Straße"]),
        ("ﬁne and ①", "fine ", ["ﬁne"]),
        ("un café noir", "cafe ", ["café"]),
        ("un cafe\u0301 noir", "café ", ["cafe\u0301"]),
        ("كَتَبَ الكتاب", "كتب ", ["كَتَبَ"]),
        ("我在学习中文搜索。", "中文", ["中文"]),
        ("我在学习中文搜索。", "索", ["索"]),
        ("a\nb 日本語\nc", "日本 c", ["日本", "c"]),
        ("isn't it", "isn't ", ["isn", "t"]),
        ("nothing", "!", []),
    ],
)
def test_what_was_found_can_be_shown_in_the_text(
    text: str, query: str, expected: list[str]
) -> None:
    assert marked(text, query) == expected


@example("ק\u0640 ทß")  # one letter is dropped, another becomes two
@given(st.one_of(TEXTS, MIXED))
def test_marks_are_exact_in_any_text(text: str) -> None:
    for line in text.split("\n"):
        image, starts, places = _aligned(line)
        assert image == _image(line)
        assert len(starts) == len(places) - 1
    if unicodedata.normalize("NFC", _image(text)) != _image(text):
        return  # letters of a syllable that only a dropped mark has kept apart: nobody writes so
    for word in words(text)[:5]:
        if len(word) < WORD_MAX_LENGTH:
            found = list(Query(f'"{word}"').spans(text))
            assert found
            for start, end in found:
                assert 0 <= start < end <= len(text)
                assert word in "".join(words(text[start:end])) or word in _image(text[start:end])
