"""Ranking by any word: postings in blocks, and what a query finds in them."""

import random
from collections.abc import Iterable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palaver.domain import ranking
from palaver.domain.ranking import (
    PART_BITS,
    Block,
    Postings,
    Query,
    joined,
    merged,
    posting,
    terms,
    ways,
    without,
)

PLACES = st.integers(0, 2**PART_BITS - 1)
POSTINGS = st.dictionaries(PLACES, st.integers(1, 255), max_size=50)


def opened(block: bytes) -> dict[int, int]:
    places, worths = ranking._opened(block)
    assert list(places) == sorted(set(places))
    return dict(zip(places, worths, strict=True))


@given(POSTINGS, POSTINGS, st.sets(PLACES, max_size=20))
def test_a_block_holds_what_was_put_into_it_less_what_is_gone(first, second, gone):
    block = merged(merged(b"", new=first.items()), gone=gone, new=second.items())
    kept = {place: worth for place, worth in first.items() if place not in gone}
    assert opened(block) == {**kept, **second}


@given(POSTINGS, PLACES, st.integers(1, 255))
def test_a_later_text_is_put_behind_a_block(postings, place, worth):
    earlier = {known: value for known, value in postings.items() if known < place}
    longer = merged(b"", new=earlier.items()) + posting(place, worth)
    assert opened(longer) == {**earlier, place: worth}


@given(POSTINGS, st.sets(PLACES, max_size=20))
def test_what_is_gone_leaves_the_rest_of_a_block(postings, gone):
    gone |= set(list(postings)[::3])
    block = without(merged(b"", new=postings.items()), gone)
    assert opened(block) == {at: worth for at, worth in postings.items() if at not in gone}


@given(POSTINGS, POSTINGS.filter(bool))
def test_two_blocks_become_one(first, second):
    block = joined(merged(b"", new=first.items()), merged(b"", new=second.items()))
    assert opened(block) == {**first, **second}


@given(POSTINGS.filter(bool))
def test_postings_of_many_texts_are_gathered_by_term(worths):
    postings = Postings()
    for ref in sorted(worths):
        postings.add(ref, {"apple": worths[ref]})
        postings.add(ref + (1 << PART_BITS), {"apple": worths[ref], "pie": 1})
    first, second = postings.parts.values()
    assert list(postings.parts) == [0, 1]
    assert opened(bytes(first["apple"])) == opened(bytes(second["apple"])) == worths
    assert opened(bytes(second["pie"])) == dict.fromkeys(worths, 1)


def an_index(texts: Mapping[int, str]) -> dict[str, list[Block]]:
    found: dict[str, dict[int, list[tuple[int, int]]]] = {}
    for ref, text in texts.items():
        for term, worth in terms(text.split(), usual_length=10).items():
            found.setdefault(term, {}).setdefault(ref >> PART_BITS, []).append((ref, worth))
    return {
        term: [(part, merged(b"", new=postings)) for part, postings in parts.items()]
        for term, parts in found.items()
    }


def find(texts: Mapping[int, str], words: Iterable[str], limit: int = 10) -> list[int]:
    blocks = an_index(texts)
    counts = {
        term: sum(len(block) // ranking.POSTING_SIZE for _, block in of_term)
        for term, of_term in blocks.items()
    }
    query = Query(words, counts, texts=len(texts))
    wanted = {term: blocks[term] for term in query.terms}
    return [ref for ref, _ in query.best(wanted, limit=limit)]


def test_a_word_is_worth_more_the_oftener_it_stands_and_the_shorter_the_text():
    def worth(text: str) -> int:
        return terms(text.split(), usual_length=10)["a"]

    assert 1 <= worth("a " + "b " * 1_000) < worth("a b c") < worth("a a c") < worth("a a a") <= 255


def test_a_word_is_found_by_itself_and_by_what_shares_its_stem():
    assert ways("resetting") == ("resetting", "reset", "~reset")
    assert ways("reset") == ("reset", "~reset")
    assert set(terms(["resetting", "reset"], usual_length=10)) == {"resetting", "reset", "~reset"}


def test_texts_of_several_parts_are_ranked_together():
    far = 3 << PART_BITS
    texts = {1: "red apple", far: "red apple pie", far + 5: "green pear"}
    assert find(texts, ["apple"]) == [1, far]
    assert find(texts, ["pear", "red"]) == [far + 5, 1, far]


def test_of_equals_the_newest_comes_first():
    assert find(dict.fromkeys(range(5), "same words"), ["words"], limit=2) == [4, 3]


def test_only_the_rarest_words_of_a_long_query_count():
    counts = {f"w{number}": number + 1 for number in range(100)}
    assert Query(counts, counts, texts=1_000).terms == {f"w{number}" for number in range(32)}
    assert Query(["nothing"], counts, texts=1_000).terms == set()


@pytest.mark.parametrize("visited", [0, 50, 10**6])
def test_common_words_order_what_rare_ones_have_named(monkeypatch, visited):
    monkeypatch.setattr(ranking, "VISITED_MAX", visited)
    draw = random.Random(visited)
    texts = {
        ref: " ".join(draw.choices(["the", "of", "and", "in"], k=6)) + f" filler{ref}"
        for ref in range(200)
    }
    texts[17] = "zebra alone with nobody beside"
    texts[90] = "the zebra of the plain"
    texts[91] = "the lion of the plain"
    assert find(texts, ["the", "zebra", "of"])[:2] == [90, 17]
    assert find(texts, ["the", "of"]), "a query of common words alone finds something"
