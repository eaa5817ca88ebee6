"""Text as every database takes it."""

import pytest

from palaver.kit.text import is_storable, storable


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("", ""),
        ("plain", "plain"),
        ("Grüße 世界 😀", "Grüße 世界 😀"),
        ("a\0b", "a\ufffdb"),
        ("\ud83d\ude00", "😀"),  # halves that belong together
        ("x\ud83dy", "x\ufffdy"),
        ("\ude00\ud83d", "\ufffd\ufffd"),
    ],
)
def test_what_no_database_takes_is_replaced(given: str, kept: str) -> None:
    assert storable(given) == kept
    assert is_storable(given) == (given == kept)
    assert is_storable(kept)
