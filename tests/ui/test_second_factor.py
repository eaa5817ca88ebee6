"""Setting up the second factor by forms that need no script."""

from tests.authenticator import Authenticator
from tests.cast import PASSWORD
from tests.http import MovableClock, Palaver, Visitor
from tests.pages import Page, assert_safe, opened, submitted

PATH = "/app/second-factor"


async def test_it_is_set_up_in_two_steps(
    palaver: Palaver, owner: Visitor, clock: MovableClock
) -> None:
    form = (await opened(owner, PATH)).form()
    page = Page(await submitted(owner, form, password=PASSWORD))
    secret = page.root.one("code").text.replace(" ", "")
    (link,) = [each for each in page.root.all("a") if "otpauth:" in each.attributes["href"]]
    assert secret in link.attributes["href"]
    phone = Authenticator(secret, clock)
    answer = await submitted(owner, page.form(), code=phone.code())
    assert answer.status == 200
    codes = [each.text for each in Page(answer).root.all("code")]
    assert len(codes) == 10
    login = {"username": "owner", "password": PASSWORD}
    assert (await palaver.visitor().post("/auth/login", login)).status == 401
    login["otp"] = codes[0]
    assert (await palaver.visitor().post("/auth/login", login)).status == 200
    assert not (await opened(owner, PATH)).root.all("form")


async def test_what_is_wrong_is_told_and_can_be_mended(owner: Visitor, clock: MovableClock) -> None:
    answer = await submitted(owner, (await opened(owner, PATH)).form(), password="wrong")
    assert answer.status == 400
    assert Page(answer).root.one("span", id="password-fault")
    page = Page(await submitted(owner, Page(answer).form(), password=PASSWORD))
    secret = page.root.one("code").text.replace(" ", "")
    answer = await submitted(owner, page.form(), code="000000")
    assert answer.status == 400
    page = Page(answer)
    assert page.root.one("span", id="code-fault")
    assert not page.root.all("code")  # the app has the secret: it is not shown again
    answer = await submitted(owner, page.form(), code=Authenticator(secret, clock).code())
    assert answer.status == 200


async def test_it_is_for_who_signed_in(palaver: Palaver, owner: Visitor) -> None:
    answer = await palaver.visitor().get(PATH)
    assert answer.status == 302
    assert answer.headers["location"] == f"/accounts/login/?next={PATH}"
    form = (await opened(owner, PATH)).form()
    (field,) = form.all("input", name="csrf_token")
    field.attributes["value"] = "wrong"
    assert (await submitted(owner, form, password=PASSWORD)).status == 403


async def test_the_pages_are_kept_by_nobody(owner: Visitor) -> None:
    answer = await owner.get(PATH)
    assert answer.headers["cache-control"] == "no-store"
    assert_safe(answer)
