"""Server-sent events as they come from a socket: cut at any byte, in every legal form."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palaver.kit.sse import EventTooLarge, Splitter, frame


def split(*chunks: bytes) -> list[bytes]:
    splitter = Splitter()
    return [data for chunk in chunks for data in splitter.feed(chunk)] + splitter.end()


STREAM = (
    b"\xef\xbb\xbf: a comment\r\n\r\n"
    b"event: delta\r\nid: 7\r\ndata: one\r\n\r\n"
    b"data:two\n\ndata: three\ndata:  and more\ndata\n\n"
    b": keep-alive\n\nretry: 10\n\ndata: \xc3\xa9\xf0\x9f\x98\x80\n\n"
    b"data: four\r\rdata: five\n\n"
)
DATA = [b"one", b"two", b"three\n and more\n", "é😀".encode(), b"four", b"five"]


def test_every_legal_form_of_an_event_is_read() -> None:
    assert split(STREAM) == DATA


def test_a_stream_may_be_cut_at_any_byte() -> None:
    for cut in range(len(STREAM) + 1):
        assert split(STREAM[:cut], STREAM[cut:]) == DATA


def test_a_stream_may_come_byte_by_byte() -> None:
    assert split(*(STREAM[i : i + 1] for i in range(len(STREAM)))) == DATA


@given(
    st.lists(st.binary(max_size=20).filter(lambda b: not {10, 13} & set(b)), max_size=8),
    st.lists(st.integers(0, 300), max_size=12),
)
def test_what_frame_writes_is_read_back_however_it_is_cut(
    written: list[bytes], cuts: list[int]
) -> None:
    stream = b"".join(frame(data, id="1") for data in written)
    edges = [0, *sorted(cuts), len(stream)]
    chunks = [stream[a:b] for a, b in itertools.pairwise(edges)]
    assert split(*chunks) == written


def test_whole_events_of_one_line_come_out_as_they_are() -> None:
    splitter = Splitter()
    assert splitter.feed(b"data: a\n\n") == [b"a"]
    assert splitter.feed(b"data: b\n\ndata: c\n\n") == [b"b", b"c"]
    assert splitter.feed(b"data: d\n\n\n\n: x\n\ndata: e\n\n") == [b"d", b"e"]


def test_an_event_without_its_last_empty_line_comes_at_the_end() -> None:
    splitter = Splitter()
    assert splitter.feed(b"data: a\n\ndata: [DONE]") == [b"a"]
    assert splitter.end() == [b"[DONE]"]
    assert splitter.end() == []


@pytest.mark.parametrize("piece", [b"x" * 50, b"data: y\n" * 5], ids=["one line", "many lines"])
def test_an_event_that_never_ends_is_refused(piece: bytes) -> None:
    splitter = Splitter(max_event_bytes=1000)
    with pytest.raises(EventTooLarge):
        list(map(splitter.feed, [piece] * 200))


def test_comments_without_end_are_not_kept() -> None:
    splitter = Splitter(max_event_bytes=1000)
    for _ in range(200):
        assert splitter.feed(b": keep-alive\n\n") == []
