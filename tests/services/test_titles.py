"""Automatic titles, and partial updates of conversations, on both databases."""

from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from palaver.domain.conversations import AutoTitle, Conversation
from palaver.domain.errors import InvalidInput, NotFound, ProviderError
from palaver.domain.events import TextDelta, UsageReported
from palaver.domain.models import ModelProfile
from palaver.domain.search import SearchKind
from palaver.domain.usage import UsageKind
from palaver.domain.users import SYSTEM
from palaver.services.calls import CallService
from palaver.services.models import ModelService
from palaver.services.starting import Choice
from palaver.services.titles import TitleService
from palaver.services.usage import UsageService
from tests.fakes.provider import HOLD, ScriptedProvider, words
from tests.services.conftest import Talk

USAGE = UsageReported(prompt_tokens=20, completion_tokens=3)


@pytest.fixture
async def titles(talk: Talk) -> AsyncIterator[TitleService]:
    """Give the service; the jobs of this worker do not run."""
    calls = CallService(talk.db, talk.driver.asker)
    yield TitleService(talk.db, talk.models, calls)
    await calls.close()


async def answered(talk: Talk, *, auto_titled: bool = True) -> Conversation:
    """Return a conversation with a question and its answer."""
    conversation = await talk.conversations.create(talk.owner, auto_titled=auto_titled)
    _, _, generation = await talk.generations.send(
        talk.owner, conversation.id, [("user", "How is bread made?")], Choice()
    )
    await talk.generations.wait(talk.owner, generation.uuid)
    return await talk.conversations.get(talk.owner, conversation.id)


async def test_a_title_is_asked_for_kept_and_paid(talk: Talk, titles: TitleService) -> None:
    talk.provider.scripts = [words("With flour."), words("Baking", " bread.", usage=USAGE)]
    conversation = await answered(talk)
    await titles.write(SYSTEM, conversation.id)
    after = await talk.conversations.get(talk.owner, conversation.id)
    assert (after.title, after.auto_titled) == ("Baking bread", AutoTitle.ASKED)
    assert after.updated_at > conversation.updated_at
    async with talk.db.read() as tx:
        entries = await tx.usage.list(owner_id=talk.owner.owner_id)
        held = await tx.usage.held(owner_id=talk.owner.owner_id)
        pending = await tx.search.pending_of(talk.owner.owner_id, [SearchKind.TITLE], limit=10)
    assert held == []
    assert entries[-1].kind is UsageKind.TITLE
    assert (entries[-1].prompt_tokens, entries[-1].completion_tokens) == (20, 3)
    assert (SearchKind.TITLE, "Baking bread") in [(each.kind, each.text) for each in pending]


async def test_it_is_asked_once(talk: Talk, titles: TitleService) -> None:
    talk.provider.scripts = [words("With flour."), words("...")]
    conversation = await answered(talk)
    for _ in range(3):
        await titles.write(SYSTEM, conversation.id)
    assert len(talk.provider.requests) == 2
    await titles.write(SYSTEM, conversation.id, is_again=True)
    assert len(talk.provider.requests) == 3
    assert (await talk.conversations.get(talk.owner, conversation.id)).title is None


async def test_it_is_not_asked_where_nobody_wants_it(talk: Talk, titles: TitleService) -> None:
    talk.provider.scripts = [words("With flour.")]
    conversation = await answered(talk, auto_titled=False)
    for is_again in (False, True):
        await titles.write(SYSTEM, conversation.id, is_again=is_again)
    assert len(talk.provider.requests) == 1


async def test_without_an_answer_there_is_nothing_to_ask(talk: Talk, titles: TitleService) -> None:
    conversation = await talk.conversations.create(talk.owner, auto_titled=True)
    await titles.write(SYSTEM, conversation.id)
    assert talk.provider.requests == []


async def test_a_model_that_does_not_stop_is_left(talk: Talk, titles: TitleService) -> None:
    endless = [TextDelta("Bread " * 100), TextDelta("and so on " * 100), HOLD]
    talk.provider.scripts = [words("With flour."), endless]
    conversation = await answered(talk)
    await titles.write(SYSTEM, conversation.id)
    after = await talk.conversations.get(talk.owner, conversation.id)
    assert after.title == "Bread Bread Bread Bread Bread"
    assert not talk.provider.held.is_set()
    async with talk.db.read() as tx:
        assert await tx.usage.held(owner_id=talk.owner.owner_id) == []


