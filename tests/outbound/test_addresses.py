"""Addresses that somebody else has chosen: every known way around a check of them."""
# ruff: noqa: RUF001 - characters that look like others are what this is about

import ipaddress
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palaver.outbound import addresses
from palaver.outbound.addresses import Reach, Refused, is_public, parse_url
from palaver.outbound.gate import Gate
from tests.fakes.site import Names

NOWHERE = Reach()

NOT_PUBLIC = [
    # loopback, this network, private, link-local, behind a carrier
    *("127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1"),  # noqa: S104
    *("172.16.0.1", "172.31.255.255", "192.168.0.1", "192.168.255.255", "169.254.0.1"),
    *("100.64.0.1", "100.127.255.255", "192.0.0.1", "192.0.0.192", "192.0.0.170"),
    # documentation, benchmarks, relays, multicast, reserved, broadcast
    *("192.0.2.1", "198.51.100.1", "203.0.113.1", "198.18.0.1", "198.19.255.255"),
    *("192.88.99.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255"),
    # metadata of clouds
    *("169.254.169.254", "169.254.170.2", "169.254.170.23", "100.100.100.200", "168.63.129.16"),
    *("fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254", "fe80::a9fe:a9fe"),
    # the same in IPv6
    *("::", "::1", "fe80::1", "fec0::1", "fc00::1", "fdff::1", "ff02::1", "ff0e::1"),
    *("2001:db8::1", "3fff::1", "100::1", "2001:2::1", "2001:10::1", "2001:20::1", "5f00::1"),
    *("4000::1", "8000::1", "64:ff9b:1::7f00:1"),
    # IPv4 within IPv6: mapped, translated, compatible, NAT64, 6to4, Teredo, ISATAP
    *("::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:169.254.169.254", "::ffff:a9fe:a9fe"),
    *("::ffff:8.8.8.8", "::ffff:0:127.0.0.1", "::ffff:0:a00:1", "::127.0.0.1", "::7f00:1"),
    *("::a9fe:a9fe", "::8.8.8.8", "64:ff9b::7f00:1", "64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe"),
    *("64:ff9b::a00:1", "64:ff9b::c0a8:1", "2002:7f00:1::", "2002:a9fe:a9fe::1"),
    *("2002:0a00:0001::1", "2002:808:808::1", "2001:0:7f00:1::1", "2001::53aa:64c:0:7f2b:fe"),
    *("2a00:1450:4001:81b:0:5efe:7f00:1", "2a00:1450:4001:81b:200:5efe:a9fe:a9fe"),
]
PUBLIC = [
    *("1.1.1.1", "8.8.8.8", "93.184.216.34", "100.63.255.255", "100.128.0.1", "172.15.0.1"),
    *("172.32.0.1", "169.253.1.1", "192.0.1.1", "223.255.255.255", "128.0.0.1"),
    *("2a00:1450:4001:81b::200e", "2606:4700:4700::1111", "2001:4860:4860::8888"),
    *("64:ff9b::808:808", "2400:cb00::1"),
]


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_what_is_not_public_is_not_reached(address):
    assert not is_public(ipaddress.ip_address(address))
    assert not NOWHERE.holds(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_what_is_public_is(address):
    assert is_public(ipaddress.ip_address(address))
    assert NOWHERE.holds(address)


@pytest.mark.parametrize(
    "text", ["", "localhost", "fe80::1%eth0", "2606:4700::1%1", "1.1.1", "0x7f"]
)
def test_what_is_no_plain_address_is_not_reached(text):
    assert not NOWHERE.holds(text)


def reach(*networks: str) -> Reach:
    return Reach([ipaddress.ip_network(network) for network in networks])


def test_networks_of_the_operator_are_reached():
    ours = reach("10.1.0.0/16", "fd12::/32")
    assert ours.holds("10.1.2.3")
    assert ours.holds("fd12::1")
    assert ours.holds("1.1.1.1")
    assert not ours.holds("10.2.0.1")
    assert not ours.holds("fd13::1")
    assert not ours.holds("::ffff:10.1.2.3")


@pytest.mark.parametrize("address", ["169.254.169.254", "168.63.129.16", "fd00:ec2::254"])
def test_no_network_opens_what_hands_out_the_keys_of_a_machine(address):
    assert not reach("0.0.0.0/0", "::/0", "169.254.0.0/16", "fd00::/8").holds(address)
    assert reach(address).holds(address)


def test_this_machine_is_not_reached_by_an_address_that_looks_public(monkeypatch):
    monkeypatch.setattr(addresses, "is_public", lambda address: True)
    assert not NOWHERE.holds("127.0.0.1")
    assert reach("127.0.0.0/8").holds("127.0.0.1")
    assert NOWHERE.holds("1.1.1.1")


BYPASSES = [
    # other schemes, no scheme, no host
    *("", "example.org", "//example.org", "ftp://example.org", "file:///etc/passwd"),
    *("gopher://127.0.0.1:6379/_INFO", "dict://127.0.0.1:11211/", "javascript:alert(1)"),
    *("http:", "http:/", "http://", "http:///etc", "https://?x", "http://#x", "http:example.org"),
    *("jar:http://example.org!/", "ws://example.org", "data:text/html,x", "http+unix://x/"),
    # one address in other numbers: decimal, octal, hex, short, mixed, too long
    *("http://2130706433/", "http://017700000001/", "http://0x7f000001/", "http://0X7F.1/"),
    *("http://127.1/", "http://127.0.1/", "http://0/", "http://0177.0.0.1/", "http://0x7f.0.0.1/"),
    *("http://127.0.0.01/", "http://127.000.000.001/", "http://010.0.0.1/", "http://0xa9fea9fe/"),
    *("http://2852039166/", "http://0xA9.0xFE.0xA9.0xFE/", "http://0251.0376.0251.0376/"),
    *("http://0251.254.0xa9.254/", "http://169.254.43518/", "http://169.16689662/"),
    *("http://425.510.425.510/", "http://4294967297/", "http://00000000000000000000177.0.0.1/"),
    *("http://8.8.8/", "http://134744072/", "http://127.0.0.1.1/", "http://1.2.3.4.5/"),
    *("http://0x/", "http://example.0x7f/", "http://example.1/", "http://0x7f.0x0.0x0.0x1/"),
    # dots and digits of other scripts
    *(
        "http://127。0。0。1/",
        "http://127\uff0e0\uff0e0\uff0e1/",
        "http://127。0。0。1/",
        "http://①②⑦.⓪.⓪.①/",
    ),
    *(
        "http://\uff11\uff12\uff17.0.0.1/",
        "http://127\uff610\uff610\uff611/",
        "http://١٢٧.٠.٠.١/",
        "http://𝟏𝟐𝟕.𝟎.𝟎.𝟏/",
        "http://⁸.⁸.⁸.⁸/",
    ),
    *(
        "http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/",
        "http://ｌｏｃａｌｈｏｓｔ/",
        "http://ⓔxample.com/",
        "http://loc\u00adalhost/",
    ),
    *("http://exam\u200bple.org/", "http://a\u2024b.org/", "http://\u202eexample.org/"),
    *(
        "http://xn--/",
        "http://xn--0.com/",
        "http://xn--a.com/",
        "http://ex℀mple.org/",
        "http://a⒈com/",
        "http://example.org\uff0fevil/",
    ),
    *("http://evil.org\uff20site.org/", "http://evil.org\uff1a80/", "http://evil.org\uff03x/"),
    # names and passwords, in all their confusions
    *("http://user@example.org/", "http://user:pass@example.org/", "http://@example.org/"),
    *("http://example.org@127.0.0.1/", "http://127.0.0.1@example.org/", "http://:@example.org/"),
    *("http://a@b@example.org/", "http://example.org:80@127.0.0.1:80/", "http://foo@[::1]/"),
    # what one reader takes for the end of the host and another does not
    *("http://example.org\\@127.0.0.1/", "http:\\\\127.0.0.1\\", "http://127.0.0.1\\.example.org/"),
    *("http://example.org:80\\@x/", "http://127.0.0.1%2f@example.org/", "http://exam%70le.org/"),
    *("http://127.0.0.1%00.example.org/", "http://%31%32%37.0.0.1/", "http://example.org%23@x/"),
    *("http://example.org\t/", "http://exa\nmple.org/", " http://example.org/", "http://a b/"),
    *("http://example.org/\r\nHost: x", "http://example.org/a b", "http://example.org/\x00"),
    *("http://example.org/\ud800", "http://example.org\x7f/", "\x00http://example.org/"),
    # IPv6: zones, forms, what is none
    *("http://[fe80::1%25eth0]/", "http://[::1%lo]/", "http://[::1", "http://::1/", "http://[]/"),
    *(
        "http://[::1]x/",
        "http://[127.0.0.1]/",
        "http://[v1.fe]/",
        "http://[::1]:/x:80",
        "http://[:::]/",
    ),
    *("http://[1::2::3]/", "http://[::ffff:127.0.0.01]/", "http://2606:4700::1/", "http://[g::]/"),
    # ports
    *("http://example.org:22/", "http://example.org:0/", "http://example.org:65536/"),
    *("http://example.org:99999/", "http://example.org:6667/", "http://example.org:5060/"),
    *("http://example.org:25/", "http://example.org:80:80/", "http://example.org:+80/"),
    *("http://example.org:-1/", "http://example.org:8o/", "http://example.org:0x50/"),
    *("http://example.org:８０/", "http://example.org:443443443/", "http://example.org: 80/"),
    # what is no name
    *("http://.example.org/", "http://example..org/", "http://example.org../", "http://./"),
    *("http://-a.org/", "http://a-.org/", "http://*.org/", "http://a,b/", "http://<x>/"),
    *(
        f"http://{'a' * 64}.org/",
        f"http://{'a.' * 127}toolong/",
        "http://example.org/" + "a" * 4096,
    ),
    *("http://8.8.8.8./", "http://127.0.0.1./"),
]


@pytest.mark.parametrize("url", BYPASSES, ids=ascii)
def test_what_could_be_read_in_two_ways_is_refused(url):
    with pytest.raises(Refused) as caught:
        parse_url(url)
    assert caught.value.message.endswith(".")


INWARDS = [
    *(f"http://[{address}]/" if ":" in address else f"http://{address}/" for address in NOT_PUBLIC),
    *("http://localhost/", "http://LOCALHOST/", "http://localhost./", "http://127.0.0.1:8000/"),
    *("http://127-0-0-1.nip.test/", "https://[::1]:8443/", "http://metadata.internal/"),
    *("http://[0:0:0:0:0:ffff:127.0.0.1]/", "http://[0000::1]/", "http://redis:6379/"),
]


@pytest.mark.parametrize("url", INWARDS)
async def test_what_leads_inwards_is_refused_and_nothing_tells_what_is_there(url):
    names = Names(
        localhost=["127.0.0.1", "::1"],
        redis=["172.18.0.2"],
        metadata_internal=["169.254.169.254"],
    )
    names.answers["127-0-0-1.nip.test"] = [["127.0.0.1"]]
    gate = Gate(names=names)
    with pytest.raises(Refused, match="is not known, or not on the public internet") as caught:
        await gate.get(url)
    with pytest.raises(Refused) as checked:
        await gate.check(url)
    assert caught.value.message == checked.value.message
    with pytest.raises(Refused) as unknown:
        await gate.check("http://nobody.test/")
    assert unknown.value.kind is caught.value.kind
    await gate.close()


@pytest.mark.parametrize("found", [["1.1.1.1", "10.0.0.1"], ["::1", "2606:4700:4700::1111"], []])
async def test_a_name_that_leads_outwards_and_inwards_is_refused(found):
    gate = Gate(names=Names(both_test=found))
    with pytest.raises(Refused):
        await gate.get("http://both.test/")
    await gate.close()


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("http://example.org", "http://example.org/"),
        ("HTTPS://Example.ORG:443/A?b=c#d", "https://example.org/A?b=c"),
        ("http://example.org.:8080/", "http://example.org:8080/"),
        ("https://bücher.example/ü?ß=1", "https://xn--bcher-kva.example/%C3%BC?%C3%9F=1"),
        ("https://例え.テスト/", "https://xn--r8jz45g.xn--zckzah/"),
        ("http://[2606:4700:4700:0::1111]/", "http://[2606:4700:4700::1111]/"),
        ("http://1.1.1.1/a/../b", "http://1.1.1.1/b"),
        ("http://a_b.example.org/%2e%2e/x", "http://a_b.example.org/x"),
        ("http://3com.com/?u=http://u:p@127.0.0.1/", "http://3com.com/?u=http://u:p@127.0.0.1/"),
    ],
)
def test_a_plain_address_is_read_as_browsers_read_it(text, read):
    url = parse_url(text)
    shown = (
        str(url).replace(":443/", "/") if url.scheme == "https" else str(url).replace(":80/", "/")
    )
    assert shown == read


