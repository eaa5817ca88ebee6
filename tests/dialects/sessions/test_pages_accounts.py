"""Registering, signing in and signing out by forms that need no script."""

from collections.abc import Awaitable, Callable

import msgspec
import pytest

from palaver.config import Settings
from palaver.domain.users import SYSTEM, Role
from palaver.web.call import CSRF_COOKIE, FORM_COOKIE, SESSION_COOKIE
from tests.cast import PASSWORD
from tests.http import Answer, MovableClock, Palaver, Visitor, running
from tests.pages import Element, Page, followed, opened, submitted

LOGIN = "/accounts/login/"
REGISTER = "/accounts/register/"
LOGOUT = "/accounts/logout/"
FORMS = (LOGIN, REGISTER)
OFF_SITE = [
    "https://evil.example/",
    "//evil.example/",
    "/\\evil.example/",
    "/\t/evil.example/",
    "\\\\evil.example",
    "javascript:alert(1)",
    "evil.example",
    " //evil.example",
    "",
]


@pytest.fixture
async def visitor(palaver: Palaver) -> Visitor:
    """Give somebody who has not signed in."""
    return palaver.visitor()


async def signed_in(visitor: Visitor, *, path: str = LOGIN, **fields: str) -> Answer:
    """Fill in the form for signing in."""
    form = (await opened(visitor, path)).form()
    return await submitted(visitor, form, **{"password": PASSWORD} | fields)


async def registered(visitor: Visitor, *, path: str = REGISTER, **fields: str) -> Answer:
    """Fill in the form for registering."""
    given = {"username": "ada", "password": PASSWORD} | fields
    given.setdefault("confirm_password", given["password"])
    return await submitted(visitor, (await opened(visitor, path)).form(), **given)


@pytest.mark.parametrize("path", ["/", "/?new=1", "/chat/00000000-0000-7000-8000-000000000000/"])
async def test_a_page_leads_whom_nobody_knows_to_the_form_and_back(
    palaver: Palaver, visitor: Visitor, path: str
) -> None:
    await palaver.person("ada")
    answer = await visitor.get(path)
    assert answer.status == 302
    assert answer.headers["location"].startswith(f"{LOGIN}?next=/")
    form = (await followed(visitor, answer)).form()
    answer = await submitted(visitor, form, username="ada", password=PASSWORD)
    assert (answer.status, answer.headers["location"]) == (303, path)


async def test_signing_in_opens_a_session(palaver: Palaver, visitor: Visitor) -> None:
    await palaver.person("ada")
    answer = await signed_in(visitor, username="ADA")
    assert (answer.status, answer.headers["location"]) == (303, "/")
    assert (await opened(visitor, "/")).root.one("span", class_="name").text == "ada"
    # It is the session of all contracts.
    assert (await visitor.get("/auth/me")).json["user"]["username"] == "ada"


async def test_every_field_has_its_label_and_says_what_fills_it(visitor: Visitor) -> None:
    wanted = {
        LOGIN: {"username": "username", "password": "current-password"},
        REGISTER: {
            "username": "username",
            "email": "email",
            "password": "new-password",
            "confirm_password": "new-password",
        },
    }
    for path, filled_by in wanted.items():
        form = (await opened(visitor, path)).form()
        shown = [each for each in form.all("input") if each.attributes.get("type") != "hidden"]
        assert {
            each.attributes["name"]: each.attributes["autocomplete"] for each in shown
        } == filled_by
        labels = {each.attributes["for"]: each.text for each in form.all("label")}
        assert set(labels) == {each.attributes["id"] for each in shown}
        assert all(labels.values())


@pytest.mark.parametrize("username", ["ada", "nobody"])
async def test_a_wrong_password_is_told_beside_it_and_never_repeated(
    palaver: Palaver, visitor: Visitor, username: str
) -> None:
    await palaver.person("ada")
    answer = await signed_in(visitor, username=username, password="not the password")
    page = Page(answer)
    assert page.status == 400
    assert page.title.startswith("Error: ")
    assert page.fault("password") == "The user name or the password is wrong."
    assert page.root.one("input", name="username").attributes["value"] == username
    assert "value" not in page.root.one("input", name="password").attributes
    assert b"not the password" not in answer.content
    assert visitor.cookie(SESSION_COOKIE) is None


async def test_a_disabled_account_is_told_so(palaver: Palaver, visitor: Visitor) -> None:
    user = (await palaver.person("ada")).user
    await palaver.services.accounts.update(SYSTEM, user.id, is_active=False)
    page = Page(await signed_in(visitor, username="ada"))
    assert (page.status, page.alert()) == (400, "This account is disabled.")


