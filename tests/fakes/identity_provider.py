"""An identity provider that does as it is told: mostly what a good one never would.

It checks what a good one checks (PKCE, the redirect address, the client's secret), so that what
Palaver sends is right, and lies about the rest.
"""

import asyncio
import base64
import functools
import hashlib
import json
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Self
from urllib.parse import parse_qsl, unquote_plus, urlencode, urlsplit

from aiohttp import web
from joserfc import jws
from joserfc.jwk import ECKey, OctKey, RSAKey

from palaver.domain.identity_providers import IdentityProviderSettings
from palaver.kit.clock import SECOND, Clock, system_clock

CLIENT_ID = "palaver & friends"
CLIENT_SECRET = "a secret: with/signs+and %"

Key = RSAKey | ECKey


@functools.cache
def rsa_key(kid: str) -> RSAKey:
    """Return a key by its name, the same one each time: making one takes a while."""
    return RSAKey.generate_key(2048, {"kid": kid})


@functools.cache
def ec_key(kid: str) -> ECKey:
    """Return a key on P-256."""
    return ECKey.generate_key("P-256", {"kid": kid})


class FakeIdentityProvider:
    """Serves discovery, keys, tokens and userinfo on a loopback port."""

    def __init__(self, *, clock: Clock = system_clock) -> None:
        self.clock = clock
        self.port = 0
        self.key: Key = rsa_key("first")
        self.published: list[dict[str, Any]] | None = None  # other keys than that
        self.header: dict[str, Any] = {}  # beside `alg` and `kid`, or in their place
        self.person: dict[str, Any] = {"sub": "ada-1", "preferred_username": "ada"}
        self.claims: dict[str, Any] = {}  # in place of the right ones; None leaves one out
        self.userinfo: dict[str, Any] | None = None
        self.metadata: dict[str, Any] = {}  # in place of what is right
        self.grant: dict[str, Any] = {}  # beside the tokens, or in their place
        self.pages: dict[str, Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]] = {}
        self.asked: Counter[str] = Counter()
        self.forms: list[dict[str, str]] = []
        self.authorizations: list[str | None] = []
        self._codes: dict[str, dict[str, str]] = {}
        self._going = asyncio.Event()
        self._runner: web.ServerRunner | None = None

    @property
    def issuer(self) -> str:
        """Return who it is."""
        return f"http://127.0.0.1:{self.port}"

    def settings(self, **more: Any) -> IdentityProviderSettings:
        """Return how Palaver knows it."""
        given = {
            "id": "fake",
            "name": "Fake & Co",
            "issuer": self.issuer,
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "setting": "[identity_providers.fake]",
        }
        return IdentityProviderSettings(**given | more)

    def consent(self, authorization_url: str) -> dict[str, str]:
        """Sign in, as somebody in a browser does; return the query that leads back."""
        parts = urlsplit(authorization_url)
        query = dict(parse_qsl(parts.query))
        assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{self.issuer}/authorize"
        assert query["response_type"] == "code"
        assert query["client_id"] == CLIENT_ID
        assert query["code_challenge_method"] == "S256"
        assert "openid" in query["scope"].split()
        assert len(query["state"]) >= 43
        code = secrets.token_urlsafe(16)
        self._codes[code] = query
        return {"code": code, "state": query["state"]}

    async def hang(self, _: web.BaseRequest) -> web.StreamResponse:
        """Say nothing until the server is closed."""
        await self._going.wait()
        return web.Response()

    async def __aenter__(self) -> Self:
        server = web.Server(self._serve, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._runner is not None
        self._going.set()
        await self._runner.cleanup()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        self.asked[request.path] += 1
        self.authorizations.append(request.headers.get("Authorization"))
        if request.path in self.pages:
            return await self.pages[request.path](request)
        match request.path:
            case "/.well-known/openid-configuration":
                return web.json_response(self._discovery())
            case "/keys":
                keys = self.published or [self.key.as_dict(private=False, use="sig")]
                return web.json_response({"keys": keys})
            case "/token":
                return await self._token(request)
            case "/userinfo":
                return web.json_response(self.userinfo)
        return web.Response(status=404)

    def _discovery(self) -> dict[str, Any]:
        found = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize?tenant=1",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "id_token_signing_alg_values_supported": ["RS256", "PS256", "ES256"],
        }
        return without_none(found | self.metadata)

    async def _token(self, request: web.BaseRequest) -> web.StreamResponse:
        form = dict(parse_qsl((await request.read()).decode()))
        self.forms.append(form)
        if not _is_client(request, form):
            return web.json_response({"error": "invalid_client"}, status=401)
        asked = self._codes.pop(form["code"], None)
        if asked is None or not _is_same(asked, form):
            return web.json_response({"error": "invalid_grant"}, status=400)
        now = self.clock() // SECOND
        claims = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 300,
            "nonce": asked["nonce"],
        }
        token = self.signed(without_none(claims | self.person | self.claims))
        grant = {"access_token": "an access token", "token_type": "Bearer", "id_token": token}
        return web.json_response(without_none(grant | self.grant))

    def signed(self, claims: Mapping[str, Any]) -> str:
        """Return a token, signed as told."""
        usual = "ES256" if isinstance(self.key, ECKey) else "RS256"
        header = {"alg": usual, "kid": self.key.kid} | self.header
        content = json.dumps(claims)
        if header["alg"] == "none":
            parts = (json.dumps(header), content)
            return (
                ".".join(base64.urlsafe_b64encode(p.encode()).rstrip(b"=").decode() for p in parts)
                + "."
            )
        key: Any = self.key
        if header["alg"].startswith("HS"):
            key = OctKey.import_key(CLIENT_SECRET)
        return jws.serialize_compact(without_none(header), content, key, [header["alg"]])


def without_none(given: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is told to be left out."""
    return {name: value for name, value in given.items() if value is not None}


def callback_path(query: Mapping[str, str]) -> str:
    """Return where the browser goes when it comes back."""
    return f"/api/v1/auth/sso/callback?{urlencode(query)}"


def _is_client(request: web.BaseRequest, form: dict[str, str]) -> bool:
    scheme, _, pair = request.headers.get("Authorization", "").partition(" ")
    if scheme == "Basic":
        id, _, secret = base64.b64decode(pair).decode().partition(":")
        return (unquote_plus(id), unquote_plus(secret)) == (CLIENT_ID, CLIENT_SECRET)
    return form.get("client_id") == CLIENT_ID and form.get("client_secret") == CLIENT_SECRET


def _is_same(asked: dict[str, str], form: dict[str, str]) -> bool:
    digest = hashlib.sha256(form["code_verifier"].encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    return (
        form["grant_type"] == "authorization_code"
        and form["redirect_uri"] == asked["redirect_uri"]
        and asked["code_challenge"] == challenge
    )
