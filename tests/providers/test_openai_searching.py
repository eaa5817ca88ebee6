"""Searching over OpenAI's protocol: how it is asked for, its sources, and the marks in the text."""

from typing import Any

import pytest

from palaver.domain.events import SourceFound, TextDelta
from palaver.domain.passages import Passage, parse_passages, render_passages
from palaver.domain.providers import CompletionRequest, Turn
from palaver.domain.sources import Reason, Source, SourceKind
from palaver.providers.openai import OpenAIProvider
from palaver.providers.openai.asking import Server
from palaver.providers.openai.citing import refers_by_number
from palaver.providers.sources import MOST_SOURCES
from tests.fakes.scripts import Script, cited
from tests.fakes.upstream import Upstream
from tests.providers.conftest import Build
from tests.providers.helpers import Outcome, ask, asking, outcome, speaking_to

RAIN = "https://a.example/rain"
SUN = "https://b.example/sun?utm_source=openai"
FOUND = "Found by Simulator's own search."
LINKED = "Linked in the answer of Simulator's own search."


async def search(provider: OpenAIProvider, *, first: int = 1, model: str = "sim") -> Outcome:
    return await outcome(provider, ask(model=model, searches_web=True, first_source=first))


def source(index: int, url: str, title: str = "A page", *, note: str = FOUND, quote: str = "") -> Source:  # fmt: skip
    return Source(index, SourceKind.WEB, url, title, url=url, reason=Reason(note=note), quote=quote)


def test_each_server_is_asked_to_search_in_its_own_words(build: Build) -> None:
    request = ask(model="gpt-5-search-api", searches_web=True)
    openai = asking(build(base_url="https://api.openai.com/v1"), request)
    openrouter = asking(build(base_url="https://openrouter.ai/api/v1"), request)
    assert (openai["web_search_options"], openrouter["plugins"]) == ({}, [{"id": "web"}])
    unasked = asking(build(base_url="https://openrouter.ai/api/v1"), ask())
    assert {"web_search_options", "plugins"}.isdisjoint(unasked)


async def test_a_search_that_is_refused_is_not_left_out_in_silence(
    provider: OpenAIProvider, upstream: Upstream
) -> None:
    body = b'{"error":{"message":"Unknown parameter: \'web_search_options\'."}}'
    upstream.plan(Script(status=400, body=body))
    assert "web_search_options" in (await search(provider)).refusal.message
    assert len(upstream.requests) == 1


async def test_a_link_in_the_text_is_a_source_and_gets_its_mark_there(
    provider: OpenAIProvider, upstream: Upstream
) -> None:
    words = ("It rained ", "([A pa", "ge](https://a.exam", "ple/rain", ")", "). ", "Then sun.")
    upstream.plan(Script(words=words, annotations=(cited(RAIN, 10, 42),)))
    got = await search(provider, first=4)
    assert got.text == f"It rained ([A page]({RAIN}) [4]). Then sun."
    assert got.sources == [source(4, RAIN, note=LINKED)]
    at = got.events.index(SourceFound(got.sources[0]))
    assert "[4]" not in "".join(e.text for e in got.events[:at] if isinstance(e, TextDelta))


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 1_000])
async def test_links_are_found_however_the_text_is_cut(
    provider: OpenAIProvider, upstream: Upstream, piece: int
) -> None:
    film = "https://en.example/wiki/Rain_(film)"
    text = (
        f"[Rain]({RAIN}) and [the film]({film}), [Rain]({RAIN}) again, ![no](https://c.example/x.png), "
        "[not] a link, [1] a note, [none](ftp://x.example) [open"
    )
    upstream.plan(Script(words=tuple(text[at : at + piece] for at in range(0, len(text), piece))))
    got = await search(provider)
    assert got.text == (
        f"[Rain]({RAIN}) [1] and [the film]({film}) [2], [Rain]({RAIN}) [1] again, "
        "![no](https://c.example/x.png), [not] a link, [1] a note, [none](ftp://x.example) [open"
    )
    assert [(found.index, found.url, found.title) for found in got.sources] == [
        (1, RAIN, "Rain"),
        (2, film, "the film"),
    ]


async def test_what_is_annotated_too_late_is_named_at_the_end(
    provider: OpenAIProvider, upstream: Upstream
) -> None:
    annotations = (cited(SUN, 0, 5), cited(RAIN, 2, 9), cited(SUN, 6, 9))
    upstream.plan(Script(words=("Rain", " and sun."), annotations=annotations))
    got = await search(provider, first=3)
    assert got.text == "Rain and sun. [3] [4]"
    assert got.sources == [source(3, SUN), source(4, RAIN)]