async def test_too_many_failures_are_a_sentence_that_says_how_long(
    palaver: Palaver, visitor: Visitor, clock: MovableClock
) -> None:
    await palaver.person("ada")
    for _ in range(10):
        await signed_in(visitor, username="ada", password="wrong")
    answer = await signed_in(visitor, username="ada")
    seconds = int(answer.headers["retry-after"])
    assert answer.status == 429
    assert Page(answer).alert() == (
        f"Too many failed attempts to sign in. Try again in {seconds} second{'s' * (seconds != 1)}."
    )
    clock.move(seconds=seconds)
    assert (await signed_in(visitor, username="ada")).status == 303


@pytest.mark.parametrize("target", OFF_SITE)
async def test_next_never_leaves_the_site(palaver: Palaver, visitor: Visitor, target: str) -> None:
    await palaver.person("ada")
    page = await opened(visitor, LOGIN)
    form = page.form()
    form.children.append(Element("input", {"name": "next", "value": target}))
    answer = await submitted(visitor, form, username="ada", password=PASSWORD)
    assert (answer.status, answer.headers["location"]) == (303, "/")


async def test_next_never_signs_out_again(palaver: Palaver, visitor: Visitor) -> None:
    await palaver.person("ada")
    answer = await signed_in(visitor, path=f"{LOGIN}?next={LOGOUT}", username="ada")
    assert answer.headers["location"] == "/"


async def test_next_stays_through_a_failure_and_on_the_way_to_the_other_form(
    palaver: Palaver, visitor: Visitor
) -> None:
    await palaver.person("ada")
    path = f"{LOGIN}?next=/docs"
    page = Page(await signed_in(visitor, path=path, username="ada", password="wrong"))
    assert page.links()["Register"] == f"{REGISTER}?next=/docs"
    form = (await opened(visitor, page.links()["Register"])).form()
    answer = await submitted(
        visitor, form, username="eve", password=PASSWORD, confirm_password=PASSWORD
    )
    assert (answer.status, answer.headers["location"]) == (303, "/docs")


async def test_registering_makes_an_account_and_signs_in(visitor: Visitor) -> None:
    answer = await registered(visitor, email="ada@example.org")
    assert (answer.status, answer.headers["location"]) == (303, "/")
    page = await followed(visitor, answer)
    assert page.root.one("span", class_="name").text == "ada"
    body = {"username": "ada@example.org", "password": PASSWORD}
    assert (await visitor.post("/api/v1/auth/login/", body)).json["user"]["username"] == "ada"


async def test_an_account_needs_no_address(visitor: Visitor) -> None:
    assert (await registered(visitor, email="")).status == 303


async def test_everything_that_is_wrong_is_told_at_once_and_what_was_typed_stays(
    visitor: Visitor,
) -> None:
    answer = await registered(
        visitor, username="a b", email="a@b", password="short", confirm_password="other"
    )
    page = Page(answer)
    assert page.status == 400
    assert page.alert() == "There is no account yet: see below."
    assert page.fault("username").startswith("A user name has only letters")
    assert page.fault("email") == "Enter a valid e-mail address."
    assert page.fault("password") == "This password is too short: use at least 8 characters."
    assert page.fault("confirm_password") == "The two passwords differ."
    assert page.root.one("input", name="username").attributes["value"] == "a b"
    assert page.root.one("input", name="email").attributes["value"] == "a@b"
    for name in ("password", "confirm_password"):
        assert "value" not in page.root.one("input", name=name).attributes
    assert visitor.cookie(SESSION_COOKIE) is None


async def test_names_that_are_taken_are_told(palaver: Palaver, visitor: Visitor) -> None:
    assert (await registered(palaver.visitor(), email="ada@example.org")).status == 303
    page = Page(await registered(visitor, username="Ada", email="ADA@example.org"))
    assert page.status == 400
    assert page.fault("username")
    assert page.fault("email")
    page = Page(await registered(visitor, username="eve", email="ada@example.org"))
    assert page.fault("email") == "The e-mail address is taken."
    assert not page.fault("username")


async def test_what_is_typed_cannot_get_out_of_its_place(visitor: Visitor) -> None:
    typed = '"><b id="out">'
    for send in (registered, signed_in):
        page = Page(await send(visitor, username=typed))
        assert page.root.all("b") == []
        assert page.root.one("input", name="username").attributes["value"] == typed
    page = await opened(visitor, f"{REGISTER}?invite_code=%22%3E%3Cb%3E")
    assert page.root.all("b") == []


Sends = Callable[..., Awaitable[Answer]]


