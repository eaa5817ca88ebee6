"""Decimal numbers go in and out exactly."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from palaver.domain.checks import Checks, render_decimal
from palaver.domain.errors import InvalidInput


def parsed(text: str | int, *, places: int = 2, most: int = 1_000_000) -> int:
    checks = Checks()
    number = checks.decimal("price", text, places=places, most=most)
    checks.end()
    return number


@given(number=some.integers(0, 10**8), places=some.integers(2, 6))
def test_what_is_written_is_read_again(number: int, places: int) -> None:
    written = render_decimal(number, places=places)
    assert parsed(written, places=places, most=10**8) == number
    assert len(written.partition(".")[2]) >= 2


@pytest.mark.parametrize(
    ("given", "number"),
    [("9.99", 999), ("9.9", 990), ("9", 900), (9, 900), ("0", 0), ("007", 700), ("1000000", 10**8)],
)
def test_decimals_are_counted_in_their_smallest_unit(given: str | int, number: int) -> None:
    assert parsed(given) == number


@pytest.mark.parametrize(
    "given",
    ["", ".", "1.", ".5", "1,5", "1e2", "+1", " 1", "1 ", "٣", "0x1", "1.234", "1_0", "NaN", "-"],
)
def test_what_is_no_decimal_is_refused(given: str) -> None:
    with pytest.raises(InvalidInput):
        parsed(given)


@pytest.mark.parametrize("given", ["-0.01", "-0", -1, "1000000.01", 1_000_001, 10**40, "9" * 15])
def test_what_is_out_of_bounds_is_refused(given: str | int) -> None:
    with pytest.raises(InvalidInput):
        parsed(given)


def test_a_multiplier_is_above_zero() -> None:
    checks = Checks()
    checks.decimal("multiplier", "0.00", places=2, most=10, least=1)
    with pytest.raises(InvalidInput, match=r"at least 0\.01"):
        checks.end()
