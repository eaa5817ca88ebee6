"""The chapter "Authentication API", and who may call at all."""

from typing import Any

import pytest
from msgspec import structs

from palaver.config import Settings
from palaver.dialects.sessions.routes import ENDPOINTS
from palaver.domain.users import SYSTEM
from palaver.web.endpoint import Access, Endpoint
from tests.cast import PASSWORD
from tests.contracts import shape
from tests.dialects.sessions.helpers import (
    AUTH,
    BAD_REFRESH,
    BAD_TOKEN,
    BLANK,
    EXAMPLES,
    NO_STRING,
    NOT_SIGNED_IN,
    NOWHERE,
    NULL,
    REQUIRED,
    SESSIONS,
    bearing,
    tokens_of,
    wrong,
)
from tests.http import MovableClock, Palaver, Visitor

PROTECTED = [endpoint for endpoint in ENDPOINTS if endpoint.access is not Access.PUBLIC]
ACCOUNT = {
    "username": "somebody",
    "email": "somebody@example.com",
    "password": PASSWORD,
    "confirm_password": PASSWORD,
}
WRONG_ACCOUNTS: list[tuple[dict[str, Any], dict[str, list[str]]]] = [
    (
        {"confirm_password": "another"},
        {"confirm_password": ["The two password fields didn't match."]},
    ),
    (
        {"username": " ", "email": "", "password": ""},
        {
            "username": BLANK,
            "email": BLANK,
            "password": BLANK,
            "confirm_password": ["The two password fields didn't match."],
        },
    ),
    ({"username": 7, "email": None}, {"username": NO_STRING, "email": NULL}),
    ({"username": "x" * 151}, {"username": ["Ensure this field has no more than 150 characters."]}),
    (
        {"username": "a b", "email": "nowhere"},
        {
            "username": [
                "Enter a valid username. This value may contain only letters, numbers, "
                "and @/./+/-/_ characters."
            ],
            "email": ["Enter a valid email address."],
        },
    ),
    (
        {"password": "short", "confirm_password": "short"},
        {"password": ["This password is too short. It must contain at least 8 characters."]},
    ),
    (
        {"password": "x" * 1025, "confirm_password": "x" * 1025},
        {"password": ["Ensure this field has no more than 1024 characters."]},
    ),
    (
        {"password": "somebody@example.com", "confirm_password": "somebody@example.com"},
        {"password": ["The password must not be the user name or the e-mail address."]},
    ),
    ({"username": "a\0b"}, {"username": ["Null characters are not allowed."]}),
]


@pytest.fixture
async def visitor(palaver: Palaver) -> Visitor:
    """Give somebody whom nobody knows."""
    return palaver.visitor()


async def registered(visitor: Visitor, **fields: Any) -> Any:
    return await visitor.post(f"{AUTH}/register/", ACCOUNT | fields)