@pytest.mark.parametrize(("path", "send"), [(LOGIN, signed_in), (REGISTER, registered)])
async def test_a_form_without_its_token_is_shown_again_with_what_was_typed(
    palaver: Palaver, visitor: Visitor, path: str, send: Sends
) -> None:
    await palaver.person("known")
    other = (await opened(palaver.visitor(), path)).root.one("input", name="csrf_token")
    for token in ("", "wrong", other.attributes["value"]):
        page = Page(await send(visitor, username="known", csrf_token=token))
        assert page.status == 403
        assert "send it once more" in page.alert()
        assert page.root.one("input", name="username").attributes["value"] == "known"
        assert visitor.cookie(SESSION_COOKIE) is None
    # A browser without its cookie has none that the token could belong to.
    page = await opened(visitor, path)
    visitor.session.cookie_jar.clear()
    assert (await submitted(visitor, page.form(), username="known")).status == 403


@pytest.mark.parametrize("path", FORMS)
async def test_a_form_of_another_site_is_refused(
    palaver: Palaver, visitor: Visitor, path: str
) -> None:
    form = (await opened(visitor, path)).form()
    token = form.one("input", name="csrf_token").attributes["value"]
    content = f"username=eve&password=x&csrf_token={token}".encode()
    for foreign in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        headers = {"Content-Type": "application/x-www-form-urlencoded"} | foreign
        answer = await visitor.post(path, content=content, headers=headers)
        assert (answer.status, Page(answer).heading) == (403, "That came from somewhere else")


async def test_a_script_may_send_the_token_of_its_cookie_in_a_header(
    palaver: Palaver, visitor: Visitor
) -> None:
    await palaver.person("ada")
    await visitor.get(LOGIN)
    token = visitor.cookie(CSRF_COOKIE) or ""
    for name in ("X-CSRF-Token", "X-CSRFToken"):
        answer = await visitor.post(
            LOGIN,
            {"username": "ada", "password": PASSWORD},
            csrf=False,
            headers={name: token},
        )
        assert answer.status == 303


async def test_the_cookie_of_forms_is_for_this_site_alone(visitor: Visitor) -> None:
    answer = await visitor.get(LOGIN)
    (cookie,) = [each for each in answer.set_cookies if each.startswith(FORM_COOKIE)]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    # The same one goes with every form, in as many tabs as there are.
    seed = visitor.cookie(FORM_COOKIE)
    await visitor.get(REGISTER)
    assert visitor.cookie(FORM_COOKIE) == seed


async def test_a_form_that_was_opened_before_signing_in_elsewhere_still_counts(
    palaver: Palaver, visitor: Visitor
) -> None:
    await palaver.person("ada")
    form = (await opened(visitor, LOGIN)).form()
    assert (await signed_in(visitor, username="ada")).status == 303
    assert (await submitted(visitor, form, username="ada", password=PASSWORD)).status == 303


async def test_a_refused_form_leaves_a_live_sessions_token_alone(owner: Visitor) -> None:
    token = owner.cookie(CSRF_COOKIE) or ""
    body = {"username": "owner", "password": "wrong", "csrf_token": token}
    assert (await owner.post(LOGIN, body, csrf=False)).status == 400
    assert owner.cookie(CSRF_COOKIE) == token
    assert (await owner.post("/conversations", {})).status == 200


async def test_who_is_signed_in_needs_no_form(owner: Visitor) -> None:
    for path in FORMS:
        answer = await owner.get(f"{path}?next=/docs")
        assert (answer.status, answer.headers["location"]) == (302, "/docs")


async def test_an_ended_session_meets_the_form_again(palaver: Palaver, owner: Visitor) -> None:
    await owner.post("/auth/logout")
    assert (await opened(owner, LOGIN)).heading == "Sign in"
    assert (await owner.get("/")).headers["location"] == f"{LOGIN}?next=/"
    owner.keep(SESSION_COOKIE, "of nobody")
    assert (await opened(owner, LOGIN)).heading == "Sign in"
    assert (await signed_in(owner, username="owner")).status == 303


async def test_signing_out_by_its_address_leads_to_the_form(owner: Visitor) -> None:
    session = owner.cookie(SESSION_COOKIE) or ""
    answer = await owner.get(LOGOUT)
    assert (answer.status, answer.headers["location"]) == (302, LOGIN)
    assert owner.cookie(SESSION_COOKIE) is None
    owner.keep(SESSION_COOKIE, session)
    assert (await owner.get("/auth/me")).json["code"] == "SESSION_EXPIRED"


async def test_signing_out_by_the_form_does_as_well(owner: Visitor) -> None:
    form = (await opened(owner, "/")).form(LOGOUT)
    answer = await submitted(owner, form)
    assert (answer.status, answer.headers["location"]) == (302, LOGIN)
    assert owner.cookie(SESSION_COOKIE) is None


