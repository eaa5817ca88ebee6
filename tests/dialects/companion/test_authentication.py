"""The chapters "Authentication" and "Users", and who may call at all."""

import json

import pytest

from palaver.dialects.companion import DIALECT
from palaver.domain.users import SYSTEM
from palaver.web.endpoint import Access
from tests.cast import PASSWORD
from tests.contracts import shape
from tests.dialects.companion.helpers import (
    EXAMPLES,
    NOT_SIGNED_IN,
    NOWHERE,
    a_token,
    bearing,
    problems,
)
from tests.http import MovableClock, Palaver, Visitor

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PROTECTED = [endpoint for endpoint in DIALECT.endpoints if endpoint.access is not Access.PUBLIC]


@pytest.fixture
async def visitor(palaver: Palaver, owner: Visitor) -> Visitor:
    """Give somebody who has not signed in, in a house where the owner has an account."""
    return palaver.visitor()


async def test_a_token_is_given_as_documented(visitor: Visitor) -> None:
    example = EXAMPLES["Get Access Token"]
    body = dict(zip(example.request, ("owner", PASSWORD), strict=True))
    answer = await visitor.post("/token", body)
    assert answer.status == 200
    assert shape(answer.json) == shape(example.response)
    assert answer.json["token_type"] == "bearer"


async def test_the_form_of_oauth2_is_taken(visitor: Visitor) -> None:
    content = f"grant_type=password&username=owner&password={PASSWORD.replace(' ', '+')}&scope="
    answer = await visitor.post("/token", content=content.encode(), headers=FORM)
    assert answer.status == 200
    assert list(answer.json) == ["access_token", "token_type"]


async def test_an_otp_is_taken_where_none_is_needed(visitor: Visitor) -> None:
    body = {"username": "owner", "password": PASSWORD, "otp": "123456"}
    assert (await visitor.post("/token", body)).status == 200


@pytest.mark.parametrize(("username", "password"), [("owner", "wrong"), ("nobody", PASSWORD)])
async def test_wrong_credentials_are_a_bad_request(
    visitor: Visitor, username: str, password: str
) -> None:
    answer = await visitor.post("/token", {"username": username, "password": password})
    assert answer.status == 400
    assert answer.json == {"detail": "Incorrect username or password"}


async def test_every_missing_field_is_named(visitor: Visitor) -> None:
    expected = [(["body", "username"], "missing"), (["body", "password"], "missing")]
    assert problems(await visitor.post("/token", {})) == expected
    assert problems(await visitor.post("/token")) == expected
    assert problems(await visitor.post("/token", content=b"scope=", headers=FORM)) == expected


async def test_too_many_failures_have_to_wait(visitor: Visitor) -> None:
    body = {"username": "owner", "password": "wrong"}
    for _ in range(10):
        assert (await visitor.post("/token", body)).status == 400
    answer = await visitor.post("/token", body)
    assert answer.status == 429
    assert int(answer.headers["retry-after"]) > 0
    assert list(answer.json) == ["detail"]


async def test_a_disabled_user_gets_no_token(palaver: Palaver, owner: Visitor) -> None:
    token = await a_token(palaver.visitor(), "owner")
    await palaver.services.accounts.update(SYSTEM, owner.user.id, is_active=False)
    visitor = palaver.visitor()
    answer = await visitor.post("/token", {"username": "owner", "password": PASSWORD})
    assert (answer.status, answer.json) == (400, {"detail": "Inactive user"})
    answer = await visitor.get("/api/v1/users/me", headers=bearing(token))
    assert (answer.status, answer.json) == (401, NOT_SIGNED_IN)


async def test_the_current_user_is_shown_as_documented(visitor: Visitor, owner: Visitor) -> None:
    token = await a_token(visitor, "owner")
    answer = await visitor.get("/api/v1/users/me", headers=bearing(token))
    assert answer.status == 200
    assert list(answer.json) == list(EXAMPLES["Get Current User"].response)
    assert answer.json == {
        "id": owner.user.uuid,
        "email": None,
        "is_active": True,
        "is_superuser": False,
    }


async def test_an_administrator_is_the_superuser(admin: Visitor) -> None:
    assert (await admin.get("/api/v1/users/me")).json["is_superuser"] is True


@pytest.mark.parametrize("endpoint", PROTECTED, ids=lambda row: f"{row.method} {row.path}")
async def test_without_a_token_nothing_is_shown(visitor: Visitor, endpoint: object) -> None:
    assert isinstance(endpoint, type(PROTECTED[0]))
    path = endpoint.path.replace("{conversation_id}", NOWHERE)
    for headers in ({}, bearing("nonsense"), {"Authorization": "Basic b3duZXI6eA=="}):
        answer = await visitor.request(endpoint.method, path, content=b"{", headers=headers)
        assert (answer.status, answer.json) == (401, NOT_SIGNED_IN)
        assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_token_lives_half_an_hour(visitor: Visitor, clock: MovableClock) -> None:
    token = await a_token(visitor, "owner")
    clock.move(seconds=1790)
    assert (await visitor.get("/api/v1/users/me", headers=bearing(token))).status == 200
    clock.move(seconds=11)
    assert (await visitor.get("/api/v1/users/me", headers=bearing(token))).status == 401


async def test_a_bearer_that_is_sent_decides_alone(owner: Visitor) -> None:
    answer = await owner.get("/api/v1/users/me", headers=bearing("nonsense"))
    assert answer.status == 401


async def test_a_change_by_cookie_wants_the_csrf_token(owner: Visitor) -> None:
    answer = await owner.post("/api/v1/conversations/", {}, csrf=False)
    assert answer.status == 403
    assert list(answer.json) == ["detail"]
    assert (await owner.post("/api/v1/conversations/", {})).status == 201


async def test_a_token_needs_no_csrf_token(visitor: Visitor) -> None:
    token = await a_token(visitor, "owner")
    answer = await visitor.post("/api/v1/conversations/", {}, headers=bearing(token))
    assert answer.status == 201


async def test_a_form_may_hold_nothing_that_is_no_text(visitor: Visitor) -> None:
    answer = await visitor.post("/token", content=b"username=a%00&password=b", headers=FORM)
    assert problems(answer) == [(["body", "username"], "value_error")]


async def test_json_of_another_type_is_refused(visitor: Visitor) -> None:
    answer = await visitor.post(
        "/token", content=json.dumps({}).encode(), headers={"Content-Type": "text/plain"}
    )
    assert answer.status == 415
