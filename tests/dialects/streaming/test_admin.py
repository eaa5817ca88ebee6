"""The chapter "Admin"."""

import asyncio
import re

import pytest
from msgspec import structs

from palaver.config import Settings
from tests.cast import PASSWORD
from tests.contracts import shape
from tests.dialects.conftest import BOOTSTRAP_TOKEN
from tests.dialects.streaming.helpers import EXAMPLES, NOWHERE, assert_error
from tests.http import Answer, MovableClock, Palaver, Visitor, running

ROOT = {"username": "root", "password": PASSWORD}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}")


async def bootstrap(visitor: Visitor, token: str | None = BOOTSTRAP_TOKEN, **more: str) -> Answer:
    headers = {} if token is None else {"X-Bootstrap-Token": token}
    return await visitor.post("/admin/bootstrap", ROOT | more, headers=headers)


async def test_the_token_makes_the_first_administrator_and_signs_them_in(
    palaver: Palaver,
) -> None:
    browser = palaver.visitor()
    answer = await bootstrap(browser)
    assert answer.status == 200
    assert shape(answer.json) == shape(EXAMPLES["Login"].response)
    assert answer.json["user"]["role"] == "admin"
    assert (await browser.get("/admin/users")).status == 200


async def test_a_wrong_token_makes_nobody(palaver: Palaver) -> None:
    for token in (None, "", "wrong", BOOTSTRAP_TOKEN.upper(), "ü"):
        answer = await bootstrap(palaver.visitor(), token)
        assert_error(answer, 403, "INVALID_BOOTSTRAP_TOKEN")


async def test_once_there_is_an_administrator_the_token_is_of_no_use_for_good(
    palaver: Palaver,
) -> None:
    answers = await asyncio.gather(
        *(bootstrap(palaver.visitor(), username=f"root{number}") for number in range(3))
    )
    assert sorted(answer.status for answer in answers) == [200, 403, 403]
    assert_error(await bootstrap(palaver.visitor()), 403, "BOOTSTRAP_DISABLED")


async def test_without_a_token_there_is_no_bootstrap(settings: Settings) -> None:
    async with running(structs.replace(settings, bootstrap_token="")) as palaver:
        assert_error(await bootstrap(palaver.visitor(), ""), 403, "BOOTSTRAP_DISABLED")


async def test_nobody_becomes_an_administrator_by_registering_first(palaver: Palaver) -> None:
    answer = await palaver.visitor().post("/auth/register", ROOT)
    assert answer.json["user"]["role"] == "user"


async def test_a_bootstrap_wants_a_name_and_a_password(palaver: Palaver) -> None:
    headers = {"X-Bootstrap-Token": BOOTSTRAP_TOKEN}
    for body in (None, {}, {"username": "root"}, {"username": "root", "password": "short"}):
        answer = await palaver.visitor().post("/admin/bootstrap", body, headers=headers)
        assert_error(answer, 400, "VALIDATION_ERROR")


async def test_users_are_listed_newest_first(owner: Visitor, admin: Visitor) -> None:
    answer = await admin.get("/admin/users")
    assert answer.status == 200
    first, second = answer.json["users"]
    assert list(answer.json) == ["users"]
    assert list(first) == ["id", "username", "role", "status", "created_at", "last_login"]
    assert (first["username"], first["role"], first["status"]) == ("admin", "admin", "active")
    assert (second["username"], second["role"], second["id"]) == ("owner", "user", owner.user.id)
    assert TIME.fullmatch(second["created_at"])
    assert TIME.fullmatch(second["last_login"])


async def test_users_are_listed_in_pages(owner: Visitor, admin: Visitor) -> None:
    (first,) = (await admin.get("/admin/users?limit=1")).json["users"]
    (second,) = (await admin.get(f"/admin/users?before={first['id']}")).json["users"]
    assert (first["username"], second["username"]) == ("admin", "owner")
    assert_error(await admin.get("/admin/users?limit=0"), 400, "VALIDATION_ERROR")


async def test_a_user_is_changed_and_shown(owner: Visitor, admin: Visitor) -> None:
    path = f"/admin/users/{owner.user.id}"
    answer = await admin.patch(path, {"role": "admin"})
    assert answer.status == 200
    assert list(answer.json) == ["id", "username", "role", "status", "created_at", "last_login"]
    assert (answer.json["role"], answer.json["status"]) == ("admin", "active")
    assert (await owner.get("/auth/me")).json["user"]["role"] == "admin"
    answer = await admin.patch(path, {"role": "user", "status": "disabled"})
    assert (answer.json["role"], answer.json["status"]) == ("user", "disabled")
    answer = await admin.patch(path, {})
    assert (answer.json["role"], answer.json["status"]) == ("user", "disabled")


@pytest.mark.parametrize(
    "body", [{"role": "king"}, {"role": 1}, {"status": "asleep"}, {"status": True}, [1]]
)
async def test_there_is_no_other_role_and_no_other_status(
    owner: Visitor, admin: Visitor, body: object
) -> None:
    answer = await admin.patch(f"/admin/users/{owner.user.id}", body)
    assert_error(answer, 400, "VALIDATION_ERROR")


async def test_nobody_changes_themselves(admin: Visitor) -> None:
    for body in ({"role": "user"}, {"status": "disabled"}):
        answer = await admin.patch(f"/admin/users/{admin.user.id}", body)
        assert_error(answer, 400, "VALIDATION_ERROR")


async def test_a_user_who_is_not_there_is_not_found(admin: Visitor) -> None:
    for id in (NOWHERE, "x", "-1"):
        answer = await admin.patch(f"/admin/users/{id}", {"role": "user"})
        assert_error(answer, 404, "USER_NOT_FOUND")


