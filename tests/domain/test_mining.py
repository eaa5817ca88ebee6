"""What is taken for a fact about somebody, and what two memories have to share to say the same."""

import pytest

from palaver.domain.mining import (
    FACTS_MAX,
    Fact,
    facts_by_rule,
    facts_in,
    mining_request,
    says_the_same,
    without_repeats,
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("My name is Ada.", [("user_fact", "My name is Ada.")]),
        ("hello! i LIVE in Porto", [("user_fact", "i LIVE in Porto")]),
        ("I\u2019m allergic to nuts", [("user_fact", "I\u2019m allergic to nuts")]),
        ("I don't like fish. I love tea!", [
            ("preference", "I don't like fish."),
            ("preference", "I love tea!"),
        ]),
        ("My favorite colour is blue", [("preference", "My favorite colour is blue")]),
        ("What is my name?", []),
        ("She said: my name is Eve.", []),
        ("My name is", []),
        ("I like " + "very " * 200 + "long sentences", []),
        ("", []),
    ],
)  # fmt: skip
def test_plain_sentences_about_oneself_are_quoted(text, found):
    quoted = [(type_, f'The user said: "{said}"') for type_, said in found]
    assert [(fact.type, fact.content) for fact in facts_by_rule([text])] == quoted


def test_each_fact_tells_its_message_and_there_are_few():
    facts = facts_by_rule(["Nothing.", "I like tea. " * 20])
    assert len(facts) == FACTS_MAX
    assert {fact.message for fact in facts} == {2}
    assert len(list(without_repeats(facts))) == 1


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("The user likes tea.", "the user LIKES tea", True),
        ("Likes tea", "Tea: likes!", True),
        ("喜欢绿茶", "喜欢绿茶。", True),
        ("The user likes tea", "The user likes coffee", False),
        ("The user likes tea", "The user no longer likes tea", False),
        ("The user's language at work is Python", "The user's language at work is Rust", False),
        ("🙂", "🙂", True),
        ("🙂", "🙁", False),
        ("🙂", "smile", False),
    ],
)
def test_two_say_the_same_but_for_order_case_and_signs(one, other, same):
    assert says_the_same(one, other) is same
    assert says_the_same(other, one) is same


def test_what_a_model_thinks_is_no_note():
    line = '{"message": 1, "type": "user_fact", "content": "Lives in Porto."}'
    fact = Fact(1, "user_fact", "Lives in Porto.")
    assert facts_in(f"<think>\n{line}\n{line}</think>\n  {line}  ", messages=1) == [fact]
    assert facts_in(f"<thinking>{line}\n{line}", messages=1) == []
    assert facts_in("\ud800\n" + line, messages=1) == [fact]


def test_messages_and_notes_are_cut_to_what_is_read():
    system, user = mining_request(["x" * 10_000] * 50, ["Note\nwith lines " * 100] * 50)
    assert (system.role, user.role) == ("system", "user")
    assert len(user.text) < 60_000
    assert "Message 10:" in user.text
    assert "Message 11:" not in user.text
    assert user.text.count("\n- ") == 20