async def test_a_failure_is_told_and_costs_nothing(talk: Talk, titles: TitleService) -> None:
    talk.provider.scripts = [words("With flour."), [ProviderError("No.")]]
    conversation = await answered(talk)
    with pytest.raises(ProviderError):
        await titles.write(SYSTEM, conversation.id)
    async with talk.db.read() as tx:
        entries = await tx.usage.list(owner_id=talk.owner.owner_id)
        assert await tx.usage.held(owner_id=talk.owner.owner_id) == []
    assert [entry.kind for entry in entries] == [UsageKind.ANSWER]


async def test_a_model_that_thinks_gets_room_for_it(talk: Talk, titles: TitleService) -> None:
    talk.provider.scripts = [words("With flour."), words("Bread")]
    conversation = await answered(talk)
    await titles.write(SYSTEM, conversation.id)
    thinking = ScriptedProvider([words("Bread")], profile=ModelProfile(thinks=True))
    models = ModelService(talk.db, {thinking.id: thinking}, default_model="scripted/one")
    await models.check(SYSTEM, thinking.id)
    titles.models = models
    other = await answered(talk)
    await titles.write(SYSTEM, other.id)
    plain, roomy = (talk.provider.requests[1].max_tokens, thinking.requests[0].max_tokens)
    assert plain is not None
    assert roomy is not None
    assert plain < 100 < roomy
    await models.close()


async def test_the_demo_is_not_asked_but_the_question_is_taken(talk: Talk) -> None:
    demo = ScriptedProvider([words("I am no language model.")], id="demo")
    models = ModelService(talk.db, {demo.id: demo}, default_model="demo/one")
    talk.driver.models = models
    talk.generations.starter.models = models
    conversation = await answered(talk)
    await TitleService(talk.db, models, CallService(talk.db, talk.driver.asker)).write(
        SYSTEM, conversation.id
    )
    after = await talk.conversations.get(talk.owner, conversation.id)
    assert after.title == "How is bread made?"
    assert len(demo.requests) == 1
    await models.close()


async def test_several_things_change_at_once_or_not_at_all(talk: Talk) -> None:
    conversation = await talk.conversations.create(talk.owner, title="Before")
    changed = await talk.conversations.update(
        talk.owner,
        conversation.uuid,
        title="After",
        is_archived=True,
        model="scripted/two",
        is_auto_titled=True,
    )
    assert (changed.title, changed.model) == ("After", "scripted/two")
    assert changed.archived_at is not None
    assert changed.auto_titled == AutoTitle.WANTED
    assert changed.updated_at > conversation.updated_at
    with pytest.raises(InvalidInput):
        await talk.conversations.update(talk.owner, conversation.id, title=" ", is_archived=False)
    with pytest.raises(NotFound):
        await talk.conversations.update(talk.stranger, conversation.id, is_archived=False)
    assert await talk.conversations.get(talk.owner, conversation.id) == changed
    again = await talk.conversations.update(talk.owner, conversation.id, is_archived=True)
    assert again.archived_at == changed.archived_at
    assert await talk.conversations.update(talk.owner, conversation.id) == again
    bare = await talk.conversations.update(talk.owner, conversation.id, title=None)
    assert replace(bare, updated_at=0) == replace(again, title=None, updated_at=0)


async def test_what_was_asked_once_is_not_wanted_again(talk: Talk, titles: TitleService) -> None:
    talk.provider.scripts = [words("With flour."), words("...")]
    conversation = await answered(talk)
    await titles.write(SYSTEM, conversation.id)
    same = await talk.conversations.update(talk.owner, conversation.id, is_auto_titled=True)
    assert same.auto_titled == AutoTitle.ASKED
    off = await talk.conversations.update(talk.owner, conversation.id, is_auto_titled=False)
    assert off.auto_titled == AutoTitle.OFF


async def test_what_conversations_have_used_is_one_s_own(talk: Talk) -> None:
    talk.provider.scripts = [words("With flour.", usage=USAGE)]
    first, second = await answered(talk), await answered(talk)
    usage = UsageService(talk.db)
    newer, older = await usage.conversations(talk.owner)
    assert (newer.tokens, older.tokens) == (23, 23)
    assert (newer.free_tokens, newer.is_free) == (0, 0)
    assert await usage.conversations(talk.owner, limit=1) == [newer]
    assert await usage.conversations(talk.owner, before=newer.id) == [older]
    assert await usage.conversations(talk.stranger) == []
    assert first.id < second.id
