"""The benchmark of retrieval keeps its own rules, and sees what is lost."""

import json
from collections import Counter

from bench.bench_quality import CONCEPTS, FIGURES, TEXT, ConceptEmbedder, losses, measured
from bench.retrieval.corpus import documents, in_common, questions


def test_there_are_as_many_as_was_promised() -> None:
    assert len(documents()) == 50
    assert Counter(one.kind for one in questions()) == {"lexical": 120, "paraphrased": 80}
    languages = Counter(name.rpartition(".")[2] for name in documents())
    assert set(languages) == {"en", "de", "fr", "es", "zh", "ja", "ar"}
    assert {one.document for one in questions()} == set(documents())


def test_every_answer_is_a_passage_of_its_document() -> None:
    texts = documents()
    for one in questions():
        passage = texts[one.document][one.start : one.end]
        assert passage
        assert passage == passage.strip()
        assert passage in texts[one.document].split("\n"), "a whole paragraph"


def test_paraphrased_questions_share_one_content_word_at_most() -> None:
    texts = documents()
    for one in questions():
        shared = in_common(one.question, texts[one.document][one.start : one.end])
        assert one.kind == "lexical" or len(shared) <= 1, (one.question, shared)


def test_no_question_is_asked_twice() -> None:
    asked = [one.question for one in questions()]
    assert len(asked) == len(set(asked))


async def test_the_test_embedder_knows_what_means_the_same_and_nothing_else() -> None:
    found = await ConceptEmbedder().embed(["pets", "cat", "certificate"])
    pets, cat, certificate = found.vectors
    assert pets != cat
    assert len({len(pets), len(cat), len(certificate)}) == 1


def test_a_loss_of_more_than_a_point_is_seen() -> None:
    before = {"SQLite": {TEXT: {"lexical": (90.0, 80.0)}}}
    assert losses(before, {"SQLite": {TEXT: {"lexical": (89.0, 80.0)}}}) == []
    assert losses(before, {"SQLite": {TEXT: {"lexical": (95.0, 78.9)}}}) == [
        "SQLite, lexical questions, full text: recall@5 was 80.0 and is 78.9"
    ]


def test_nothing_was_lost() -> None:
    kept = json.loads(FIGURES.read_text())
    figures = measured("SQLite")
    now = {"SQLite": {way: figures[way] for way in (TEXT, CONCEPTS)}}
    assert losses({"SQLite": kept["SQLite"]}, now) == []
