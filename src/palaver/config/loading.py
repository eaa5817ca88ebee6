"""Reads the settings: the environment wins over the file."""

import ipaddress
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from palaver.config.embeddings import embedder
from palaver.config.errors import ConfigError, guess, refuse_keys
from palaver.config.identity_providers import identity_providers, redirect
from palaver.config.providers import Providers
from palaver.config.settings import CONFIG_FILE, FIELDS, PREFIX, SECRET, Settings, wanted
from palaver.config.web_search import search_engine


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings; raises `ConfigError`. Makes and writes nothing."""
    if environ is None:
        environ = os.environ  # noqa: TID251 - the one place that reads it
    path = environ.get(CONFIG_FILE) or None
    file = _read_file(path) if path else {}
    _refuse_unknown(environ, file, path)
    values: dict[str, Any] = {}
    for key, field in FIELDS.items():
        variable = PREFIX + key.upper()
        text = environ.get(variable)
        # An empty variable counts as unset, as compose files leave it, but for the one where the
        # empty text has a meaning.
        if text or (text is not None and field.name == "bootstrap_token"):
            values[field.name] = _parse(field, text, variable, strict=False)
        elif key in file:
            values[field.name] = _parse(field, file[key], f"`{key}` in {path}", strict=True)
    settings = Settings(**values)
    if settings.cookies_cross_site and not settings.cors_origins:
        raise ConfigError(
            f"{PREFIX}COOKIES_CROSS_SITE opens the cookie to other origins: "
            f"name them in {PREFIX}CORS_ORIGINS."
        )
    providers = Providers(environ, file.get("providers", {}), str(path), settings).all()
    return msgspec.structs.replace(
        settings,
        providers=providers,
        search_engine=search_engine(environ, settings),
        embedder=embedder(settings, providers),
        identity_providers=identity_providers(
            environ, file.get("identity_providers", {}), str(path), settings
        ),
    )


def _read_file(path: str) -> dict[str, Any]:
    try:
        return tomllib.loads(Path(path).expanduser().read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{CONFIG_FILE} names {path}: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is no TOML: {error}.") from None


def _refuse_unknown(environ: Mapping[str, str], file: dict[str, Any], path: str | None) -> None:
    variables = [CONFIG_FILE, *(PREFIX + key.upper() for key in FIELDS)]
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in variables:
            raise ConfigError(f"{name} is no setting{guess(name, variables)}")
    refuse_keys(file, [*FIELDS, "providers", "identity_providers"], f" in {path}")


def _parse(field: msgspec.structs.FieldInfo, value: Any, source: str, *, strict: bool) -> Any:
    kind = field.type
    if isinstance(value, str) and isinstance(field.default, tuple):
        given: Any = [item.strip() for item in value.split(",") if item.strip()]
    else:
        given = value
    try:
        parsed = msgspec.convert(given, kind, strict=strict, dec_hook=_to_path)
        return _CHECKS.get(field.name, _as_it_is)(parsed)
    except (msgspec.ValidationError, ValueError):
        shown = "" if field.name in SECRET else f", not {value!r}"
        raise ConfigError(f"{source} must be {wanted(field)}{shown}.") from None


def _to_path(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, str):
        return Path(value).expanduser()
    raise ValueError(kind)


def _as_it_is(value: Any) -> Any:
    return value


def _origin(text: str) -> str:
    """Return an origin as browsers write it (RFC 6454, 6.2): no path, no default port."""
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
        raise ValueError(text)
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise ValueError(text)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    is_default = parts.port in {None, {"http": 80, "https": 443}[parts.scheme]}
    return f"{parts.scheme}://{host}" + ("" if is_default else f":{parts.port}")


def _matches(pattern: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(text)
        return text

    return check


_alias = _matches(r"[^/=\s]+=[^/=\s]+/\S+")

_CHECKS: Final[dict[str, Callable[[Any], Any]]] = {
    "public_url": _origin,
    "cors_origins": lambda origins: tuple(map(_origin, origins)),
    "trusted_proxies": lambda networks: tuple(
        str(ipaddress.ip_network(network, strict=False))
        if "/" in network
        else str(ipaddress.ip_address(network))
        for network in networks
    ),
    "outbound_allow_networks": lambda networks: tuple(
        str(ipaddress.ip_network(network, strict=False)) for network in networks
    ),
    "metrics_allow": lambda networks: tuple(
        str(ipaddress.ip_network(network, strict=False)) for network in networks
    ),
    "database_url": _matches(r"(postgres(ql)?://|sqlite:///).+"),
    "default_model": _matches(r"[^/\s]+/\S+"),
    "embedding_model": _matches(r"[^/\s]+/\S+"),
    "model_aliases": lambda aliases: tuple(map(_alias, aliases)),
    "secret_key": _matches(r".{32,}"),
    "sso_redirects": lambda addresses: tuple(map(redirect, addresses)),
}