class TestRegister:
    """The chapter "Register"."""

    async def test_an_account_is_made_as_documented(self, visitor: Visitor) -> None:
        example = EXAMPLES["Register"]
        answer = await visitor.post(f"{AUTH}/register/", example.request)
        assert answer.status == 201
        assert shape(answer.json) == shape(example.response)
        assert answer.json["message"] == example.response["message"]
        user = example.response["user"]
        assert answer.json["user"] == user | {"id": answer.json["user"]["id"]}

    async def test_its_tokens_count(self, visitor: Visitor) -> None:
        answer = (await registered(visitor)).json
        profile = await visitor.get(f"{AUTH}/profile/", headers=bearing(answer["access"]))
        assert profile.json == answer["user"]
        again = await visitor.post(f"{AUTH}/token/refresh/", {"refresh": answer["refresh"]})
        assert again.status == 200

    async def test_the_account_signs_in_through_every_contract(self, visitor: Visitor) -> None:
        await registered(visitor)
        credentials = {"username": "somebody", "password": PASSWORD}
        assert (await visitor.post("/token", credentials)).status == 200
        assert (await visitor.post("/auth/login", credentials)).status == 200

    async def test_every_missing_field_is_named(self, visitor: Visitor) -> None:
        expected = dict.fromkeys(ACCOUNT, REQUIRED)
        assert wrong(await visitor.post(f"{AUTH}/register/", {})) == expected
        assert wrong(await visitor.post(f"{AUTH}/register/")) == expected

    @pytest.mark.parametrize(("fields", "expected"), WRONG_ACCOUNTS)
    async def test_every_wrong_field_is_named(
        self, visitor: Visitor, fields: dict[str, Any], expected: dict[str, list[str]]
    ) -> None:
        assert wrong(await registered(visitor, **fields)) == expected

    async def test_names_that_are_taken_are_told(self, visitor: Visitor) -> None:
        assert (await registered(visitor)).status == 201
        assert wrong(await registered(visitor, username="SOMEBODY")) == {
            "username": ["A user with that username already exists."],
            "email": ["A user with that email already exists."],
        }

    async def test_a_wrong_invite_code_is_refused(self, visitor: Visitor) -> None:
        answer = await registered(visitor, invite_code="none")
        assert answer.status == 403
        assert list(answer.json) == ["detail"]

    class TestClosed:
        """Where nobody may register."""

        @pytest.fixture
        def settings(self, settings: Settings) -> Settings:
            return structs.replace(settings, registration="closed")

        async def test_nobody_may(self, visitor: Visitor) -> None:
            answer = await visitor.post(f"{AUTH}/register/", {})
            assert (answer.status, list(answer.json)) == (403, ["detail"])

    class TestInvite:
        """Where only somebody who was invited may register."""

        @pytest.fixture
        def settings(self, settings: Settings) -> Settings:
            return structs.replace(settings, registration="invite")

        async def test_a_code_is_needed(self, palaver: Palaver, visitor: Visitor) -> None:
            assert (await registered(visitor)).status == 403
            invite = await palaver.services.invites.create(SYSTEM)
            assert (await registered(visitor, invite_code=invite.code)).status == 201


class TestLogin:
    """The chapter "Login"."""

    async def test_tokens_are_given_as_documented(self, visitor: Visitor) -> None:
        await registered(visitor)
        example = EXAMPLES["Login"]
        body = {"username": "somebody", "password": PASSWORD}
        answer = await visitor.post(f"{AUTH}/login/", body)
        assert answer.status == 200
        assert shape(answer.json) == shape(example.response)
        assert answer.json["message"] == example.response["message"]
        assert answer.json["user"]["email"] == "somebody@example.com"

    async def test_the_email_address_is_a_name_as_well(self, visitor: Visitor) -> None:
        await registered(visitor)
        body = {"username": "Somebody@Example.com", "password": PASSWORD, "otp": "123456"}
        assert (await visitor.post(f"{AUTH}/login/", body)).status == 200

    @pytest.mark.parametrize(("username", "password"), [("owner", "wrong"), ("nobody", PASSWORD)])
    async def test_wrong_credentials_are_a_bad_request(
        self, visitor: Visitor, owner: Visitor, username: str, password: str
    ) -> None:
        body = {"username": username, "password": password}
        assert wrong(await visitor.post(f"{AUTH}/login/", body)) == {
            "non_field_errors": ["Unable to log in with provided credentials."]
        }

    async def test_every_wrong_field_is_named(self, visitor: Visitor) -> None:
        login = f"{AUTH}/login/"
        assert wrong(await visitor.post(login, {})) == {"username": REQUIRED, "password": REQUIRED}
        body: dict[str, Any] = {"username": "", "password": 12345678}
        assert wrong(await visitor.post(login, body)) == {"username": BLANK, "password": NO_STRING}

    async def test_a_disabled_user_is_told_so_at_the_door(
        self, palaver: Palaver, visitor: Visitor, owner: Visitor
    ) -> None:
        tokens = await tokens_of(visitor, "owner")
        await palaver.services.accounts.update(SYSTEM, owner.user.id, is_active=False)
        body = {"username": "owner", "password": PASSWORD}
        assert wrong(await visitor.post(f"{AUTH}/login/", body)) == {
            "non_field_errors": ["User account is disabled."]
        }
        inactive = {"detail": "User is inactive", "code": "user_inactive"}
        answer = await visitor.get(f"{AUTH}/profile/", headers=bearing(tokens["access"]))
        assert (answer.status, answer.json) == (401, inactive)
        refresh = {"refresh": tokens["refresh"]}
        answer = await visitor.post(f"{AUTH}/token/refresh/", refresh)
        assert (answer.status, answer.json) == (401, inactive)

    async def test_too_many_failures_have_to_wait(self, visitor: Visitor, owner: Visitor) -> None:
        body = {"username": "owner", "password": "wrong"}
        for _ in range(10):
            assert (await visitor.post(f"{AUTH}/login/", body)).status == 400
        answer = await visitor.post(f"{AUTH}/login/", body)
        assert answer.status == 429
        seconds = int(answer.headers["retry-after"])
        unit = "second" if seconds == 1 else "seconds"
        assert answer.json == {
            "detail": f"Request was throttled. Expected available in {seconds} {unit}."
        }

    async def test_the_other_slash_form_is_another_contracts(
        self, visitor: Visitor, owner: Visitor
    ) -> None:
        for name in ("login", "register", "logout"):
            theirs = await visitor.post(f"{AUTH}/{name}", {})
            ours = await visitor.post(f"{AUTH}/{name}/", {})
            assert "error" in theirs.json, name
            assert "error" not in ours.json, name


