"""One-time codes are those of RFC 6238, and what people type is read as they meant it."""

import base64
from urllib.parse import parse_qs, urlsplit

import pytest

from palaver.domain import otp
from palaver.kit.clock import SECOND

SECRET = base64.b32encode(b"12345678901234567890").decode()
STEP = otp.PERIOD_SECONDS * SECOND


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "94287082"),
        (1111111109, "07081804"),
        (1111111111, "14050471"),
        (1234567890, "89005924"),
        (2000000000, "69279037"),
        (20000000000, "65353130"),
    ],
)
def test_the_codes_are_those_of_the_specification(seconds: int, code: str) -> None:
    """RFC 6238, appendix B; its codes have eight digits, of which ours are the last six."""
    assert otp.code_of(SECRET, otp.step_at(seconds * SECOND)) == code[2:]


def test_a_clock_may_be_one_step_off_and_no_more() -> None:
    now = otp.step_at(2_000_000_000 * SECOND)
    found = {
        skew: otp.matching_step(SECRET, otp.code_of(SECRET, now + skew), at=now * STEP, after=0)
        for skew in range(-3, 4)
    }
    assert found == {-3: None, -2: None, -1: now - 1, 0: now, 1: now + 1, 2: None, 3: None}


def test_a_step_that_was_used_is_not_found_again_and_none_before_it() -> None:
    now = otp.step_at(2_000_000_000 * SECOND)
    for skew in (-1, 0):
        code = otp.code_of(SECRET, now + skew)
        assert otp.matching_step(SECRET, code, at=now * STEP, after=now) is None
    later = otp.code_of(SECRET, now + 1)
    assert otp.matching_step(SECRET, later, at=now * STEP, after=now) == now + 1


def test_a_secret_is_as_long_as_its_hash() -> None:
    assert len(base64.b32decode(otp.new_secret())) == 20
    assert otp.new_secret() != otp.new_secret()


def test_the_address_for_apps_holds_what_they_need() -> None:
    uri = urlsplit(otp.otpauth_uri(SECRET, account="a/da@x?"))
    assert (uri.scheme, uri.netloc, uri.path) == ("otpauth", "totp", "/Palaver:a%2Fda%40x%3F")
    assert parse_qs(uri.query) == {
        "secret": [SECRET],
        "issuer": ["Palaver"],
        "algorithm": ["SHA1"],
        "digits": ["6"],
        "period": ["30"],
    }


@pytest.mark.parametrize("given", ["123456", " 123 456 ", "123-456"])
def test_digits_are_read_however_they_are_spaced(given: str) -> None:
    assert otp.given_digits(given) == "123456"


@pytest.mark.parametrize(
    "given", ["", "12345", "1234567", "12345a", "\N{FULLWIDTH DIGIT ONE}23456", "x" * 10_000]
)
def test_what_is_no_code_is_none(given: str) -> None:
    assert otp.given_digits(given) is None


def test_a_recovery_code_is_read_however_it_was_written_down() -> None:
    code = otp.new_recovery_code()
    assert [len(part) for part in code.split("-")] == [4, 4, 4, 4]
    for given in (code, code.upper(), code.replace("-", ""), f" {code.replace('-', ' ')} "):
        assert otp.given_recovery_code(given) == code
    for given in ("", code[:-1], code + "a", code[:-1] + "1", "é" * 16):
        assert otp.given_recovery_code(given) is None


def test_wrong_codes_in_a_row_make_the_next_one_wait() -> None:
    waits = [otp.blocked_seconds(failures) for failures in range(9, 20)]
    assert waits == [0, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
    assert otp.blocked_seconds(10**9) == 3600
