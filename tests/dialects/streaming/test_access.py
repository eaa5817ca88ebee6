"""Who may call what: every route as every kind of caller, and what proves where a call is from."""

from typing import Any

import pytest

from palaver.dialects.streaming import DIALECT
from palaver.domain.users import SYSTEM, Actor, Client
from palaver.web.endpoint import Access, Csrf, Endpoint
from tests.cast import PASSWORD
from tests.dialects.streaming.helpers import NO_GENERATION, a_conversation, assert_error
from tests.http import Answer, MovableClock, Palaver, Visitor

WEEK_SECONDS = 7 * 24 * 3600
CHANGING = [
    endpoint
    for endpoint in DIALECT.endpoints
    if endpoint.changes and endpoint.access is not Access.PUBLIC
]


def path_of(endpoint: Endpoint, conversation_id: int = 1) -> str:
    values = {
        "{conversation_id}": str(conversation_id),
        "{generation_id}": NO_GENERATION,
        "{user_id}": "1",
        "{invite}": "nonsense",
        "{provider_id}": "sim",
    }
    path = endpoint.path
    for name, value in values.items():
        path = path.replace(name, value)
    return path


def ids(endpoint: Endpoint) -> str:
    return f"{endpoint.method} {endpoint.path}"


async def call(visitor: Visitor, endpoint: Endpoint, **more: Any) -> Answer:
    return await visitor.request(endpoint.method, path_of(endpoint), **more)


async def test_without_a_sign_in_only_public_routes_answer(palaver: Palaver) -> None:
    for endpoint in DIALECT.endpoints:
        answer = await call(palaver.visitor(), endpoint)
        if endpoint.access is Access.PUBLIC:
            assert answer.status in {200, 400, 403}, ids(endpoint)
        else:
            assert_error(answer, 401, "AUTH_REQUIRED")


async def test_only_administrators_reach_what_is_theirs(owner: Visitor, admin: Visitor) -> None:
    endpoints = [each for each in DIALECT.endpoints if each.access is Access.ADMIN]
    assert len(endpoints) == 6
    for endpoint in endpoints:
        assert_error(await call(owner, endpoint), 403, "ADMIN_REQUIRED")
        assert (await call(admin, endpoint)).status in {200, 404}


async def test_an_id_of_a_wrong_form_does_not_let_a_stranger_in(palaver: Palaver) -> None:
    for path in ("/conversations/x", "/conversations/x/messages"):
        assert_error(await palaver.visitor().get(path), 401, "AUTH_REQUIRED")


@pytest.mark.parametrize("endpoint", CHANGING, ids=ids)
async def test_a_change_by_cookie_wants_the_token(admin: Visitor, endpoint: Endpoint) -> None:
    assert endpoint.csrf is (Csrf.OPTIONAL if endpoint.path.endswith("/stream") else Csrf.REQUIRED)
    answer = await call(admin, endpoint, headers={"X-CSRF-Token": "wrong"})
    assert_error(answer, 403, "CSRF_INVALID")
    answer = await call(admin, endpoint, csrf=False)
    if endpoint.csrf is Csrf.REQUIRED:
        assert_error(answer, 403, "CSRF_INVALID")
    else:
        assert answer.status != 403


async def test_the_token_is_taken_by_both_names(owner: Visitor) -> None:
    token = owner.cookie("csrftoken")
    for name in ("X-CSRF-Token", "X-CSRFToken", "x-csrftoken"):
        answer = await owner.post("/conversations", {}, csrf=False, headers={name: str(token)})
        assert answer.status == 200


async def test_another_sessions_token_does_not_count(
    palaver: Palaver, owner: Visitor, stranger: Visitor
) -> None:
    again = await palaver.signed_in(owner.user)
    for other in (stranger, again):
        headers = {"X-CSRF-Token": str(other.cookie("csrftoken"))}
        answer = await owner.post("/conversations", {}, headers=headers)
        assert_error(answer, 403, "CSRF_INVALID")


async def test_reading_wants_no_token(owner: Visitor) -> None:
    assert (await owner.get("/conversations")).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://["},
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "https://127.0.0.1:1"},
    ],
)
async def test_a_change_by_cookie_from_another_site_is_refused(
    owner: Visitor, headers: dict[str, str]
) -> None:
    id = await a_conversation(owner, "Hello")
    assert_error(await owner.post("/conversations", {}, headers=headers), 403, "CSRF_INVALID")
    answer = await owner.post(f"/conversations/{id}/stream", {}, csrf=False, headers=headers)
    assert_error(answer, 403, "CSRF_INVALID")
    assert (await owner.get("/conversations", headers=headers)).status == 200


