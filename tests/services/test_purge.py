"""What was deleted is removed for good, in pieces, and nothing else is."""

import pytest

from palaver.domain.errors import DomainError, ErrorKind
from palaver.domain.events import EventKind, Segment
from palaver.domain.generations import Generation, Options, Recipe
from palaver.domain.search import SearchKind
from palaver.domain.usage import Terms, UsageEntry, UsageKind
from palaver.domain.users import SYSTEM, Actor
from palaver.jobs.purge_conversations import purge_conversation
from palaver.kit.clock import HOUR
from palaver.kit.ids import new_uuid
from palaver.services import purge as purge_module
from palaver.services.conversations import PURGE_JOB, ConversationService
from palaver.services.jobs import JobService
from palaver.services.purge import PurgeService
from palaver.services.search import SearchService
from palaver.storage.database import Database
from palaver.storage.statements import Engine, Statement
from tests.cast import Cast, a_cast
from tests.fakes.clock import StillClock
from tests.talks import a_talk, conversations_over


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
async def cast(db: Database, clock: StillClock) -> Cast:
    return await a_cast(db, clock=clock)


@pytest.fixture
def owner(cast: Cast) -> Actor:
    return cast.owner


@pytest.fixture
def conversations(db: Database, clock: StillClock) -> ConversationService:
    return conversations_over(db, clock=clock)


@pytest.fixture
def purge(db: Database, clock: StillClock) -> PurgeService:
    return PurgeService(db, clock=clock)


async def count(db: Database, table: str) -> int:
    async with db.read() as tx:
        statement = Statement(f"select count(*) from {table}", int)  # noqa: S608  # our own names
        return await tx._connection.one(statement) or 0


async def a_run(db: Database, conversation, question, *, finished_at=None) -> Generation:
    """Return a run that has logged three events, and is over at `finished_at`."""
    async with db.transaction() as tx:
        answer = await tx.messages.insert(
            uuid=new_uuid(),
            conversation_id=conversation.id,
            owner_id=conversation.owner_id,
            parent_id=question.id,
            role="assistant",
            text="An answer.",
            at=question.created_at,
        )
        generation = await tx.generations.start(
            uuid=new_uuid(),
            owner_id=conversation.owner_id,
            conversation_id=conversation.id,
            message_id=question.id,
            answer_id=answer.id,
            model="demo/demo",
            worker=1,
            options=Options(),
            recipe=Recipe(leaf_id=question.id, prompt_tokens=1, max_tokens=1),
            terms=Terms(),
            at=question.created_at,
        )
        segments = [Segment(at, at + 1, EventKind.TEXT, "x") for at in range(3)]
        await tx.log.append(generation.id, segments)
        if finished_at is not None:
            end = Statement(
                "update generations set state = 'completed', worker = null, finished_at = :at"
                " where id = :id"
            )
            await tx._connection.run(end, id=generation.id, at=finished_at)
    return generation


async def purged(purge: PurgeService, id: int) -> int:
    """Purge a conversation to its end; return in how many pieces."""
    pieces = 1
    while not await purge.conversation(SYSTEM, id):
        pieces += 1
    return pieces


async def test_the_content_of_a_deleted_conversation_goes_and_the_ledger_stays(
    purge, conversations, owner, db, clock
):
    kept, _ = await a_talk(conversations, owner, "kept", title="Kept")
    gone, (question,) = await a_talk(conversations, owner, "gone", title="Gone")
    generation = await a_run(db, gone, question, finished_at=clock())
    await SearchService(db).fold(SYSTEM)
    entry = UsageEntry(
        owner_id=gone.owner_id,
        plan_id=None,
        conversation_id=gone.id,
        generation_id=generation.id,
        kind=UsageKind.ANSWER,
        model="demo/demo",
        prompt_tokens=1,
        completion_tokens=1,
        reasoning_tokens=0,
        cached_tokens=0,
        cost_micro_usd=None,
        messages=1,
        images=0,
        charged_tokens=2,
        is_free=0,
        is_estimate=0,
        counted_at=clock(),
        created_at=clock(),
    )
    async with db.transaction() as tx:
        await tx.usage.append(entry)
    await conversations.delete(owner, gone.id)
    jobs = JobService(db, clock=clock)
    (job,) = await jobs.claim(SYSTEM, [PURGE_JOB], limit=5)
    await purge_conversation(purge)(job)
    await jobs.finish(SYSTEM, job)

    left = {
        table: await count(db, table)
        for table in ("conversations", "messages", "generations", "search_index", "usage_entries")
    }
    assert left == {
        "conversations": 1,
        "messages": 1,
        "generations": 0,
        "search_index": 2,
        "usage_entries": 1,
    }
    assert (await conversations.get(owner, kept.id)).title == "Kept"
    assert [hit.title for hit in (await SearchService(db).search(owner, "kept")).items]


