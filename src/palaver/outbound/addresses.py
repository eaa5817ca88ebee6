"""Addresses that somebody else has chosen: how one must be written, and where it may lead.

Written in one way only: whatever two readers could take for two addresses is refused. And it leads
to the public internet only, unless the operator owns the network.
"""

import ipaddress
import re
import socket
from collections.abc import Sequence
from typing import Final, TypeAlias

import idna
from yarl import URL

from palaver.domain.errors import ProviderError

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

MAX_URL_LENGTH: Final = 4_096
FIRST_FREE_PORT: Final = 1_024
BLOCKED_PORTS: Final = frozenset(
    {1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668}
    | {6669, 6679, 6697, 10080}
)
"""What listens there may take a request for something else. Fetch Standard, "Port blocking"."""

_PARTS: Final = re.compile(r"(https?)://([^/?#]+)([^#]*)(?:#.*)?", re.IGNORECASE | re.DOTALL)
_UNREADABLE: Final = re.compile(r"[\x00-\x20\x7f-\xa0\\\ud800-\udfff]")
_PLACE: Final = re.compile(r"(\[[0-9a-f:.]+\]|[^\[\]:%@]+)(?::([0-9]{1,5}))?", re.IGNORECASE)
_LABEL: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME: Final = re.compile(rf"(?=.{{1,253}}\Z)(?:{_LABEL}\.)*({_LABEL})")
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")

_NOT_PUBLIC_4: Final = tuple(
    map(
        ipaddress.IPv4Network,
        (
            "0.0.0.0/8",  # this network; 0.0.0.0 is this very machine
            "10.0.0.0/8",
            "100.64.0.0/10",  # behind a carrier's NAT; a cloud has its metadata there
            "127.0.0.0/8",
            "168.63.129.16/32",  # Azure's own services, on an address that looks public
            "169.254.0.0/16",  # link-local: the metadata of most clouds
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",  # relays of 6to4
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved; broadcast
        ),
    )
)
_PUBLIC_6: Final = ipaddress.IPv6Network("2000::/3")
_NOT_PUBLIC_6: Final = tuple(
    map(
        ipaddress.IPv6Network,
        (
            "2001::/23",  # protocols, Teredo among them
            "2001:db8::/32",
            "2002::/16",  # 6to4: an IPv4 address, whichever
            "3fff::/20",
        ),
    )
)
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_ISATAP: Final = frozenset({0x0000_5EFE, 0x0200_5EFE})
_METADATA: Final = frozenset(
    map(
        ipaddress.ip_address,
        (
            "100.100.100.200",
            "168.63.129.16",
            "169.254.169.254",
            "169.254.170.2",
            "169.254.170.23",
            "192.0.0.192",
            "fd00:ec2::23",
            "fd00:ec2::254",
            "fd20:ce::254",
        ),
    )
)
"""Where clouds hand out the keys of a machine: no network opens them, only their own address."""


class Refused(ProviderError):
    """An address to which the server does not go."""


class Reach:
    """Where connections may lead: the public internet, and the operator's networks."""

    def __init__(self, allowed: Sequence[Network] = ()) -> None:
        self.allowed = tuple(allowed)

    def holds(self, address: str) -> bool:
        """Tell whether an IP address may be connected to; what is none may not."""
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        if isinstance(parsed, ipaddress.IPv6Address) and parsed.scope_id is not None:
            return False
        is_allowed = any(
            parsed in network and (parsed not in _METADATA or network.num_addresses == 1)
            for network in self.allowed
        )
        return is_allowed or (is_public(parsed) and not is_own(parsed))


def is_public(address: Address) -> bool:
    """Tell whether an address is one of the public internet.

    Source: IANA's registries of special-purpose addresses. IPv6 addresses that hold an IPv4 one
    are none, but for those of NAT64: a machine without IPv4 reaches all others through them.
    """
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_4)
    if address in _NAT64:
        return is_public(ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF))
    if (int(address) >> 32) & 0xFFFF_FFFF in _ISATAP:
        return False
    return address in _PUBLIC_6 and not any(address in network for network in _NOT_PUBLIC_6)


def is_own(address: Address) -> bool:
    """Tell whether an address is one of this machine: no firewall stands before what listens there.

    A datagram socket that is connected sends nothing; it only learns by which of the machine's
    addresses it would.
    """
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), 9))
            return ipaddress.ip_address(probe.getsockname()[0]) == address
    except OSError:
        return False  # there is no way there


def parse_url(text: str) -> URL:
    """Return an address without its fragment, its host in ASCII. Raises `Refused`.

    Looks nothing up: whether the host may be connected to is `Reach`'s to say.
    """
    if len(text) > MAX_URL_LENGTH:
        raise Refused(f"An address of more than {MAX_URL_LENGTH} characters is not fetched.")
    parts = _PARTS.fullmatch(text)
    if parts is None:
        raise Refused("Only addresses that begin with http:// or https:// are fetched.")
    scheme, authority, rest = parts[1].lower(), parts[2], parts[3]
    if "@" in authority:
        raise Refused("An address with a name or a password in it is not fetched.")
    place = _PLACE.fullmatch(authority)
    if place is None or _UNREADABLE.search(text):
        raise _unreadable()
    host = _host(place[1])
    port = int(place[2]) if place[2] else {"http": 80, "https": 443}[scheme]
    if port not in {80, 443} and not (
        FIRST_FREE_PORT <= port < 65_536 and port not in BLOCKED_PORTS
    ):
        raise Refused(f"Port {port} is not one at which web pages are fetched.")
    return _agreed(scheme, host, port, rest)


def _host(text: str) -> str:
    """Return a host as it goes into a request: a name, an IPv4 or a bracketed IPv6 address."""
    if text.startswith("["):
        try:
            return f"[{ipaddress.IPv6Address(text[1:-1]).compressed}]"
        except ValueError:
            raise _unreadable() from None
    name = text.lower() if text.isascii() else _ascii(text)
    labels = _NAME.fullmatch(name.removesuffix("."))
    if labels is None:
        raise _unreadable()
    if _NUMBER.fullmatch(labels[1]):
        # Resolvers read 2130706433, 0x7f.1 and 0177.0.0.1 as addresses, each in its own way.
        return _canonical(text)
    return name.removesuffix(".")


def _ascii(name: str) -> str:
    """Return an international name as DNS has it; plain letters in disguise are none."""
    try:
        encoded = idna.encode(name, uts46=True, std3_rules=True).decode()
    except (idna.IDNAError, UnicodeError):
        raise _unreadable() from None
    if not any(label.startswith("xn--") for label in encoded.split(".")):
        raise _unreadable()
    return encoded


def _canonical(text: str) -> str:
    try:
        if text.isascii() and str(ipaddress.IPv4Address(text)) == text:
            return text
    except ValueError:
        pass
    raise _unreadable()


def _agreed(scheme: str, host: str, port: int, rest: str) -> URL:
    """Return what the client will take, if it reads it as it was read here."""
    path = rest if rest.startswith("/") else f"/{rest}"
    try:
        url = URL(f"{scheme}://{host}:{port}{path}")
        agrees = (url.scheme, url.raw_host, url.port) == (scheme, host.strip("[]"), port)
        is_readable = url.host is not None  # raises for what only looks like Punycode
        if agrees and is_readable and url.raw_user is None and url.raw_password is None:
            return url
    except ValueError:
        pass
    raise _unreadable()


def _unreadable() -> Refused:
    return Refused("This is no address of a web page.")
