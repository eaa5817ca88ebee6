"""Memories are one's own, bounded, and chosen for prompts; on both databases."""

import asyncio
from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from palaver.domain.errors import DomainError, ErrorKind, InvalidInput, NotFound
from palaver.domain.jobs import Job
from palaver.domain.memories import (
    CONTENT_MAX_LENGTH,
    Memory,
    MemoryChange,
    MemorySettings,
    NewMemory,
    RelevantMemory,
    ShownMemory,
)
from palaver.domain.retrieval import Retrieved
from palaver.domain.search import SearchKind
from palaver.domain.users import Actor
from palaver.jobs.purge_conversations import purge_conversation
from palaver.kit.ids import new_uuid
from palaver.services import memories as memories_module
from palaver.services import purge as purge_module
from palaver.services.conversations import PURGE_JOB, ConversationService
from palaver.services.folding import Folder
from palaver.services.memories import MemoryService, insert_memory
from palaver.services.purge import PurgeService
from palaver.services.retrieval import NO_EMBEDDER, RetrievalService
from palaver.storage.database import Database
from palaver.storage.statements import Statement
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
def stranger(cast: Cast) -> Actor:
    return cast.stranger


@pytest.fixture
def conversations(db: Database, clock: StillClock) -> ConversationService:
    return conversations_over(db, clock=clock)


class Asked(RetrievalService):
    """Keeps what it was asked for."""

    def __init__(self, db: Database) -> None:
        super().__init__(db)
        self.asked: list[str] = []

    async def find(
        self, owner_id: int, text: str, *, kind: SearchKind, limit: int, type: str | None = None
    ) -> Retrieved:
        self.asked.append(text)
        return await super().find(owner_id, text, kind=kind, limit=limit, type=type)


@pytest.fixture
def finder(db: Database) -> Asked:
    return Asked(db)


@pytest.fixture
def memories(db: Database, finder: Asked, clock: StillClock) -> MemoryService:
    return MemoryService(db, finder, clock=clock, per_user=300)


async def kept(memories: MemoryService, actor: Actor, content: str, **more) -> ShownMemory:
    memories.clock.move(seconds=1)
    return await memories.create(actor, NewMemory(content=content, **more))


async def contents(memories: MemoryService, actor: Actor, **more) -> list[str]:
    return [each.memory.content for each in await memories.list(actor, limit=1000, **more)]


async def relevant(
    memories: MemoryService, actor: Actor, text: str = "", *, budget: int = 1000, **more
) -> Sequence[RelevantMemory]:
    where = {"conversation_id": None} | more
    return await memories.relevant(actor.owner_id, text=text, budget_tokens=budget, **where)


def texts(chosen: Sequence[RelevantMemory]) -> list[str]:
    return [each.memory.content for each in chosen]


async def pending(db: Database) -> list[tuple[int, int]]:
    every = Statement("select kind, ref from search_pending order by id", lambda *row: row)
    async with db.read() as tx:
        return await tx._connection.all(every)


# Keeping


async def test_what_is_kept_is_given_back(memories, owner, clock):
    shown = await kept(
        memories, owner, "Likes tea", type="preference", importance=0.8, metadata='{"a":1}'
    )
    memory = shown.memory
    assert (memory.content, memory.type, memory.importance) == ("Likes tea", "preference", 0.8)
    assert (memory.metadata, memory.owner_id) == ('{"a":1}', owner.owner_id)
    assert memory.created_at == memory.updated_at == clock()
    assert memory.text_tokens > 0
    assert await memories.get(owner, memory.uuid) == shown
    assert await memories.list(owner, limit=10) == [shown]


