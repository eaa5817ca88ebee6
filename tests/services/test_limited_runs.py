"""Runs under the limits of a plan: what is refused changes nothing."""

import pytest

from palaver.domain.conversations import MessageRole
from palaver.domain.errors import QuotaExceeded
from palaver.domain.events import TextDelta
from palaver.domain.generations import GenerationState, Options
from palaver.services.starting import Choice
from tests.fakes.provider import HOLD, words
from tests.services.conftest import Talk
from tests.services.test_ledger import limit

ANY = Choice()
HELLO: list[tuple[MessageRole, str]] = [("user", "Hello?")]


async def test_a_refused_retry_or_edit_leaves_the_running_answer_alone(talk: Talk) -> None:
    await limit(talk.db, daily_max_messages=1)
    talk.provider.scripts = [[TextDelta("Still "), HOLD, *words("here.")]]
    conversation, question, generation = await talk.generations.send(talk.owner, None, HELLO, ANY)
    await talk.provider.held.wait()
    with pytest.raises(QuotaExceeded):
        await talk.generations.retry(talk.owner, conversation.id, ANY)
    with pytest.raises(QuotaExceeded):
        await talk.generations.edit(talk.owner, conversation.id, question.uuid, text="Else?")
    talk.provider.go.set()
    assert (await talk.generations.wait(talk.owner, generation.uuid)).text == "Still here."
    found = await talk.generations.get(talk.owner, generation.uuid)
    assert found.state is GenerationState.COMPLETED


async def test_a_retry_may_have_what_the_answer_that_it_ends_has_held(talk: Talk) -> None:
    await limit(talk.db, hourly_max_tokens=200)
    talk.provider.scripts = [[TextDelta("Old"), HOLD], words("New.")]
    conversation, _, first = await talk.generations.send(talk.owner, None, HELLO, ANY)
    await talk.provider.held.wait()
    assert first.recipe.max_tokens > 150
    _, second = await talk.generations.retry(talk.owner, conversation.id, ANY)
    assert second.recipe.max_tokens > 100
    assert (await talk.generations.wait(talk.owner, second.uuid)).text == "New."


async def test_an_answer_is_cut_down_to_what_the_limits_leave(talk: Talk) -> None:
    await limit(talk.db, hourly_max_tokens=60)
    talk.provider.scripts = [words("Short.")]
    _, _, generation = await talk.generations.send(
        talk.owner, None, HELLO, Choice(options=Options(max_tokens=5_000))
    )
    await talk.generations.wait(talk.owner, generation.uuid)
    assert talk.provider.requests[0].max_tokens == generation.recipe.max_tokens < 60


async def test_nothing_is_stored_of_what_is_refused(talk: Talk) -> None:
    await limit(talk.db, hourly_max_tokens=1)
    with pytest.raises(QuotaExceeded):
        await talk.generations.send(talk.owner, None, HELLO, ANY)
    assert await talk.conversations.list(talk.owner) == []
    async with talk.db.read() as tx:
        assert await tx.usage.buckets(owner_id=talk.owner.owner_id) == {}


async def test_an_answer_bears_the_name_that_was_asked_for_and_no_other(talk: Talk) -> None:
    talk.provider.scripts = [words("One."), words("Two."), words("Three.")]
    alias = Choice(model="scripted/two", asked_model="big")
    conversation, _, first = await talk.generations.send(talk.owner, None, HELLO, alias)
    assert (await talk.generations.wait(talk.owner, first.uuid)).asked_model == "big"
    _, _, second = await talk.generations.send(talk.owner, conversation.id, HELLO, ANY)
    assert (await talk.generations.wait(talk.owner, second.uuid)).asked_model == "big"
    other = Choice(provider_id="scripted", model="one")
    _, _, third = await talk.generations.send(talk.owner, conversation.id, HELLO, other)
    assert (await talk.generations.wait(talk.owner, third.uuid)).asked_model is None


async def test_nobody_is_charged_by_our_count_beyond_the_cap(talk: Talk) -> None:
    talk.provider.scripts = [words("many words " * 50)]
    choice = Choice(options=Options(max_tokens=20))
    _, _, generation = await talk.generations.send(talk.owner, None, HELLO, choice)
    answer = await talk.generations.wait(talk.owner, generation.uuid)
    assert answer.completion_tokens == 20


async def test_an_edit_leaves_alone_what_answers_an_earlier_message(talk: Talk) -> None:
    talk.provider.scripts = [
        [TextDelta("Still "), HOLD, *words("here.")],
        words("Two."),
        words("2."),
    ]
    conversation, _, first = await talk.generations.send(talk.owner, None, HELLO, ANY)
    await talk.provider.held.wait()
    _, later, second = await talk.generations.send(talk.owner, conversation.id, HELLO, ANY)
    await talk.generations.wait(talk.owner, second.uuid)
    edit = await talk.generations.edit(talk.owner, conversation.id, later.uuid, text="Again?")
    await talk.generations.wait(talk.owner, edit.generation.uuid)
    talk.provider.go.set()
    assert (await talk.generations.wait(talk.owner, first.uuid)).text == "Still here."