async def test_our_own_origin_is_welcome(owner: Visitor) -> None:
    for headers in ({"Origin": owner.base_url}, {"Sec-Fetch-Site": "same-origin"}):
        assert (await owner.post("/conversations", {}, headers=headers)).status == 200


async def test_a_session_ends_a_week_after_its_last_use(
    owner: Visitor, clock: MovableClock
) -> None:
    clock.move(seconds=WEEK_SECONDS - 60)
    assert (await owner.get("/auth/me")).status == 200
    clock.move(seconds=WEEK_SECONDS - 60)
    assert (await owner.get("/auth/me")).status == 200
    clock.move(seconds=WEEK_SECONDS + 60)
    assert_error(await owner.get("/auth/me"), 401, "SESSION_EXPIRED")
    assert_error(await owner.post("/conversations", {}), 401, "SESSION_EXPIRED")


async def test_a_cookie_that_was_never_issued_is_no_sign_in(palaver: Palaver) -> None:
    for cookie in ("nonsense", "x" * 4000):
        visitor = palaver.visitor()
        visitor.keep("palaver_session", cookie)
        assert_error(await visitor.get("/auth/me"), 401, "AUTH_REQUIRED")


async def test_whoever_is_disabled_is_out_at_once(
    palaver: Palaver, owner: Visitor, admin: Visitor
) -> None:
    change = {"status": "disabled"}
    assert (await admin.patch(f"/admin/users/{owner.user.id}", change)).status == 200
    assert_error(await owner.get("/conversations"), 401, "USER_INACTIVE")
    body = {"username": "owner", "password": PASSWORD}
    assert_error(await palaver.visitor().post("/auth/login", body), 401, "USER_INACTIVE")
    assert (await admin.patch(f"/admin/users/{owner.user.id}", {"status": "active"})).status == 200
    assert_error(await owner.get("/conversations"), 401, "SESSION_EXPIRED")


async def test_a_bearer_works_as_well_and_needs_no_csrf_token(
    palaver: Palaver, owner: Visitor
) -> None:
    sign_in = await palaver.services.sessions.sign_in_for_tokens(
        Actor.anonymous(Client()), username="owner", password=PASSWORD
    )
    headers = {"Authorization": f"Bearer {sign_in.access_token}"}
    program = palaver.visitor()
    assert (await program.post("/conversations", {}, headers=headers)).status == 200
    assert len((await program.get("/conversations", headers=headers)).json) == 1
    assert (await program.post("/auth/logout", headers=headers)).status == 200
    assert_error(await program.get("/conversations", headers=headers), 401, "AUTH_REQUIRED")
    assert (await owner.get("/conversations")).status == 200


async def test_a_bearer_that_is_sent_decides_alone(palaver: Palaver, owner: Visitor) -> None:
    sign_in = await palaver.services.sessions.sign_in_for_tokens(
        Actor.anonymous(Client()), username="owner", password=PASSWORD
    )
    refresh = f"Bearer {sign_in.refresh_token}"
    for header in ("Bearer nonsense", "bearer nonsense", "Bearer", "Bearer  ", refresh):
        answer = await owner.get("/auth/me", headers={"Authorization": header})
        assert_error(answer, 401, "AUTH_REQUIRED")


async def test_the_password_of_a_proxy_is_none_of_our_business(
    palaver: Palaver, owner: Visitor
) -> None:
    for header in ("Basic b3duZXI6eA==", "Digest username=x", "nonsense", ""):
        headers = {"Authorization": header}
        assert (await owner.get("/auth/me", headers=headers)).status == 200
        forged = await owner.post("/conversations", {}, headers=headers, csrf=False)
        assert_error(forged, 403, "CSRF_INVALID")
        assert_error(await palaver.visitor().get("/auth/me", headers=headers), 401, "AUTH_REQUIRED")


async def test_who_is_no_longer_an_administrator_is_none_at_once(
    palaver: Palaver, admin: Visitor
) -> None:
    other = await palaver.person("other")
    await admin.patch(f"/admin/users/{other.user.id}", {"role": "admin"})
    assert (await other.get("/admin/users")).status == 200
    await palaver.services.accounts.update(SYSTEM, other.user.id, role=admin.user.role.USER)
    assert_error(await other.get("/admin/users"), 403, "ADMIN_REQUIRED")
