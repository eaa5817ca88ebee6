"""Leafing through a conversation, some messages at a time, on both databases."""

import pytest

from palaver.domain.conversations import Message, Window
from palaver.domain.errors import NotFound
from palaver.domain.events import Finished, FinishReason, TextDelta
from palaver.services.starting import Choice
from tests.fakes.provider import HOLD
from tests.services.conftest import Talk


def texts(window: Window) -> list[str]:
    return [message.text for message in window.messages]


async def a_conversation(talk: Talk, count: int) -> tuple[str, list[Message]]:
    """Return the uuid of a conversation with messages `0`, `1` … and no answers."""
    conversation = await talk.conversations.create(talk.owner)
    messages = [
        await talk.conversations.append(talk.owner, conversation.uuid, text=str(number))
        for number in range(count)
    ]
    return conversation.uuid, messages


async def test_it_begins_with_the_newest(talk: Talk) -> None:
    uuid, _ = await a_conversation(talk, 5)
    window = await talk.conversations.window(talk.owner, uuid, size=2)
    assert texts(window) == ["3", "4"]
    assert (window.has_older, window.has_newer) == (True, False)
    assert window.conversation.uuid == uuid


async def test_it_goes_back_to_the_oldest_and_forward_again(talk: Talk) -> None:
    uuid, messages = await a_conversation(talk, 5)
    window = await talk.conversations.window(talk.owner, uuid, size=2, before=messages[3].id)
    assert (texts(window), window.has_older, window.has_newer) == (["1", "2"], True, True)
    window = await talk.conversations.window(talk.owner, uuid, size=2, before=messages[1].id)
    assert (texts(window), window.has_older, window.has_newer) == (["0"], False, True)
    window = await talk.conversations.window(talk.owner, uuid, size=2, after=messages[0].id)
    assert (texts(window), window.has_older, window.has_newer) == (["1", "2"], True, True)


async def test_where_less_than_a_page_follows_it_is_the_newest(talk: Talk) -> None:
    uuid, messages = await a_conversation(talk, 5)
    for place in ({"after": messages[3].id}, {"after": messages[4].id}, {"before": 1}):
        window = await talk.conversations.window(talk.owner, uuid, size=2, **place)
        assert (texts(window), window.has_newer) == (["3", "4"], False)


async def test_an_empty_conversation_has_nothing_to_leaf_through(talk: Talk) -> None:
    uuid, _ = await a_conversation(talk, 0)
    window = await talk.conversations.window(talk.owner, uuid, size=2)
    assert (texts(window), window.has_older, window.has_newer) == ([], False, False)
    assert window.unanswered is None


async def test_it_knows_what_becomes_of_the_last_question(talk: Talk) -> None:
    uuid, messages = await a_conversation(talk, 3)
    window = await talk.conversations.window(talk.owner, uuid, size=2)
    assert (window.unanswered, window.is_answering) == (messages[-1], False)
    earlier = await talk.conversations.window(talk.owner, uuid, size=2, before=messages[2].id)
    assert earlier.unanswered is None

    talk.provider.scripts = [[HOLD, TextDelta("Yes."), Finished(FinishReason.STOP)]]
    generation = await talk.generations.answer(talk.owner, uuid, Choice())
    window = await talk.conversations.window(talk.owner, uuid, size=2)
    assert (window.unanswered, window.is_answering) == (None, True)
    talk.provider.go.set()
    await talk.generations.wait(talk.owner, generation.uuid)
    window = await talk.conversations.window(talk.owner, uuid, size=2)
    assert (texts(window), window.is_answering) == (["2", "Yes."], False)


async def test_somebody_elses_is_not_there(talk: Talk) -> None:
    uuid, _ = await a_conversation(talk, 1)
    with pytest.raises(NotFound):
        await talk.conversations.window(talk.stranger, uuid, size=2)
