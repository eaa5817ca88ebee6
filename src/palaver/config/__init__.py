"""Settings: read once, at the start, from the environment and an optional TOML file.

A wrong setting raises `ConfigError`, whose one sentence names it.
"""

from palaver.config.errors import ConfigError
from palaver.config.kept import bootstrap_token, has_secret_key, secret_key
from palaver.config.loading import load
from palaver.config.settings import Settings

__all__ = [
    "ConfigError",
    "Settings",
    "bootstrap_token",
    "has_secret_key",
    "load",
    "secret_key",
]
