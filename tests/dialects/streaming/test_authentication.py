"""The chapter "Authentication", and the registration that the document leaves out."""

from pathlib import Path

import pytest
from msgspec import structs

from palaver.config import Settings
from palaver.domain.users import Role
from tests.cast import PASSWORD
from tests.contracts import shape
from tests.dialects.streaming.helpers import EXAMPLES, assert_error
from tests.http import Answer, Palaver, Visitor, running, session_of

ALICE = {"username": "alice", "password": PASSWORD}


async def log_in(visitor: Visitor, username: str, password: str = PASSWORD) -> Answer:
    return await visitor.post("/auth/login", {"username": username, "password": password})


async def test_the_documents_own_account_registers_and_signs_in(palaver: Palaver) -> None:
    example = EXAMPLES["Login"]
    assert (await palaver.visitor().post("/auth/register", example.request)).status == 200
    answer = await palaver.visitor().post("/auth/login", example.request)
    assert answer.status == 200
    assert shape(answer.json) == shape(example.response)
    assert answer.json["user"]["username"] == example.request["username"]
    assert answer.json["user"]["role"] == "user"


async def test_a_sign_in_sets_cookies_that_count(palaver: Palaver, owner: Visitor) -> None:
    browser = palaver.visitor()
    answer = await log_in(browser, "owner")
    session, csrf, device = answer.set_cookies
    assert session.startswith("palaver_session=")
    assert csrf.startswith(f"csrftoken={answer.json['csrf_token']};")
    assert device.startswith("palaver_device=")
    assert all("Path=/" in cookie and "SameSite=Lax" in cookie for cookie in answer.set_cookies)
    assert ["HttpOnly" in cookie for cookie in answer.set_cookies] == [True, False, True]
    assert not any("Secure" in cookie for cookie in answer.set_cookies)
    assert (await browser.get("/auth/me")).json["user"]["id"] == owner.user.id
    assert (await browser.post("/conversations", {})).status == 200


async def test_under_https_cookies_are_for_https_alone(settings: Settings) -> None:
    public = structs.replace(settings, public_url="https://chat.example.org")
    async with running(public) as palaver:
        await palaver.person("owner")
        answer = await log_in(palaver.visitor(), "owner")
    assert all("Secure" in cookie for cookie in answer.set_cookies)


async def test_front_ends_on_other_origins_get_cookies_that_cross_sites(
    settings: Settings,
) -> None:
    origin = "https://app.example.org"
    other = structs.replace(settings, cors_origins=(origin,), cookies_cross_site=True)
    async with running(other) as palaver:
        await palaver.person("owner")
        body = {"username": "owner", "password": PASSWORD}
        browser = palaver.visitor()
        answer = await browser.post("/auth/login", body, headers={"Origin": origin})
        assert all("SameSite=None" in cookie for cookie in answer.set_cookies)
        assert all("Secure" in cookie for cookie in answer.set_cookies)
        assert answer.headers["access-control-allow-origin"] == origin
        assert answer.headers["access-control-allow-credentials"] == "true"
        exposed = answer.headers["access-control-expose-headers"].split(", ")
        assert exposed[:2] == ["x-request-id", "retry-after"]
        browser.keep("palaver_session", session_of(answer))
        token = {"Origin": origin, "X-CSRF-Token": answer.json["csrf_token"]}
        assert (await browser.post("/conversations", {}, headers=token)).status == 200
        asks = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        preflight = await browser.request("OPTIONS", "/conversations", headers=asks)
        assert preflight.status == 200
        assert preflight.headers["x-request-id"]


async def test_one_signs_in_by_name_or_address_in_any_case(palaver: Palaver) -> None:
    registration = ALICE | {"username": "Älice", "email": "Alice@Example.org"}
    assert (await palaver.visitor().post("/auth/register", registration)).status == 200
    for name in ("älice", "ALICE@example.ORG"):
        answer = await log_in(palaver.visitor(), name)
        assert answer.json["user"]["username"] == "Älice"


async def test_a_sign_in_takes_a_one_time_password(palaver: Palaver, owner: Visitor) -> None:
    body = {"username": "owner", "password": PASSWORD, "otp": "123456"}
    assert (await palaver.visitor().post("/auth/login", body)).status == 200


async def test_a_wrong_name_and_a_wrong_password_look_the_same(
    palaver: Palaver, owner: Visitor
) -> None:
    answers = [
        await log_in(palaver.visitor(), "owner", "not the password"),
        await log_in(palaver.visitor(), "nobody", PASSWORD),
    ]
    for answer in answers:
        assert_error(answer, 401, "INVALID_CREDENTIALS")
        assert answer.set_cookies == ()
    assert len({answer.json["message"] for answer in answers}) == 1


@pytest.mark.parametrize(
    "body",
    [
        None,
        {},
        {"username": "owner"},
        {"password": "x"},
        {"username": "", "password": "x"},
        {"username": "owner", "password": ""},
        {"username": 1, "password": "x"},
        {"username": "owner", "password": None},
        {"username": "owner", "password": ["x"]},
    ],
)
async def test_a_sign_in_without_a_name_or_a_password_is_refused(
    palaver: Palaver, body: object
) -> None:
    answer = await palaver.visitor().post("/auth/login", body)
    assert_error(answer, 400, "VALIDATION_ERROR")


