"""What is sealed can be read by its owner's row and this server's key, and by nothing else."""

import pytest

from palaver.services.sealing import Sealer, Unsealable
from tests.cast import SECRET_KEY

SEALER = Sealer(SECRET_KEY, "tests")
TEXT = "whsec_\N{SNOWMAN}"


def test_a_text_comes_back() -> None:
    sealed = SEALER.seal(TEXT, bound_to="row 1")
    assert TEXT not in sealed
    assert Sealer(SECRET_KEY, "tests").open(sealed, bound_to="row 1") == TEXT


def test_no_two_sealed_texts_are_the_same() -> None:
    assert SEALER.seal(TEXT, bound_to="") != SEALER.seal(TEXT, bound_to="")


@pytest.mark.parametrize(
    ("sealer", "bound_to"),
    [
        (Sealer(SECRET_KEY, "another purpose"), "row 1"),
        (Sealer(SECRET_KEY[::-1], "tests"), "row 1"),
        (SEALER, "row 2"),
    ],
)
def test_nothing_else_opens_it(sealer: Sealer, bound_to: str) -> None:
    sealed = SEALER.seal(TEXT, bound_to="row 1")
    with pytest.raises(Unsealable):
        sealer.open(sealed, bound_to=bound_to)


def test_what_is_damaged_is_not_opened() -> None:
    sealed = SEALER.seal(TEXT, bound_to="")
    changed = sealed[:-6] + ("A" if sealed[-6] != "A" else "B") + sealed[-5:]
    for damaged in ("", "v1.", "v1.!", "v2." + sealed[3:], sealed[:-8], changed):
        with pytest.raises(Unsealable):
            SEALER.open(damaged, bound_to="")
