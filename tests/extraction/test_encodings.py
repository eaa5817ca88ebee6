"""The encodings of old files: found where nobody names them, taken where somebody does."""

# ruff: noqa: RUF001

import pytest

from palaver.extraction.encodings import decode
from palaver.extraction.html import text_of_html
from palaver.extraction.plain import read_plain
from tests.extraction.languages import LANGUAGES, cases


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_text_in_any_of_these_languages_is_read_as_it_was_written(language: str) -> None:
    for _, encoding, text in (case for case in cases() if case[0] == language):
        try:
            content = text.encode(encoding)
        except UnicodeEncodeError:  # that language is written in it, but not this sentence
            continue
        assert decode(content) == text, encoding
        assert decode(text.encode()) == text
        assert decode(text.encode("utf-16")) == text


def test_all_of_them_can_be_written_in_the_first_of_their_encodings() -> None:
    for encodings, sentences in LANGUAGES.values():
        for sentence in sentences:
            assert sentence.encode(encodings[0])


def test_a_page_that_names_no_charset_is_read_as_a_text_is() -> None:
    for encodings, sentences in LANGUAGES.values():
        page = f"<title>x</title><p>{sentences[0]}</p>".encode(encodings[0])
        assert text_of_html(page)[1].text == sentences[0]


@pytest.mark.parametrize(
    ("text", "charset"),
    [
        ("Text im Café", "latin-1"),
        ("Preis 100 €", "cp1252"),
        ("größe", "iso-8859-1"),
        ("é", "windows-1252"),
        ("Žluťoučký", "iso-8859-2"),
        ("да", "koi8-r"),
    ],
)
def test_a_charset_that_is_named_is_taken_up_to_the_last_byte(text: str, charset: str) -> None:
    assert read_plain(text.encode(charset), charset=charset).text == text


def test_a_text_that_is_cut_off_in_a_character_stays_what_it_is() -> None:
    content = "Grüße aus Köln – schön".encode()
    for length in range(len(content) - 3, len(content)):
        for charset in (None, "latin-1"):
            assert decode(content[:length], charset).startswith("Grüße aus Köln")
    assert decode("Größe €".encode()[:-1]) == "Größe \ufffd"


def test_a_text_without_letters_beyond_ascii_is_western() -> None:
    assert decode("“x” – 5 €".encode("cp1252")) == "“x” – 5 €"
    assert decode("10 °C, § 5".encode("latin-1")) == "10 °C, § 5"
