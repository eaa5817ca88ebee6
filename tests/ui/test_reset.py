"""The form for a new password: by the link that an administrator made, once, without scripts."""

from urllib.parse import urlencode

import pytest

from tests.authenticator import enrolled
from tests.cast import PASSWORD
from tests.http import Answer, MovableClock, Palaver, Visitor
from tests.pages import Page, assert_safe, opened, submitted

PATH = "/app/reset"
NEW = "correct horse battery"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
async def token(admin: Visitor, owner: Visitor) -> str:
    """Give the token of a link for the owner."""
    answer = await admin.post(f"/api/palaver/admin/users/{owner.user.uuid}/password-reset")
    return answer.json["url"].partition("token=")[2]


@pytest.fixture
async def visitor(palaver: Palaver) -> Visitor:
    """Give somebody who has not signed in."""
    return palaver.visitor()


async def reset(visitor: Visitor, token: str, **fields: str) -> Answer:
    form = (await opened(visitor, f"{PATH}?token={token}")).form()
    return await submitted(
        visitor, form, **{"password": NEW, "password_again": fields.get("password", NEW)} | fields
    )


async def test_it_sets_a_new_password(
    palaver: Palaver, visitor: Visitor, owner: Visitor, token: str
) -> None:
    answer = await reset(visitor, token)
    assert answer.status == 200
    assert Page(answer).root.one("h1").text == "Your password is new"
    assert (await owner.get("/auth/me")).status == 401
    for password, status in ((PASSWORD, 401), (NEW, 200)):
        login = {"username": "owner", "password": password}
        assert (await palaver.visitor().post("/auth/login", login)).status == status


async def test_the_link_works_once_and_for_a_day(
    visitor: Visitor, token: str, admin: Visitor, owner: Visitor, clock: MovableClock
) -> None:
    await reset(visitor, token)
    content = urlencode({"token": token, "password": NEW, "password_again": NEW}).encode()
    for answer in (
        await visitor.get(f"{PATH}?token={token}"),
        await visitor.get(PATH),
        await visitor.post(PATH, content=content, headers=FORM),
    ):
        assert answer.status == 403
        assert Page(answer).root.one("h1").text == "This link does not work"
    made = await admin.post(f"/api/palaver/admin/users/{owner.user.uuid}/password-reset")
    clock.move(seconds=24 * 3600 + 60)
    address = made.json["url"].partition("/app")[2]
    assert (await visitor.get(f"/app{address}")).status == 403


async def test_what_is_wrong_is_told_beside_its_field(visitor: Visitor, token: str) -> None:
    for fields, wrong in (
        ({"password": "short"}, "password"),
        ({"password": "owner"}, "password"),
        ({"password_again": "another"}, "password_again"),
    ):
        answer = await reset(visitor, token, **fields)
        assert answer.status == 400
        page = Page(answer)
        assert page.root.one("span", id=f"{wrong}-fault").text
        assert page.root.one("p", role="alert").text
        assert not [
            each for each in page.root.all("input", type="password") if "value" in each.attributes
        ]
    assert (await reset(visitor, token)).status == 200


async def test_password_managers_learn_whose_it_is(visitor: Visitor, token: str) -> None:
    form = (await opened(visitor, f"{PATH}?token={token}")).form()
    name = form.one("input", autocomplete="username")
    assert (name.attributes["value"], "readonly" in name.attributes) == ("owner", True)
    assert len(form.all("input", autocomplete="new-password")) == 2


async def test_nobody_keeps_the_page_or_hears_of_its_address(visitor: Visitor, token: str) -> None:
    answer = await visitor.get(f"{PATH}?token={token}")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert_safe(answer)


async def test_a_form_of_another_site_is_refused(visitor: Visitor, token: str) -> None:
    content = urlencode({"token": token, "password": NEW, "password_again": NEW}).encode()
    for foreign in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        answer = await visitor.post(PATH, content=content, headers=FORM | foreign)
        assert answer.status == 403
    assert (await reset(visitor, token)).status == 200


async def test_the_second_factor_stays(
    palaver: Palaver, visitor: Visitor, admin: Visitor, owner: Visitor, clock: MovableClock
) -> None:
    phone = await enrolled(owner, clock)
    answer = await admin.post(f"/api/palaver/admin/users/{owner.user.uuid}/password-reset")
    await reset(visitor, answer.json["url"].partition("token=")[2])
    login = {"username": "owner", "password": NEW}
    assert (await palaver.visitor().post("/auth/login", login)).status == 401
    login["otp"] = phone.next_code()
    assert (await palaver.visitor().post("/auth/login", login)).status == 200