async def test_nobody_else_finds_it(memories, owner, stranger):
    shown = await kept(memories, owner, "Likes tea")
    uuid = shown.memory.uuid
    assert await contents(memories, stranger) == []
    assert (await memories.page(stranger)).items == []
    assert (await memories.search(stranger, "tea", limit=10)).items == []
    assert await relevant(memories, stranger, "tea") == []
    assert await memories.clear(stranger) == 0
    for call in (
        memories.get(stranger, uuid),
        memories.update(stranger, uuid, MemoryChange(content="Likes coffee")),
        memories.delete(stranger, uuid),
    ):
        with pytest.raises(NotFound):
            await call
    async with memories.db.read() as tx:
        ids = [shown.memory.id]
        assert await tx.memories.found(ids, owner_id=stranger.owner_id) == []
        assert await tx.memories.found(ids, owner_id=owner.owner_id) == [shown.memory]
    assert await memories.get(owner, uuid) == shown


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("content", {"content": ""}),
        ("content", {"content": " \n\t"}),
        ("content", {"content": "x" * (CONTENT_MAX_LENGTH + 1)}),
        ("content", {"content": "a\0b"}),
        ("content", {"content": "\ud800"}),
        ("importance", {"importance": -0.01}),
        ("importance", {"importance": 1.01}),
        ("importance", {"importance": float("nan")}),
        ("conversation_id", {"type": "chat"}),
        ("conversation_id", {"type": "global", "conversation": "x"}),
    ],
)
async def test_what_cannot_be_kept_changes_nothing(memories, owner, field, wrong):
    with pytest.raises(InvalidInput) as refused:
        await memories.create(owner, NewMemory(**{"content": "x"} | wrong))
    assert [fault.field for fault in refused.value.faults] == [field]
    assert await contents(memories, owner) == []


