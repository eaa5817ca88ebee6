"""What every answer tells browsers, whoever makes it; and whose word of a proxy is believed."""

import pytest
from msgspec import structs

from palaver.config import Settings
from tests.cast import PASSWORD
from tests.http import Answer, Palaver, Visitor, running

EVERYWHERE = (
    ("GET", "/conversations"),  # JSON
    ("GET", "/health"),  # nobody signed in
    ("GET", "/nowhere"),  # a page that says so
    ("GET", "/api/v1/nowhere"),  # 404 in a contract's shape
    ("PUT", "/conversations"),  # 405
    ("GET", "/login"),  # a page with a form
    ("GET", "/docs"),  # a page with scripts, or a redirect to it
    ("GET", "/openapi/streaming.json"),
    ("GET", "/app/files/tokens.css"),
)


def policy_of(answer: Answer) -> dict[str, str]:
    """Return the directives of the content security policy."""
    parts = (
        part.strip().partition(" ") for part in answer.headers["content-security-policy"].split(";")
    )
    return {name: value for name, _, value in parts}


@pytest.mark.parametrize(("method", "path"), EVERYWHERE)
async def test_every_answer_tells_browsers_to_be_careful(
    owner: Visitor, method: str, path: str
) -> None:
    answer = await owner.request(method, path)
    headers = answer.headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] in {"same-origin", "no-referrer"}
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cache-control"]
    policy = policy_of(answer)
    assert policy["default-src"] == "'none'"
    assert policy["base-uri"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert "'unsafe-inline'" not in policy.get("script-src", "")
    for name in ("x-request-id", "cache-control", "content-security-policy"):
        assert len(headers.getall(name)) == 1  # type: ignore[attr-defined]


async def test_what_belongs_to_somebody_is_kept_by_nobody(owner: Visitor) -> None:
    for path in ("/conversations", "/auth/me", "/api/palaver/account"):
        assert (await owner.get(path)).headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("hsts", "wanted"),
    [
        ("off", None),
        ("host", "max-age=63072000"),
        ("subdomains", "max-age=63072000; includeSubDomains"),
    ],
)
async def test_under_https_browsers_are_told_to_stay(
    settings: Settings, hsts: str, wanted: str | None
) -> None:
    public = structs.replace(settings, public_url="https://chat.example.org", hsts=hsts)
    async with running(public) as palaver:
        for method, path in EVERYWHERE:
            answer = await palaver.visitor().request(method, path)
            assert answer.headers.get("strict-transport-security") == wanted


async def test_without_https_browsers_are_told_nothing_of_it(palaver: Palaver) -> None:
    answer = await palaver.visitor().get("/health")
    assert "strict-transport-security" not in answer.headers


PROXIED = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "198.51.100.7"}


@pytest.mark.parametrize(
    ("trusted", "is_believed"),
    [(("127.0.0.1",), True), (("127.0.0.0/8",), True), (("10.0.0.0/8",), False), ((), False)],
)
async def test_only_configured_proxies_say_how_somebody_came_and_from_where(
    settings: Settings, trusted: tuple[str, ...], *, is_believed: bool
) -> None:
    async with running(structs.replace(settings, trusted_proxies=trusted)) as palaver:
        owner = await palaver.person("owner")
        visitor = palaver.visitor()
        body = {"username": "owner", "password": PASSWORD}
        answer = await visitor.post("/auth/login", body, headers=PROXIED)
        assert answer.status == 200
        assert ("strict-transport-security" in answer.headers) is is_believed
        assert all(("Secure" in cookie) is is_believed for cookie in answer.set_cookies)
        sessions = (await owner.get("/api/palaver/sessions")).json["items"]
        assert ("198.51.100.7" in {each["address"] for each in sessions}) is is_believed


async def test_a_client_cannot_forge_what_its_proxy_says(settings: Settings) -> None:
    """The proxy appends the address that it saw; what stands before that is the client's word."""
    async with running(settings) as palaver:
        owner = await palaver.person("owner")
        forged = {"X-Forwarded-For": "203.0.113.9, 198.51.100.7"}
        body = {"username": "owner", "password": PASSWORD}
        await palaver.visitor().post("/auth/login", body, headers=forged)
        sessions = (await owner.get("/api/palaver/sessions")).json["items"]
        addresses = {each["address"] for each in sessions}
        assert "198.51.100.7" in addresses
        assert "203.0.113.9" not in addresses


async def test_other_origins_read_nothing_unless_they_are_on_the_list(settings: Settings) -> None:
    listed, foreign = "https://app.example.org", "https://app.example.org.evil.example"
    async with running(structs.replace(settings, cors_origins=(listed,))) as palaver:
        owner = await palaver.person("owner")
        asks = {"Access-Control-Request-Method": "POST"}
        for origin, is_told in ((listed, True), (foreign, False), ("null", False)):
            headers = {"Origin": origin}
            for method in ("GET", "OPTIONS"):
                more = asks if method == "OPTIONS" else {}
                answer = await owner.request(method, "/conversations", headers=headers | more)
                allowed = answer.headers.get("access-control-allow-origin")
                assert allowed == (listed if is_told else None)


async def test_the_method_that_echoes_is_not_there(owner: Visitor) -> None:
    answer = await owner.request("TRACE", "/conversations")
    assert answer.status == 405
