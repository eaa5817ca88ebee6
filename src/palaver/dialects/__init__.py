"""The wire contracts, each a folder that knows none of the others."""

from typing import Final

from palaver.dialects.companion import DIALECT as COMPANION
from palaver.dialects.native import DIALECT as NATIVE
from palaver.dialects.platform import DIALECT as PLATFORM
from palaver.dialects.sessions import DIALECT as SESSIONS
from palaver.dialects.streaming import DIALECT as STREAMING
from palaver.dialects.subscriptions import DIALECT as SUBSCRIPTIONS
from palaver.web.endpoint import Dialect

DIALECTS: Final[tuple[Dialect, ...]] = (
    SESSIONS,
    SUBSCRIPTIONS,
    STREAMING,
    PLATFORM,
    COMPANION,
    NATIVE,
)
