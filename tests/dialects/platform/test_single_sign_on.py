"""The chapter "SSO Login", by HTTP: there, back, and what is got for it."""

import asyncio
import base64
import hashlib
import re
from collections.abc import AsyncIterator
from urllib.parse import parse_qsl, urlsplit

import pytest
from aiohttp import web
from msgspec import structs

from palaver.config import Settings
from palaver.domain.users import SYSTEM
from palaver.outbound.oidc import build
from tests.dialects.platform.helpers import CHATS, assert_refused, bearing
from tests.fakes.identity_provider import CLIENT_ID, FakeIdentityProvider, callback_path
from tests.fakes.oidc_mock import oidc_mock
from tests.http import Answer, MovableClock, Palaver, Visitor, running

LOGIN = "/api/v1/auth/sso/login"
TOKEN = "/api/v1/auth/sso/token"
APP = "https://app.example.org/callback?from=palaver"
JSON = {"Accept": "application/json"}
PAGE = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture
def clock() -> MovableClock:
    """Give the true time: the provider keeps it as well."""
    return MovableClock()


@pytest.fixture
async def there(clock: MovableClock) -> AsyncIterator[FakeIdentityProvider]:
    """Give the identity provider."""
    async with FakeIdentityProvider(clock=clock) as there:
        yield there


@pytest.fixture
def settings(settings: Settings, there: FakeIdentityProvider) -> Settings:
    """Give settings with the provider, and a client's address."""
    return structs.replace(
        settings,
        identity_providers=(there.settings(timeout_seconds=2.0),),
        sso_redirects=(APP, "com.example.app:/callback"),
    )


@pytest.fixture
async def visitor(palaver: Palaver) -> Visitor:
    """Give somebody whom nobody knows yet."""
    return palaver.visitor()


def query_of(answer: Answer) -> dict[str, str]:
    """Return the query of the address that an answer leads to."""
    assert answer.status == 302, answer
    return dict(parse_qsl(urlsplit(answer.headers["location"]).query))


def assert_bad(answer: Answer, field: str) -> None:
    """Check that a parameter is refused."""
    assert_refused(answer, 400, "bad_request", details=[field])


async def begun(visitor: Visitor, query: str = "") -> str:
    """Return where somebody is sent who wants to sign in."""
    answer = await visitor.get(f"{LOGIN}{query}")
    assert answer.status == 302, answer
    assert "no-store" in answer.headers["cache-control"]
    return answer.headers["location"]


async def back(visitor: Visitor, there: FakeIdentityProvider, query: str = "") -> Answer:
    """Go there, consent, and come back."""
    return await visitor.get(callback_path(there.consent(await begun(visitor, query))))


def to_app(**more: str) -> str:
    """Return the query of a login that leads to the client."""
    given = {"redirect_uri": APP} | more
    return "?" + "&".join(f"{name}={value}" for name, value in given.items()).replace(
        "?from", "%3Ffrom"
    )


async def test_a_browser_is_signed_in_and_sent_to_the_front_page(
    visitor: Visitor, there: FakeIdentityProvider, palaver: Palaver
) -> None:
    there.person |= {"email": "ada@example.org", "email_verified": True, "name": "Ada"}
    answer = await back(visitor, there)
    assert answer.headers["location"] == f"{palaver.base_url}/"
    assert (answer.headers["cache-control"], answer.headers["referrer-policy"]) == (
        "no-store",
        "no-referrer",
    )
    assert (await visitor.get("/")).status == 200
    user = await palaver.services.accounts.get_by_name(SYSTEM, "ada@example.org")
    assert (user.username, user.name, user.is_admin) == ("ada", "Ada", False)
    assert user.verified_at is not None
    assert (await visitor.post(CHATS, {})).status == 200
    entries = await palaver.services.audit.list(SYSTEM, q="by fake")
    assert [entry.action for entry in entries] == ["auth.login", "auth.register"]
    assert (entries[0].target, entries[0].actor_user_id) == ("ada: by fake", user.id)


async def test_the_second_time_it_is_the_same_account(
    palaver: Palaver, there: FakeIdentityProvider
) -> None:
    await back(palaver.visitor(), there)
    there.person = {"sub": "ada-1", "preferred_username": "renamed", "email": "new@example.org"}
    await back(palaver.visitor(), there)
    assert [user.username for user in await palaver.services.accounts.list(SYSTEM)] == ["ada"]


