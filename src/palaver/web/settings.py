"""What the web layer must know of the configuration."""

from ipaddress import IPv4Network, IPv6Network

import msgspec


class WebSettings(msgspec.Struct, frozen=True):
    """Settings of cookies, origins and addresses; `main` makes it from `config.Settings`."""

    public_url: str | None = None  # "https://chat.example.org", when a proxy hides it
    cookies_cross_site: bool = False  # SameSite=None; Secure, for front ends on other origins
    allowed_origins: tuple[str, ...] = ()
    metrics_allow: tuple[IPv4Network | IPv6Network, ...] = ()
    hsts: str = ""  # the value of Strict-Transport-Security under HTTPS; "" for none
    version: str = ""
