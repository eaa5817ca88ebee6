"""Providers: those that are known by name, and the servers that the file adds."""

import contextlib
import re
from collections.abc import Mapping
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import msgspec

from palaver.config.errors import ConfigError, refuse_keys
from palaver.config.settings import Settings
from palaver.domain.providers import ProviderSettings


class Section(msgspec.Struct, frozen=True):
    """`[providers.<id>]` of the file: one known by name, or one that speaks OpenAI's protocol."""

    base_url: str | None = None
    api_key: str | None = None
    api_key_env: str | None = None  # the name of the variable that holds the key
    name: str | None = None
    streams: bool = True
    idle_timeout: Annotated[float, msgspec.Meta(ge=1, le=3600)] | None = None  # seconds


class Builtin(msgspec.Struct, frozen=True):
    """A provider that needs no section: its variables are `<ID>_API_KEY` and `<ID>_BASE_URL`."""

    name: str
    base_url: str
    protocol: str = "openai"
    is_local: bool = False  # tried without being configured


BUILTIN: Final = {
    "openai": Builtin("OpenAI", "https://api.openai.com/v1"),
    "openrouter": Builtin("OpenRouter", "https://openrouter.ai/api/v1"),
    "anthropic": Builtin("Anthropic", "https://api.anthropic.com", "anthropic"),
    "gemini": Builtin("Google Gemini", "https://generativelanguage.googleapis.com", "gemini"),
    "lmstudio": Builtin("LM Studio", "http://127.0.0.1:1234/v1", is_local=True),
    "ollama": Builtin("Ollama", "http://127.0.0.1:11434/v1", is_local=True),
}
DEMO: Final = ProviderSettings(id="demo", name="Demo", protocol="demo")
SETTINGS: Final[Mapping[str, str]] = {
    id: f"{id.upper()}_{'BASE_URL' if it.is_local else 'API_KEY'}" for id, it in BUILTIN.items()
}
"""The variable that an operator sets so that a provider known by name is there."""

_ID: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_KEY: Final = re.compile(r"[!-~]+")


class Providers:
    """Makes `ProviderSettings` of the environment and the sections of the file."""

    def __init__(
        self, environ: Mapping[str, str], sections: Any, path: str, settings: Settings
    ) -> None:
        if not isinstance(sections, dict):
            raise ConfigError(f"`providers` in {path} must be tables: [providers.<id>].")
        self.environ = environ
        self.path = path
        self.settings = settings
        self.sections = {id: self._section(id, given) for id, given in sections.items()}

    def all(self) -> tuple[ProviderSettings, ...]:
        """Return every provider: hosted ones, the file's, the local ones, the demo."""
        hosted = [id for id, builtin in BUILTIN.items() if not builtin.is_local]
        own = [id for id in self.sections if id not in BUILTIN]
        local = [id for id, builtin in BUILTIN.items() if builtin.is_local]
        found = (self._one(id) for id in [*hosted, *own, *local])
        return (*(provider for provider in found if provider is not None), DEMO)

    def _section(self, id: str, given: Any) -> Section:
        where = f"[providers.{id}] in {self.path}"
        if not _ID.fullmatch(id) or id == DEMO.id:
            raise ConfigError(
                f"{where}: the id must be 1 to 32 of a-z, 0-9, _ and -, and not {DEMO.id}."
            )
        if not isinstance(given, dict):
            raise ConfigError(f"{where} must be a table.")
        refuse_keys(given, Section.__struct_fields__, f" of {where}")
        try:
            section = msgspec.convert(given, Section)
        except msgspec.ValidationError as error:
            raise ConfigError(f"{where}: {str(error).replace('$.', '')}.") from None
        if section.base_url is None and id not in BUILTIN:
            raise ConfigError(f"{where} needs a `base_url`.")
        return section

    def _one(self, id: str) -> ProviderSettings | None:
        section = self.sections.get(id, Section())
        builtin = BUILTIN.get(id)
        url, is_given, url_source = self._base_url(id, section, builtin)
        key, key_setting = self._key(id, section)
        is_local = builtin is not None and builtin.is_local
        if not url or (builtin and not is_local and key is None and not is_given):
            return None
        idle = section.idle_timeout or self.settings.provider_idle_timeout_seconds
        return ProviderSettings(
            id=id,
            name=section.name or (builtin.name if builtin else id),
            protocol=builtin.protocol if builtin else "openai",
            base_url=web_address(url, url_source),
            api_key=key,
            key_setting=key_setting,
            idle_timeout_seconds=idle,
            streams=section.streams,
            is_local=is_local and not is_given,
        )

    def _base_url(
        self, id: str, section: Section, builtin: Builtin | None
    ) -> tuple[str, bool, str]:
        variable = f"{id.upper()}_BASE_URL"
        if builtin and variable in self.environ:
            return self.environ[variable], True, variable
        where = f"`base_url` of [providers.{id}]"
        if section.base_url is not None:
            return section.base_url, True, where
        return (builtin.base_url if builtin else ""), False, where

    def _key(self, id: str, section: Section) -> tuple[str | None, str]:
        variable = f"{id.upper()}_API_KEY"
        if id in BUILTIN and (text := self.environ.get(variable, "").strip()):
            return printable_key(text, variable), variable
        where = f"`api_key` of [providers.{id}]"
        if section.api_key_env is not None:
            if not (text := self.environ.get(section.api_key_env, "").strip()):
                raise ConfigError(
                    f"`api_key_env` of [providers.{id}] names {section.api_key_env}, "
                    "which is not set."
                )
            return printable_key(text, section.api_key_env), section.api_key_env
        if section.api_key:
            return printable_key(section.api_key.strip(), where), where
        return None, variable if id in BUILTIN else where


def printable_key(text: str, source: str) -> str:
    """Return a key that can go into a header. Raises `ConfigError`."""
    if not _KEY.fullmatch(text):
        raise ConfigError(f"{source} must be printable ASCII without spaces.")
    return text


def web_address(url: str, source: str) -> str:
    """Return the address without a slash at its end; a name and password would end up in logs.

    Raises `ConfigError`.
    """
    with contextlib.suppress(ValueError):
        parts = urlsplit(url.strip())
        if (
            parts.scheme in {"http", "https"}
            and parts.hostname
            and "@" not in parts.netloc
            and not (parts.query or parts.fragment)
            and parts.port != 0
        ):
            return url.strip().rstrip("/")
    raise ConfigError(f"{source} must be an address such as http://127.0.0.1:8080/v1.")