async def test_a_browser_goes_on_to_the_page_that_it_wanted(
    visitor: Visitor, there: FakeIdentityProvider, palaver: Palaver
) -> None:
    page = f"{palaver.base_url}//evil.example.org/%5C?new=1"
    answer = await back(visitor, there, f"?redirect_uri={page}")
    assert answer.headers["location"].startswith(f"{palaver.base_url}/")
    assert answer.headers["location"].endswith("?new=1")
    there.claims = {"aud": "somebody else"}
    answer = await back(palaver.visitor(), there, f"?redirect_uri={palaver.base_url}/?new=1")
    assert answer.headers["location"] == "/accounts/login/?refused=failed&next=%2F%3Fnew%3D1"


async def test_a_client_gets_a_code_and_changes_it_for_tokens(
    visitor: Visitor, there: FakeIdentityProvider, palaver: Palaver
) -> None:
    answer = await back(visitor, there, to_app(state="mine"))
    assert answer.headers["location"].startswith(f"{APP}&code=")
    query = query_of(answer)
    assert set(query) == {"from", "code", "state"}
    assert query["state"] == "mine"
    assert not any("palaver_session" in cookie for cookie in answer.set_cookies)
    client = palaver.visitor()
    tokens = await client.post(TOKEN, {"code": query["code"]})
    assert tokens.status == 200
    assert set(tokens.json) == {"access_token", "refresh_token", "token_type", "expires_in"}
    headers = bearing(tokens.json["access_token"])
    assert (await client.post(CHATS, {}, headers=headers)).status == 200
    again = await client.post(TOKEN, {"code": query["code"]})
    assert_refused(again, 401, "unauthorized")


async def test_a_code_that_is_used_twice_at_once_is_good_once(
    visitor: Visitor, there: FakeIdentityProvider
) -> None:
    code = query_of(await back(visitor, there, to_app()))["code"]
    answers = await asyncio.gather(*(visitor.post(TOKEN, {"code": code}) for _ in range(5)))
    assert sorted(answer.status for answer in answers) == [200, 401, 401, 401, 401]


async def test_a_code_is_good_for_a_minute(
    visitor: Visitor, there: FakeIdentityProvider, clock: MovableClock
) -> None:
    code = query_of(await back(visitor, there, to_app()))["code"]
    clock.move(seconds=61)
    assert (await visitor.post(TOKEN, {"code": code})).status == 401


async def test_whoever_asks_for_json_gets_the_address(
    visitor: Visitor, there: FakeIdentityProvider
) -> None:
    answer = await visitor.get(f"{LOGIN}{to_app()}", headers=JSON)
    assert answer.status == 200
    assert set(answer.json) == {"authorization_url", "state"}
    returned = there.consent(answer.json["authorization_url"])
    query = query_of(await visitor.get(callback_path(returned)))
    assert query["state"] == answer.json["state"]
    assert (await visitor.post(TOKEN, {"code": query["code"]})).status == 200


async def test_a_client_without_the_cookies_proves_itself_by_its_verifier(
    palaver: Palaver, there: FakeIdentityProvider
) -> None:
    verifier = "v" * 50
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode()[:43]
    query = to_app(code_challenge=challenge, code_challenge_method="S256")
    program, browser = palaver.visitor(), palaver.visitor()

    async def a_code() -> str:
        asked = await program.get(f"{LOGIN}{query}", headers=JSON)
        path = callback_path(there.consent(asked.json["authorization_url"]))
        return query_of(await browser.get(path))["code"]

    assert (await program.post(TOKEN, {"code": await a_code()})).status == 401
    stolen = {"code": await a_code(), "code_verifier": "w" * 50}
    assert (await program.post(TOKEN, stolen)).status == 401
    # Whoever has a code without its verifier has stolen it: it is good for nobody any more.
    assert (await program.post(TOKEN, stolen | {"code_verifier": verifier})).status == 401
    body = {"code": await a_code(), "code_verifier": verifier}
    assert (await program.post(TOKEN, body)).status == 200


