import base64
import json

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import OctKey

from palaver.kit.clock import SECOND
from palaver.services.tokens import Tokens, fingerprint, is_same_secret

TOKENS = Tokens("a secret key of the server")
AT = 1_760_000_000 * SECOND


def a_token(type="access", *, tokens=TOKENS, expires_at=AT + 60 * SECOND):
    return tokens.encode(
        type, user_uuid="user", session_uuid="session", at=AT, expires_at=expires_at
    )


def part(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def signed(claims, *, key=TOKENS._jwt_key):
    header = {"alg": "HS256", "typ": "JWT"}
    return jwt.encode(header, claims, key, default_type=None)


def claims_of(token):
    body = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))


def test_a_token_says_whose_it_is_what_for_and_until_when():
    claims = claims_of(a_token())
    assert len(claims.pop("jti")) >= 12
    assert claims == {
        "sub": "user",
        "sid": "session",
        "typ": "access",
        "iat": AT // SECOND,
        "exp": AT // SECOND + 60,
    }


def test_two_tokens_are_never_the_same():
    assert a_token() != a_token()


def test_a_token_is_read_until_it_runs_out():
    token = a_token()
    assert TOKENS.decode(token, "access", at=AT + 60 * SECOND - 1).sid == "session"
    assert TOKENS.decode(token, "access", at=AT + 60 * SECOND) is None


def test_a_token_of_another_type_or_server_is_none():
    assert TOKENS.decode(a_token(), "refresh", at=AT) is None
    assert TOKENS.decode(a_token("refresh"), "access", at=AT) is None
    assert TOKENS.decode(a_token(tokens=Tokens("another")), "access", at=AT) is None


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none"},
        {"alg": "HS512"},
        {"alg": "RS256"},
        {"alg": "HS256", "crit": 5},
        {"alg": "HS256", "jwk": {}},
        {},
        ["alg"],
        "alg",
        None,
    ],
    ids=str,
)
def test_the_token_does_not_choose_how_it_is_checked(header):
    _, body, signature = a_token().split(".")
    for end in (signature, ""):
        assert TOKENS.decode(f"{part(header)}.{body}.{end}", "access", at=AT) is None


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"sub": "user", "sid": "session", "typ": "access", "iat": 1, "jti": "x"},
        {"sub": 1, "sid": "session", "typ": "access", "iat": 1, "exp": 2**40, "jti": "x"},
        {"sub": "user", "sid": "session", "typ": "access", "iat": 1, "exp": "x", "jti": "x"},
    ],
)
def test_a_signature_alone_makes_no_token(claims):
    assert TOKENS.decode(signed(claims), "access", at=AT) is None


def test_the_secret_key_itself_signs_nothing():
    key = OctKey.import_key(b"a secret key of the server")
    assert TOKENS.decode(signed(claims_of(a_token())), "access", at=AT) is not None
    assert TOKENS.decode(signed(claims_of(a_token()), key=key), "access", at=AT) is None


@given(st.text() | st.from_regex(r"\A[A-Za-z0-9_-]{0,60}\.[A-Za-z0-9_-]{0,60}\Z"))
def test_what_is_no_token_is_none(text):
    header = a_token().partition(".")[0]
    for token in (text, f"{header}.{text}"):
        assert TOKENS.decode(token, "access", at=AT) is None


# The last character is spared: it has bits that mean nothing.
@given(st.integers(0, len(a_token()) - 2), st.sampled_from("Aa0_-.=") | st.characters())
def test_a_token_that_was_changed_anywhere_is_none(place, character):
    token = a_token()
    assume(character != token[place])
    changed = token[:place] + character + token[place + 1 :]
    assert TOKENS.decode(changed, "access", at=AT) is None


@given(st.text(), st.text())
def test_a_csrf_token_is_good_for_its_cookie_only(cookie, other):
    token = TOKENS.csrf_token(cookie)
    assert TOKENS.is_csrf_token(cookie, token)
    assert TOKENS.is_csrf_token(other, token) is (other == cookie)
    assert not Tokens("another").is_csrf_token(cookie, token)


def test_a_fingerprint_does_not_show_the_secret():
    assert fingerprint("secret") == fingerprint("secret") != fingerprint("Secret")
    assert len(fingerprint("\ud800")) == 64


def test_secrets_of_any_text_can_be_compared():
    assert is_same_secret("é", "é")
    assert not is_same_secret("é", "\ud800")
