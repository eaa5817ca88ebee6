"""What is kept of a model's answer when it was asked for a title."""

import pytest

from palaver.domain.titles import EXCERPT_MAX_LENGTH, title_of, title_request


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("Greeting the World", "Greeting the World"),
        ('"Greeting the World."', "Greeting the World"),
        ("\u201eReise nach Rom\u201c", "Reise nach Rom"),
        ("\u00ab Voyage \u00e0 Rome \u00bb", "Voyage \u00e0 Rome"),
        ("\u300a\u4f60\u597d\u4e16\u754c\u300b", "\u4f60\u597d\u4e16\u754c"),
        ("one two three four five six seven", "one two three four five"),
        ("first, second, third, fourth, fifth, sixth", "first, second, third, fourth, fifth"),
        ("**Title:** Bread", "Bread"),
        ("# Title: Bread", "Bread"),
        ("Titel: Brot", "Brot"),
        ("\u6807\u9898\uff1a\u9762\u5305", "\u9762\u5305"),
        ("Here is a title:\n\n*Baking Bread*", "Baking Bread"),
        ("Baking Bread\n\nThis title says what it is about.", "Baking Bread"),
        ("```\nBaking Bread\n```", "Baking Bread"),
        ("- [Bread](https://example.org)", "Bread"),
        ("`snake_case` in __Python__", "snake_case in Python"),
        ("Learning C# and C++", "Learning C# and C++"),
        ("Why bread?", "Why bread?"),
        ("  Baking\t\x00 bread\x1b \r\n", "Baking bread"),
        ("<think>What could it be?\nBread!</think>\nBaking Bread", "Baking Bread"),
        ("x" * 600, "x" * 500),
    ],
)
def test_a_title_is_freed_of_what_is_around_it(text: str, title: str) -> None:
    assert title_of(text) == title


@pytest.mark.parametrize("text", ["", " \n", '""', "**", "...", "<think>Hm. I never", "\x00", "#"])
def test_what_holds_no_words_is_no_title(text: str) -> None:
    assert title_of(text) is None


def test_what_is_asked_holds_both_sides_in_short() -> None:
    text = title_request("question " * 1_000, "answer").text
    assert "question question" in text
    assert text.endswith("answer")
    assert len(text) < EXCERPT_MAX_LENGTH + 500
