"""What Google's own search finds: sources with numbers, and marks where an answer rests on them."""

import json
from typing import Any

import msgspec
import pytest

from palaver.domain.errors import ErrorKind
from palaver.domain.events import Finished, FinishReason, SourceFound, TextDelta, UsageReported
from palaver.domain.sources import Reason, Source, SourceKind
from palaver.providers.gemini import GeminiProvider
from palaver.providers.gemini.grounding import Metadata, Weaver
from tests.fakes.gemini import Gemini, GeminiScript, grounding
from tests.fakes.scripts import Failure, Script
from tests.providers.conftest import BuildGemini
from tests.providers.helpers import Outcome, ask, outcome, words

A = ("https://a.example/1", "a.example")
B = ("https://b.example/2", "b.example")


def _source(number: int, page: tuple[str, str]) -> Source:
    return Source(
        number,
        SourceKind.WEB,
        page[0],
        page[1],
        url=page[0],
        reason=Reason(note="Found by Google's own search."),
    )


def _sources(got: Outcome) -> list[Source]:
    return [event.source for event in got.events if isinstance(event, SourceFound)]


def _searching(**options: Any) -> Any:
    return ask(searches_web=True, **options)


async def test_a_search_is_asked_for_only_where_it_is_wanted(
    google: GeminiProvider, gemini: Gemini
) -> None:
    await outcome(google, _searching())
    await outcome(google)
    assert gemini.requests[0].body["tools"] == [{"google_search": {}}]
    assert "tools" not in gemini.requests[1].body


async def test_marks_stand_in_what_is_held_and_the_late_ones_in_a_closing_line(
    google: GeminiProvider, gemini: Gemini
) -> None:
    metadata = grounding([A, B], [(0, 5, "Hello", [0]), (6, 14, "Grüße.", [1])])
    gemini.plan(GeminiScript(words=("Hello,", "Grüße.", " Bye."), grounding={3: metadata}))
    got = await outcome(google, _searching(first_source=3))
    assert got.events == [
        TextDelta("Hello,"),
        TextDelta("Grüße."),
        SourceFound(_source(3, A)),
        SourceFound(_source(4, B)),
        TextDelta(" [4] Bye."),
        TextDelta("\n\n[3]"),
        UsageReported(5, 3),
        Finished(FinishReason.STOP),
    ]


async def test_the_newest_words_wait_for_what_they_rest_on(
    google: GeminiProvider, gemini: Gemini
) -> None:
    text = "Hello, grüße Köln. Bye."
    end = len("Hello, grüße Köln.".encode())
    metadata = grounding([A, B], [(7, end, "grüße Köln.", [0, 1]), (end + 1, end + 5, "Bye.", [1])])
    gemini.plan(GeminiScript(words=(text[:7], text[7:]), grounding={2: metadata}))
    got = await outcome(google, _searching())
    assert words(got.events) == ["Hello, ", "grüße Köln. [1] [2] Bye. [2]"]
    assert [source.index for source in _sources(got)] == [1, 2]


async def test_metadata_may_grow_from_chunk_to_chunk(
    google: GeminiProvider, gemini: Gemini
) -> None:
    first = grounding([A], [(0, 4, "One.", [0])])
    second = grounding([A, B], [(0, 4, "One.", [0]), (5, 9, "Two.", [1])])
    gemini.plan(GeminiScript(words=("One.", " Two.", " Three."), grounding={0: first, 1: second}))
    got = await outcome(google, _searching())
    assert words(got.events) == ["One. [1]", " Two. [2]", " Three."]
    assert _sources(got) == [_source(1, A), _source(2, B)]


async def test_every_mark_of_a_whole_answer_stands_in_its_place(
    build_gemini: BuildGemini, gemini: Gemini
) -> None:
    metadata = grounding([A, B], [(0, 5, "Hello", [0]), (7, 13, "world!", [1, 0])])
    gemini.plan(GeminiScript(reasoning=("Hm.",), grounding={5: metadata}))
    got = await outcome(build_gemini(streams=False), _searching())
    assert got.text == "Hello [1], world! [2] [1]"
    assert got.events.index(SourceFound(_source(2, B))) < got.events.index(TextDelta(got.text))


async def test_a_source_has_one_number_however_often_it_is_found(
    google: GeminiProvider, gemini: Gemini
) -> None:
    metadata = grounding([A, A, B], [(0, 5, "Hello", [0, 1, 2])])
    gemini.plan(GeminiScript(words=("Hello",), grounding={1: metadata}))
    got = await outcome(google, _searching())
    assert got.text == "Hello [1] [2]"
    assert len(_sources(got)) == 2


async def test_sources_without_marks_are_told_all_the_same(
    google: GeminiProvider, gemini: Gemini
) -> None:
    gemini.plan(GeminiScript(grounding={4: grounding([A])}))
    got = await outcome(google, _searching())
    assert (got.text, _sources(got)) == ("Hello, world!", [_source(1, A)])


