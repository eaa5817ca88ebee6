"""A key works wherever a bearer does, in every contract, as far as its scopes go."""

from typing import Any

import pytest

from palaver.dialects import DIALECTS
from palaver.domain.api_keys import DEFAULT_SCOPES, Scope
from palaver.ui import PAGES
from palaver.web.endpoint import Access, Dialect
from palaver.web.scopes import needed
from tests.http import Answer, Palaver, Visitor

KEYS = "/api/palaver/api-keys"


async def key_of(visitor: Visitor, *scopes: str, **more: Any) -> str:
    """Return a new key of somebody who has signed in."""
    answer = await visitor.post(KEYS, {"name": "tests", "scopes": list(scopes)} | more)
    assert answer.status == 201, answer
    return answer.json["key"]


async def by_key(palaver: Palaver, key: str, method: str, path: str, body: Any = None) -> Answer:
    """Call as a program does: with the key, and nothing else."""
    headers = {"Authorization": f"Bearer {key}"}
    return await palaver.visitor().request(method, path, body, headers=headers)


READS = [
    "/api/v1/auth/profile/",  # sessions
    "/api/users/",  # subscriptions
    "/conversations",  # streaming
    "/api/v1/chats",  # platform
    "/api/v1/conversations/",  # companion
    "/api/palaver/account",  # native
    "/",  # a page
]
CHANGES = [
    ("POST", "/api/v1/chat/sessions/", {}, "chat", 201),
    ("POST", "/api/chat-sessions/", {}, "chat", 201),
    ("POST", "/conversations", {}, "chat", 200),
    ("POST", "/api/v1/chats", {}, "chat", 200),
    ("POST", "/api/v1/conversations/", {}, "chat", 201),
    ("POST", "/api/v1/memories", {"content": "Likes tea."}, "knowledge", 200),
    ("POST", "/api/palaver/memories", {"content": "Likes tea."}, "knowledge", 201),
    ("POST", "/api/v1/memories/search", {"query": "tea"}, "read", 200),
]


@pytest.mark.parametrize("path", READS)
async def test_every_contract_takes_one(palaver: Palaver, owner: Visitor, path: str) -> None:
    key = await key_of(owner, "read")
    assert (await by_key(palaver, key, "GET", path)).status == 200
    other = await key_of(owner, "chat", "knowledge")
    assert (await by_key(palaver, other, "GET", path)).status == 403


@pytest.mark.parametrize(("method", "path", "body", "scope", "status"), CHANGES)
async def test_a_change_takes_its_scope(
    palaver: Palaver,
    owner: Visitor,
    method: str,
    path: str,
    body: Any,
    scope: str,
    status: int,
) -> None:
    others = [each for each in ("read", "chat", "knowledge") if each != scope]
    refused = await by_key(palaver, await key_of(owner, *others), method, path, body)
    assert refused.status == 403, refused
    answer = await by_key(palaver, await key_of(owner, scope), method, path, body)
    assert answer.status == status, answer


async def test_a_missing_scope_is_named(palaver: Palaver, owner: Visitor) -> None:
    key = await key_of(owner, "read")
    answer = await by_key(palaver, key, "POST", "/conversations", {})
    assert answer.json["code"] == "SCOPE_REQUIRED"
    assert "`chat`" in answer.json["message"]
    answer = await by_key(palaver, key, "POST", "/api/palaver/memories", {"content": "x"})
    assert answer.json["code"] == "SCOPE_REQUIRED"
    assert "`knowledge`" in answer.json["message"]


async def test_a_scope_is_looked_at_before_the_body(palaver: Palaver, owner: Visitor) -> None:
    key = await key_of(owner, "read")
    assert (await by_key(palaver, key, "POST", "/conversations", [])).status == 403


async def test_administration_takes_an_administrator_and_the_scope(
    palaver: Palaver, owner: Visitor, admin: Visitor
) -> None:
    refused = await owner.post(KEYS, {"name": "x", "scopes": ["admin"]})
    assert (refused.status, refused.json["code"]) == (403, "ADMIN_REQUIRED")
    for path in ("/admin/users", "/api/palaver/admin/users"):
        key = await key_of(admin, "read", "chat", "knowledge")
        answer = await by_key(palaver, key, "GET", path)
        assert (answer.status, answer.json["code"]) == (403, "SCOPE_REQUIRED")
        key = await key_of(admin, "admin")
        assert (await by_key(palaver, key, "GET", path)).status == 200


OWN = [
    (row.method, row.path)
    for dialect in (*DIALECTS, PAGES)
    for row in dialect.endpoints
    if row.no_keys
]


async def test_no_key_touches_keys_sessions_passwords_or_second_factors(
    palaver: Palaver, admin: Visitor
) -> None:
    key = await key_of(admin, "read", "chat", "knowledge", "admin")
    for method, path in OWN:
        answer = await by_key(palaver, key, method, path)
        assert answer.status == 403, (method, path, answer)
        assert b"API key" in answer.content or b"permission" in answer.content


def test_what_no_key_may_do_is_all_there() -> None:
    paths = {path.rstrip("/") for _, path in OWN}
    assert {
        "/api/palaver/account",
        "/api/palaver/account/password",
        "/api/palaver/account/second-factor",
        "/api/palaver/account/second-factor/recovery-codes",
        "/api/palaver/api-keys",
        "/api/palaver/api-keys/{key_id}",
        "/api/palaver/sessions",
        "/api/palaver/sessions/{session_id}",
        "/api/palaver/admin/users/{user}/password-reset",
        "/api/palaver/admin/users/{user}/second-factor",
        "/api/v1/auth/logout",
        "/auth/logout",
        "/accounts/logout",
        "/app/second-factor",
    } <= paths


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
async def test_a_key_without_the_scope_gets_nowhere(
    palaver: Palaver, owner: Visitor, dialect: Dialect
) -> None:
    rows = [row for row in dialect.endpoints if row.access is not Access.PUBLIC and not row.no_keys]
    assert rows
    keys: dict[frozenset[Scope], str] = {}
    for row in rows:
        others = DEFAULT_SCOPES - needed(row) or frozenset({Scope.READ})
        if others not in keys:
            keys[others] = await key_of(owner, *others)
        answer = await by_key(palaver, keys[others], row.method, row.path)
        assert answer.status == 403, (row.method, row.path, answer)


async def test_a_revoked_key_is_none_in_every_contract(palaver: Palaver, owner: Visitor) -> None:
    key = await key_of(owner, "read")
    (listed,) = (await owner.get(KEYS)).json["items"]
    assert (await owner.delete(f"{KEYS}/{listed['id']}")).status == 204
    for path in READS[:-1]:
        assert (await by_key(palaver, key, "GET", path)).status == 401, path


async def test_a_bearer_that_is_sent_decides_alone(palaver: Palaver, owner: Visitor) -> None:
    answer = await owner.get("/conversations", headers={"Authorization": "Bearer pk_wrong"})
    assert answer.status == 401
