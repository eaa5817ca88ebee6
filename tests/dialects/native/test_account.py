"""What people do about their own account: password, second factor, sessions, keys, and leaving."""

import asyncio
from typing import Any

import pytest

from palaver.domain.users import Role
from palaver.storage.statements import Statement
from palaver.web.call import SESSION_COOKIE
from tests.authenticator import PATH as SECOND_FACTOR
from tests.authenticator import enrolled
from tests.cast import PASSWORD
from tests.contracts import shape
from tests.dialects.native.helpers import ADMIN, EXAMPLES, all_of, assert_error
from tests.http import MovableClock, Palaver, Visitor, settled

ACCOUNT = "/api/palaver/account"
SESSIONS = "/api/palaver/sessions"
KEYS = "/api/palaver/api-keys"
NEW = "another good one"
NOBODYS = "0190a7f2-0000-7000-8000-000000000000"


def looks_documented(answer: Any, heading: str) -> None:
    """Check an answer against the document; of a value that may be null any kind will do."""
    wanted = EXAMPLES[heading].response
    assert list(answer.json) == list(wanted), answer
    given = {name: value for name, value in answer.json.items() if value is not None}
    for name, value in given.items():
        if wanted[name] is not None:
            assert shape(value)[:1] == shape(wanted[name])[:1], name


async def test_one_sees_ones_account(owner: Visitor) -> None:
    answer = await owner.get(ACCOUNT)
    assert answer.status == 200
    looks_documented(answer, "Get Account")
    assert (answer.json["id"], answer.json["username"]) == (owner.user.uuid, "owner")


# Password


async def change(visitor: Visitor, **body: Any) -> Any:
    return await visitor.post(f"{ACCOUNT}/password", {"current": PASSWORD, "new": NEW} | body)


async def test_a_new_password_ends_all_other_sessions(palaver: Palaver, owner: Visitor) -> None:
    other = await palaver.signed_in(owner.user)
    tokens = (
        await palaver.visitor().post(
            "/api/v1/auth/login", {"username": "owner", "password": PASSWORD}
        )
    ).json
    answer = await change(owner)
    assert (answer.status, answer.content) == (204, b"")
    assert (await owner.get(ACCOUNT)).status == 200
    assert_error(await other.get(ACCOUNT), 401, "SESSION_EXPIRED")
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert (await palaver.visitor().get("/api/v1/chats", headers=bearer)).status == 401
    refresh = {"refresh_token": tokens["refresh_token"]}
    assert (await palaver.visitor().post("/api/v1/auth/refresh", refresh)).status == 401
    await palaver.signed_in(owner.user, password=NEW)


async def test_what_is_wrong_with_it_is_told_by_field(owner: Visitor, clock: MovableClock) -> None:
    assert_error(await change(owner, current="wrong"), 400, "INVALID_INPUT", "current")
    assert_error(await change(owner, new="short"), 400, "INVALID_INPUT", "new")
    await enrolled(owner, clock)
    assert_error(await change(owner), 400, "INVALID_INPUT", "otp")
    assert_error(await change(owner, otp="000000"), 400, "INVALID_INPUT", "otp")


async def test_guessing_the_password_is_throttled(owner: Visitor) -> None:
    for _ in range(10):
        assert (await change(owner, current="wrong")).status == 400
    answer = await change(owner)
    assert_error(answer, 429, "LOGIN_THROTTLED")
    assert int(answer.headers["retry-after"]) >= 1


# Second factor