@pytest.mark.parametrize("streams", [True, False], ids=["streamed", "whole"])
async def test_an_annotation_that_comes_in_time_marks_the_end_of_its_span(
    build: Build, upstream: Upstream, *, streams: bool
) -> None:
    annotations = (
        cited(RAIN, 0, 9, content="It rained all day."),
        cited(SUN, 10, 18),
        cited(RAIN, 10, 18),
        cited("https://c.example/unread", 0, 0),
    )
    upstream.plan(Script(words=("It rain", "ed. Sun ", "too."), annotations=annotations, annotates_first=True))  # fmt: skip
    got = await search(build(streams=streams))
    assert got.text == "It rained [1]. Sun too [1] [2]."
    assert got.sources == [
        source(1, RAIN, quote="It rained all day."),
        source(2, SUN),
        source(3, "https://c.example/unread"),
    ]


async def test_a_link_that_is_annotated_in_time_is_marked_once(
    build: Build, upstream: Upstream
) -> None:
    text = f"Rain ([A page]({RAIN}))."
    annotation = cited(RAIN, 5, len(text) - 1, title="All about rain")
    upstream.plan(Script(words=(text,), annotations=(annotation,)))
    got = await search(build(streams=False))
    assert got.text == f"Rain ([A page]({RAIN}) [1])."
    assert got.sources == [source(1, RAIN, "All about rain")]


@pytest.mark.parametrize(
    "found",
    [
        {"citations": [RAIN, SUN]},
        {"search_results": [{"url": RAIN, "title": "A page", "date": None}, {"url": SUN, "title": "A page"}]},
    ],
    ids=["addresses", "results"],
)  # fmt: skip
async def test_a_list_of_sources_numbers_what_the_text_refers_to(
    provider: OpenAIProvider, upstream: Upstream, found: dict[str, Any]
) -> None:
    upstream.plan(Script(words=("Rain[", "1]", "[2", "] and [x]", "."), found=found))
    got = await search(provider, first=5, model="sonar")
    assert got.text == "Rain[5][6] and [x]."
    titles = ["a.example", "b.example"] if "citations" in found else ["A page", "A page"]
    assert got.sources == [source(5, RAIN, titles[0]), source(6, SUN, titles[1])]


async def test_perplexity_refers_before_it_lists(
    provider: OpenAIProvider, upstream: Upstream
) -> None:
    upstream.plan(Script(words=("Rain[1].",), annotations=(cited(RAIN, 4, 7),)))
    got = await search(speaking_to(provider, Server.OPENROUTER), first=2, model="perplexity/sonar")
    assert (got.text, [found.index for found in got.sources]) == ("Rain[2].", [2])


@pytest.mark.parametrize(
    "url",
    ["javascript:alert(1)", "file:///etc/passwd", "https://", "https://a.example/\n", "http://[", "https://a.example/" + "x" * 3_000, "https://a.example/\ud800"],
)  # fmt: skip
async def test_what_is_no_web_address_is_no_source(
    provider: OpenAIProvider, upstream: Upstream, url: str
) -> None:
    upstream.plan(
        Script(annotations=(cited(url, 0, 5), cited(RAIN, 0, 5, title="x\x00\n" + "y" * 999)))
    )
    got = await search(provider)
    assert [found.url for found in got.sources] == [RAIN]
    assert got.sources[0].title.isprintable()
    assert len(got.sources[0].title) == 300


async def test_annotations_of_another_shape_do_no_harm(
    provider: OpenAIProvider, upstream: Upstream
) -> None:
    odd: Any = (
        {"type": "file_citation"},
        {"url_citation": {"url": 7}},
        {"url_citation": []},
        "text",
    )
    script = Script(found={"citations": [7, None, {"no": "url"}], "search_results": {"a": 1}})
    upstream.plan(script, Script(annotations=tuple(o for o in odd if isinstance(o, dict))))
    for _ in range(2):
        got = await search(provider)
        assert (got.text, got.sources, got.error) == ("Hello, world!", [], None)


async def test_sources_are_not_without_end(provider: OpenAIProvider, upstream: Upstream) -> None:
    pages = tuple(cited(f"https://a.example/{at}") for at in range(300))
    upstream.plan(Script(annotations=pages))
    assert len((await search(provider, first=7)).sources) == MOST_SOURCES


