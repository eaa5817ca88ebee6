"""Every route of every contract as every kind of caller: who may not come in is told so, as its
contract tells it, and told nothing else."""

from collections.abc import Mapping
from typing import Any

import pytest

from palaver.dialects import DIALECTS
from palaver.domain.api_keys import Scope
from palaver.web.binding import Uuid, signature_of
from palaver.web.call import SESSION_COOKIE
from palaver.web.endpoint import Access, Csrf, Dialect, Endpoint
from palaver.web.scopes import needed
from tests.cast import PASSWORD
from tests.http import Answer, MovableClock, Palaver, Visitor

NOWHERE = "01890a5d-ac96-774b-bcce-b302099a8057"
TOKENS = "/api/v1/auth/login"
A_MONTH = 31 * 24 * 3600


def path_of(endpoint: Endpoint) -> str:
    """Return a path of a route, to things that are not there."""
    path = endpoint.path
    for name, kind in signature_of(endpoint.handler, endpoint.path).path:
        path = path.replace(f"{{{name}}}", {int: "9999999", Uuid: NOWHERE}.get(kind, NOWHERE))
    return path


async def call(visitor: Visitor, endpoint: Endpoint, **more: Any) -> Answer:
    """Call a route with nothing in the body."""
    return await visitor.request(endpoint.method, path_of(endpoint), **more)


def assert_refused(answer: Answer, dialect: Dialect, *statuses: int) -> None:
    """Check that an answer is a refusal in its contract's shape, or a page that says so."""
    assert answer.status in statuses, answer
    assert "x-request-id" in answer.headers
    if answer.headers.get("content-type") != "application/json":
        assert dialect.name == "sessions", answer  # its pages
        return
    shape = dialect.error_shapes[answer.status]
    names = set(shape.__struct_fields__)
    assert set(answer.json) <= names | {"success", "code"}, answer
    assert set(answer.json) & names, answer


async def tokens_of(visitor: Visitor, username: str) -> Mapping[str, str]:
    """Return the tokens of a new sign-in."""
    answer = await visitor.post(TOKENS, {"username": username, "password": PASSWORD})
    assert answer.status == 200, answer
    tokens: Mapping[str, str] = answer.json
    return tokens


def bearing(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
async def test_who_has_not_signed_in_gets_nowhere(palaver: Palaver, dialect: Dialect) -> None:
    for endpoint in guarded(dialect):
        answer = await call(palaver.visitor(), endpoint)
        if answer.status == 302:
            assert dialect.name == "sessions"
            assert answer.headers["location"].startswith("/accounts/login/")
        else:
            assert_refused(answer, dialect, 401)


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
async def test_a_sign_in_that_has_ended_opens_nothing(
    palaver: Palaver, clock: MovableClock, dialect: Dialect
) -> None:
    late = await palaver.person("late")
    tokens = await tokens_of(palaver.visitor(), "late")
    out = await palaver.person("out")
    gone = await tokens_of(palaver.visitor(), "out")
    ended = palaver.visitor()
    ended.keep(SESSION_COOKIE, str(out.cookie(SESSION_COOKIE)))
    headers = bearing(gone["access_token"])
    assert (await ended.post("/api/v1/auth/logout", headers=headers)).status == 200
    assert (await out.post("/auth/logout")).status == 200
    clock.move(seconds=A_MONTH)
    nobody = palaver.visitor()
    for endpoint in guarded(dialect):
        for visitor, headers in (
            (late, {}),  # a cookie that has expired
            (ended, {}),  # one whose owner has signed out
            (nobody, bearing(tokens["access_token"])),  # a token that has
            (nobody, bearing(gone["access_token"])),  # one that was taken back
            (nobody, bearing("pk_nonsense")),  # no key of ours
            (nobody, bearing("nonsense")),
        ):
            answer = await call(visitor, endpoint, headers=headers)
            if answer.status != 302:
                assert_refused(answer, dialect, 401)


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
async def test_a_refresh_token_is_no_access_token(palaver: Palaver, dialect: Dialect) -> None:
    await palaver.person("owner")
    refresh = (await tokens_of(palaver.visitor(), "owner"))["refresh_token"]
    for endpoint in guarded(dialect):
        answer = await call(palaver.visitor(), endpoint, headers=bearing(refresh))
        if answer.status != 302:
            assert_refused(answer, dialect, 401)


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
async def test_a_change_by_cookie_needs_proof_that_our_page_sent_it(
    owner: Visitor, admin: Visitor, dialect: Dialect
) -> None:
    for endpoint in guarded(dialect):
        if not endpoint.changes:
            continue
        visitor = admin if endpoint.access is Access.ADMIN else owner
        foreign = {"Origin": "https://evil.example"}
        cross_site = {"Sec-Fetch-Site": "cross-site"}
        wrong = {"X-CSRF-Token": "nonsense"}
        for headers in (foreign, cross_site, wrong):
            assert_refused(await call(visitor, endpoint, headers=headers), dialect, 403)
        if endpoint.csrf is Csrf.REQUIRED:
            assert_refused(await call(visitor, endpoint, csrf=False), dialect, 403)


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
async def test_what_is_for_administrators_is_for_nobody_else(
    owner: Visitor, admin: Visitor, dialect: Dialect
) -> None:
    for endpoint in guarded(dialect):
        if endpoint.access is Access.ADMIN:
            assert_refused(await call(owner, endpoint), dialect, 403)
            assert (await call(admin, endpoint)).status not in {401, 403, 500}


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
async def test_a_key_opens_what_its_scopes_say_and_no_more(
    admin: Visitor, dialect: Dialect
) -> None:
    keys = {}
    for scope in Scope:
        others = [other.value for other in Scope if other is not scope]
        body = {"name": f"without {scope.value}", "scopes": others}
        answer = await admin.post("/api/palaver/api-keys", body)
        assert answer.status == 201, answer
        keys[scope] = answer.json["key"]
    for endpoint in guarded(dialect):
        if endpoint.no_keys:
            headers = bearing(keys[Scope.READ])
            assert_refused(await call(admin, endpoint, headers=headers), dialect, 403)
            continue
        for scope in needed(endpoint):
            answer = await call(admin, endpoint, headers=bearing(keys[scope]))
            assert_refused(answer, dialect, 403)
        spare = next((scope for scope in Scope if scope not in needed(endpoint)), None)
        if spare is not None and not streams(endpoint):
            answer = await call(admin, endpoint, headers=bearing(keys[spare]))
            assert answer.status not in {401, 500}, (endpoint.path, answer)


def guarded(dialect: Dialect) -> list[Endpoint]:
    """Return the routes that want to know who calls."""
    return [each for each in dialect.endpoints if each.access is not Access.PUBLIC]


def streams(endpoint: Endpoint) -> bool:
    return bool(endpoint.events)


def test_every_route_has_a_rule() -> None:
    for dialect in DIALECTS:
        for endpoint in guarded(dialect):
            assert endpoint.no_keys or needed(endpoint)