class TestLogout:
    """The chapter "Logout"."""

    async def test_all_tokens_of_the_sign_in_end(self, visitor: Visitor, owner: Visitor) -> None:
        tokens, others = await tokens_of(visitor, "owner"), await tokens_of(visitor, "owner")
        headers = bearing(tokens["access"])
        body = {"refresh": tokens["refresh"]}
        answer = await visitor.post(f"{AUTH}/logout/", body, headers=headers)
        assert (answer.status, answer.json) == (200, EXAMPLES["Logout"].response)
        answer = await visitor.get(f"{AUTH}/profile/", headers=headers)
        assert (answer.status, answer.json) == (401, BAD_TOKEN)
        answer = await visitor.post(f"{AUTH}/token/refresh/", body)
        assert (answer.status, answer.json) == (401, BAD_REFRESH)
        others = bearing(others["access"])
        assert (await visitor.get(f"{AUTH}/profile/", headers=others)).status == 200

    async def test_without_a_refresh_token_nothing_ends(
        self, visitor: Visitor, owner: Visitor
    ) -> None:
        headers = bearing((await tokens_of(visitor, "owner"))["access"])
        logout = f"{AUTH}/logout/"
        assert wrong(await visitor.post(logout, {}, headers=headers)) == {"refresh": REQUIRED}
        assert wrong(await visitor.post(logout, headers=headers)) == {"refresh": REQUIRED}
        body = {"refresh": ""}
        assert wrong(await visitor.post(logout, body, headers=headers)) == {"refresh": BLANK}
        assert (await visitor.get(f"{AUTH}/profile/", headers=headers)).status == 200

    async def test_a_token_that_is_none_or_anothers_ends_nothing(
        self, visitor: Visitor, owner: Visitor, stranger: Visitor
    ) -> None:
        tokens, theirs = await tokens_of(visitor, "owner"), await tokens_of(visitor, "stranger")
        headers = bearing(tokens["access"])
        for token in ("nonsense", tokens["access"], theirs["refresh"]):
            answer = await visitor.post(f"{AUTH}/logout/", {"refresh": token}, headers=headers)
            assert (answer.status, answer.json) == (401, BAD_REFRESH)
        for access in (tokens["access"], theirs["access"]):
            answer = await visitor.get(f"{AUTH}/profile/", headers=bearing(access))
            assert answer.status == 200


class TestProfile:
    """The chapter "User Profile"."""

    async def test_it_is_shown_as_documented(self, visitor: Visitor) -> None:
        headers = bearing((await registered(visitor)).json["access"])
        for path in (f"{AUTH}/profile/", f"{AUTH}/profile"):
            answer = await visitor.get(path, headers=headers)
            assert answer.status == 200
            assert shape(answer.json) == shape(EXAMPLES["User Profile"].response)

    async def test_without_an_email_address_it_is_empty(self, owner: Visitor) -> None:
        answer = await owner.get(f"{AUTH}/profile/")
        assert answer.json == {"id": owner.user.id, "username": "owner", "email": ""}


