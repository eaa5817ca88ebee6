"""Checking an input field by field, so that every wrong one is named at once."""

import re
from collections.abc import Collection, Sequence
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from palaver.domain.errors import Fault, FieldFault, InvalidInput

_DECIMAL: Final = re.compile(r"(-?)([0-9]{1,15})(?:\.([0-9]{1,12}))?", re.ASCII)

Text: TypeAlias = str | UnsetType
TextOrNone: TypeAlias = str | UnsetType | None
Flag: TypeAlias = bool | UnsetType
Count: TypeAlias = int | UnsetType
CountOrNone: TypeAlias = int | UnsetType | None
Decimal: TypeAlias = str | int | UnsetType
DecimalOrNone: TypeAlias = str | int | UnsetType | None
Ids: TypeAlias = Sequence[int] | UnsetType


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody says of a thing, field by field; UNSET = stays as it is."""

    @property
    def given(self) -> dict[str, Any]:
        """Return what is said, by name."""
        every = msgspec.structs.asdict(self).items()
        return {field: value for field, value in every if value is not UNSET}


class Checks:
    """Gives back what it is given as it is stored; `end` raises what was wrong with all of it."""

    def __init__(self) -> None:
        self._faults: list[FieldFault] = []

    def blame(self, field: str, fault: Fault, message: str, *, limit: float | None = None) -> None:
        """Note that a field of the body is wrong."""
        self._faults.append(FieldFault(("body", field), fault, message, limit=limit))

    def end(self) -> None:
        """Raise `InvalidInput` where anything was wrong."""
        if self._faults:
            raise InvalidInput(self._faults)

    def text(self, field: str, given: str, *, max_length: int) -> str:
        """Take any text that can be stored, of at most `max_length` characters."""
        if len(given) > max_length:
            message = f"Use at most {max_length} characters."
            self.blame(field, Fault.TOO_LONG, message, limit=max_length)
        elif "\0" in given or not _is_unicode(given):
            self.blame(field, Fault.NOT_ALLOWED, "This holds a character that is none.")
        return given

    def line(self, field: str, given: str, *, max_length: int) -> str:
        """Take a name: one line, not blank, without the spaces around it."""
        given = given.strip()
        if not given:
            self.blame(field, Fault.BLANK, "This field may not be blank.", limit=1)
        elif not given.isprintable():
            self.blame(field, Fault.NOT_ALLOWED, "Use one line of printable characters.")
        return self.text(field, given, max_length=max_length)

    def whole(self, field: str, given: int, *, most: int) -> int:
        """Take a whole number from 0 to `most`."""
        self._range(field, given, 0, most, unit=1)
        return given

    def decimal(
        self, field: str, given: str | int, *, places: int, most: int, least: int = 0
    ) -> int:
        """Take a decimal number as text, or a whole one, as a count of its smallest units.

        With two places `"1.5"` is 150. `least` is in those units, `most` is not.
        """
        unit = 10**places
        if isinstance(given, str):
            match = _DECIMAL.fullmatch(given)
            if match is None or len(match[3] or "") > places:
                message = f'Write a decimal number with at most {places} places: "9.99".'
                self.blame(field, Fault.WRONG_FORMAT, message)
                return 0
            number = int(match[2] + (match[3] or "").ljust(places, "0"))
            number = min(-number, -1) if match[1] else number  # `-0` too has a sign too many
        else:
            number = given * unit
        self._range(field, number, least, most * unit, unit=unit)
        return number

    def one_of(self, field: str, given: str, permitted: Collection[str]) -> str:
        """Take one of a few words."""
        if given not in permitted:
            self.blame(field, Fault.NOT_ALLOWED, f"Use one of: {', '.join(permitted)}.")
        return given

    def _range(self, field: str, number: int, least: int, most: int, *, unit: int) -> None:
        if number < least:
            limit = least / unit if least % unit else least // unit
            self.blame(field, Fault.TOO_SMALL, f"This must be at least {limit}.", limit=limit)
        elif number > most:
            limit = most // unit
            self.blame(field, Fault.TOO_LARGE, f"This may be at most {limit}.", limit=limit)


def render_decimal(number: int, *, places: int) -> str:
    """Write a count of smallest units with two decimals, or as many as it takes: `"9.99"`."""
    whole, rest = divmod(number, 10**places)
    digits = f"{rest:0{places}d}"
    return f"{whole}.{digits[:2]}{digits[2:].rstrip('0')}"


def _is_unicode(text: str) -> bool:
    # A lone surrogate is no character: neither database takes it.
    return not any("\ud800" <= character <= "\udfff" for character in text)
