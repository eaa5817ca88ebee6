"""The same running Palaver and the same cast as the contracts have."""

from tests.dialects.conftest import admin, clock, owner, palaver, settings, stranger, upstream

__all__ = ["admin", "clock", "owner", "palaver", "settings", "stranger", "upstream"]
