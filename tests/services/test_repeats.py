"""A request with a key that died after its work, before its answer: the repeat finds what it made."""

import asyncio

import pytest
from msgspec.structs import replace

from palaver.domain.conversations import MessageRole
from palaver.domain.errors import ErrorKind, NotFound, ProviderError
from palaver.domain.users import Actor
from palaver.kit.ids import new_uuid
from palaver.services.idempotency import Fresh, IdempotencyService
from palaver.services.starting import Choice
from tests.fakes.clock import StillClock
from tests.fakes.provider import words
from tests.services.conftest import Talk

ANY = Choice()


def keyed(actor: Actor) -> Actor:
    """Return the actor of a request that has a key, in all its attempts."""
    return replace(actor, repeat_key=new_uuid())


async def test_a_conversation_is_made_once(talk: Talk) -> None:
    request = keyed(talk.owner)
    made = await talk.conversations.create(request, title="One")
    assert await talk.conversations.create(request, title="One") == made
    assert len(await talk.conversations.list(talk.owner)) == 1


async def test_a_conversation_that_was_deleted_meanwhile_does_not_come_back(talk: Talk) -> None:
    request = keyed(talk.owner)
    made = await talk.conversations.create(request)
    await talk.conversations.delete(talk.owner, made.id)
    with pytest.raises(NotFound):
        await talk.conversations.create(request)


async def test_a_message_is_appended_once(talk: Talk) -> None:
    conversation = await talk.conversations.create(talk.owner)
    request = keyed(talk.owner)
    first = await talk.conversations.append(request, conversation.id, text="Hello?")
    await talk.conversations.append(talk.owner, conversation.id, text="Still there?")
    again = await talk.conversations.append(request, conversation.id, text="Hello?")
    assert again.id == first.id
    texts = [each.text for each in await talk.conversations.messages(talk.owner, conversation.id)]
    assert texts == ["Hello?", "Still there?"]


async def test_a_repeat_after_a_failure_asks_what_is_stored_again(talk: Talk) -> None:
    failure = ProviderError("It broke.", kind=ErrorKind.PROVIDER_FAILED)
    talk.provider.scripts = [[failure], words("Yes.")]
    request, turns = keyed(talk.owner), [("user", "One?")]
    conversation, question, _ = await talk.generations.send(request, None, turns, ANY)
    await settled(talk, conversation.id)
    _, again, generation = await talk.generations.send(request, None, turns, ANY)
    assert again.id == question.id
    assert (await talk.generations.wait(talk.owner, generation.uuid)).text == "Yes."


async def test_a_repeat_after_a_failure_is_said_again_where_others_have_spoken(talk: Talk) -> None:
    failure = ProviderError("It broke.", kind=ErrorKind.PROVIDER_FAILED)
    talk.provider.scripts = [[failure], words("Other."), words("Yes.")]
    request, turns = keyed(talk.owner), [("user", "One?")]
    conversation, question, _ = await talk.generations.send(request, None, turns, ANY)
    await settled(talk, conversation.id)
    other = await talk.generations.send(talk.owner, conversation.id, [("user", "Else?")], ANY)
    await talk.generations.wait(talk.owner, other[2].uuid)
    _, again, generation = await talk.generations.send(request, None, turns, ANY)
    assert again.id != question.id
    assert (await talk.generations.wait(talk.owner, generation.uuid)).text == "Yes."


async def settled(talk: Talk, conversation_id: int) -> None:
    """Wait until nothing runs in a conversation."""
    async with asyncio.timeout(10):
        while True:
            async with talk.db.read() as tx:
                if not await tx.generations.live_of_conversation(conversation_id):
                    return
            await asyncio.sleep(0.01)


async def test_an_edit_is_made_once(talk: Talk) -> None:
    talk.provider.scripts = [words("First."), words("Second."), words("Never.")]
    turns: list[tuple[MessageRole, str]] = [("user", "One?")]
    conversation, question, generation = await talk.generations.send(talk.owner, None, turns, ANY)
    answer = await talk.generations.wait(talk.owner, generation.uuid)
    request = keyed(talk.owner)
    edit = await talk.generations.edit(request, conversation.id, question.uuid, text="Two?")
    await talk.generations.wait(talk.owner, edit.generation.uuid)
    assert edit.disabled == [answer.uuid]
    again = await talk.generations.edit(request, conversation.id, question.uuid, text="Two?")
    assert (again.message.id, again.disabled) == (edit.message.id, edit.disabled)
    assert again.generation.uuid == edit.generation.uuid
    assert len(talk.provider.requests) == 2


async def test_a_question_is_sent_once_and_answered_once(talk: Talk) -> None:
    talk.provider.scripts = [words("Yes."), words("Twice.")]
    request = keyed(talk.owner)
    turns = [("user", "One."), ("assistant", "Two."), ("user", "Three?")]
    sent = await talk.generations.send(request, None, turns, ANY)
    conversation, question, generation = await talk.generations.send(request, None, turns, ANY)
    assert (conversation.id, question.id, generation.uuid) == (
        sent[0].id,
        sent[1].id,
        sent[2].uuid,
    )
    assert (await talk.generations.wait(talk.owner, generation.uuid)).text == "Yes."
    assert len(await talk.conversations.messages(talk.owner, conversation.id)) == 4


async def test_a_retry_makes_one_sibling(talk: Talk) -> None:
    talk.provider.scripts = [words("First."), words("Second."), words("Third.")]
    conversation, _, generation = await talk.generations.send(
        talk.owner, None, [("user", "Well?")], ANY
    )
    await talk.generations.wait(talk.owner, generation.uuid)
    request = keyed(talk.owner)
    sibling, first = await talk.generations.retry(request, conversation.id, ANY)
    same, again = await talk.generations.retry(request, conversation.id, ANY)
    assert (same.id, again.uuid) == (sibling.id, first.uuid)
    assert (await talk.generations.wait(talk.owner, again.uuid)).text == "Second."


async def test_what_a_request_makes_bears_the_same_ids_in_all_its_repeats(talk: Talk) -> None:
    request = keyed(talk.owner)
    things = [("conversation", 0), ("message", 0), ("message", 1), ("message", 2)]
    made = [request.uuid_for(*thing) for thing in things]
    assert [request.uuid_for(*thing) for thing in things] == made
    other = keyed(talk.owner)
    bare = [talk.owner.uuid_for(*things[0]) for _ in range(2)]
    assert len({*made, *(other.uuid_for(*thing) for thing in things), *bare}) == 10


async def test_all_attempts_of_one_request_have_one_name(talk: Talk) -> None:
    clock = StillClock()
    keys = IdempotencyService(talk.db, clock=clock)

    async def begin(body: str = "h") -> Fresh:
        begun = await keys.begin(talk.owner, route="POST /x", key="k", body_hash=body)
        assert isinstance(begun, Fresh)
        return begun

    first = await begin()
    clock.move(seconds=61)  # it died with its process
    second = await begin()
    assert second.repeat_key == first.repeat_key
    clock.move(seconds=1)
    await keys.leave(talk.owner, second)  # it broke, and may have done something
    third = await begin()
    assert third.repeat_key == first.repeat_key
    clock.move(seconds=1)
    await keys.free(talk.owner, third)  # it was refused for now, and told so
    fourth = await begin()
    assert fourth.repeat_key != first.repeat_key
    clock.move(seconds=61)
    assert (await begin("other")).repeat_key != fourth.repeat_key