async def test_a_sign_in_ends_in_the_browser_in_which_it_began(
    palaver: Palaver, there: FakeIdentityProvider
) -> None:
    attacker, victim = palaver.visitor(), palaver.visitor()
    for query in ("", to_app(), f"?code_challenge={'c' * 43}"):
        path = callback_path(there.consent(await begun(attacker, query)))
        assert_bad(await victim.get(path), "state")
        await begun(victim)  # with a cookie of its own it is no other
        assert_bad(await victim.get(path), "state")
        assert (await attacker.get(path)).status == 302  # and nothing was used up


async def test_a_state_is_good_once_and_for_ten_minutes(
    visitor: Visitor, there: FakeIdentityProvider, clock: MovableClock
) -> None:
    path = callback_path(there.consent(await begun(visitor)))
    answers = await asyncio.gather(*(visitor.get(path) for _ in range(3)))
    assert sorted(answer.status for answer in answers) == [302, 400, 400]
    path = callback_path(there.consent(await begun(visitor)))
    clock.move(seconds=601)
    assert_bad(await visitor.get(path), "state")


@pytest.mark.parametrize("query", ["", "?state=", "?state=x&code=y", "?code=y", "?error=x"])
async def test_whoever_comes_from_nowhere_is_refused(visitor: Visitor, query: str) -> None:
    answer = await visitor.get(f"/api/v1/auth/sso/callback{query}")
    assert_bad(answer, "state")
    assert "Begin again" in answer.json["details"]["state"]
    page = await visitor.get(f"/api/v1/auth/sso/callback{query}", headers=PAGE)
    assert (page.status, page.headers["content-type"]) == (400, "text/html; charset=utf-8")
    assert b"Begin again" in page.content


async def test_guessing_is_throttled(visitor: Visitor, there: FakeIdentityProvider) -> None:
    statuses = [(await visitor.post(TOKEN, {"code": f"{n}"})).status for n in range(11)]
    assert statuses == [401] * 10 + [429]
    answer = await visitor.get("/api/v1/auth/sso/callback?state=x")
    assert_refused(answer, 429, "rate_limit_exceeded")
    assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example.org/",
        "https://app.example.org/callback",
        "https://app.example.org/callback?from=palaver&more=1",
        "https://app.example.org/callback?from=palaver%23",
        "https://app.example.org/callback/../callback?from=palaver",
        "HTTPS://APP.EXAMPLE.ORG/callback?from=palaver",
        "javascript:alert(1)",
        "//evil.example.org",
        "/",
        "com.example.app:/other",
    ],
)
async def test_an_address_that_is_not_on_the_list_is_refused(
    visitor: Visitor, there: FakeIdentityProvider, address: str
) -> None:
    answer = await visitor.get(f"{LOGIN}?redirect_uri={address.replace('&', '%26')}")
    assert_bad(answer, "redirect_uri")
    assert "allow list" in answer.json["details"]["redirect_uri"]
    assert there.asked == {}


async def test_our_origin_is_none_that_begins_like_it(visitor: Visitor, palaver: Palaver) -> None:
    for more in (".evil.example.org/", "@evil.example.org/", "0/"):
        answer = await visitor.get(f"{LOGIN}?redirect_uri={palaver.base_url}{more}")
        assert_bad(answer, "redirect_uri")


@pytest.mark.parametrize(
    "query", ["?provider=nobody", "?code_challenge=short", "?code_challenge_method=plain"]
)
async def test_a_wrong_beginning_is_refused(visitor: Visitor, query: str) -> None:
    assert_bad(await visitor.get(f"{LOGIN}{query}"), re.split("[?=]", query)[1])


async def test_a_refusal_of_the_provider_goes_back_to_the_client(
    visitor: Visitor, palaver: Palaver, there: FakeIdentityProvider
) -> None:
    state = there.consent(await begun(visitor, to_app(state="mine")))["state"]
    returned = {"state": state, "error": "access_denied", "error_description": "<b>no"}
    query = query_of(await visitor.get(callback_path(returned)))
    assert (query["error"], query["state"]) == ("access_denied", "mine")
    assert "<b>" not in query["error_description"]
    state = there.consent(await begun(visitor))["state"]
    returned = {"state": state, "error": "<script>"}
    answer = await visitor.get(callback_path(returned))
    assert answer.headers["location"] == "/accounts/login/?refused=failed"
    page = await visitor.get(answer.headers["location"])
    assert b"did not work" in page.content


