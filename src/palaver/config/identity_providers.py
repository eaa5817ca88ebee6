"""Identity providers: the one of the environment, and those of the file."""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import msgspec

from palaver.config.errors import ConfigError, refuse_keys
from palaver.config.settings import PREFIX, Settings
from palaver.domain.identity_providers import DEFAULT_SCOPES, IdentityProviderSettings

WELL_KNOWN: Final = "/.well-known/openid-configuration"
FROM_ENVIRONMENT: Final = "oidc"
"""The id of the provider that the environment names."""

_ID: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_SCOPE: Final = re.compile(r"[!#-\[\]-~]+")  # RFC 6749, 3.3
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=60)]


class Section(msgspec.Struct, frozen=True):
    """`[identity_providers.<id>]` of the file."""

    issuer: str
    client_id: str
    client_secret: str | None = None
    client_secret_env: str | None = None  # the name of the variable that holds the secret
    name: Name | None = None
    scopes: tuple[str, ...] = DEFAULT_SCOPES


def identity_providers(
    environ: Mapping[str, str], sections: Any, path: str, settings: Settings
) -> tuple[IdentityProviderSettings, ...]:
    """Return every identity provider, that of the environment first. Raises `ConfigError`."""
    if not isinstance(sections, dict):
        raise ConfigError(
            f"`identity_providers` in {path} must be tables: [identity_providers.<id>]."
        )
    found = (
        *_of_environment(settings),
        *(_of_section(id, given, path, environ) for id, given in sections.items()),
    )
    if settings.sso_link_by_email == "all" and settings.registration == "open":
        raise ConfigError(
            f"{PREFIX}SSO_LINK_BY_EMAIL is all: whoever registers with somebody else's address "
            f"would share their account. Set {PREFIX}REGISTRATION to invite or closed."
        )
    return found


def redirect(address: str) -> str:
    """Return an address that a browser may be sent to with a code. Raises `ValueError`.

    https, this very host without TLS, or an application's own scheme (RFC 8252, 7.1), which has a
    dot in it: what a browser would run or show by itself has none.
    """
    parts = urlsplit(address)
    is_web = bool(parts.hostname) and "@" not in parts.netloc
    is_safe = (
        (parts.scheme == "https" and is_web)
        or (parts.scheme == "http" and parts.hostname in _LOOPBACK and is_web)
        or "." in parts.scheme
    )
    if not is_safe or parts.fragment or "#" in address or not re.fullmatch(r"[!-~]+", address):
        raise ValueError(address)
    return address


def _of_environment(settings: Settings) -> Iterator[IdentityProviderSettings]:
    given = {
        "ISSUER": settings.oidc_issuer,
        "CLIENT_ID": settings.oidc_client_id,
        "CLIENT_SECRET": settings.oidc_client_secret,
        "NAME": settings.oidc_name,
    }
    if not any(given.values()):
        return
    for name in ("ISSUER", "CLIENT_ID"):
        if not given[name]:
            raise ConfigError(f"{PREFIX}OIDC_{name} is missing: single sign-on needs it.")
    issuer = _issuer(settings.oidc_issuer or "", f"{PREFIX}OIDC_ISSUER")
    yield IdentityProviderSettings(
        id=FROM_ENVIRONMENT,
        name=settings.oidc_name or _host(issuer),
        issuer=issuer,
        client_id=settings.oidc_client_id or "",
        client_secret=settings.oidc_client_secret,
        setting=f"{PREFIX}OIDC_ISSUER, _CLIENT_ID and _CLIENT_SECRET",
    )


def _of_section(
    id: str, given: Any, path: str, environ: Mapping[str, str]
) -> IdentityProviderSettings:
    where = f"[identity_providers.{id}] in {path}"
    if not _ID.fullmatch(id) or id == FROM_ENVIRONMENT:
        raise ConfigError(
            f"{where}: the id must be 1 to 32 of a-z, 0-9, _ and -, and not {FROM_ENVIRONMENT}."
        )
    if not isinstance(given, dict):
        raise ConfigError(f"{where} must be a table.")
    refuse_keys(given, Section.__struct_fields__, f" of {where}")
    try:
        section = msgspec.convert(given, Section)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: {str(error).replace('$.', '')}.") from None
    if "openid" not in section.scopes or not all(map(_SCOPE.fullmatch, section.scopes)):
        raise ConfigError(f"`scopes` of {where} must be names of scopes, `openid` among them.")
    if not section.client_id.strip():
        raise ConfigError(f"`client_id` of {where} is empty.")
    issuer = _issuer(section.issuer, f"`issuer` of {where}")
    return IdentityProviderSettings(
        id=id,
        name=section.name or _host(issuer),
        issuer=issuer,
        client_id=section.client_id,
        client_secret=_secret(section, where, environ),
        scopes=section.scopes,
        setting=f"[identity_providers.{id}]",
    )


def _secret(section: Section, where: str, environ: Mapping[str, str]) -> str | None:
    variable = section.client_secret_env
    if variable is None:
        return section.client_secret or None
    if section.client_secret is not None:
        raise ConfigError(f"{where} has both `client_secret` and `client_secret_env`.")
    if not (text := environ.get(variable, "").strip()):
        raise ConfigError(f"`client_secret_env` of {where} names {variable}, which is not set.")
    return text


def _issuer(text: str, source: str) -> str:
    """Return the issuer; the address of its discovery document is as good."""
    issuer = text.strip().removesuffix(WELL_KNOWN)
    wrong = ConfigError(f"{source} must be an address such as https://auth.example.org.")
    try:
        parts = urlsplit(issuer)
        is_good = bool(parts.hostname) and "@" not in parts.netloc and parts.port != 0
    except ValueError:
        raise wrong from None
    if not is_good or parts.query or parts.fragment:
        raise wrong
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise ConfigError(f"{source} must be https; http is for this very host alone.")
    return issuer


def _host(issuer: str) -> str:
    return urlsplit(issuer).hostname or issuer
