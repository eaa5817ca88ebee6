"""Stems bring the forms of a word together, in any language, and leave what is no word alone."""

import pytest

from palaver.kit.stems import stem
from palaver.kit.words import words


@pytest.mark.parametrize(
    "forms",
    [
        "reset resets resetting",
        "work works working worked worker",
        "city cities",
        "delete deleted deleting deletion",
        "run running runs",
        "Kündigung kündigen Kündigungen",
        "Straße Straßen",
        "сообщение сообщения сообщений",
        "مكتبة المكتبة والمكتبة",
        "maison maisons",
        "connexion connexions",
        "configuración configuraciones configurar",
    ],
)
def test_forms_of_a_word_have_one_stem(forms):
    assert len({stem(word) for word in words(forms)}) == 1


def test_a_pair_of_chinese_characters_has_its_first():
    assert [stem(word) for word in words("喝绿茶")] == ["喝", "绿", "茶"]


@pytest.mark.parametrize(
    "word", ["x86", "2024", "the", "a", "", "データ", "ที่", "안녕", "h2o", "us"]
)
def test_what_has_no_endings_stays(word):
    assert stem(word) == word