async def test_the_longest_content_is_kept_as_it_came(memories, owner):
    content = " 記憶\n" * (CONTENT_MAX_LENGTH // 4)
    shown = await kept(memories, owner, content, importance=0.0)
    assert (await memories.get(owner, shown.memory.uuid)).memory.content == content


async def test_a_repeated_request_keeps_one(memories, owner):
    again = replace(owner, repeat_key="one request")
    first = await kept(memories, again, "Likes tea")
    memories.per_user = 1
    assert await kept(memories, again, "Likes tea") == first
    assert await contents(memories, owner) == ["Likes tea"]


async def test_there_is_room_for_so_many_and_one_s_own_alone(memories, owner, stranger):
    memories.per_user = 3
    made = [kept(memories, owner, f"Memory {number}") for number in range(8)]
    results = await asyncio.gather(*made, return_exceptions=True)
    refused = [each for each in results if isinstance(each, DomainError)]
    assert len(refused) == 5
    assert {each.kind for each in refused} == {ErrorKind.QUOTA_EXCEEDED}
    assert all(each.retry_after_seconds for each in refused)
    assert len(await contents(memories, owner)) == 3
    await kept(memories, stranger, "There is room for mine")
    uuid = (await memories.list(owner, limit=1))[0].memory.uuid
    await memories.delete(owner, uuid)
    await kept(memories, owner, "Now there is room")


async def test_the_last_changed_come_first_page_by_page(memories, owner):
    made = [await kept(memories, owner, f"Memory {number}") for number in range(5)]
    memories.clock.move(seconds=1)
    await memories.update(owner, made[1].memory.uuid, MemoryChange(importance=1.0))
    wanted = [f"Memory {number}" for number in (1, 4, 3, 2, 0)]
    assert await contents(memories, owner) == wanted
    assert await contents(memories, owner, offset=3) == wanted[3:]
    seen: list[str] = []
    cursor = None
    while True:
        page = await memories.page(owner, cursor=cursor, limit=2)
        seen += [each.memory.content for each in page.items]
        if (cursor := page.next) is None:
            break
        await memories.delete(owner, page.items[-1].memory.uuid)  # a cursor outlives its item
    assert seen == wanted
    for wrong in ("", "x", "1", "1.", ".1", "1.x", "-1.1", "1" * 19 + ".1", "1.1.1"):
        with pytest.raises(InvalidInput):
            await memories.page(owner, cursor=wrong)


async def test_a_type_alone_can_be_listed(memories, owner):
    await kept(memories, owner, "Likes tea", type="preference")
    await kept(memories, owner, "Is a baker", type="user_fact")
    assert await contents(memories, owner, type="preference") == ["Likes tea"]
    page = await memories.page(owner, type="user_fact")
    assert [each.memory.content for each in page.items] == ["Is a baker"]


async def test_what_is_wrong_can_be_corrected(memories, owner, db):
    shown = await kept(memories, owner, "Lives in Porto")
    before = len(await pending(db))
    memories.clock.move(seconds=1)
    change = MemoryChange(content="Lives in Lisbon, by the river", type="user_fact", importance=1)
    changed = await memories.update(owner, shown.memory.uuid, change)
    assert changed.memory.content == "Lives in Lisbon, by the river"
    assert (changed.memory.type, changed.memory.importance) == ("user_fact", 1)
    assert changed.memory.text_tokens > shown.memory.text_tokens
    assert changed.memory.updated_at > shown.memory.updated_at == changed.memory.created_at
    assert await memories.get(owner, shown.memory.uuid) == changed
    assert len(await pending(db)) == before + 1
    for wrong in (
        MemoryChange(content=" "),
        MemoryChange(importance=2.0),
        MemoryChange(type="chat"),
    ):
        with pytest.raises(InvalidInput):
            await memories.update(owner, shown.memory.uuid, wrong)
    assert await memories.get(owner, shown.memory.uuid) == changed


async def test_every_text_that_appears_changes_or_goes_is_told_to_the_index(memories, owner, db):
    shown = await kept(memories, owner, "Likes tea")
    place = (SearchKind.MEMORY, shown.memory.id)
    assert await pending(db) == [place]
    await memories.update(owner, shown.memory.uuid, MemoryChange(importance=0.1))
    assert await pending(db) == [place]
    await memories.delete(owner, shown.memory.uuid)
    assert await pending(db) == [place] * 2


async def test_all_can_be_removed_at_once(memories, owner, stranger, monkeypatch):
    monkeypatch.setattr(memories_module, "CLEAR_MAX", 3)
    await kept(memories, stranger, "Mine stays")
    for number in range(7):
        await kept(memories, owner, f"Memory {number}")
    assert await memories.clear(owner) == 7
    assert await memories.clear(owner) == 0
    assert await contents(memories, owner) == []
    assert await contents(memories, stranger) == ["Mine stays"]


# Conversations


async def test_a_memory_of_a_conversation_names_one_s_own(memories, conversations, owner, stranger):
    mine, _ = await a_talk(conversations, owner)
    shown = await kept(memories, owner, "We use metres", type="chat", conversation=mine.uuid)
    assert shown.conversation_uuid == mine.uuid
    assert shown.memory.conversation_id == mine.id
    for conversation in (mine.uuid, "0190a7f2-3c5e-7b1a-9d40-6f2b8c1e5a77", "nonsense"):
        with pytest.raises(NotFound):
            await kept(memories, stranger, "x", type="chat", conversation=conversation)
    with pytest.raises(InvalidInput):
        await memories.update(owner, shown.memory.uuid, MemoryChange(type="global"))
    await memories.update(owner, shown.memory.uuid, MemoryChange(type="chat", content="Feet"))


async def test_it_goes_with_its_conversation(
    memories, conversations, owner, db, clock, monkeypatch
):
    monkeypatch.setattr(purge_module, "MESSAGES_MAX", 2)
    conversation, _ = await a_talk(conversations, owner)
    other, _ = await a_talk(conversations, owner)
    for number in range(5):
        await kept(memories, owner, f"metres {number}", type="chat", conversation=conversation.id)
    await kept(memories, owner, "metres there", type="chat", conversation=other.id)
    (newest, *_) = await memories.list(owner, limit=10, offset=1)
    await conversations.delete(owner, conversation.id)
    assert await contents(memories, owner) == ["metres there"]
    found = await memories.search(owner, "metres", limit=10)
    assert [each.shown.memory.content for each in found.items] == ["metres there"]
    with pytest.raises(NotFound):
        await memories.get(owner, newest.memory.uuid)
    async with db.read() as tx:
        assert await tx.memories.found([newest.memory.id], owner_id=owner.owner_id) == []
        assert await tx.memories.count(owner_id=owner.owner_id) == 6
    job = Job(1, PURGE_JOB, {"conversation_id": conversation.id}, 0, 1)
    await purge_conversation(PurgeService(db, clock=clock))(job)
    async with db.read() as tx:
        assert await tx.memories.count(owner_id=owner.owner_id) == 1
        assert not await tx.purge.is_deleted(conversation.id)


# Searching


async def test_the_best_hits_come_first_with_their_scores(memories, owner):
    await kept(memories, owner, "Likes green tea in the morning")
    await kept(memories, owner, "Likes tea")
    await kept(memories, owner, "Has a dog")
    found = await memories.search(owner, "green tea", limit=10)
    assert [each.shown.memory.content for each in found.items] == [
        "Likes green tea in the morning",
        "Likes tea",
    ]
    assert found.items[0].score > found.items[1].score > 0
    assert found.note == NO_EMBEDDER


async def test_a_type_fills_its_limit_from_behind_others(memories, owner):
    await kept(memories, owner, "tea", type="preference")
    for _ in range(40):
        await kept(memories, owner, "tea and tea")
    await kept(memories, owner, "tea", type="preference")
    found = await memories.search(owner, "tea", type="preference", limit=2)
    assert [each.shown.memory.type for each in found.items] == ["preference"] * 2
    assert len((await memories.search(owner, "tea", limit=5)).items) == 5


async def test_a_type_is_found_behind_any_number_of_others(memories, owner, stranger):
    for number in range(5):
        await kept(memories, owner, f"Prefers tea to anything {number}", type="preference")
    for number in range(290):
        await kept(memories, owner, f"Tea {number}", type="user_fact")
    await kept(memories, stranger, "Tea", type="preference")
    found = await memories.search(owner, "tea", type="preference", limit=5)
    assert {each.shown.memory.type for each in found.items} == {"preference"}
    assert len(found.items) == 5


async def test_a_search_returns_as_many_as_are_wanted(db, clock, owner):
    memories = MemoryService(db, RetrievalService(db), clock=clock)
    async with db.transaction() as tx:
        for _ in range(1_005):
            uuid, id = new_uuid(), owner.owner_id
            await insert_memory(
                tx, Memory(0, uuid, id, "global", "Tea", 1, 0.5, None, None, None, 1, 1)
            )
    await Folder(db).fold_own(owner.owner_id, [SearchKind.MEMORY])
    assert len((await memories.search(owner, "tea", limit=300)).items) == 300
    assert len((await memories.search(owner, "tea", limit=2_000)).items) == 1_000


async def test_nobody_looks_for_nothing_or_for_a_novel(memories, owner):
    for query in ("", "  ", "x" * 1001):
        with pytest.raises(InvalidInput) as refused:
            await memories.search(owner, query, limit=10)
        assert refused.value.faults[0].field == "query"


# Settings


async def test_settings_are_one_s_own_and_change_one_by_one(memories, owner, stranger):
    assert await memories.settings(owner) == MemorySettings(True, False)
    assert await memories.set(owner, extracts_memories=True) == MemorySettings(True, True)
    assert await memories.set(owner, uses_memories=False) == MemorySettings(False, True)
    assert await memories.set(owner) == await memories.settings(owner)
    assert await memories.settings(stranger) == MemorySettings(True, False)


# For prompts


async def test_all_that_fit_go_in_the_most_important_first(memories, owner, finder):
    await kept(memories, owner, "old")
    await kept(memories, owner, "new")
    await kept(memories, owner, "important", importance=0.9)
    chosen = await relevant(memories, owner, "anything")
    assert texts(chosen) == ["important", "new", "old"]
    assert {each.reason.note for each in chosen} == {"All memories fit into the prompt."}
    assert finder.asked == []


async def test_who_does_not_want_that_gets_none(memories, owner):
    await kept(memories, owner, "Likes tea")
    await memories.set(owner, uses_memories=False)
    assert await relevant(memories, owner, "tea") == []
    await memories.set(owner, uses_memories=True)
    assert texts(await relevant(memories, owner, "tea")) == ["Likes tea"]


async def test_one_that_is_deleted_or_changed_is_so_in_the_next_prompt(memories, owner):
    shown = await kept(memories, owner, "Likes tea")
    await memories.update(owner, shown.memory.uuid, MemoryChange(content="Likes coffee"))
    assert texts(await relevant(memories, owner)) == ["Likes coffee"]
    await memories.delete(owner, shown.memory.uuid)
    assert await relevant(memories, owner) == []


async def test_of_many_the_nearest_and_the_most_important_go_in(memories, owner):
    await kept(memories, owner, "Is allergic to nuts", importance=1.0)
    await kept(memories, owner, "Bakes sourdough bread on Saturdays")
    for number in range(250):
        await kept(memories, owner, f"Has read page {number} of a long book")
    chosen = await relevant(memories, owner, "How long does sourdough rise?", budget=400)
    assert texts(chosen)[0] == "Bakes sourdough bread on Saturdays"
    assert "Is allergic to nuts" in texts(chosen)
    assert sum(each.memory.prompt_tokens for each in chosen) <= 400
    assert [each.score for each in chosen] == sorted((e.score for e in chosen), reverse=True)
    reasons = {each.memory.content: each.reason for each in chosen}
    first = reasons["Bakes sourdough bread on Saturdays"]
    assert (first.text_rank, first.vector_rank, first.note) == (1, None, NO_EMBEDDER)
    assert reasons["Is allergic to nuts"].note == "Chosen for its importance."


async def test_a_question_without_words_takes_the_most_important(memories, owner, finder):
    for number in range(50):
        await kept(memories, owner, f"Has read page {number} of a long book")
    await kept(memories, owner, "Is allergic to nuts", importance=1.0)
    chosen = await relevant(memories, owner, " ", budget=200)
    assert texts(chosen)[0] == "Is allergic to nuts"
    assert finder.asked == []


async def test_a_long_one_stands_in_nobody_s_way(memories, owner):
    await kept(memories, owner, "word " * 1000, importance=1.0)
    await kept(memories, owner, "short")
    assert texts(await relevant(memories, owner, "word")) == ["short"]
    assert await relevant(memories, owner, "word", budget=0) == []
    assert await relevant(memories, owner, "word", budget=-5) == []


@pytest.mark.parametrize("others", [0, 60])
async def test_a_memory_of_a_conversation_counts_there_alone(
    memories, conversations, owner, others
):
    here, _ = await a_talk(conversations, owner)
    there, _ = await a_talk(conversations, owner)
    await kept(memories, owner, "metres here", type="chat", conversation=here.id)
    await kept(memories, owner, "metres there", type="chat", conversation=there.id)
    await kept(memories, owner, "metres everywhere")
    for number in range(others):
        await kept(memories, owner, f"book {number} of many")
    chosen = texts(await relevant(memories, owner, "metres", conversation_id=here.id))
    assert {"metres here", "metres everywhere"} == set(chosen[:2])
    assert "metres there" not in chosen
    nowhere = texts(await relevant(memories, owner, "metres"))
    assert {each for each in nowhere if "metres" in each} == {"metres everywhere"}


async def test_who_has_none_pays_one_read(memories, stranger, finder, db, monkeypatch):
    counted = []
    read = db.read

    def counting(**more):
        counted.append(more)
        return read(**more)

    monkeypatch.setattr(db, "read", counting)
    assert await relevant(memories, stranger, "anything") == []
    assert len(counted) == 1
    assert finder.asked == []
