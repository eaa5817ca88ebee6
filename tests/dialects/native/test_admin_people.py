"""Accounts, invites and the audit log, as administrators see to them."""

import pytest

from palaver.domain.users import Role
from tests.authenticator import enrolled
from tests.cast import PASSWORD
from tests.contracts import shape
from tests.dialects.native.helpers import ADMIN, EXAMPLES, NOWHERE, all_of, assert_error
from tests.http import MovableClock, Palaver, Visitor

USERS = f"{ADMIN}/users"
INVITES = f"{ADMIN}/invites"
AUDIT = f"{ADMIN}/audit"
NEW = "another good one"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", USERS),
        ("PATCH", f"{USERS}/1"),
        ("DELETE", f"{USERS}/1"),
        ("POST", f"{USERS}/1/password-reset"),
        ("DELETE", f"{USERS}/1/second-factor"),
        ("GET", INVITES),
        ("POST", INVITES),
        ("DELETE", f"{INVITES}/x"),
        ("GET", AUDIT),
    ],
)
async def test_it_is_for_administrators_alone(
    palaver: Palaver, owner: Visitor, method: str, path: str
) -> None:
    assert_error(await palaver.visitor().request(method, path), 401, "UNAUTHENTICATED")
    assert_error(await owner.request(method, path), 403, "ADMIN_REQUIRED")


async def test_an_account_is_made_changed_and_deleted(palaver: Palaver, admin: Visitor) -> None:
    example = EXAMPLES["Create User"]
    answer = await admin.post(USERS, example.request)
    assert answer.status == 201, answer
    assert shape(answer.json) == shape(example.response)
    path = f"{USERS}/{answer.json['id']}"
    assert (await admin.get(path)).json == answer.json
    again = await admin.post(USERS, example.request)
    assert_error(again, 409, "USERNAME_TAKEN")
    login = {"username": "grace", "password": example.request["password"]}
    grace = palaver.visitor()
    assert (await grace.post("/auth/login", login)).status == 200
    update = EXAMPLES["Update User"]
    changed = await admin.patch(path, update.request)
    assert (changed.status, changed.json["role"]) == (200, "admin")
    assert list(changed.json) == list(update.response)
    changed = await admin.patch(path, {"role": "user", "is_active": False})
    assert (changed.json["role"], changed.json["is_active"]) == ("user", False)
    assert (await grace.get("/auth/me")).status == 401
    gone = await admin.delete(path)
    assert (gone.status, gone.content) == (204, b"")
    assert_error(await admin.get(path), 404, "NOT_FOUND")
    assert (await admin.post(USERS, example.request)).status == 201


async def test_nobody_changes_or_deletes_their_own_account_here(admin: Visitor) -> None:
    path = f"{USERS}/{admin.user.uuid}"
    refused = await admin.patch(path, {"role": "user"})
    assert_error(refused, 400, "INVALID_INPUT", "role")
    refused = await admin.patch(path, {"is_active": False})
    assert_error(refused, 400, "INVALID_INPUT", "is_active")
    assert_error(await admin.delete(path), 400, "INVALID_INPUT", "user")
    assert_error(await admin.post(f"{path}/password-reset"), 400, "INVALID_INPUT", "user")
    assert_error(await admin.delete(f"{path}/second-factor"), 400, "INVALID_INPUT", "user")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PATCH", ""),
        ("DELETE", ""),
        ("POST", "/password-reset"),
        ("DELETE", "/second-factor"),
    ],
)
async def test_who_is_not_there_is_not_found(admin: Visitor, method: str, path: str) -> None:
    for id in (NOWHERE, "0190a7f2-0000-7000-8000-000000000000", "x", "9" * 30):
        answer = await admin.request(
            method, f"{USERS}/{id}{path}", {} if method == "PATCH" else None
        )
        assert_error(answer, 404, "NOT_FOUND")


async def test_a_link_lets_somebody_choose_a_new_password(
    palaver: Palaver, admin: Visitor, owner: Visitor
) -> None:
    answer = await admin.post(f"{USERS}/{owner.user.uuid}/password-reset")
    assert answer.status == 201
    assert shape(answer.json) == shape(EXAMPLES["Reset Password"].response)
    base, _, token = answer.json["url"].partition("/app/reset?token=")
    assert base == palaver.base_url
    assert len(token) == 43


async def test_a_lost_second_factor_is_taken_off(
    admin: Visitor, owner: Visitor, clock: MovableClock, palaver: Palaver
) -> None:
    path = f"{USERS}/{owner.user.uuid}"
    assert_error(await admin.delete(f"{path}/second-factor"), 409, "CONFLICT")
    await enrolled(owner, clock)
    assert (await admin.get(path)).json["has_second_factor"] is True
    assert (await admin.delete(f"{path}/second-factor")).status == 204
    assert (await owner.get("/auth/me")).status == 401
    login = {"username": "owner", "password": PASSWORD}
    assert (await palaver.visitor().post("/auth/login", login)).status == 200


async def test_invites_are_made_listed_and_revoked(palaver: Palaver, admin: Visitor) -> None:
    example = EXAMPLES["Create Invite"]
    made = await admin.post(INVITES, example.request)
    assert made.status == 201
    assert shape(made.json) == shape(example.response)
    assert made.json["created_by"] == admin.user.id
    for _ in range(2):
        assert (await admin.post(INVITES, {})).json["expires_at"] is None
    items = await all_of(admin, INVITES, limit=1)
    assert len(items) == 3
    assert items[-1] == made.json
    guest = {"username": "guest", "password": NEW, "invite_code": made.json["code"]}
    assert (await palaver.visitor().post("/auth/register", guest)).status == 200
    code = items[0]["code"]
    gone = await admin.delete(f"{INVITES}/{code}")
    assert (gone.status, gone.content) == (204, b"")
    assert_error(await admin.delete(f"{INVITES}/{code}"), 400, "ALREADY_REVOKED")
    assert_error(await admin.delete(f"{INVITES}/nothing"), 404, "NOT_FOUND")
    guest = {"username": "other", "password": NEW, "invite_code": code}
    assert (await palaver.visitor().post("/auth/register", guest)).status == 400


async def test_what_was_done_is_listed_newest_first(palaver: Palaver, admin: Visitor) -> None:
    for number in range(3):
        await palaver.person(f"person{number}", role=Role.USER)
    whole = await all_of(admin, AUDIT, limit=100)
    assert list(whole[0]) == list(EXAMPLES["List Audit Entries"].response["items"][0])
    assert await all_of(admin, AUDIT, limit=1) == whole
    found = (await admin.get(f"{AUDIT}?action=admin.user_created&q=PERSON1")).json["items"]
    assert [item["target"] for item in found] == ["person1"]
    assert_error(await admin.get(f"{AUDIT}?cursor=x"), 400, "INVALID_INPUT", "cursor")
    later = (await admin.get(f"{AUDIT}?since=2100-01-01T00:00:00Z")).json
    assert later == {"items": [], "next": None}
