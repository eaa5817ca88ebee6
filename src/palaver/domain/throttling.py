"""How failed sign-ins are counted: per key, in slots of five seconds, over the last minute.

A failure weighs for 60 to 65 seconds, never less, so no minute ever holds more than the limit.
"""

import ipaddress
from typing import Final, TypeAlias

import msgspec

from palaver.kit.clock import MINUTE, SECOND

WINDOW: Final = MINUTE
SLOT: Final = 5 * SECOND

Slots: TypeAlias = tuple[tuple[int, int], ...]
"""Pairs of where a slot begins and how many failures it holds, in time order."""


class Gate(msgspec.Struct, frozen=True):
    """A count that an attempt goes through; `limit` None = it is counted, and never refused."""

    key: str
    limit: int | None


def live(slots: Slots, *, at: int) -> Slots:
    """Return the slots that still weigh."""
    return tuple(slot for slot in slots if slot[0] + SLOT + WINDOW > at)


def wait(slots: Slots, limit: int, *, at: int) -> int:
    """Return for how many microseconds no further attempt is allowed: 0 = one is allowed now."""
    slots = live(slots, at=at)
    left = sum(count for _, count in slots)
    until = at
    for begin, count in slots:
        if left < limit:
            break
        left -= count
        until = begin + SLOT + WINDOW
    return until - at


def counted(slots: Slots, *, at: int) -> Slots:
    """Return the slots with one more failure at this instant."""
    return _changed(live(slots, at=at), at=at, by=1)


def given_back(slots: Slots, *, at: int) -> Slots:
    """Return the slots without one failure that was counted at this instant."""
    return _changed(slots, at=at, by=-1)


def _changed(slots: Slots, *, at: int, by: int) -> Slots:
    begin = at - at % SLOT
    counts = dict(slots)
    counts[begin] = counts.get(begin, 0) + by
    return tuple(sorted((begin, count) for begin, count in counts.items() if count > 0))


def network(address: str) -> str:
    """Return what counts as one address: an IPv4 address, or an IPv6 network of 64 bits.

    Whoever has one IPv6 address commonly has all 2^64 of its network.
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:100]
    if parsed.version == 4:
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))
