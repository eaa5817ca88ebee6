"""What a provider says of itself. Source: OpenID Connect Discovery 1.0, "Provider Metadata"."""

from typing import Final
from urllib.parse import SplitResult, urlsplit

import msgspec

from palaver.domain.errors import ProviderError
from palaver.domain.identity_providers import IdentityProviderSettings
from palaver.outbound.oidc.client import Client

WELL_KNOWN: Final = "/.well-known/openid-configuration"
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class Metadata(msgspec.Struct, frozen=True):
    """The fields that matter here, with the defaults that the specification gives them."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    id_token_signing_alg_values_supported: tuple[str, ...] = ("RS256",)
    # RFC 9207, 3: where this is true, an answer without `iss` is none of theirs.
    authorization_response_iss_parameter_supported: bool = False


async def discover(client: Client) -> Metadata:
    """Ask a provider where everything is. Raises `ProviderError`."""
    settings = client.settings
    metadata = await client.get(f"{settings.issuer.rstrip('/')}{WELL_KNOWN}", Metadata)
    if metadata.issuer.rstrip("/") != settings.issuer.rstrip("/"):
        # Or anybody could serve a page that says it is somebody else.
        raise ProviderError(
            f"{settings.name} calls itself by another address than the issuer in "
            f"{settings.setting}: that must be the same."
        )
    addresses = [metadata.authorization_endpoint, metadata.token_endpoint, metadata.jwks_uri]
    if metadata.userinfo_endpoint:
        addresses.append(metadata.userinfo_endpoint)
    if not all(_is_safe(address, settings) for address in addresses):
        raise ProviderError(f"{settings.name} names an address that is not https.")
    return metadata


def _is_safe(address: str, settings: IdentityProviderSettings) -> bool:
    """Tell whether nobody can listen: what runs on this host may do without TLS."""
    try:
        parts, issuer = urlsplit(address), urlsplit(settings.issuer)
    except ValueError:
        return False
    if parts.fragment or not parts.hostname or "@" in parts.netloc:
        return False
    return parts.scheme == "https" or (is_local_http(parts) and is_local_http(issuer))


def is_local_http(parts: SplitResult) -> bool:
    """Tell whether this is an address of this very host, without TLS."""
    return parts.scheme == "http" and parts.hostname in _LOOPBACK