async def test_another_site_signs_nobody_out(owner: Visitor) -> None:
    for foreign in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
        assert (await owner.get(LOGOUT, headers=foreign)).status == 403
    form = (await opened(owner, "/")).form(LOGOUT)
    answer = await submitted(owner, form, csrf_token="wrong")
    assert (answer.status, Page(answer).heading) == (403, "Please send that once more")
    assert (await owner.get("/auth/me")).status == 200


async def test_who_has_signed_out_already_is_led_to_the_form_without_a_way_back(
    visitor: Visitor,
) -> None:
    for method in ("GET", "POST"):
        answer = await visitor.request(method, LOGOUT)
        assert (answer.status, answer.headers["location"]) == (302, LOGIN)


async def test_the_forms_answer_without_the_last_slash_as_well(visitor: Visitor) -> None:
    for path in FORMS:
        assert (await opened(visitor, path.rstrip("/"))).root.all("form")
    assert (await visitor.get(LOGOUT.rstrip("/"))).headers["location"] == LOGIN


async def test_another_method_is_refused_with_those_that_there_are(visitor: Visitor) -> None:
    answer = await visitor.request("PUT", LOGIN)
    assert (answer.status, answer.headers["allow"]) == (405, "GET, POST")
    assert Page(answer).heading == "That cannot be done here"
    answer = await visitor.delete(LOGIN, headers={"Accept": "application/json"})
    assert answer.json == {"detail": 'Method "DELETE" not allowed.'}


@pytest.mark.parametrize("path", FORMS)
async def test_what_no_form_sends_is_refused_as_a_page(visitor: Visitor, path: str) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    wrong = [
        (400, b"username=a%00b", form),
        (413, b"username=" + b"x" * 70_000, form),
        (415, b"username=a", {"Content-Type": "text/plain"}),
        (400, b'{"username": 1}', {"Content-Type": "application/json"}),
    ]
    for status, content, headers in wrong:
        answer = await visitor.post(path, content=content, headers=headers)
        assert Page(answer).status == status
    assert (await visitor.get(f"{path}?next=%00")).status == 400


async def test_while_there_is_no_administrator_the_form_says_how_to_set_up(
    palaver: Palaver, visitor: Visitor
) -> None:
    page = await opened(visitor, LOGIN)
    assert "There is no administrator yet" in page.root.text
    assert page.links()["Set up"] == "/app/setup"
    await palaver.person("admin", role=Role.ADMIN)
    assert "administrator" not in (await opened(visitor, LOGIN)).root.text


async def test_the_form_leads_to_the_documentation(visitor: Visitor) -> None:
    assert (await opened(visitor, LOGIN)).links()["API documentation"] == "/docs"


async def test_a_closed_registration_is_said_plainly(settings: Settings) -> None:
    closed = msgspec.structs.replace(settings, registration="closed")
    async with running(closed) as palaver:
        visitor = palaver.visitor()
        page = await opened(visitor, LOGIN)
        assert "Register" not in page.links()
        token = page.root.one("input", name="csrf_token").attributes["value"]
        fields = {"username": "ada", "password": PASSWORD, "csrf_token": token}
        for answer in (await visitor.get(REGISTER), await visitor.post(REGISTER, fields)):
            page = Page(answer)
            assert (page.status, page.heading) == (403, "Registration is closed")
            assert page.links()["Sign in"] == LOGIN


async def test_with_invites_the_form_asks_for_the_code(settings: Settings) -> None:
    invited = msgspec.structs.replace(settings, registration="invite")
    async with running(invited) as palaver:
        visitor = palaver.visitor()
        page = Page(await registered(visitor))
        assert (page.status, bool(page.fault("invite_code"))) == (403, True)
        page = Page(await registered(visitor, invite_code="wrong"))
        assert page.status == 403
        assert page.root.one("input", name="invite_code").attributes["value"] == "wrong"
        invite = await palaver.services.invites.create(SYSTEM)
        path = f"{REGISTER}?invite_code={invite.code}"
        assert (await registered(visitor, path=path)).status == 303
        assert Page(await registered(palaver.visitor(), path=path, username="eve")).status == 403


async def test_an_open_registration_checks_a_code_that_is_given(
    palaver: Palaver, visitor: Visitor
) -> None:
    assert "invite_code" not in (await visitor.get(REGISTER)).content.decode()
    page = Page(await registered(visitor, path=f"{REGISTER}?invite_code=wrong"))
    assert (page.status, bool(page.fault("invite_code"))) == (403, True)