async def test_what_was_held_is_kept_when_the_answer_breaks_off(
    google: GeminiProvider, gemini: Gemini
) -> None:
    gemini.plan(Script(failure=Failure.CUT))
    got = await outcome(google, _searching())
    assert words(got.events) == ["Hello", ","]
    assert got.refusal.kind is ErrorKind.PROVIDER_UNREACHABLE
    assert len(gemini.requests) == 1


@pytest.mark.parametrize(
    ("segment", "text"),
    [
        ({"startIndex": 2, "endIndex": 6, "text": "é 世"}, "Xé 世 [1]界 end"),  # counted from elsewhere
        ({"startIndex": 1, "endIndex": 7, "text": "é 世"}, "Xé 世 [1]界 end"),
        ({"endIndex": 5}, "Xé 世 [1]界 end"),  # within a character
        ({"endIndex": 7}, "Xé 世 [1]界 end"),
        ({"endIndex": 14}, "Xé 世界 end [1]"),
        ({"endIndex": 99}, "Xé 世界 end\n\n[1]"),
        ({"startIndex": -9, "endIndex": -2}, "Xé 世界 end\n\n[1]"),
        ({"endIndex": 3, "text": "not there"}, "Xé 世界 end\n\n[1]"),
        (None, "Xé 世界 end\n\n[1]"),
    ],
)  # fmt: skip
async def test_offsets_are_bytes_and_the_words_decide(
    build_gemini: BuildGemini, gemini: Gemini, segment: dict[str, Any] | None, text: str
) -> None:
    metadata = grounding([A])
    metadata["groundingSupports"] = [
        {"segment": segment, "groundingChunkIndices": [0, 0]},
        {"groundingChunkIndices": [7, -1]},
        {"segment": {"endIndex": 3}},
    ]
    gemini.plan(GeminiScript(words=("Xé 世界 end",), grounding={1: metadata}))
    got = await outcome(build_gemini(streams=False), _searching())
    assert got.text == text


async def test_odd_pages_do_no_harm(google: GeminiProvider, gemini: Gemini) -> None:
    chunks = [{"web": {}}, {"maps": {}}, {}, {"web": {"uri": "https://c.example/"}}]
    metadata = {
        "groundingChunks": chunks,
        "groundingSupports": [{"segment": {"endIndex": 5}, "groundingChunkIndices": [0, 1, 2, 3]}],
    }
    gemini.plan(GeminiScript(words=("Hello",), grounding={1: metadata}))
    got = await outcome(google, _searching())
    assert got.text == "Hello [1]"
    assert _sources(got) == [_source(1, ("https://c.example/", "c.example"))]


@pytest.mark.parametrize(
    "url",
    ["javascript:alert(1)", "data:text/html,hi", "https://", "http://[", "https://a.example/" + "x" * 3_000, "https://a.example/\n", "https://a.example/ x"],
)  # fmt: skip
async def test_what_is_no_web_address_is_no_source(
    google: GeminiProvider, gemini: Gemini, url: str
) -> None:
    metadata = grounding([(url, "Click"), A], [(0, 5, "Hello", [0, 1])])
    gemini.plan(GeminiScript(words=("Hello",), grounding={1: metadata}))
    got = await outcome(google, _searching())
    assert (got.text, _sources(got)) == ("Hello [1]", [_source(1, A)])


async def test_sources_are_not_without_end(google: GeminiProvider, gemini: Gemini) -> None:
    pages = [(f"https://a.example/{at}", "A" * 999) for at in range(150)]
    gemini.plan(GeminiScript(words=("Hello",), grounding={1: grounding(pages)}))
    found = _sources(await outcome(google, _searching(first_source=3)))
    assert [source.index for source in found] == list(range(3, 103))
    assert {len(source.title) for source in found} == {300}


def test_however_a_text_is_cut_nothing_of_it_is_lost() -> None:
    text = "Grüße aus Köln. 世界, hello! Ende 😀."
    data = text.encode()
    supports = [
        (0, len("Grüße aus Köln.".encode()), "Grüße aus Köln.", [0]),
        (0, len(data), text, [1]),
    ]
    raw = json.dumps(grounding([A, B], supports)).encode()
    metadata = msgspec.json.decode(raw, type=Metadata)
    for size in range(1, len(text) + 1):
        weaver = Weaver(1)
        pieces = [text[at : at + size] for at in range(0, len(text), size)]
        events = [event for piece in pieces[:-1] for event in weaver.weave(piece, None)]
        events += weaver.weave(pieces[-1], metadata)
        events += weaver.rest()
        shown = "".join(event.text for event in events if isinstance(event, TextDelta))
        assert shown.replace(" [1]", "").replace(" [2]", "").replace("\n\n[1]", "") == text
        assert shown.count("[1]") == shown.count("[2]") == 1
        assert weaver.rest() == []
