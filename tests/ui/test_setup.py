"""The form that makes the first administrator: once, by whoever has the token."""

from html import unescape
from urllib.parse import urlencode

import msgspec
import pytest

from palaver.config import Settings
from palaver.domain.users import Role
from palaver.web.call import CSRF_COOKIE, SESSION_COOKIE
from tests.dialects.conftest import BOOTSTRAP_TOKEN
from tests.http import Answer, Palaver, Visitor, running

PATH = "/app/setup"
PASSWORD = "correct horse battery"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
async def visitor(palaver: Palaver) -> Visitor:
    """Give somebody who has not signed in."""
    return palaver.visitor()


async def submitted(visitor: Visitor, **fields: str) -> Answer:
    """Send the form, all well but for `fields`."""
    form = {
        "token": BOOTSTRAP_TOKEN,
        "username": "ada",
        "password": PASSWORD,
        "password_again": fields.get("password", PASSWORD),
    }
    content = urlencode(form | fields).encode()
    return await visitor.post(PATH, content=content, headers=FORM)


def text_of(answer: Answer) -> str:
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return unescape(answer.content.decode())


async def test_the_first_administrator_is_made_and_signed_in(
    palaver: Palaver, visitor: Visitor
) -> None:
    answer = await submitted(visitor)
    assert (answer.status, answer.headers["location"]) == (303, "/")
    assert visitor.cookie(SESSION_COOKIE)
    assert visitor.cookie(CSRF_COOKIE)
    me = (await visitor.get("/auth/me")).json["user"]
    assert (me["username"], me["role"]) == ("ada", Role.ADMIN)


async def test_it_works_once(palaver: Palaver, visitor: Visitor) -> None:
    await submitted(visitor)
    other = palaver.visitor()
    for answer in (await submitted(other, username="eve"), await other.get(PATH)):
        assert answer.status == 403
        assert "Already set up" in text_of(answer)
    assert other.cookie(SESSION_COOKIE) is None


async def test_the_token_of_the_address_is_in_the_form(visitor: Visitor) -> None:
    text = text_of(await visitor.get(f"{PATH}?token=abc"))
    assert '<input type="hidden" name="token" value="abc">' in text
    text = text_of(await visitor.get(PATH))
    assert '<label for="token">' in text


async def test_what_is_in_the_address_cannot_get_out_of_its_place(visitor: Visitor) -> None:
    answer = await visitor.get(PATH + "?token=%22%3E%3Cscript%3E")
    assert b'"><script>' not in answer.content
    answer = await submitted(visitor, username='"><script>')
    assert b'"><script>' not in answer.content


async def test_every_field_has_a_label_and_says_what_fills_it(visitor: Visitor) -> None:
    text = text_of(await visitor.get(PATH))
    for name, filled_by in (("username", "username"), ("password", "new-password")):
        assert f'<label for="{name}">' in text
        assert f'name="{name}"' in text
        assert f'autocomplete="{filled_by}"' in text


async def test_the_page_is_kept_by_nobody(visitor: Visitor) -> None:
    answer = await visitor.get(f"{PATH}?token=abc")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "same-origin"


async def test_every_wrong_field_is_told_beside_it(visitor: Visitor) -> None:
    answer = await submitted(visitor, username="a b", password="short")
    assert answer.status == 400
    text = text_of(answer)
    for name in ("username", "password"):
        assert f'id="{name}-fault"' in text
        assert f'aria-describedby="{name}-fault' in text
    assert text.count('aria-invalid="true"') == 2
    assert 'value="a b"' in text
    assert "short" not in text.replace("too short", "")
    assert 'role="alert"' in text


async def test_two_passwords_that_differ_make_nobody(visitor: Visitor) -> None:
    answer = await submitted(visitor, password_again="another")
    assert answer.status == 400
    assert 'id="password_again-fault"' in text_of(answer)
    assert visitor.cookie(SESSION_COOKIE) is None


async def test_a_wrong_token_makes_nobody_and_can_be_mended(visitor: Visitor) -> None:
    answer = await submitted(visitor, token="wrong")
    assert answer.status == 403
    text = text_of(answer)
    assert 'id="token-fault"' in text
    assert 'type="text" value="wrong"' in text
    assert (await submitted(visitor, token=f" {BOOTSTRAP_TOKEN}\n")).status == 303


async def test_a_name_that_is_taken_is_told(palaver: Palaver, visitor: Visitor) -> None:
    await palaver.person("ada")
    answer = await submitted(visitor)
    assert answer.status == 400
    assert 'id="username-fault"' in text_of(answer)


async def test_guessing_the_token_is_throttled(visitor: Visitor) -> None:
    for _ in range(10):
        assert (await submitted(visitor, token="wrong")).status == 403
    answer = await submitted(visitor, token="wrong")
    assert answer.status == 429
    assert int(answer.headers["retry-after"]) >= 1
    assert "Not so fast" in text_of(answer)


async def test_a_form_of_another_site_is_refused(visitor: Visitor) -> None:
    content = urlencode(
        {"token": BOOTSTRAP_TOKEN, "username": "ada", "password": PASSWORD}
    ).encode()
    for foreign in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        answer = await visitor.post(PATH, content=content, headers=FORM | foreign)
        assert answer.status == 403
        assert "somewhere else" in text_of(answer)
    assert visitor.cookie(SESSION_COOKIE) is None


async def test_a_form_that_is_too_large_is_refused(visitor: Visitor) -> None:
    answer = await submitted(visitor, username="x" * 70_000)
    assert answer.status == 413
    assert text_of(answer)


async def test_without_a_token_setting_up_is_switched_off(settings: Settings) -> None:
    bare = msgspec.structs.replace(settings, bootstrap_token="")
    async with running(bare) as palaver:
        visitor = palaver.visitor()
        answer = await visitor.get(PATH)
        assert answer.status == 403
        assert "PALAVER_BOOTSTRAP_TOKEN" in text_of(answer)
        login = await visitor.get("/accounts/login/")
        assert "PALAVER_BOOTSTRAP_TOKEN" in text_of(login)
        assert (await submitted(visitor, token="")).status == 403


async def test_a_strict_policy_is_told_before_it_refuses(settings: Settings) -> None:
    strict = msgspec.structs.replace(settings, password_policy="strict")
    async with running(strict) as palaver:
        assert "At least 15 characters" in text_of(await palaver.visitor().get(PATH))