async def test_a_conversation_that_is_not_deleted_is_left_alone(purge, conversations, owner, db):
    conversation, _ = await a_talk(conversations, owner, "hello")
    assert await purge.conversation(SYSTEM, conversation.id)
    assert await purge.conversation(SYSTEM, 999_999)
    assert await count(db, "messages") == 1


async def test_a_long_conversation_goes_in_pieces(purge, conversations, owner, db, monkeypatch):
    monkeypatch.setattr(purge_module, "MESSAGES_MAX", 4)
    conversation, _ = await a_talk(conversations, owner, *(f"n{at}" for at in range(10)))
    await conversations.delete(owner, conversation.id)
    assert await purged(purge, conversation.id) == 3
    assert await count(db, "messages") == await count(db, "conversations") == 0


async def test_a_conversation_whose_answer_runs_is_purged_later(
    purge, conversations, owner, db, clock
):
    conversation, (question,) = await a_talk(conversations, owner, "hello")
    await a_run(db, conversation, question)
    async with db.transaction() as tx:
        await tx.conversations.delete(conversation.id, at=clock())
    with pytest.raises(DomainError) as error:
        await purge.conversation(SYSTEM, conversation.id)
    assert error.value.kind is ErrorKind.CONFLICT
    assert await count(db, "messages") == 2


async def test_a_deleted_message_loses_its_text_and_keeps_its_place(
    purge, conversations, owner, db, clock
):
    _, (first, second) = await a_talk(conversations, owner, "first secret", "second")
    search = SearchService(db)
    await search.fold(SYSTEM)
    delete = Statement("update messages set deleted_at = :at where id = :id")
    async with db.transaction() as tx:
        await tx._connection.run(delete, id=first.id, at=clock())
    assert await purge.deleted_messages(SYSTEM) == 1
    assert await purge.deleted_messages(SYSTEM) == 0
    async with db.read() as tx:
        assert (await tx.messages.get(first.id)).text == ""
        assert (await tx.messages.get(second.id)).text == "second"
    assert await count(db, "search_index") == 1


async def test_the_log_of_runs_that_ended_an_hour_ago_goes(purge, conversations, owner, db, clock):
    conversation, (question,) = await a_talk(conversations, owner, "hello")
    at = clock()
    for finished_at in (at - HOUR - 1, at - HOUR - 1, at - HOUR, at):
        await a_run(db, conversation, question, finished_at=finished_at)
    while await purge.events(SYSTEM):
        pass
    assert await count(db, "generation_events") == 6
    clock.move(microseconds=HOUR + 1)
    while await purge.events(SYSTEM):
        pass
    assert await count(db, "generation_events") == 0


async def test_the_log_of_a_live_run_stays_however_old(purge, conversations, owner, db, clock):
    conversation, (first, second) = await a_talk(conversations, owner, "one", "two")
    await a_run(db, conversation, first, finished_at=clock())
    await a_run(db, conversation, second)
    await a_run(db, conversation, first, finished_at=clock())
    clock.move(microseconds=30 * HOUR)
    while await purge.events(SYSTEM):
        pass
    # SQLite cuts its log off at the oldest end alone.
    assert await count(db, "generation_events") == (6 if db.engine is Engine.SQLITE else 3)


async def test_a_long_log_goes_in_pieces(purge, conversations, owner, db, clock, monkeypatch):
    monkeypatch.setattr(purge_module, "EVENTS_MAX", 2)
    conversation, (question,) = await a_talk(conversations, owner, "hello")
    await a_run(db, conversation, question, finished_at=clock())
    await a_run(db, conversation, question, finished_at=clock())
    clock.move(microseconds=2 * HOUR)
    pieces = 0
    while await purge.events(SYSTEM):
        pieces += 1
    assert pieces >= 2
    assert await count(db, "generation_events") == 0


async def test_the_log_of_runs_that_are_purged_goes_too(purge, conversations, owner, db, clock):
    conversation, (question,) = await a_talk(conversations, owner, "hello")
    await a_run(db, conversation, question, finished_at=clock())
    await conversations.delete(owner, conversation.id)
    await purged(purge, conversation.id)
    await purge.events(SYSTEM)
    assert await count(db, "generation_events") == 0


async def test_purging_is_not_for_everybody(purge, owner):
    with pytest.raises(DomainError):
        await purge.events(owner)


async def test_search_does_not_bring_back_what_was_purged(purge, conversations, owner, db):
    conversation, _ = await a_talk(conversations, owner, "words", title="Words")
    await conversations.delete(owner, conversation.id)
    await purged(purge, conversation.id)
    search = SearchService(db)
    async with db.transaction() as tx:
        await tx.search.enqueue(
            owner_id=conversation.owner_id, kind=SearchKind.TITLE, ref=conversation.id
        )
    await search.fold(SYSTEM)
    assert await count(db, "search_index") == 0
