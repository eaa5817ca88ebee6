"""What may go wrong with a command, in one sentence for a person."""

from typing import Final

from palaver.config import ConfigError
from palaver.dialects.native.admin_wire import NAMES
from palaver.domain.errors import DomainError, InvalidInput
from palaver.storage.database import DatabaseError

EXPECTED: Final = (ConfigError, DomainError, DatabaseError, OSError)


def sentence_of(error: Exception) -> str:
    """Return the error as a sentence."""
    if isinstance(error, InvalidInput):
        error = error.renamed(NAMES)  # as the options are called
    if isinstance(error, DomainError):
        return error.message
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}{f': {error.filename}' if error.filename else ''}."
    return str(error)