async def test_a_second_factor_is_set_up_and_taken_off(owner: Visitor, clock: MovableClock) -> None:
    answer = await owner.get(SECOND_FACTOR)
    assert answer.json["is_enabled"] is False
    answer = await owner.post(SECOND_FACTOR, {"password": PASSWORD})
    assert answer.status == 201
    looks_documented(answer, "Begin Second Factor")
    assert answer.json["secret"] in answer.json["otpauth_uri"]
    phone = await enrolled(owner, clock)
    answer = await owner.get(SECOND_FACTOR)
    looks_documented(answer, "Get Second Factor")
    assert (answer.json["is_enabled"], answer.json["recovery_codes_left"]) == (True, 10)
    proof = {"password": PASSWORD, "otp": phone.next_code()}
    answer = await owner.post(f"{SECOND_FACTOR}/recovery-codes", proof)
    assert len(answer.json["recovery_codes"]) == 10
    assert_error(await owner.post(SECOND_FACTOR, {"password": PASSWORD}), 409, "CONFLICT")
    refused = await owner.delete(SECOND_FACTOR, body=proof)  # that code was used
    assert_error(refused, 400, "INVALID_INPUT", "otp")
    proof["otp"] = answer.json["recovery_codes"][0]
    assert (await owner.delete(SECOND_FACTOR, body=proof)).status == 204
    assert (await owner.get(SECOND_FACTOR)).json["is_enabled"] is False


async def test_setting_it_up_takes_the_password_and_a_code(owner: Visitor) -> None:
    refused = await owner.post(SECOND_FACTOR, {"password": "wrong"})
    assert_error(refused, 400, "INVALID_INPUT", "password")
    refused = await owner.post(f"{SECOND_FACTOR}/confirm", {"code": "123456"})
    assert_error(refused, 409, "CONFLICT")
    await owner.post(SECOND_FACTOR, {"password": PASSWORD})
    for code in ("", "12345", "000000", "x" * 5000):
        refused = await owner.post(f"{SECOND_FACTOR}/confirm", {"code": code})
        assert_error(refused, 400, "INVALID_INPUT", "code")


# Sessions


async def test_one_sees_where_one_is_signed_in(palaver: Palaver, owner: Visitor) -> None:
    await palaver.visitor().post(
        "/api/v1/auth/login",
        {"username": "owner", "password": PASSWORD},
        headers={"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/140.0"},
    )
    answer = await owner.get(SESSIONS)
    assert list(answer.json) == ["items", "next"]
    first, second = sorted(answer.json["items"], key=lambda item: item["is_current"])
    assert list(first) == list(EXAMPLES["List Sessions"].response["items"][0])
    assert (first["kind"], first["device"]) == ("tokens", "Firefox on Linux")
    assert (second["kind"], second["is_current"]) == ("cookie", True)


async def test_one_ends_ones_own_sessions_and_no_others(
    palaver: Palaver, owner: Visitor, stranger: Visitor
) -> None:
    others = [await palaver.signed_in(owner.user) for _ in range(3)]
    listed = (await others[0].get(SESSIONS)).json["items"]
    (mine,) = (item["id"] for item in listed if item["is_current"])
    for id in (mine, NOBODYS, "x"):
        assert_error(await stranger.delete(f"{SESSIONS}/{id}"), 404, "NOT_FOUND")
    assert (await owner.delete(f"{SESSIONS}/{mine}")).status == 204
    assert_error(await others[0].get(SESSIONS), 401, "SESSION_EXPIRED")
    assert_error(await owner.delete(f"{SESSIONS}/{mine}"), 404, "NOT_FOUND")
    answer = await owner.delete(SESSIONS)
    assert (answer.status, answer.json) == (200, {"ended": 2})
    assert len((await owner.get(SESSIONS)).json["items"]) == 1
    assert (await stranger.get(SESSIONS)).status == 200


async def test_ending_this_session_signs_the_browser_out(owner: Visitor) -> None:
    (item,) = (await owner.get(SESSIONS)).json["items"]
    assert (await owner.delete(f"{SESSIONS}/{item['id']}")).status == 204
    assert owner.cookie(SESSION_COOKIE) is None


# API keys


async def test_a_key_is_shown_once(owner: Visitor) -> None:
    example = EXAMPLES["Create API Key"]
    answer = await owner.post(KEYS, example.request | {"expires_at": "2100-01-01T00:00:00Z"})
    assert answer.status == 201
    looks_documented(answer, "Create API Key")
    assert answer.json["expires_at"] == "2100-01-01T00:00:00.000000Z"
    listed = (await owner.get(KEYS)).json
    assert list(listed["items"][0]) == list(EXAMPLES["List API Keys"].response["items"][0])
    assert answer.json["key"] not in str(listed)


