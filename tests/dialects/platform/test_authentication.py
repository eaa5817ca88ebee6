"""The chapter "Authentication", and who may call at all."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from palaver.config import Settings
from palaver.dialects.platform import DIALECT
from palaver.domain.users import SYSTEM
from palaver.web.endpoint import Access, Endpoint
from tests.cast import PASSWORD
from tests.contracts import shape
from tests.databases import new_sqlite
from tests.dialects.platform.helpers import (
    CHATS,
    EXAMPLES,
    FAILURES,
    NOWHERE,
    TIME,
    UUID,
    assert_refused,
    bearing,
    tokens_of,
)
from tests.http import MovableClock, Palaver, Visitor, running

REGISTER = "/api/v1/auth/register"
LOGIN = "/api/v1/auth/login"
REFRESH = "/api/v1/auth/refresh"
LOGOUT = "/api/v1/auth/logout"
ACCOUNT = EXAMPLES["Register User"].request
PROTECTED = [endpoint for endpoint in DIALECT.endpoints if endpoint.access is not Access.PUBLIC]


@pytest.fixture
async def visitor(palaver: Palaver, owner: Visitor) -> Visitor:
    """Give somebody who has not signed in, in a house where the owner has an account."""
    return palaver.visitor()


@pytest.fixture
async def closed_house(settings: Settings, tmp_path: Path) -> AsyncIterator[Palaver]:
    """Give a house that nobody may register in."""
    folder = tmp_path / "closed"
    folder.mkdir()
    new_sqlite(folder)
    shut = msgspec.structs.replace(settings, registration="closed", data_dir=folder)
    async with running(shut) as palaver:
        yield palaver


async def test_an_account_is_made_as_documented_and_signs_in(visitor: Visitor) -> None:
    answer = await visitor.post(REGISTER, ACCOUNT)
    assert answer.status == 200
    user = answer.json
    assert UUID.fullmatch(user.pop("id"))
    assert TIME.fullmatch(user.pop("created_at"))
    assert user == {
        "email": "user@example.com",
        "username": "johndoe",
        "auth_provider": "local",
        "is_active": True,
        "is_verified": False,
        "last_login": None,
    }
    assert list(answer.json) == [
        "id",
        "email",
        "username",
        "auth_provider",
        "is_active",
        "is_verified",
        "created_at",
        "last_login",
    ]
    body = {"username": ACCOUNT["email"], "password": ACCOUNT["password"]}
    assert (await visitor.post(LOGIN, body)).status == 200


async def test_a_local_account_is_what_is_made_by_default(visitor: Visitor) -> None:
    body = {name: value for name, value in ACCOUNT.items() if name != "auth_provider"}
    assert (await visitor.post(REGISTER, body)).json["auth_provider"] == "local"


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"auth_provider": "google"}, ["auth_provider"]),
        ({"auth_provider": None}, ["auth_provider"]),
        ({"email": "nobody"}, ["email"]),
        ({"email": " "}, ["email"]),
        ({"username": "a b"}, ["username"]),
        ({"password": "short"}, ["password"]),
        ({"email": 7, "username": None, "password": ["x"]}, ["email", "username", "password"]),
    ],
)
async def test_what_is_wrong_with_an_account_is_named(
    visitor: Visitor, changes: dict[str, object], wrong: list[str]
) -> None:
    answer = await visitor.post(REGISTER, ACCOUNT | changes)
    assert_refused(answer, 400, "bad_request", details=wrong)


async def test_every_missing_field_is_named(visitor: Visitor) -> None:
    for path, wrong in (
        (REGISTER, ["email", "username", "password"]),
        (LOGIN, ["username", "password"]),
        (REFRESH, ["refresh_token"]),
    ):
        assert_refused(await visitor.post(path, {}), 400, "bad_request", details=wrong)
        assert_refused(await visitor.post(path), 400, "bad_request", details=wrong)


async def test_what_somebody_else_has_is_a_bad_request(visitor: Visitor) -> None:
    assert (await visitor.post(REGISTER, ACCOUNT)).status == 200
    for changes, taken in (
        ({"email": "other@example.com"}, ["username"]),
        ({"username": "jane"}, ["email"]),
        ({"username": "JohnDoe", "email": "USER@example.com"}, ["username", "email"]),
    ):
        answer = await visitor.post(REGISTER, ACCOUNT | changes)
        assert_refused(answer, 400, "bad_request", details=taken)


async def test_where_nobody_may_register_that_is_said_first(closed_house: Palaver) -> None:
    answer = await closed_house.visitor().post(REGISTER, content=b"{")
    assert_refused(answer, 403, "forbidden")


async def test_an_invite_that_is_none_is_forbidden(visitor: Visitor) -> None:
    answer = await visitor.post(REGISTER, ACCOUNT | {"invite_code": "x"})
    assert_refused(answer, 403, "forbidden")


async def test_tokens_are_given_as_documented(visitor: Visitor) -> None:
    example = EXAMPLES["Getting a Token"]
    body = dict(zip(example.request, ("owner", PASSWORD), strict=True))
    answer = await visitor.post(LOGIN, body)
    assert answer.status == 200
    assert shape(answer.json) == shape(example.response)
    assert (answer.json["token_type"], answer.json["expires_in"]) == ("bearer", 1800)
    token = answer.json["access_token"]
    assert (await visitor.get(CHATS, headers=bearing(token))).status == 200


@pytest.mark.parametrize(("username", "password"), [("owner", "wrong"), ("nobody", PASSWORD)])
async def test_wrong_credentials_are_unauthorized(
    visitor: Visitor, username: str, password: str
) -> None:
    answer = await visitor.post(LOGIN, {"username": username, "password": password})
    assert_refused(answer, 401, "unauthorized")


async def test_too_many_failures_have_to_wait(visitor: Visitor) -> None:
    body = {"username": "owner", "password": "wrong"}
    for _ in range(10):
        assert (await visitor.post(LOGIN, body)).status == 401
    assert_refused(await visitor.post(LOGIN, body), 429, "rate_limit_exceeded")


async def test_a_refresh_gives_the_body_of_login_with_the_same_refresh_token(
    visitor: Visitor,
) -> None:
    tokens = await tokens_of(visitor, "owner")
    answer = await visitor.post(REFRESH, {"refresh_token": tokens["refresh_token"]})
    assert answer.status == 200
    assert shape(answer.json) == shape(EXAMPLES["Getting a Token"].response)
    assert answer.json["refresh_token"] == tokens["refresh_token"]
    assert answer.json["access_token"] != tokens["access_token"]
    headers = bearing(answer.json["access_token"])
    assert (await visitor.get(CHATS, headers=headers)).status == 200


async def test_only_a_refresh_token_refreshes(visitor: Visitor) -> None:
    tokens = await tokens_of(visitor, "owner")
    for token in (tokens["access_token"], "nonsense", ""):
        answer = await visitor.post(REFRESH, {"refresh_token": token})
        assert (answer.status, answer.json) == (401, FAILURES[401])


async def test_a_logout_without_a_body_ends_all_tokens_of_the_sign_in(visitor: Visitor) -> None:
    tokens = await tokens_of(visitor, "owner")
    other = await tokens_of(visitor, "owner")
    headers = bearing(tokens["access_token"])
    answer = await visitor.post(LOGOUT, headers=headers)
    assert (answer.status, list(answer.json)) == (200, ["message"])
    answer = await visitor.get(CHATS, headers=headers)
    assert (answer.status, answer.json) == (401, FAILURES[401])
    answer = await visitor.post(REFRESH, {"refresh_token": tokens["refresh_token"]})
    assert answer.status == 401
    assert (await visitor.get(CHATS, headers=bearing(other["access_token"]))).status == 200


async def test_a_logout_with_a_refresh_token_ends_that_sign_in(visitor: Visitor) -> None:
    here, there = await tokens_of(visitor, "owner"), await tokens_of(visitor, "owner")
    body = {"refresh_token": there["refresh_token"]}
    headers = bearing(here["access_token"])
    assert (await visitor.post(LOGOUT, body, headers=headers)).status == 200
    assert (await visitor.get(CHATS, headers=bearing(there["access_token"]))).status == 401
    assert (await visitor.get(CHATS, headers=headers)).status == 200


async def test_nobody_ends_anothers_sign_in(visitor: Visitor, stranger: Visitor) -> None:
    mine, theirs = await tokens_of(visitor, "stranger"), await tokens_of(visitor, "owner")
    body = {"refresh_token": theirs["refresh_token"]}
    answer = await visitor.post(LOGOUT, body, headers=bearing(mine["access_token"]))
    assert_refused(answer, 401, "unauthorized")
    assert (await visitor.get(CHATS, headers=bearing(theirs["access_token"]))).status == 200


async def test_a_logout_by_cookie_ends_the_browsers_session(owner: Visitor) -> None:
    assert (await owner.post(LOGOUT)).status == 200
    assert (await owner.get(CHATS)).status == 401


async def test_a_change_by_cookie_proves_that_our_page_sent_it(owner: Visitor) -> None:
    assert_refused(await owner.post(CHATS, {}, csrf=False), 403, "forbidden")
    assert (await owner.post(CHATS, {})).status == 200


@pytest.mark.parametrize("endpoint", PROTECTED, ids=lambda row: f"{row.method} {row.path}")
async def test_without_a_token_nothing_is_shown(visitor: Visitor, endpoint: Endpoint) -> None:
    path = endpoint.path.replace("{chat_id}", "7")
    refresh_token = (await tokens_of(visitor, "owner"))["refresh_token"]
    basic = {"Authorization": "Basic b3duZXI6eA=="}
    for headers in ({}, bearing("nonsense"), bearing(refresh_token), basic):
        answer = await visitor.request(endpoint.method, path, content=b"{", headers=headers)
        assert (answer.status, answer.json) == (401, FAILURES[401])
        assert answer.headers["www-authenticate"] == "Bearer"


async def test_an_access_token_lives_half_an_hour(visitor: Visitor, clock: MovableClock) -> None:
    tokens = await tokens_of(visitor, "owner")
    headers = bearing(tokens["access_token"])
    clock.move(seconds=1790)
    assert (await visitor.get(CHATS, headers=headers)).status == 200
    clock.move(seconds=20)
    assert (await visitor.get(CHATS, headers=headers)).status == 401
    answer = await visitor.post(REFRESH, {"refresh_token": tokens["refresh_token"]})
    assert answer.status == 200


async def test_a_disabled_user_is_shut_out(palaver: Palaver, owner: Visitor) -> None:
    visitor = palaver.visitor()
    tokens = await tokens_of(visitor, "owner")
    await palaver.services.accounts.update(SYSTEM, owner.user.id, is_active=False)
    body = {"username": "owner", "password": PASSWORD}
    assert_refused(await visitor.post(LOGIN, body), 401, "unauthorized")
    answer = await visitor.get(CHATS, headers=bearing(tokens["access_token"]))
    assert_refused(answer, 401, "unauthorized")
    answer = await visitor.post(REFRESH, {"refresh_token": tokens["refresh_token"]})
    assert_refused(answer, 401, "unauthorized")


async def test_a_token_of_another_contract_opens_this_one(visitor: Visitor) -> None:
    answer = await visitor.post("/token", {"username": "owner", "password": PASSWORD})
    headers = bearing(answer.json["access_token"])
    assert (await visitor.get(f"{CHATS}/{NOWHERE}", headers=headers)).status == 404


async def test_the_other_slash_form_of_signing_in_is_another_contracts(visitor: Visitor) -> None:
    answer = await visitor.post(f"{LOGIN}/", {})
    assert answer.status == 400
    assert "error" not in answer.json
    assert "x-ratelimit-limit" not in answer.headers


@pytest.mark.parametrize("path", ["/auth/sso", "/auth/sso/login/there"])
async def test_what_is_no_route_is_not_there(owner: Visitor, path: str) -> None:
    answer = await owner.get(f"/api/v1{path}")
    assert answer.status == 404
    assert answer.json == {
        "detail": "Resource not found",
        "error": "not_found",
        "message": "Resource not found",
    }
