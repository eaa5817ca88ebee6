import pytest

from palaver.domain.errors import Fault
from palaver.domain.passwords import PasswordPolicy, is_common, password_faults


def fault(password, **settings):
    found = password_faults(password, **settings)
    return found[0].fault if found else None


@pytest.mark.parametrize(
    "password", ["password", "password123", "mypassword", "x" * 1024, "ÄÖÜäöü12"]
)
def test_the_standard_policy_asks_for_eight_characters(password):
    assert fault(password) is None


def test_a_password_has_8_to_1024_characters():
    assert fault("x" * 7) is Fault.TOO_SHORT
    assert fault("x" * 1025) is Fault.TOO_LONG


@pytest.mark.parametrize("password", ["Ann.Smith", "ann@example.org", " ANN@EXAMPLE.ORG "])
def test_a_password_is_not_ones_name_or_email_address(password):
    assert fault(password, names=("ann.smith", "ann@example.org", None)) is Fault.NOT_ALLOWED


def test_the_strict_policy_asks_for_fifteen_characters_or_a_second_factor():
    strict = {"policy": PasswordPolicy.STRICT}
    assert fault("kumquat-bassoon", **strict) is None
    assert fault("kumquat-basson", **strict) is Fault.TOO_SHORT
    assert fault("kumquat!", has_second_factor=True, **strict) is None


@pytest.mark.parametrize(
    "password",
    [
        "passwordpassword",
        "Password12345678!",
        "P@ssw0rd!2345678",
        "qwertyuiopasdfghjkl",
        "1234567890123456",
        "9876543210987654",
        "abcdefghijklmnopq",
        "aaaaaaaaaaaaaaaa",
        "iloveyouiloveyou2",
        "Letmein-Welcome-2024",
        "1qaz2wsx3edc4rfv",
        "qwertypassword1234",
    ],
)
def test_the_strict_policy_refuses_what_is_guessed_first(password):
    assert is_common(password)
    assert fault(password, policy=PasswordPolicy.STRICT) is Fault.NOT_ALLOWED


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery staple",
        "74839201847362519",
        "tr0ub4dor&3-is-short",
        "gV7#kp2!xQz9Lm4w",
    ],
)
def test_the_strict_policy_takes_what_is_not(password):
    assert not is_common(password)