async def test_a_lie_of_the_provider_lets_nobody_in(
    visitor: Visitor, palaver: Palaver, there: FakeIdentityProvider
) -> None:
    there.claims = {"nonce": "another"}
    query = query_of(await back(visitor, there, to_app()))
    assert query["error"] == "server_error"
    assert "another sign-in" in query["error_description"]
    answer = await back(visitor, there)
    assert answer.headers["location"] == "/accounts/login/?refused=failed"
    assert await palaver.services.accounts.list(SYSTEM) == []
    entries = await palaver.services.audit.list(SYSTEM)
    assert [entry.action for entry in entries] == ["auth.login_failed"] * 2


async def unwell(_: web.BaseRequest) -> web.StreamResponse:
    return web.Response(status=500)


async def test_a_provider_that_is_down_is_a_sentence(
    settings: Settings, there: FakeIdentityProvider, palaver: Palaver, visitor: Visitor
) -> None:
    query = there.consent(await begun(visitor, to_app()))
    there.pages["/token"] = unwell
    assert query_of(await visitor.get(callback_path(query)))["error"] == "temporarily_unavailable"
    there.pages["/.well-known/openid-configuration"] = unwell
    (provider,) = palaver.services.single_sign_on.offers(SYSTEM)
    provider._metadata = None  # type: ignore[attr-defined]  # an hour later
    answer = await visitor.get(LOGIN)
    assert (answer.status, answer.json["error"]) == (502, "provider_error")
    assert answer.json["message"].startswith("Fake & Co failed")
    page = await visitor.get(LOGIN, headers=PAGE)
    assert page.status == 502
    assert b"Fake &amp; Co failed" in page.content


async def test_a_provider_that_keeps_silent_is_a_timeout(
    settings: Settings, there: FakeIdentityProvider, clock: MovableClock
) -> None:
    there.pages["/.well-known/openid-configuration"] = there.hang
    slow = structs.replace(settings, identity_providers=(there.settings(timeout_seconds=0.1),))
    async with running(slow, clock=clock) as palaver:
        answer = await palaver.visitor().get(LOGIN)
    assert (answer.status, answer.json["error"]) == (504, "provider_timeout")


async def test_somebody_who_is_disabled_stays_outside(
    palaver: Palaver, there: FakeIdentityProvider
) -> None:
    visitor = palaver.visitor()
    code = query_of(await back(visitor, there, to_app()))["code"]
    (user,) = await palaver.services.accounts.list(SYSTEM)
    await palaver.services.accounts.update(SYSTEM, user.id, is_active=False)
    assert_refused(await visitor.post(TOKEN, {"code": code}), 401, "unauthorized")
    query = query_of(await back(visitor, there, to_app()))
    assert (query["error"], "disabled" in query["error_description"]) == ("access_denied", True)
    answer = await back(visitor, there)
    assert answer.headers["location"] == "/accounts/login/?refused=disabled"
    assert visitor.cookie("palaver_session") is None


async def test_there_is_no_password_to_sign_in_with(
    visitor: Visitor, there: FakeIdentityProvider
) -> None:
    await back(visitor, there)
    for password in ("", " ", "ada"):
        body = {"username": "ada", "password": password}
        assert (await visitor.post("/api/v1/auth/login", body)).status in {400, 401}


async def test_the_cookie_is_for_this_browser_alone(
    settings: Settings, palaver: Palaver, clock: MovableClock
) -> None:
    (plain,) = (await palaver.visitor().get(LOGIN)).set_cookies
    assert plain.startswith("palaver_sign_on=")
    assert "HttpOnly" in plain
    assert "SameSite=Lax" in plain
    assert "Max-Age=600" in plain


async def test_over_https_the_cookie_is_the_host_s_own(
    settings: Settings, there: FakeIdentityProvider, clock: MovableClock
) -> None:
    public = structs.replace(settings, public_url="https://chat.example.org")
    async with running(public, clock=clock) as palaver:
        answer = await palaver.visitor().get(f"{LOGIN}?redirect_uri=https://chat.example.org/")
        (cookie,) = answer.set_cookies
        assert cookie.startswith("__Host-palaver_sign_on=")
        assert "Secure" in cookie
        assert "Domain" not in cookie
        assert query_of(answer)["redirect_uri"] == (
            "https://chat.example.org/api/v1/auth/sso/callback"
        )


