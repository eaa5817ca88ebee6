"""Who calls: what a browser says about where a request comes from."""

import pytest
from starlette.requests import Request

from palaver.web.authentication import is_foreign
from palaver.web.call import Call
from palaver.web.settings import WebSettings

FRIEND = "https://friend.example"


def a_call(host: str, *, scheme: str = "http", public_url: str | None = None, **sent: str) -> Call:
    headers = {"host": host} | {name.replace("_", "-"): value for name, value in sent.items()}
    scope = {
        "type": "http",
        "scheme": scheme,
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers.items()],
    }
    settings = WebSettings(allowed_origins=(FRIEND,), public_url=public_url)
    return Call(Request(scope), None, settings, request_id="x")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("chat.example", "http://chat.example"),
        ("chat.example", "http://chat.example:80"),
        ("chat.example:80", "http://chat.example"),
        ("Chat.Example:8000", "HTTP://chat.example:8000"),
        ("[::1]:80", "http://[::1]"),
        ("chat.example", FRIEND),
        ("chat.example", "https://Friend.example:443"),
        ("[", FRIEND),
    ],
)
def test_our_own_origin_and_those_on_the_list_are_not_foreign(host: str, origin: str) -> None:
    assert not is_foreign(a_call(host, origin=origin))


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "https://chat.example",
        "http://chat.example:443",
        "http://chat.example:8000",
        "http://chat.example.evil.example",
        "http://chat.example@evil.example",
        "http://chat.example/",
        "chat.example",
        "null",
        "",
        "http://[",
        "http://[::1",
        "http://chat.example:port",
        "http://\xff",
        "://",
    ],
)
@pytest.mark.parametrize("host", ["chat.example", "[", "chat.example:port:80", ""])
def test_any_other_origin_is_foreign_however_it_is_written(host: str, origin: str) -> None:
    assert is_foreign(a_call(host, origin=origin))


def test_behind_a_proxy_the_public_address_is_our_own() -> None:
    for origin, expected in (("https://chat.example", False), ("http://127.0.0.1:8000", True)):
        call = a_call("127.0.0.1:8000", public_url="https://chat.example", origin=origin)
        assert is_foreign(call) is expected


def test_whoever_names_no_origin_is_no_browser_of_another_site() -> None:
    assert not is_foreign(a_call("chat.example"))
    assert not is_foreign(a_call("[", sec_fetch_site="same-origin"))
    assert is_foreign(a_call("chat.example", sec_fetch_site="cross-site"))
    assert not is_foreign(a_call("chat.example", sec_fetch_site="cross-site", origin=FRIEND))
