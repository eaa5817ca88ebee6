"""Who may call what, what proves where a call is from, and whose error it is."""

from typing import Any

import pytest

from palaver.dialects.subscriptions import DIALECT
from palaver.domain.users import Actor, Client
from palaver.web.endpoint import Endpoint
from tests.cast import PASSWORD
from tests.dialects.subscriptions.helpers import (
    NO_MESSAGE,
    NOWHERE,
    SESSIONS,
    a_session,
    assert_error,
)
from tests.http import Answer, MovableClock, Palaver, Visitor

WEEK_SECONDS = 7 * 24 * 3600
PATHS = sorted({endpoint.path for endpoint in DIALECT.endpoints})
CHANGING = [endpoint for endpoint in DIALECT.endpoints if endpoint.changes]
TAKING = [endpoint for endpoint in CHANGING if endpoint.method != "DELETE"]


def path_of(path: str, session: object = NOWHERE) -> str:
    filled = path.replace("{session_id}", str(session)).replace("{message_id}", NO_MESSAGE)
    return filled.replace("{name}", "none.png")


def ids(endpoint: Endpoint) -> str:
    return f"{endpoint.method} {endpoint.path}"


async def call(
    visitor: Visitor, endpoint: Endpoint, session: object = NOWHERE, **more: Any
) -> Answer:
    return await visitor.request(endpoint.method, path_of(endpoint.path, session), **more)


async def a_bearer(palaver: Palaver) -> dict[str, str]:
    sign_in = await palaver.services.sessions.sign_in_for_tokens(
        Actor.anonymous(Client()), username="owner", password=PASSWORD
    )
    return {"Authorization": f"Bearer {sign_in.access_token}"}


async def test_nobody_is_let_in_without_a_sign_in(palaver: Palaver) -> None:
    for endpoint in DIALECT.endpoints:
        for session in (NOWHERE, "x"):
            answer = await call(palaver.visitor(), endpoint, session)
            assert_error(answer, 401, "Authentication required")


@pytest.mark.parametrize("endpoint", CHANGING, ids=ids)
async def test_a_change_by_cookie_wants_the_token(owner: Visitor, endpoint: Endpoint) -> None:
    for more in ({"csrf": False}, {"headers": {"X-CSRF-Token": "wrong"}}):
        assert_error(await call(owner, endpoint, **more), 403, "CSRF check failed")


async def test_a_change_from_another_site_is_refused(owner: Visitor) -> None:
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        answer = await owner.post(SESSIONS, {}, headers=headers)
        assert_error(answer, 403, "CSRF check failed")


async def test_a_bearer_works_as_well_and_needs_no_csrf_token(
    palaver: Palaver, owner: Visitor
) -> None:
    headers = await a_bearer(palaver)
    program = palaver.visitor()
    assert (await program.post(SESSIONS, {}, headers=headers)).status == 201
    assert len((await program.get(SESSIONS, headers=headers)).json) == 1
    assert len((await owner.get(SESSIONS)).json) == 1


async def test_a_bearer_that_is_sent_decides_alone(owner: Visitor) -> None:
    answer = await owner.get(SESSIONS, headers={"Authorization": "Bearer nonsense"})
    assert_error(answer, 401, "Authentication required")


async def test_a_session_that_has_ended_is_told_from_none(
    owner: Visitor, clock: MovableClock
) -> None:
    clock.move(seconds=WEEK_SECONDS + 60)
    assert_error(await owner.get(SESSIONS), 401, "Session expired")


async def test_whoever_is_disabled_is_out_at_once(owner: Visitor, admin: Visitor) -> None:
    await admin.patch(f"/admin/users/{owner.user.id}", {"status": "disabled"})
    assert_error(await owner.get(SESSIONS), 401, "Account disabled")


@pytest.mark.parametrize("path", PATHS)
async def test_another_method_is_refused_with_those_that_there_are(
    palaver: Palaver, path: str
) -> None:
    allowed = {endpoint.method for endpoint in DIALECT.endpoints if endpoint.path == path}
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - allowed:
        answer = await palaver.visitor().request(method, path_of(path))
        assert_error(answer, 405, "Method not allowed")
        assert answer.headers["allow"] == ", ".join(sorted(allowed))


async def test_head_answers_as_get_does_without_a_body(owner: Visitor) -> None:
    answer = await owner.request("HEAD", SESSIONS)
    assert (answer.status, answer.content) == (200, b"")


@pytest.mark.parametrize("path", PATHS)
async def test_both_slash_forms_answer_and_nothing_redirects(owner: Visitor, path: str) -> None:
    id = await a_session(owner)
    here = path_of(path, id)
    there = here.removesuffix("/") if here.endswith("/") else f"{here}/"
    if here.endswith("/events/"):
        here, there = f"{here}?after=x", f"{there}?after=x"  # a stream that would not end
    assert (await owner.get(there)).status == (await owner.get(here)).status


@pytest.mark.parametrize("endpoint", TAKING, ids=ids)
async def test_a_body_that_is_too_large_or_no_json_is_refused(
    owner: Visitor, endpoint: Endpoint
) -> None:
    answer = await call(owner, endpoint, content=b" " * (2 * 1024 * 1024 + 1))
    assert_error(answer, 413, "Payload too large")
    headers = {"Content-Type": "text/plain"}
    answer = await call(owner, endpoint, content=b"{}", headers=headers)
    assert_error(answer, 415, "Unsupported media type")
    for content in (b"{", b"[]", b"\xff", b"[" * 100_000):
        assert_error(await call(owner, endpoint, content=content), 400, "Invalid input")


@pytest.mark.parametrize(
    "path",
    [
        "/api/",
        "/api/nothing",
        "/api/users/1/",
        "/api/chat-sessions/1/nothing/",
        "/api/chat-sessions//messages/",
        "/api/chat-sessions/1/messages/x/",
    ],
)
async def test_what_matches_no_route_below_api_is_ours(palaver: Palaver, path: str) -> None:
    for method in ("GET", "POST", "DELETE"):
        answer = await palaver.visitor().request(method, path)
        assert_error(answer, 404, "Not found", "Route not found.")


async def test_what_belongs_to_others_below_api_is_theirs(palaver: Palaver) -> None:
    visitor = palaver.visitor()
    assert "code" in (await visitor.get("/api/palaver/nothing")).json
    assert list((await visitor.get("/api/v1/nothing")).json) == ["detail", "error", "message"]
    assert list((await visitor.post("/api/chat")).json) == ["detail"]


async def test_every_answer_names_its_request(owner: Visitor) -> None:
    for answer in (await owner.get(SESSIONS), await owner.get("/api/nothing")):
        assert answer.headers["x-request-id"]


async def test_an_unexpected_failure_tells_nothing(
    owner: Visitor, palaver: Palaver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr(type(palaver.services.usage), "conversations", broken)
    answer = await owner.get("/api/chat-session-usages/")
    assert_error(answer, 500, "Internal server error", "An unexpected error occurred.")