async def test_without_a_provider_there_is_no_single_sign_on(
    settings: Settings, clock: MovableClock
) -> None:
    async with running(structs.replace(settings, identity_providers=()), clock=clock) as palaver:
        visitor = palaver.visitor()
        assert_bad(await visitor.get(LOGIN), "provider")
        assert b"Sign in with" not in (await visitor.get("/accounts/login/")).content
        assert_bad(await visitor.get("/api/v1/auth/sso/callback?state=x&code=y"), "state")


async def test_of_several_providers_one_is_named(
    settings: Settings, there: FakeIdentityProvider, clock: MovableClock
) -> None:
    two = (there.settings(id="one", name="One"), there.settings(id="two", name="Two <2>"))
    async with running(structs.replace(settings, identity_providers=two), clock=clock) as palaver:
        visitor = palaver.visitor()
        answer = await visitor.get(LOGIN)
        assert_bad(answer, "provider")
        assert answer.json["details"]["provider"] == "This must be one of one, two."
        assert (await visitor.get(f"{LOGIN}?provider=two")).status == 302
        page = (await visitor.get("/accounts/login/?next=/chat/7/")).content.decode()
        assert "Sign in with One" in page
        assert "Sign in with Two &lt;2&gt;" in page
        assert "<script" not in page
        link = f"{LOGIN}?provider=two&amp;redirect_uri=http%3A%2F%2F127.0.0.1%3A"
        assert link in page


async def test_an_invite_is_carried_there_and_back(
    settings: Settings, there: FakeIdentityProvider, clock: MovableClock
) -> None:
    async with running(structs.replace(settings, registration="invite"), clock=clock) as palaver:
        visitor = palaver.visitor()
        query = query_of(await back(visitor, there, to_app()))
        assert query["error"] == "access_denied"
        invite = await palaver.services.invites.create(SYSTEM)
        page = await visitor.get(f"/accounts/register/?invite_code={invite.code}")
        assert f"invite_code={invite.code}" in page.content.decode()
        await back(visitor, there, f"?invite_code={invite.code}")
        assert visitor.cookie("palaver_session") is not None
        there.person = {"sub": "bob-1", "preferred_username": "bob"}
        answer = await back(palaver.visitor(), there, f"?invite_code={invite.code}")
        assert answer.headers["location"] == "/accounts/login/?refused=not_invited"
        assert len(await palaver.services.accounts.list(SYSTEM)) == 1


async def test_where_registration_is_closed_nobody_new_comes_in(
    settings: Settings, there: FakeIdentityProvider, clock: MovableClock
) -> None:
    async with running(structs.replace(settings, registration="closed"), clock=clock) as palaver:
        answer = await back(palaver.visitor(), there)
        assert answer.headers["location"] == "/accounts/login/?refused=closed"


async def test_with_a_provider_that_is_not_ours(settings: Settings, clock: MovableClock) -> None:
    async with oidc_mock() as mock, running(settings, clock=clock) as probe:
        callback = f"{probe.base_url}/api/v1/auth/sso/callback"
        given = await mock.register(callback)
        claims = {"email": "grace@example.org", "email_verified": True, "name": "Grace"}
        await mock.know("grace-1", preferred_username="grace", **claims)
        service = probe.services.single_sign_on
        service.providers = {"mock": build(given, clock=clock)}
        visitor = probe.visitor()
        returned = await mock.sign_in(await begun(visitor), "grace-1")
        assert (await visitor.get(callback_path(returned))).status == 302
        assert (await visitor.get("/")).status == 200
        user = await probe.services.accounts.get_by_name(SYSTEM, "grace@example.org")
        assert (user.username, user.name) == ("grace", "Grace")
        query = query_of(
            await visitor.get(
                callback_path(await mock.sign_in(await begun(visitor, to_app()), "grace-1"))
            )
        )
        assert (await visitor.post(TOKEN, {"code": query["code"]})).status == 200
        stale = await visitor.get(callback_path(returned))
        assert stale.status == 400
        assert CLIENT_ID not in stale.content.decode()
        await service.close()