async def test_every_wrong_field_is_named(palaver: Palaver) -> None:
    answer = await palaver.visitor().post("/auth/login", {"username": 1})
    assert "username" in answer.json["message"]
    assert "password" in answer.json["message"]


async def test_too_many_failures_are_held_off_for_a_while(
    settings: Settings, palaver: Palaver, owner: Visitor
) -> None:
    for _ in range(settings.login_attempts_per_minute):
        assert (await log_in(palaver.visitor(), "somebody", "wrong")).status == 401
    answer = await log_in(palaver.visitor(), "somebody", "wrong")
    assert_error(answer, 429, "RATE_LIMITED")
    assert 1 <= int(answer.headers["retry-after"]) <= 65


async def test_the_current_user_is_shown_as_documented(owner: Visitor) -> None:
    answer = await owner.get("/auth/me")
    assert answer.status == 200
    assert shape(answer.json) == shape(EXAMPLES["Get Current User"].response)
    assert answer.json["user"] == {"id": owner.user.id, "username": "owner", "role": "user"}


async def test_a_logout_ends_the_session_as_documented(palaver: Palaver, owner: Visitor) -> None:
    cookie = owner.cookie("palaver_session")
    other = await palaver.signed_in(owner.user)
    answer = await owner.post("/auth/logout")
    assert (answer.status, answer.json) == (200, EXAMPLES["Logout"].response)
    assert all("Max-Age=0" in cookie for cookie in answer.set_cookies)
    assert owner.cookie("palaver_session") is None
    thief = palaver.visitor()
    thief.keep("palaver_session", str(cookie))
    assert_error(await thief.get("/auth/me"), 401, "SESSION_EXPIRED")
    assert (await other.get("/auth/me")).status == 200


async def test_a_registration_answers_like_a_sign_in(palaver: Palaver) -> None:
    browser = palaver.visitor()
    answer = await browser.post("/auth/register", ALICE | {"email": "alice@example.org"})
    assert answer.status == 200
    assert shape(answer.json) == shape(EXAMPLES["Login"].response)
    assert len(answer.set_cookies) == 3
    assert (await browser.get("/auth/me")).json["user"] == answer.json["user"]


async def test_a_name_is_given_once(palaver: Palaver, owner: Visitor) -> None:
    for username in ("owner", "OWNER", "\uff4fwner"):
        answer = await palaver.visitor().post("/auth/register", ALICE | {"username": username})
        assert_error(answer, 409, "USERNAME_EXISTS")


async def test_an_address_is_given_once(palaver: Palaver) -> None:
    address = {"email": "alice@example.org"}
    assert (await palaver.visitor().post("/auth/register", ALICE | address)).status == 200
    again = {"username": "bob", "password": PASSWORD, "email": "ALICE@example.org"}
    assert_error(await palaver.visitor().post("/auth/register", again), 409, "CONFLICT")


@pytest.mark.parametrize(
    "wrong",
    [
        {"password": "short"},
        {"password": "alice"},
        {"password": "x" * 1025},
        {"username": ""},
        {"username": "two words"},
        {"username": "x" * 151},
        {"username": "somebody@example.org"},
        {"username": None},
        {"email": "no address"},
        {"email": 1},
        {"invite_code": 1},
    ],
)
async def test_a_registration_that_cannot_be_is_refused(
    palaver: Palaver, wrong: dict[str, object]
) -> None:
    answer = await palaver.visitor().post("/auth/register", ALICE | wrong)
    assert_error(answer, 400, "VALIDATION_ERROR")


async def test_a_registration_can_be_closed(settings: Settings) -> None:
    async with running(structs.replace(settings, registration="closed")) as palaver:
        answer = await palaver.visitor().post("/auth/register", ALICE)
    assert_error(answer, 403, "REGISTRATION_CLOSED")


async def test_by_invitation_a_code_is_needed_and_counts_once(settings: Settings) -> None:
    async with running(structs.replace(settings, registration="invite")) as palaver:
        admin = await palaver.person("admin", role=Role.ADMIN)
        code = (await admin.post("/admin/invites", {})).json["invite_code"]
        for wrong in ({}, {"invite_code": ""}, {"invite_code": "nonsense"}):
            answer = await palaver.visitor().post("/auth/register", ALICE | wrong)
            assert_error(answer, 400, "INVALID_INVITE")
        good = {"invite_code": code}
        assert (await palaver.visitor().post("/auth/register", ALICE | good)).status == 200
        bob = {"username": "bob", "password": PASSWORD, "invite_code": code}
        assert_error(await palaver.visitor().post("/auth/register", bob), 400, "INVALID_INVITE")


async def test_a_code_that_is_sent_is_checked_in_open_mode_too(palaver: Palaver) -> None:
    answer = await palaver.visitor().post("/auth/register", ALICE | {"invite_code": "nonsense"})
    assert_error(answer, 400, "INVALID_INVITE")


def read_all(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.glob("palaver.db*")]


async def test_no_secret_is_stored_as_it_is(palaver: Palaver, tmp_path: Path) -> None:
    browser = palaver.visitor()
    answer = await browser.post("/auth/register", ALICE)
    secrets = [PASSWORD, session_of(answer), answer.json["csrf_token"]]
    files = read_all(tmp_path)
    assert any(b"alice" in content for content in files)
    assert not any(secret.encode() in content for secret in secrets for content in files)
