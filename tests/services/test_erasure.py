"""Who deleted their account leaves nothing behind but what was used, under no name."""

from pathlib import Path

import pytest

from palaver.domain.documents import NewDocument
from palaver.domain.errors import DomainError, ErrorKind
from palaver.domain.memories import NewMemory
from palaver.domain.usage import UsageKind
from palaver.domain.users import SYSTEM
from palaver.services.documents import DocumentService
from palaver.services.erasure import ErasureService
from palaver.services.memories import MemoryService
from palaver.services.purge import PurgeService
from palaver.services.retrieval import RetrievalService
from palaver.services.starting import Choice
from palaver.storage.files import Files
from palaver.storage.statements import Statement
from tests.cast import PASSWORD
from tests.fakes.provider import words
from tests.services.conftest import Talk

OWNED = Statement(
    sqlite="""select distinct m.name from sqlite_schema m join pragma_table_info(m.name) c
        where m.type = 'table' and c.name = 'owner_id' order by 1""",
    postgresql="""select table_name::text from information_schema.columns
        where column_name = 'owner_id' and table_schema = 'public' order by 1""",
    row=str,
)
STAYS = {"usage_entries", "usage_buckets", "conversation_usage"}
"""The ledger and its sums."""


async def left(talk: Talk, owner_id: int) -> dict[str, int]:
    """Return how many rows of each table are somebody's."""
    async with talk.db.read() as tx:
        found = {}
        for table in await tx._connection.all(OWNED):
            sql = f"select count(*) from {table} where owner_id = :id"  # noqa: S608
            found[table] = await tx._connection.one(Statement(sql, int), id=owner_id) or 0
        users = Statement("select count(*) from users where id = :id", int)
        found["users"] = await tx._connection.one(users, id=owner_id) or 0
    return {table: count for table, count in found.items() if count}


async def test_everything_goes_but_the_ledger(talk: Talk, tmp_path: Path) -> None:
    owner, identity = talk.owner, talk.cast.identity
    talk.provider.scripts = [words("A secret answer.")]
    documents = DocumentService(talk.db, Files(tmp_path / "documents"))
    memories = MemoryService(talk.db, RetrievalService(talk.db))
    erasure = ErasureService(
        talk.db, conversations=talk.conversations, documents=documents, memories=memories
    )
    purge = PurgeService(talk.db)
    for number in range(3):
        conversation = await talk.conversations.create(owner, title=f"title {number}")
        await talk.conversations.append(owner, conversation.id, text="a secret")
        generation = await talk.generations.answer(owner, conversation.id, Choice())
        await talk.generations.wait(owner, generation.uuid)
    await memories.create(owner, NewMemory(content="Likes tea."))
    text = NewDocument.of_text("a secret text", title="x", mime_type="text/plain", metadata=None)
    document = await documents.create(owner, text)
    await identity.api_keys.create(owner, name="x")
    assert await erasure.erase(SYSTEM, owner.owner_id)  # who is still there keeps everything
    before = await left(talk, owner.owner_id)
    assert {"conversations", "messages", "memories", "documents", "usage_entries"} <= set(before)

    await identity.accounts.delete_own(owner, password=PASSWORD)
    assert not await erasure.erase(SYSTEM, owner.owner_id)
    with pytest.raises(DomainError) as raised:
        await erasure.erase(SYSTEM, owner.owner_id)
    assert raised.value.kind is ErrorKind.CONFLICT  # the jobs that remove texts have not run yet
    async with talk.db.read() as tx:
        ids = Statement("select id from conversations where owner_id = :id", int)
        conversations = await tx._connection.all(ids, id=owner.owner_id)
    for id in conversations:
        while not await purge.conversation(SYSTEM, id):
            pass
    while not await documents.purge(SYSTEM, document.id):
        pass
    assert await erasure.erase(SYSTEM, owner.owner_id)
    after = await left(talk, owner.owner_id)
    assert set(after) <= STAYS | {"search_pending"}
    assert after["usage_entries"] == before["usage_entries"]
    assert await erasure.erase(SYSTEM, owner.owner_id)
    async with talk.db.read() as tx:
        entries = await tx.usage.list(owner_id=owner.owner_id)
    assert {entry.kind for entry in entries} == {UsageKind.ANSWER}
