"""Every login takes a one-time code where the account has a second factor, the forms too."""

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest

from palaver.config import Settings
from tests.authenticator import enrolled
from tests.cast import PASSWORD
from tests.http import Answer, MovableClock, Palaver, Visitor, running
from tests.pages import opened, submitted

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def sessions_api(visitor: Visitor, given: dict[str, str]) -> Answer:
    return await visitor.post("/api/v1/auth/login/", given)


async def sessions_page(visitor: Visitor, given: dict[str, str]) -> Answer:
    form = (await opened(visitor, "/accounts/login/")).form()
    token = form.one("input", name="csrf_token").attributes["value"]
    content = urlencode({"csrf_token": token, **given}).encode()
    return await visitor.post("/accounts/login/", content=content, headers=FORM)


async def streaming(visitor: Visitor, given: dict[str, str]) -> Answer:
    return await visitor.post("/auth/login", given)


async def platform(visitor: Visitor, given: dict[str, str]) -> Answer:
    return await visitor.post("/api/v1/auth/login", given)


async def companion(visitor: Visitor, given: dict[str, str]) -> Answer:
    return await visitor.post("/token", given)


async def companion_form(visitor: Visitor, given: dict[str, str]) -> Answer:
    content = urlencode({"grant_type": "password", **given}).encode()
    return await visitor.post("/token", content=content, headers=FORM)


def whole(answer: Answer) -> Any:
    (sentence,) = answer.json["non_field_errors"]
    return sentence


LOGINS = [
    pytest.param(sessions_api, 200, 400, whole, id="sessions"),
    pytest.param(sessions_page, 303, 400, lambda answer: answer.content.decode(), id="page"),
    pytest.param(streaming, 200, 401, lambda answer: answer.json["message"], id="streaming"),
    pytest.param(platform, 200, 401, lambda answer: answer.json["message"], id="platform"),
    pytest.param(companion, 200, 400, lambda answer: answer.json["detail"], id="companion"),
    pytest.param(
        companion_form, 200, 400, lambda answer: answer.json["detail"], id="companion, form"
    ),
]
Login = Callable[[Visitor, dict[str, str]], Awaitable[Answer]]


@pytest.mark.parametrize(("login", "good", "bad", "told"), LOGINS)
async def test_every_login_takes_a_one_time_code(
    palaver: Palaver,
    clock: MovableClock,
    owner: Visitor,
    login: Login,
    good: int,
    bad: int,
    told: Callable[[Answer], str],
) -> None:
    phone = await enrolled(owner, clock)
    given = {"username": "owner", "password": PASSWORD}
    for more in ({}, {"otp": ""}, {"otp": "000000"}):
        answer = await login(palaver.visitor(), given | more)
        assert answer.status == bad, answer
        assert "code" in told(answer)
    code = phone.next_code()
    assert (await login(palaver.visitor(), given | {"otp": code})).status == good
    assert (await login(palaver.visitor(), given | {"otp": code})).status == bad
    recovery = {"otp": phone.recovery_codes[0]}
    assert (await login(palaver.visitor(), given | recovery)).status == good
    assert (await login(palaver.visitor(), given | recovery)).status == bad


@pytest.mark.parametrize(("login", "good", "bad", "told"), LOGINS)
async def test_wrong_codes_are_throttled(
    palaver: Palaver,
    clock: MovableClock,
    owner: Visitor,
    login: Login,
    good: int,
    bad: int,
    told: Callable[[Answer], str],
) -> None:
    phone = await enrolled(owner, clock)
    given = {"username": "owner", "password": PASSWORD}
    for _ in range(10):
        answer = await login(palaver.visitor(), given | {"otp": "000000"})
        assert (answer.status, bool(told(answer))) == (bad, True)
    answer = await login(palaver.visitor(), given | {"otp": phone.code()})
    assert answer.status == 429, good
    assert int(answer.headers["retry-after"]) >= 1


async def test_the_form_asks_for_a_code_only_where_there_is_one(
    palaver: Palaver, clock: MovableClock, owner: Visitor
) -> None:
    await enrolled(owner, clock)
    visitor = palaver.visitor()
    form = (await opened(visitor, "/accounts/login/")).form()
    assert not form.all("input", name="otp")
    answer = await submitted(visitor, form, username="owner", password=PASSWORD)
    assert answer.status == 400
    text = answer.content.decode()
    assert 'name="otp"' in text
    assert 'autocomplete="one-time-code"' in text
    assert "otp-fault" not in text  # it was not asked for before: nobody did anything wrong
    assert PASSWORD not in text


# A second factor that the server asks for


@pytest.fixture
async def strict(settings: Settings, clock: MovableClock) -> Any:
    given = msgspec.structs.replace(settings, require_second_factor="everybody")
    async with running(given, clock=clock) as palaver:
        yield palaver


BLOCKED = [
    ("GET", "/api/v1/auth/profile/", 403),  # sessions
    ("GET", "/api/users/", 403),  # subscriptions
    ("GET", "/conversations", 403),  # streaming
    ("GET", "/api/v1/chats", 403),  # platform
    ("GET", "/api/v1/users/me", 403),  # companion
    ("GET", "/api/palaver/documents", 403),  # native
    ("POST", "/api/palaver/api-keys", 403),
    ("GET", "/media/images/x.png", 403),
]


async def test_who_has_none_and_must_can_do_nothing_but_set_it_up(
    strict: Palaver, clock: MovableClock
) -> None:
    ada = await strict.person("ada")
    for method, path, status in BLOCKED:
        answer = await ada.request(method, path)
        assert answer.status == status, path
        assert "second factor" in answer.content.decode(), path
    answer = await ada.get("/")
    assert (answer.status, answer.headers["location"]) == (302, "/app/second-factor")
    account = (await ada.get("/api/palaver/account")).json
    assert (account["must_enrol"], account["has_second_factor"]) == (True, False)
    await enrolled(ada, clock)
    for method, path, _ in BLOCKED:
        assert (await ada.request(method, path)).status != 403, path
    assert (await ada.get("/api/palaver/account")).json["must_enrol"] is False


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/auth/logout"),
        ("POST", "/api/v1/auth/logout"),
        ("GET", "/api/palaver/sessions"),
        ("GET", "/api/palaver/account/second-factor"),
        ("GET", "/app/second-factor"),
        ("GET", "/accounts/logout/"),
    ],
)
async def test_and_leave_or_see_what_is_asked(strict: Palaver, method: str, path: str) -> None:
    ada = await strict.person("ada")
    assert (await ada.request(method, path)).status in {200, 302}


async def test_the_form_shows_the_code_at_once_where_everybody_has_one(strict: Palaver) -> None:
    form = (await opened(strict.visitor(), "/accounts/login/")).form()
    assert form.one("input", name="otp")
