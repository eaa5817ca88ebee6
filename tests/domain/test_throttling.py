from hypothesis import given
from hypothesis import strategies as st

from palaver.domain.throttling import SLOT, WINDOW, counted, given_back, network, wait
from palaver.kit.clock import SECOND

START = 1_760_000_000 * SECOND


@given(st.lists(st.integers(0, 20 * SECOND), max_size=60), st.integers(1, 10))
def test_no_minute_holds_more_failures_than_the_limit(gaps, limit):
    slots, taken, at = (), [], START
    for gap in gaps:
        at += gap
        if wait(slots, limit, at=at) == 0:
            slots = counted(slots, at=at)
            taken.append(at)
    for first, last in zip(taken, taken[limit:], strict=False):
        assert last - first > WINDOW


@given(st.lists(st.integers(0, 10 * SECOND), min_size=1, max_size=30), st.integers(1, 10))
def test_whoever_waits_as_told_is_let_through_and_not_before(gaps, limit):
    slots, at = (), START
    for gap in gaps:
        at += gap
        slots = counted(slots, at=at)
    pause = wait(slots, limit, at=at)
    assert pause <= WINDOW + SLOT
    assert wait(slots, limit, at=at + pause) == 0
    if pause:
        assert wait(slots, limit, at=at + pause - 1) == 1


def test_what_is_given_back_was_never_counted():
    slots = counted(counted((), at=START), at=START + 7 * SECOND)
    assert given_back(slots, at=START) == counted((), at=START + 7 * SECOND)
    assert given_back(given_back(slots, at=START), at=START + 7 * SECOND) == ()


def test_giving_back_what_is_gone_does_no_harm():
    assert given_back((), at=START) == ()


def test_old_slots_are_forgotten():
    slots = ()
    for minute in range(100):
        slots = counted(slots, at=START + minute * WINDOW)
    assert len(slots) <= 2


def test_an_address_is_one_of_ipv4_or_a_network_of_ipv6():
    assert network("192.0.2.7") == "192.0.2.7"
    assert network("::ffff:192.0.2.7") == "192.0.2.7"
    assert network("2001:db8::1") == network("2001:db8::ffff:2") == "2001:db8::/64"
    assert network("2001:db8:0:1::1") != network("2001:db8::1")
    assert network("fe80::1%eth0") == "fe80::/64"
    assert network("") == ""
    assert network("a socket") == "a socket"
