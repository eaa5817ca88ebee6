"""Search engines: which of those that are set up searches the web."""

from collections.abc import Mapping
from typing import Final

from palaver.config.errors import ConfigError
from palaver.config.providers import printable_key, web_address
from palaver.config.settings import PREFIX, Settings
from palaver.domain.web import WebSearchSettings

SEARXNG_URL: Final = f"{PREFIX}SEARXNG_URL"


HOSTED: Final = {
    "brave": "https://api.search.brave.com/res/v1",
    "tavily": "https://api.tavily.com",
}
"""Engines with a key, and where they are: their variables are `<ID>_API_KEY`, `<ID>_BASE_URL`."""


def search_engine(environ: Mapping[str, str], settings: Settings) -> WebSearchSettings | None:
    """Return the engine that searches, None where there is none. Raises `ConfigError`."""
    mode = settings.web_search
    if mode in {"provider", "off"}:
        return None
    found = {engine.engine: engine for engine in _set_up(environ, settings)}
    if mode is None:
        return next(iter(found.values()), None)
    if mode not in found:
        missing = SEARXNG_URL if mode == "searxng" else f"{mode.upper()}_API_KEY"
        raise ConfigError(f"{PREFIX}WEB_SEARCH is {mode}: set {missing}.")
    return found[mode]


def _set_up(environ: Mapping[str, str], settings: Settings) -> list[WebSearchSettings]:
    found = []
    if settings.searxng_url:
        found.append(
            WebSearchSettings(
                engine="searxng",
                base_url=web_address(settings.searxng_url, SEARXNG_URL),
                url_setting=SEARXNG_URL,
            )
        )
    for id, usual in HOSTED.items():
        key_setting, url_setting = f"{id.upper()}_API_KEY", f"{id.upper()}_BASE_URL"
        if key := environ.get(key_setting, "").strip():
            found.append(
                WebSearchSettings(
                    engine=id,
                    base_url=web_address(environ.get(url_setting) or usual, url_setting),
                    api_key=printable_key(key, key_setting),
                    key_setting=key_setting,
                    url_setting=url_setting,
                )
            )
    return found
