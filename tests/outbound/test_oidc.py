"""OpenID Connect against a provider that lies, fails and changes its keys."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from joserfc.jwk import RSAKey

from palaver.domain.errors import ErrorKind, ProviderError
from palaver.domain.identity_providers import Ceremony, CodeRefused, ExternalIdentity
from palaver.kit.clock import SECOND
from palaver.outbound.oidc import OpenIDProvider
from tests.fakes.identity_provider import CLIENT_ID, FakeIdentityProvider, ec_key, rsa_key
from tests.http import MovableClock

CEREMONY = Ceremony("s" * 43, "n" * 43, "v" * 43, "http://127.0.0.1/callback")
DISCOVERY = "/.well-known/openid-configuration"


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
async def there(clock: MovableClock) -> AsyncIterator[FakeIdentityProvider]:
    async with FakeIdentityProvider(clock=clock) as there:
        yield there


@pytest.fixture
async def provider(
    there: FakeIdentityProvider, clock: MovableClock
) -> AsyncIterator[OpenIDProvider]:
    provider = OpenIDProvider(there.settings(), clock=clock)
    yield provider
    await provider.close()


async def identified(provider: OpenIDProvider, there: FakeIdentityProvider) -> ExternalIdentity:
    """Go there, consent, and come back."""
    back = there.consent(await provider.authorization_url(CEREMONY))
    return await provider.identify(CEREMONY, back["code"], issuer=None)


async def refusal(provider: OpenIDProvider, there: FakeIdentityProvider) -> str:
    """Return why somebody is not believed."""
    with pytest.raises(ProviderError) as caught:
        await identified(provider, there)
    assert caught.value.kind is ErrorKind.PROVIDER_FAILED
    return caught.value.message


async def test_who_came_back_is_known(
    provider: OpenIDProvider, there: FakeIdentityProvider
) -> None:
    there.person = {
        "sub": "ada-1",
        "preferred_username": "ada",
        "email": "ada@example.org",
        "email_verified": True,
        "name": "Ada Lovelace",
    }
    assert await identified(provider, there) == ExternalIdentity(
        issuer=there.issuer,
        subject="ada-1",
        username="ada",
        name="Ada Lovelace",
        email="ada@example.org",
        is_email_verified=True,
    )
    assert await identified(provider, there)
    # Asked once, and kept: what it says of itself, and its keys.
    assert (there.asked[DISCOVERY], there.asked["/keys"], there.asked["/userinfo"]) == (1, 1, 0)


async def test_the_secret_goes_in_the_way_that_the_provider_knows(
    provider: OpenIDProvider, there: FakeIdentityProvider
) -> None:
    there.metadata = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    assert await identified(provider, there)
    assert there.authorizations == [None] * len(there.authorizations)
    assert there.forms[0]["client_secret"]


async def test_a_provider_that_takes_no_secret_of_ours_is_named(
    provider: OpenIDProvider, there: FakeIdentityProvider
) -> None:
    there.metadata = {"token_endpoint_auth_methods_supported": ["private_key_jwt"]}
    assert "takes no client secret" in await refusal(provider, there)


async def test_another_secret_names_the_setting(
    there: FakeIdentityProvider, clock: MovableClock
) -> None:
    provider = OpenIDProvider(there.settings(client_secret="another"), clock=clock)
    assert "check [identity_providers.fake]" in await refusal(provider, there)
    await provider.close()


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"nonce": "another"}, "another sign-in"),
        ({"nonce": None}, "another sign-in"),
        ({"aud": "somebody else"}, "another application"),
        ({"aud": ["somebody else"]}, "another application"),
        ({"aud": [CLIENT_ID, "somebody else"]}, "given to another application"),
        ({"aud": [CLIENT_ID, "x"], "azp": "x"}, "given to another application"),
        ({"azp": "somebody else"}, "given to another application"),
        ({"iss": "https://another.example.org"}, "another issuer"),
        ({"exp": 1_700_000_000}, "expired"),
        ({"exp": None}, "lacks"),
        ({"iat": None}, "lacks"),
        ({"sub": None}, "lacks"),
        ({"sub": ""}, "lacks"),
        ({"sub": "x" * 256}, "lacks"),
        ({"sub": "a\0b"}, "lacks"),
        ({"sub": 7}, "lacks"),
        ({"iat": 99_999_999_999}, "future"),
        ({"nbf": 99_999_999_999}, "future"),
        ({"at_hash": "bm90IGl0cyBvd24"}, "not its own"),
    ],
)
async def test_a_token_that_says_something_wrong_is_not_believed(
    provider: OpenIDProvider, there: FakeIdentityProvider, claims: dict[str, Any], why: str
) -> None:
    there.claims = claims
    assert why in await refusal(provider, there)


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none"},
        {"alg": "none", "kid": None},
        {"alg": "HS256"},
        {"alg": "HS256", "kid": None},
        {"alg": "RS512"},  # which it has not announced
    ],
    ids=str,
)
async def test_a_token_that_is_signed_in_another_way_is_not_believed(
    provider: OpenIDProvider, there: FakeIdentityProvider, header: dict[str, Any]
) -> None:
    there.header = header
    assert "signed in a way that is not allowed" in await refusal(provider, there)


async def test_a_secret_signs_nothing_even_where_the_provider_says_so(
    provider: OpenIDProvider, there: FakeIdentityProvider
) -> None:
    there.metadata = {"id_token_signing_alg_values_supported": ["HS256", "none"]}
    for algorithm in ("HS256", "none"):
        there.header = {"alg": algorithm}
        assert "not allowed" in await refusal(provider, there)


@pytest.mark.parametrize("token", ["", "a.b", "a.b.c", "a.b.c.d.e", "x" * 70_000, "ä.ö.ü", 7])
async def test_what_is_no_token_is_not_believed(
    provider: OpenIDProvider, there: FakeIdentityProvider, token: Any
) -> None:
    there.grant = {"id_token": token}
    assert await refusal(provider, there)


async def test_a_key_of_somebody_else_signs_nothing(
    provider: OpenIDProvider, there: FakeIdentityProvider
) -> None:
    there.published = [rsa_key("second").as_dict(private=False)]
    assert "no key" in await refusal(provider, there)


async def test_other_signatures_and_keys_without_names_are_understood(
    provider: OpenIDProvider, there: FakeIdentityProvider, clock: MovableClock
) -> None:
    there.header = {"alg": "PS256", "kid": None}
    assert await identified(provider, there)
    there.header = {}
    there.key = ec_key("curve")
    there.published = [
        {"kty": "future", "kid": "x"},
        {"kty": "EC", "kid": "curve", "crv": "P-256"},
        ec_key("curve").as_dict(private=False),
    ]
    clock.move(seconds=31)
    assert await identified(provider, there)


async def test_a_weak_key_signs_nothing(
    provider: OpenIDProvider, there: FakeIdentityProvider
) -> None:
    with pytest.warns(match="2048"):
        there.key = RSAKey.generate_key(1024, {"kid": "weak"})
    assert "no key" in await refusal(provider, there)


async def test_a_new_key_is_fetched_once_and_not_again_for_thirty_seconds(
    provider: OpenIDProvider, there: FakeIdentityProvider, clock: MovableClock
) -> None:
    assert await identified(provider, there)
    there.key = rsa_key("second")
    assert "no key" in await refusal(provider, there)
    assert there.asked["/keys"] == 1
    clock.move(seconds=31)
    assert await identified(provider, there)
    assert there.asked["/keys"] == 2
    there.header = {"kid": "of nobody"}
    for _ in range(3):
        assert "no key" in await refusal(provider, there)
    assert there.asked["/keys"] == 2


async def test_keys_and_discovery_are_asked_for_again_after_an_hour(
    provider: OpenIDProvider, there: FakeIdentityProvider, clock: MovableClock
) -> None:
    assert await identified(provider, there)
    clock.move(seconds=3601)
    there.published = [rsa_key("second").as_dict(private=False)]
    assert "no key" in await refusal(provider, there)
    assert (there.asked["/keys"], there.asked[DISCOVERY]) == (2, 2)


@pytest.mark.parametrize("seconds", [-59, 359])
async def test_clocks_may_differ_by_a_minute(
    provider: OpenIDProvider, there: FakeIdentityProvider, clock: MovableClock, seconds: int
) -> None:
    theirs = clock() // SECOND
    there.clock = lambda: theirs * SECOND
    clock.move(seconds=seconds)
    assert await identified(provider, there)


@pytest.mark.parametrize("seconds", [-62, 361])
async def test_clocks_may_not_differ_by_more(
    provider: OpenIDProvider, there: FakeIdentityProvider, clock: MovableClock, seconds: int
) -> None:
    theirs = clock() // SECOND
    there.clock = lambda: theirs * SECOND
    clock.move(seconds=seconds)
    assert await refusal(provider, there)


async def test_the_right_at_hash_is_fine(
    provider: OpenIDProvider, there: FakeIdentityProvider
) -> None:
    digest = hashlib.sha256(b"an access token").digest()[:16]
    there.claims = {"at_hash": base64.urlsafe_b64encode(digest).rstrip(b"=").decode()}
    assert await identified(provider, there)


async def test_userinfo_tells_what_the_token_does_not(
    provider: OpenIDProvider, there: FakeIdentityProvider
) -> None:
    there.person = {"sub": "ada-1"}
    there.userinfo = {"sub": "ada-1", "email": "ada@example.org", "email_verified": "true"}
    found = await identified(provider, there)
    assert (found.verified_email, found.username) == ("ada@example.org", None)
    assert there.authorizations[-1] == "Bearer an access token"


async def test_userinfo_about_somebody_else_is_not_believed(
    provider: OpenIDProvider, there: FakeIdentityProvider
) -> None:
    there.person = {"sub": "ada-1"}
    there.userinfo = {"sub": "bob-1", "email": "bob@example.org", "email_verified": True}
    assert "somebody else" in await refusal(provider, there)


@pytest.mark.parametrize("verified", [False, None, "false", "yes"])
async def test_an_address_that_is_not_verified_is_only_a_claim(
    provider: OpenIDProvider, there: FakeIdentityProvider, verified: Any
) -> None:
    there.person = {"sub": "ada-1", "email": "ada@example.org", "email_verified": verified}
    assert (await identified(provider, there)).verified_email is None


async def test_a_code_is_good_once_and_for_its_own_sign_in(
    provider: OpenIDProvider, there: FakeIdentityProvider
) -> None:
    back = there.consent(await provider.authorization_url(CEREMONY))
    other = Ceremony("S" * 43, "N" * 43, "V" * 43, CEREMONY.callback_uri)
    with pytest.raises(CodeRefused):
        await provider.identify(other, back["code"], issuer=None)
    with pytest.raises(CodeRefused):
        await provider.identify(CEREMONY, "x" * 9000, issuer=None)


async def test_an_answer_in_the_name_of_another_provider_is_refused_before_the_code_is_sent(
    provider: OpenIDProvider, there: FakeIdentityProvider
) -> None:
    there.metadata = {"authorization_response_iss_parameter_supported": True}
    back = there.consent(await provider.authorization_url(CEREMONY))
    for issuer in (None, "", "https://another.example.org"):
        with pytest.raises(CodeRefused):
            await provider.identify(CEREMONY, back["code"], issuer=issuer)
    assert there.asked["/token"] == 0
    assert await provider.identify(CEREMONY, back["code"], issuer=there.issuer)


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://another.example.org"},
        {"issuer": None},
        {"token_endpoint": None},
        {"token_endpoint": "http://example.org/token"},
        {"jwks_uri": "http://example.org/keys"},
        {"userinfo_endpoint": "file:///etc/passwd"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": "https://user:word@example.org/"},
        {"jwks_uri": "https://[::1"},
    ],
    ids=str,
)
async def test_a_provider_that_says_something_odd_of_itself_is_not_asked_further(
    provider: OpenIDProvider, there: FakeIdentityProvider, metadata: dict[str, Any]
) -> None:
    there.metadata = metadata
    with pytest.raises(ProviderError):
        await provider.authorization_url(CEREMONY)
    with pytest.raises(ProviderError):
        await provider.check()
    assert set(there.asked) == {DISCOVERY}


async def huge(request: web.BaseRequest) -> web.StreamResponse:
    """Write until nobody reads any more."""
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(64):
        await response.write(b" " * 65536)
    return response


async def nested(_: web.BaseRequest) -> web.StreamResponse:
    return web.Response(text="[" * 100_000)


async def elsewhere(_: web.BaseRequest) -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"})


async def broken(_: web.BaseRequest) -> web.StreamResponse:
    return web.Response(status=503)


@pytest.mark.parametrize(
    ("page", "kind"),
    [
        (huge, ErrorKind.PROVIDER_FAILED),
        (nested, ErrorKind.PROVIDER_FAILED),
        (elsewhere, ErrorKind.PROVIDER_FAILED),
        (broken, ErrorKind.PROVIDER_UNREACHABLE),
    ],
)
@pytest.mark.parametrize("path", [DISCOVERY, "/keys", "/token"])
async def test_an_answer_that_is_none_is_a_failure_with_a_sentence(
    provider: OpenIDProvider, there: FakeIdentityProvider, path: str, page: Any, kind: ErrorKind
) -> None:
    there.pages[path] = page
    with pytest.raises(ProviderError) as caught:
        await identified(provider, there)
    assert caught.value.kind is kind
    assert "Fake & Co" in caught.value.message


@pytest.mark.parametrize("path", [DISCOVERY, "/keys", "/token"])
async def test_silence_ends(there: FakeIdentityProvider, clock: MovableClock, path: str) -> None:
    provider = OpenIDProvider(there.settings(timeout_seconds=0.1), clock=clock)
    there.pages[path] = there.hang
    with pytest.raises(ProviderError) as caught:
        await identified(provider, there)
    assert caught.value.kind is ErrorKind.PROVIDER_TIMEOUT
    await provider.close()


async def test_all_who_wait_ask_one_question(
    provider: OpenIDProvider, there: FakeIdentityProvider
) -> None:
    asking = [provider.authorization_url(CEREMONY) for _ in range(20)]
    assert len(set(await asyncio.gather(*asking))) == 1
    assert there.asked[DISCOVERY] == 1


async def test_a_provider_that_is_not_there_cannot_be_reached(clock: MovableClock) -> None:
    async with FakeIdentityProvider() as gone:
        settings = gone.settings()
    provider = OpenIDProvider(settings, clock=clock)
    with pytest.raises(ProviderError) as caught:
        await provider.check()
    assert caught.value.kind is ErrorKind.PROVIDER_UNREACHABLE
    await provider.close()