class TestRefresh:
    """The chapter "Token Refresh"."""

    async def test_a_new_access_token_is_given_as_documented(
        self, visitor: Visitor, owner: Visitor
    ) -> None:
        tokens = await tokens_of(visitor, "owner")
        answer = await visitor.post(f"{AUTH}/token/refresh/", {"refresh": tokens["refresh"]})
        assert answer.status == 200
        assert shape(answer.json) == shape(EXAMPLES["Token Refresh"].response)
        headers = bearing(answer.json["access"])
        assert (await visitor.get(f"{AUTH}/profile/", headers=headers)).status == 200

    async def test_a_token_that_is_none_is_refused(self, visitor: Visitor, owner: Visitor) -> None:
        tokens = await tokens_of(visitor, "owner")
        for token in ("nonsense", tokens["access"], tokens["refresh"][:-1]):
            answer = await visitor.post(f"{AUTH}/token/refresh/", {"refresh": token})
            assert (answer.status, answer.json) == (401, BAD_REFRESH)
        refresh = f"{AUTH}/token/refresh/"
        assert wrong(await visitor.post(refresh, {})) == {"refresh": REQUIRED}
        assert wrong(await visitor.post(refresh, {"refresh": None})) == {"refresh": NULL}

    async def test_access_lives_an_hour_and_refresh_thirty_days(
        self, visitor: Visitor, owner: Visitor, clock: MovableClock
    ) -> None:
        tokens = await tokens_of(visitor, "owner")
        headers = bearing(tokens["access"])
        clock.move(seconds=3590)
        assert (await visitor.get(f"{AUTH}/profile/", headers=headers)).status == 200
        clock.move(seconds=11)
        answer = await visitor.get(f"{AUTH}/profile/", headers=headers)
        assert (answer.status, answer.json) == (401, BAD_TOKEN)
        clock.move(seconds=29 * 24 * 3600)
        refresh = {"refresh": tokens["refresh"]}
        assert (await visitor.post(f"{AUTH}/token/refresh/", refresh)).status == 200
        clock.move(seconds=24 * 3600)
        assert (await visitor.post(f"{AUTH}/token/refresh/", refresh)).status == 401


class TestAccess:
    """Who may call."""

    @pytest.mark.parametrize("endpoint", PROTECTED, ids=lambda row: f"{row.method} {row.path}")
    async def test_without_a_token_nothing_is_shown(
        self, visitor: Visitor, endpoint: Endpoint
    ) -> None:
        path = endpoint.path.replace("{session_id}", NOWHERE).replace("{chat_id}", "x")
        expected: list[tuple[dict[str, str], Any]] = [
            ({}, NOT_SIGNED_IN),
            ({"Authorization": "Basic b3duZXI6eA=="}, NOT_SIGNED_IN),
            (bearing("nonsense"), BAD_TOKEN),
        ]
        for headers, body in expected:
            answer = await visitor.request(endpoint.method, path, content=b"{", headers=headers)
            assert (answer.status, answer.json) == (401, body)
            assert answer.headers["www-authenticate"] == "Bearer"

    async def test_a_refresh_token_opens_nothing(self, visitor: Visitor, owner: Visitor) -> None:
        headers = bearing((await tokens_of(visitor, "owner"))["refresh"])
        answer = await visitor.get(SESSIONS, headers=headers)
        assert (answer.status, answer.json) == (401, BAD_TOKEN)

    async def test_a_token_of_another_contract_counts(
        self, visitor: Visitor, owner: Visitor
    ) -> None:
        body = {"username": "owner", "password": PASSWORD}
        token = (await visitor.post("/token", body)).json["access_token"]
        assert (await visitor.get(SESSIONS, headers=bearing(token))).status == 200

    async def test_a_change_by_cookie_wants_the_csrf_token(self, owner: Visitor) -> None:
        answer = await owner.post(SESSIONS, {}, csrf=False)
        assert answer.status == 403
        assert answer.json["detail"].startswith("CSRF Failed: ")
        assert (await owner.post(SESSIONS, {})).status == 201