async def test_keys_are_listed_in_stretches_and_foreign_ones_are_not_there(
    owner: Visitor, stranger: Visitor, admin: Visitor
) -> None:
    for number in range(3):
        await owner.post(KEYS, {"name": f"key {number}"})
    items = await all_of(owner, KEYS, limit=1)
    assert [item["name"] for item in items] == ["key 2", "key 1", "key 0"]
    assert items[0]["scopes"] == ["read", "chat", "knowledge"]
    for other in (stranger, admin):
        assert (await other.get(KEYS)).json == {"items": [], "next": None}
        assert_error(await other.delete(f"{KEYS}/{items[0]['id']}"), 404, "NOT_FOUND")
    assert (await owner.delete(f"{KEYS}/{items[0]['id']}")).status == 204
    assert_error(await owner.delete(f"{KEYS}/{items[0]['id']}"), 404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "x", "scopes": []}, "scopes"),
        ({"name": "x", "scopes": ["everything"]}, "scopes.0"),
        ({"name": "x", "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
    ],
)
async def test_a_key_that_makes_no_sense_is_refused(
    owner: Visitor, body: dict[str, Any], field: str
) -> None:
    assert_error(await owner.post(KEYS, body), 400, "INVALID_INPUT", field)


# Leaving


async def delete(visitor: Visitor, **proof: str) -> Any:
    return await visitor.delete(ACCOUNT, body={"password": PASSWORD} | proof)


async def test_an_account_is_gone_at_once_and_its_content_soon(
    palaver: Palaver, owner: Visitor, stranger: Visitor, admin: Visitor
) -> None:
    other = await palaver.signed_in(owner.user)
    key = (await owner.post(KEYS, {"name": "x"})).json["key"]
    id = (await owner.post("/conversations", {})).json["id"]
    await owner.post(f"/conversations/{id}/messages", {"content": "a secret of the owner"})
    await owner.post("/api/palaver/memories", {"content": "another secret of the owner"})
    document = {"title": "x", "content": "a third secret of the owner"}
    assert (await owner.post("/api/v1/documents", document)).status in {200, 201}
    assert_error(await delete(owner, password="wrong"), 400, "INVALID_INPUT", "password")
    answer = await delete(owner)
    assert (answer.status, answer.content) == (204, b"")
    assert owner.cookie(SESSION_COOKIE) is None
    assert (await other.get(ACCOUNT)).status == 401
    bearer = {"Authorization": f"Bearer {key}"}
    assert (await palaver.visitor().get(ACCOUNT, headers=bearer)).status == 401
    login = {"username": "owner", "password": PASSWORD}
    assert (await palaver.visitor().post("/auth/login", login)).status == 401
    assert_error(await admin.get(f"{ADMIN}/users/{owner.user.uuid}"), 404, "NOT_FOUND")
    names = [item["username"] for item in (await admin.get(f"{ADMIN}/users")).json["items"]]
    assert names == ["admin", "stranger"]
    # The name is free.
    again = await palaver.visitor().post("/auth/register", login)
    assert again.status == 200

    async def is_erased() -> bool:
        async with palaver.house.db.read() as tx:
            counts = [
                await tx._connection.one(Statement(sql, int), id=owner.user.id)
                for sql in (
                    "select count(*) from users where id = :id",
                    "select count(*) from conversations where owner_id = :id",
                    "select count(*) from messages where owner_id = :id",
                    "select count(*) from memories where owner_id = :id",
                    "select count(*) from documents where owner_id = :id",
                    "select count(*) from api_keys where owner_id = :id",
                )
            ]
        return not any(counts)

    await settled(is_erased, within_seconds=30)
    assert (await stranger.get(ACCOUNT)).status == 200


async def test_the_last_administrator_stays(palaver: Palaver, admin: Visitor) -> None:
    assert_error(await delete(admin), 409, "CONFLICT")
    await palaver.person("second", role=Role.ADMIN)
    assert (await delete(admin)).status == 204


async def test_of_two_last_administrators_who_leave_at_once_one_stays(
    palaver: Palaver, admin: Visitor
) -> None:
    second = await palaver.person("second", role=Role.ADMIN)
    answers = await asyncio.gather(delete(admin), delete(second))
    assert sorted(answer.status for answer in answers) == [204, 409]
