import pytest

from palaver.domain.accounts import (
    AccountPolicy,
    Registration,
    Taken,
    email_key,
    login_key,
    phone_key,
    username_key,
)
from palaver.domain.errors import ErrorKind, Fault, InvalidInput
from palaver.domain.passwords import PasswordPolicy
from tests.cast import a_registration


def faults(**fields):
    try:
        a_registration(**fields).checked(PasswordPolicy.STANDARD)
    except InvalidInput as error:
        return [(fault.field, fault.fault) for fault in error.faults]
    return []


@pytest.mark.parametrize(
    "username", ["ann", "Zoë", "अनिता", "李雷", "o.k-_+1", "x" * 150, " padded "]
)
def test_names_of_every_script_are_taken(username):
    assert faults(username=username) == []


@pytest.mark.parametrize(
    ("username", "fault"),
    [
        ("", Fault.BLANK),
        ("  ", Fault.BLANK),
        ("x" * 151, Fault.TOO_LONG),
        ("two words", Fault.WRONG_FORMAT),
        ("nul\0", Fault.WRONG_FORMAT),
        ("half\ud800", Fault.WRONG_FORMAT),
        ("invisible\u200b", Fault.WRONG_FORMAT),
        ("line\nbreak", Fault.WRONG_FORMAT),
        ("ann@example.org", Fault.NOT_ALLOWED),
    ],
)
def test_a_name_that_cannot_be_is_refused(username, fault):
    assert faults(username=username) == [("username", fault)]


def test_an_at_sign_is_fine_in_ones_own_email_address():
    assert faults(username="Ann@Example.org", email="ann@example.ORG") == []
    assert faults(username="bob@example.org", email="ann@example.org") == [
        ("username", Fault.NOT_ALLOWED)
    ]


@pytest.mark.parametrize(
    "email", ["user@example.com", "a.b+c@sub.example.co", "x@localhost", "jörg@müller.de", ""]
)
def test_email_addresses_are_taken(email):
    assert faults(email=email) == []


@pytest.mark.parametrize(
    "email",
    [
        "nobody",
        "@example.com",
        "a@",
        "a@b",
        "a b@example.com",
        "a@example..com",
        "a..b@example.com",
        "a@-example.com",
        "a@b@example.com",
        "x" * 65 + "@example.com",
        "nul\0@example.com",
    ],
)
def test_what_is_no_email_address_is_refused(email):
    assert faults(email=email) == [("email", Fault.WRONG_FORMAT)]


@pytest.mark.parametrize("phone_number", ["+1234567890", "030 / 1234-567", "+49 (0)30 123456"])
def test_phone_numbers_are_taken(phone_number):
    assert faults(phone_number=phone_number) == []


@pytest.mark.parametrize("phone_number", ["call me", "12", "+", "1" * 21, "12\x0034"])
def test_what_is_no_phone_number_is_refused(phone_number):
    assert faults(phone_number=phone_number) == [("phone_number", Fault.WRONG_FORMAT)]


def test_every_wrong_field_is_named_at_once():
    wrong = faults(username="", email="nobody", phone_number="x", name="\0", password="short")
    assert [field for field, _ in wrong] == [
        "username", "email", "phone_number", "name", "password",
    ]  # fmt: skip


def test_fields_are_stored_without_the_spaces_around_them():
    clean = a_registration(username=" ann ", email=" ", name=" Ann ").checked(
        PasswordPolicy.STANDARD
    )
    assert (clean.username, clean.email, clean.name) == ("ann", None, "Ann")


def test_names_are_the_same_without_regard_to_case_width_and_composition():
    assert username_key("\uff21\uff2e\uff2e") == username_key("ann")
    assert username_key("Zoe\u0308") == username_key("zoë")
    assert username_key("STRASSE") == username_key("straße")
    assert email_key("Ann@Example.org") == email_key("ann@example.org")
    assert email_key(None) is None
    assert phone_key("+49 30 12-34") == phone_key("+49301234")


@pytest.mark.parametrize("name", ["", " ", "x" * 255, "nul\0", "half\ud800"])
def test_what_nobody_can_be_called_is_no_login(name):
    assert login_key(name) is None


def test_secrets_stay_out_of_what_is_printed():
    assert "abc" not in repr(AccountPolicy(secret_key="abc", bootstrap_token="abc"))
    assert "abc" not in repr(Registration(username="ann", password="abc"))


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        (("username", "email"), ErrorKind.USERNAME_TAKEN),
        (("email",), ErrorKind.EMAIL_TAKEN),
        (("phone_number",), ErrorKind.CONFLICT),
    ],
)
def test_what_is_taken_is_told_by_its_first_field(fields, kind):
    assert Taken(fields).kind is kind
