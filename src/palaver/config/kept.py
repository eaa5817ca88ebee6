"""Secrets that Palaver makes for itself and keeps in the data directory."""

import contextlib
import os
import secrets
from pathlib import Path

from palaver.config.errors import ConfigError
from palaver.config.settings import PREFIX, Settings


def secret_key(settings: Settings) -> str:
    """Return the key that signs tokens, made at the first call; raises `ConfigError`."""
    return settings.secret_key or _kept(_key_file(settings))


def has_secret_key(settings: Settings) -> bool:
    """Tell whether the key that signs tokens is there already; writes nothing."""
    return settings.secret_key is not None or _key_file(settings).exists()


def bootstrap_token(settings: Settings) -> str | None:
    """Return what makes the first administrator, made at the first call, None for no token.

    Raises `ConfigError` when the data directory cannot be written.
    """
    if settings.bootstrap_token is not None:
        return settings.bootstrap_token or None
    return _kept(settings.data_dir / "bootstrap_token")


def _key_file(settings: Settings) -> Path:
    return settings.data_dir / "secret_key"


def _kept(path: Path) -> str:
    """Return the secret in a file, made when it is not there: whole or not at all, mode 600."""
    try:
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write_once(path, secrets.token_urlsafe(32))
        path.chmod(0o600)
        text = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{PREFIX}DATA_DIR: {path} cannot be kept ({error}).") from None
    if not text:
        raise ConfigError(f"{PREFIX}DATA_DIR: {path} is empty; remove it, and start again.")
    return text


def _write_once(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(handle, "w", encoding="ascii") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(handle)
        # A link fails where a rename would replace what another process has just made.
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