async def test_an_invite_is_made_listed_used_and_revoked(
    palaver: Palaver, admin: Visitor, clock: MovableClock
) -> None:
    answer = await admin.post("/admin/invites", {"expires_in_hours": 1, "max_uses": 2})
    assert answer.status == 200
    assert list(answer.json) == ["invite_code", "expires_at"]
    assert TIME.fullmatch(answer.json["expires_at"])
    code = answer.json["invite_code"]
    guest = {"username": "guest", "password": PASSWORD, "invite_code": code}
    used_by = (await palaver.visitor().post("/auth/register", guest)).json["user"]["id"]
    (invite,) = (await admin.get("/admin/invites")).json["invites"]
    assert list(invite) == [
        "code",
        "created_by",
        "used_by",
        "expires_at",
        "revoked_at",
        "created_at",
    ]
    assert (invite["code"], invite["created_by"]) == (code, admin.user.id)
    assert (invite["used_by"], invite["revoked_at"]) == (used_by, None)
    revoked = await admin.post(f"/admin/invites/{code}/revoke")
    assert revoked.status == 200
    assert list(revoked.json) == ["code", "revoked_at"]
    assert revoked.json["code"] == code
    assert TIME.fullmatch(revoked.json["revoked_at"])
    (invite,) = (await admin.get("/admin/invites")).json["invites"]
    assert invite["revoked_at"] == revoked.json["revoked_at"]
    assert_error(await admin.post(f"/admin/invites/{code}/revoke"), 400, "ALREADY_REVOKED")
    other = {"username": "other", "password": PASSWORD, "invite_code": code}
    assert_error(await palaver.visitor().post("/auth/register", other), 400, "INVALID_INVITE")


async def test_an_invite_without_hours_never_expires(admin: Visitor) -> None:
    for body in (None, {}, {"expires_in_hours": None}):
        assert (await admin.post("/admin/invites", body)).json["expires_at"] is None


async def test_an_invite_that_has_expired_lets_nobody_in(
    palaver: Palaver, admin: Visitor, clock: MovableClock
) -> None:
    code = (await admin.post("/admin/invites", {"expires_in_hours": 1})).json["invite_code"]
    clock.move(seconds=3601)
    guest = {"username": "guest", "password": PASSWORD, "invite_code": code}
    assert_error(await palaver.visitor().post("/auth/register", guest), 400, "INVALID_INVITE")


@pytest.mark.parametrize(
    "body",
    [
        {"expires_in_hours": 0},
        {"expires_in_hours": -1},
        {"expires_in_hours": 1.5},
        {"expires_in_hours": 10**30},
        {"max_uses": 0},
        {"max_uses": "1"},
    ],
)
async def test_an_invite_that_makes_no_sense_is_refused(admin: Visitor, body: object) -> None:
    assert_error(await admin.post("/admin/invites", body), 400, "VALIDATION_ERROR")


async def test_an_invite_that_is_not_there_is_not_found(admin: Visitor) -> None:
    for code in ("nonsense", "%00", "%FF", "x" * 500):
        assert_error(await admin.post(f"/admin/invites/{code}/revoke"), 404, "INVITE_NOT_FOUND")


async def test_the_audit_log_tells_who_did_what_from_where(
    palaver: Palaver, admin: Visitor
) -> None:
    headers = {"User-Agent": "Lynx/2.9"}
    code = (await admin.post("/admin/invites", {}, headers=headers)).json["invite_code"]
    answer = await admin.get("/admin/audit")
    assert answer.status == 200
    assert list(answer.json) == ["entries"]
    entry = answer.json["entries"][0]
    assert list(entry) == [
        "id",
        "action",
        "target",
        "actor_user_id",
        "ip",
        "user_agent",
        "created_at",
    ]
    assert (entry["action"], entry["target"]) == ("invite.created", code)
    assert (entry["actor_user_id"], entry["ip"]) == (admin.user.id, "127.0.0.1")
    assert entry["user_agent"] == "Lynx/2.9"
    assert TIME.fullmatch(entry["created_at"])


async def test_the_audit_log_is_filtered(
    palaver: Palaver, admin: Visitor, clock: MovableClock
) -> None:
    await admin.post("/admin/invites", {}, headers={"User-Agent": "Lynx/2.9"})
    clock.move(seconds=60)
    await admin.post("/admin/invites", {}, headers={"User-Agent": "w3m"})

    async def agents(query: str) -> list[str]:
        entries = (await admin.get(f"/admin/audit?{query}")).json["entries"]
        return [entry["user_agent"] for entry in entries]

    last = (await admin.get("/admin/audit?limit=1")).json["entries"][0]
    assert await agents("action=invite.created") == ["w3m", "Lynx/2.9"]
    assert await agents("q=LYNX") == ["Lynx/2.9"]
    assert await agents("limit=1") == ["w3m"]
    assert await agents(f"since={last['created_at']}") == ["w3m"]
    assert await agents(f"since={last['created_at']}Z") == ["w3m"]
    assert await agents("since=2999-01-01T00:00:00") == []
    assert len(await agents("since=0001-01-01T00:00:00%2B14:00")) == len(await agents(""))
    assert await agents("action=nothing") == []


@pytest.mark.parametrize("query", ["since=yesterday", "limit=0", "since=", "q=%00"])
async def test_a_filter_that_makes_no_sense_is_refused(admin: Visitor, query: str) -> None:
    assert_error(await admin.get(f"/admin/audit?{query}"), 400, "VALIDATION_ERROR")
