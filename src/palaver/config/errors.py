"""What is wrong with a setting."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any


class ConfigError(Exception):
    """A setting cannot be taken: one sentence that names it, and says what it must be."""


def refuse_keys(given: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    """Raise `ConfigError` for a key that is not known."""
    known = list(known)
    for key in given:
        if key not in known:
            raise ConfigError(f"`{key}`{where} is no setting{guess(key, known)}")


def guess(name: str, known: list[str]) -> str:
    """Return the end of a sentence about an unknown name: what may have been meant."""
    near = difflib.get_close_matches(name, known, n=1)
    return f": did you mean {near[0]}?" if near else "."