PIECES = st.sampled_from(
    [
        *(
            "http://",
            "https://",
            "HTTP:",
            "//",
            "/",
            "\\",
            "@",
            ":",
            "[",
            "]",
            "%",
            "%2e",
            ".",
            "..",
            "#",
            "?",
        ),
        *(
            "127.0.0.1",
            "0x7f",
            "2130706433",
            "::1",
            "::ffff:",
            "[::1]",
            "localhost",
            "example",
            "org",
        ),
        *(
            "80",
            "443",
            "8080",
            "22",
            "xn--",
            "\uff0e",
            "\u3002",
            "\u2488",
            "①",
            "ß",
            "é",
            "\x00",
            " ",
            "\t",
        ),
    ]
)


@given(st.one_of(st.text(), st.lists(PIECES, max_size=10).map("".join)))
@settings(max_examples=300, deadline=None)
def test_whatever_is_given_is_read_in_one_way_or_refused(text):
    for given_text in (text, f"http://{text}", f"https://example.org{text}"):
        try:
            url = parse_url(given_text)
        except Refused:
            continue
        again = parse_url(str(url))
        assert (again.raw_host, again.port, again.scheme) == (url.raw_host, url.port, url.scheme)
        assert url.raw_host
        assert url.raw_host.isascii()
        assert url.raw_user is None
        # Any other reader of the address as it is sent finds the same host.
        other = urlsplit(str(url))
        assert (other.hostname, other.username) == (url.raw_host, None)
        assert str(url.host) == url.raw_host or "xn--" in url.raw_host