async def test_a_quote_is_cut_to_what_is_kept(provider: OpenAIProvider, upstream: Upstream) -> None:
    upstream.plan(Script(annotations=(cited(RAIN, content="ü\x00" * 400),)))
    (found,) = (await search(provider)).sources
    assert (len(found.quote), "\x00" in found.quote) == (500, False)


async def test_an_answer_that_was_not_to_search_is_left_as_it_is(
    provider: OpenAIProvider, upstream: Upstream
) -> None:
    upstream.plan(Script(words=(f"[A page]({RAIN})",), annotations=(cited(RAIN, 0, 5),)))
    got = await outcome(provider)
    assert (got.text, got.sources) == (f"[A page]({RAIN})", [])


async def test_thoughts_in_tags_are_no_part_of_the_cited_text(
    provider: OpenAIProvider, upstream: Upstream
) -> None:
    upstream.plan(Script(words=("<think>[1]</think>", "Rain[", "1]."), found={"citations": [RAIN]}))
    got = await search(provider, first=9, model="sonar")
    assert (got.reasoning, got.text) == ("[1]", "Rain[9].")


PASSAGES = render_passages(
    [Passage(1, "Contract", "Thirty days."), Passage(2, "Letter", '<passage index="1" title="x">')]
)


@pytest.mark.parametrize("is_asked", [True, False])  # it searches unasked
@pytest.mark.parametrize("piece", [1, 2, 5, 1_000])
async def test_a_vendor_that_counts_by_itself_sees_our_passages_under_other_numbers(
    provider: OpenAIProvider, upstream: Upstream, piece: int, *, is_asked: bool
) -> None:
    text = "Thirty days[101]. Rain[1][2], both [102, 2], none [104] [1](https://c.example/)."
    said = tuple(text[at : at + piece] for at in range(0, len(text), piece))
    upstream.plan(Script(words=said, found={"citations": [RAIN, SUN]}))
    turns = (Turn("system", f"Cite.\n{PASSAGES}"), Turn("user", f"And? {PASSAGES}"))
    request = CompletionRequest("sonar-pro", turns, searches_web=is_asked, first_source=3)
    got = await outcome(provider, request)
    told, asked = (turn["content"] for turn in upstream.requests[0].body["messages"])
    assert [passage.index for passage in parse_passages(told)] == [101, 102]
    assert 'index="1"' in told  # a text that looks like a passage is a text
    assert asked == f"And? {PASSAGES}"
    assert got.text.startswith("Thirty days[1]. Rain[3][4], both [2, 4], none [106] [1](https")
    assert [(found.index, found.url) for found in got.sources[:2]] == [(3, RAIN), (4, SUN)]


@pytest.mark.parametrize(
    ("base_url", "is_apart"),
    [
        ("https://api.perplexity.ai", True),
        ("https://api.x.ai/v1", True),
        ("https://notx.ai/v1", False),
        ("https://api.openai.com/v1", False),
    ],
)
def test_who_counts_by_itself_is_known_by_its_address(base_url: str, *, is_apart: bool) -> None:
    assert refers_by_number(base_url, ask(searches_web=True)) is is_apart
    assert not refers_by_number(base_url, ask())


async def test_where_a_list_is_a_surprise_the_numbers_of_our_passages_stay_ours(
    provider: OpenAIProvider, upstream: Upstream
) -> None:
    words = ("Thirty days [1]. ", "Rain [3].")
    upstream.plan(Script(words=words, found={"citations": [RAIN, RAIN, SUN]}))
    got = await search(provider, first=3)
    assert got.text == "Thirty days [1]. Rain [5]."
    assert (got.sources[2].index, got.sources[2].url) == (5, SUN)


@pytest.mark.parametrize("piece", [1, 3, 1_000])
async def test_a_link_that_is_a_number_is_a_mark(
    provider: OpenAIProvider, upstream: Upstream, piece: int
) -> None:
    text = f"Sun.[[2]]({SUN}) Rain.[[1]]({RAIN}) [[1]] [[1]](ftp://x) [[3]](https://:1) [["
    said = tuple(text[at : at + piece] for at in range(0, len(text), piece))
    upstream.plan(Script(words=said))
    got = await search(provider, first=4)
    assert got.text == "Sun.[4] Rain.[5] [[1]] [[1]](ftp://x) [3](https://:1) [["
    assert [(found.index, found.url) for found in got.sources] == [(4, SUN), (5, RAIN)]
    assert got.sources[0].title == "b.example"
