"""PyPI's `oidc-provider-mock`, a provider that is not ours, in a process of its own."""

import asyncio
import contextlib
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import aiohttp

from palaver.domain.identity_providers import IdentityProviderSettings


class OidcMock:
    """The server, once it answers."""

    def __init__(self, issuer: str, session: aiohttp.ClientSession) -> None:
        self.issuer = issuer
        self._session = session

    async def know(self, subject: str, **claims: Any) -> None:
        """Let somebody have claims."""
        async with self._session.put(f"{self.issuer}/users/{subject}", json=claims) as response:
            assert response.status == 204, await response.text()

    async def register(self, callback_uri: str) -> IdentityProviderSettings:
        """Return how Palaver knows it, once it knows Palaver."""
        body = {"redirect_uris": [callback_uri]}
        async with self._session.post(f"{self.issuer}/oauth2/clients", json=body) as response:
            client = await response.json()
        return IdentityProviderSettings(
            id="mock",
            name="Mock",
            issuer=self.issuer,
            client_id=client["client_id"],
            client_secret=client["client_secret"],
            setting="[identity_providers.mock]",
        )

    async def sign_in(self, authorization_url: str, subject: str) -> dict[str, str]:
        """Send its form, as a person does; return the query with which the browser comes back."""
        form = {"sub": subject}
        async with self._session.post(
            authorization_url, data=form, allow_redirects=False
        ) as response:
            assert response.status == 302, await response.text()
            return dict(parse_qsl(urlsplit(response.headers["Location"]).query))


@contextlib.asynccontextmanager
async def oidc_mock() -> AsyncIterator[OidcMock]:
    """Start the server on a free port; it ends with the block."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-W", "ignore", "-m", "oidc_provider_mock", "--require-registration"),
        *("--require-nonce", "--port", str(port)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        async with aiohttp.ClientSession() as session:
            mock = OidcMock(f"http://127.0.0.1:{port}", session)
            async with asyncio.timeout(30):
                while not await _answers(session, mock.issuer):  # noqa: ASYNC110  # it tells nobody
                    await asyncio.sleep(0.05)
            yield mock
    finally:
        process.terminate()
        await process.wait()


async def _answers(session: aiohttp.ClientSession, address: str) -> bool:
    with contextlib.suppress(aiohttp.ClientError):
        async with session.get(address) as response:
            return response.status == 200
    return False
