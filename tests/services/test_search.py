"""Search finds one's own titles and messages, all of them and nothing else."""

import asyncio

import pytest

from palaver.domain.errors import DomainError, InvalidInput
from palaver.domain.search import SearchHit, SearchKind
from palaver.domain.users import SYSTEM, Actor
from palaver.services.conversations import ConversationService
from palaver.services.folding import FOLD_MAX
from palaver.services.search import SearchService
from palaver.storage.database import Database
from palaver.storage.search import Entry
from palaver.storage.statements import Statement
from tests.cast import Cast, a_cast
from tests.talks import a_talk, conversations_over


@pytest.fixture
async def cast(db: Database) -> Cast:
    return await a_cast(db)


@pytest.fixture
def owner(cast: Cast) -> Actor:
    return cast.owner


@pytest.fixture
def conversations(db: Database) -> ConversationService:
    return conversations_over(db)


@pytest.fixture
def search(db: Database) -> SearchService:
    return SearchService(db)


async def texts(search: SearchService, actor: Actor, q: str) -> list[str]:
    page = await search.search(actor, q)
    return [hit.excerpt.text for hit in page.items]


def marks(hit: SearchHit) -> list[str]:
    return [hit.excerpt.text[start:end] for start, end in hit.excerpt.highlights]


async def test_a_message_is_found_at_once(search, conversations, owner):
    conversation, (message,) = await a_talk(
        conversations, owner, "How do I bake\nsourdough bread?", title="Baking"
    )
    page = await search.search(owner, "SOURDOUGH bre")
    (hit,) = page.items
    assert hit.kind is SearchKind.MESSAGE
    assert hit.conversation_uuid == conversation.uuid
    assert hit.title == "Baking"
    assert hit.message_uuid == message.uuid
    assert hit.created_at == message.created_at
    assert hit.excerpt.text == "How do I bake sourdough bread?"
    assert marks(hit) == ["sourdough", "bread"]
    assert page.next is None


async def test_a_title_is_found_and_comes_before_longer_texts(search, conversations, owner):
    conversation, _ = await a_talk(
        conversations, owner, "Tell me all that there is to know about bread", title="Bread"
    )
    title, message = (await search.search(owner, "bread")).items
    assert title.kind is SearchKind.TITLE
    assert title.message_uuid is None
    assert title.conversation_uuid == conversation.uuid
    assert title.created_at == conversation.created_at
    assert marks(title) == ["Bread"]
    assert message.kind is SearchKind.MESSAGE


async def test_a_new_title_takes_the_place_of_the_former(search, conversations, owner):
    conversation, _ = await a_talk(conversations, owner, title="Alpha")
    assert await texts(search, owner, "alpha") == ["Alpha"]
    await conversations.rename(owner, conversation.id, title="Beta")
    assert await texts(search, owner, "alpha") == []
    assert await texts(search, owner, "beta") == ["Beta"]


async def test_all_words_must_be_there_and_quoted_ones_beside_each_other(
    search, conversations, owner
):
    await a_talk(conversations, owner, "red green blue", "blue red")
    assert await texts(search, owner, "red blue ") == ["blue red", "red green blue"]
    assert await texts(search, owner, "red green ") == ["red green blue"]
    assert await texts(search, owner, '"blue red"') == ["blue red"]
    assert await texts(search, owner, '"red blue"') == []
    assert await texts(search, owner, "blue-red ") == ["blue red"]
    assert await texts(search, owner, "red yellow ") == []


@pytest.mark.parametrize("q", ["中文", "文搜索", "索", "全文搜索", "中文 搜索", "search用", "用中"])
async def test_chinese_is_found_by_any_piece_of_it(search, conversations, owner, q):
    await a_talk(conversations, owner, "Palaver search用中文全文搜索。", "别的东西")
    assert await texts(search, owner, q) == ["Palaver search用中文全文搜索。"]


@pytest.mark.parametrize(
    ("text", "q"),
    [
        ("Über die Straße", "uber strasse"),
        ("كَتَبَ رسالة", "كتب"),
        ("Ёлки-палки", "елки палки"),
        ("ＦＵＬＬ width", "full"),  # noqa: RUF001
        ("안녕하세요 여러분", "여러"),
        ("def snake_case(): pass", "snake"),
    ],
)
async def test_writing_does_not_matter(search, conversations, owner, text, q):
    await a_talk(conversations, owner, text)
    assert await texts(search, owner, q) == [text]


async def test_nobody_finds_what_is_somebody_elses(search, conversations, owner, cast):
    await a_talk(conversations, owner, "my secret", title="Secret plans")
    assert await texts(search, cast.stranger, "secret") == []
    assert await texts(search, cast.admin, "secret") == []
    assert len(await texts(search, owner, "secret")) == 2


async def test_a_deleted_conversation_is_not_found(search, conversations, owner):
    conversation, _ = await a_talk(conversations, owner, "gone with the wind", title="Wind")
    await search.fold(SYSTEM)
    await conversations.delete(owner, conversation.id)
    assert await texts(search, owner, "wind") == []


async def test_a_hidden_answer_is_found_once_it_is_shown(search, conversations, owner, db):
    conversation, (question,) = await a_talk(conversations, owner, "question")

    async def answer(tx, **values):
        await tx.messages.finish(
            answer_id,
            reasoning=None,
            citations=None,
            images=None,
            prompt_tokens=1,
            completion_tokens=1,
            is_hidden=False,
            **values,
        )
        await tx.search.enqueue(
            owner_id=conversation.owner_id, kind=SearchKind.MESSAGE, ref=answer_id
        )

    async with db.transaction() as tx:
        hidden = await tx.messages.insert(
            uuid="0190a000-0000-7000-8000-000000000001",
            conversation_id=conversation.id,
            owner_id=conversation.owner_id,
            parent_id=question.id,
            role="assistant",
            text="",
            is_hidden=True,
            at=question.created_at,
        )
        answer_id = hidden.id
        await tx.search.enqueue(
            owner_id=conversation.owner_id, kind=SearchKind.MESSAGE, ref=answer_id
        )
    assert await texts(search, owner, "forty") == []
    async with db.transaction() as tx:
        await answer(tx, text="forty two")
    assert await texts(search, owner, "forty") == ["forty two"]


@pytest.mark.parametrize(
    "q",
    [
        '"', "'", "''", "\\", "*", "a*", "(", ")", "a OR b", "NOT a", "-a", "owner:1", "1_secret",
        "a & b", "a | b", "!a", "a <-> b", "a:*", "NEAR(a b)", "^a", "{a}", "%", "_", "a\0b", "\u2018a\u2019",
        "\ud800", "🙂", "a'b\"c", "'; drop table users; --",
    ],
)  # fmt: skip
async def test_nothing_that_is_typed_is_syntax(search, conversations, owner, q):
    await a_talk(conversations, owner, "something else entirely")
    assert await texts(search, owner, q) == []


async def test_hits_come_in_pages_up_to_two_hundred(search, conversations, owner, db):
    conversation, _ = await a_talk(conversations, owner, title="Numbers")
    async with db.transaction() as tx:
        for number in range(230):
            message = await tx.messages.insert(
                uuid=f"0190a000-0000-7000-8000-{number:012d}",
                conversation_id=conversation.id,
                owner_id=conversation.owner_id,
                parent_id=None,
                role="user",
                text=f"number {number}",
                at=number,
            )
            await tx.search.enqueue(
                owner_id=conversation.owner_id, kind=SearchKind.MESSAGE, ref=message.id
            )
    seen: list[str] = []
    cursor = None
    pages = 0
    while True:
        page = await search.search(owner, "number ", cursor=cursor)
        seen += [hit.excerpt.text for hit in page.items]
        pages += 1
        assert len(page.items) <= 50
        if page.next is None:
            break
        cursor = page.next
    assert pages == 4
    assert seen == [f"number {number}" for number in range(229, 29, -1)], "newest of equals first"
    assert len((await search.search(owner, "number ", limit=3)).items) == 3
    assert (await search.search(owner, "number ", cursor="200")).items == []


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("q", {"q": "  "}),
        ("q", {"q": "a" * 1001}),
        ("cursor", {"q": "a", "cursor": "-1"}),
        ("cursor", {"q": "a", "cursor": "x"}),
        ("cursor", {"q": "a", "cursor": ""}),
        ("cursor", {"q": "a", "cursor": "٣"}),
        ("limit", {"q": "a", "limit": 0}),
    ],
)
async def test_what_cannot_be_looked_for_is_refused(search, owner, field, values):
    with pytest.raises(InvalidInput) as refused:
        await search.search(owner, **values)
    assert refused.value.faults[0].path == ("query", field)


async def test_nobody_searches_before_signing_in(search):
    with pytest.raises(DomainError):
        await search.search(Actor(), "anything")


async def test_more_than_one_fold_holds_is_folded_before_a_search(search, conversations, owner):
    await a_talk(conversations, owner, *(f"word{number}" for number in range(FOLD_MAX + 3)))
    assert await texts(search, owner, f"word{FOLD_MAX + 2} ") == [f"word{FOLD_MAX + 2}"]


async def test_folds_at_the_same_time_leave_the_newest_text(search, conversations, owner, db):
    conversation, _ = await a_talk(conversations, owner, title="Zero")
    folds = []
    for number in range(20):
        await conversations.rename(owner, conversation.id, title=f"Title{number}")
        folds += [asyncio.ensure_future(search.fold(SYSTEM)) for _ in range(2)]
    await asyncio.gather(*folds)
    assert await texts(search, owner, "title") == ["Title19"]
    assert await texts(search, owner, "zero") == []
    assert await search.fold(SYSTEM) == 0


async def test_a_text_of_any_length_can_be_indexed(search, conversations, owner, db):
    long = " ".join(f"{number:x}{'字' * 3}" for number in range(40_000))
    await a_talk(conversations, owner, f"needle {long}")
    (hit,) = (await search.search(owner, "needle")).items
    assert hit.excerpt.text.startswith("needle 0字")
    assert hit.excerpt.text.endswith("…")


async def test_the_index_takes_longest_words_and_many_of_them(db):
    words = ["\U00020000" * 64 + str(number) for number in range(9)] + [
        f"w{n}" for n in range(29_000)
    ]
    async with db.transaction() as tx:
        await tx.search.put([Entry(7, int(SearchKind.MESSAGE), 1, words)])
        await tx.search.remove(SearchKind.MESSAGE, [1])


async def test_folding_is_not_for_everybody(search, owner):
    with pytest.raises(DomainError):
        await search.fold(owner)


async def test_what_is_gone_leaves_nothing_in_the_index(search, conversations, owner, db):
    conversation, _ = await a_talk(conversations, owner, "some words", title="Some title")
    await search.fold(SYSTEM)
    await conversations.delete(owner, conversation.id)
    async with db.transaction() as tx:
        await tx.search.enqueue(
            owner_id=conversation.owner_id, kind=SearchKind.TITLE, ref=conversation.id
        )
        await tx.search.enqueue(owner_id=conversation.owner_id, kind=SearchKind.MESSAGE, ref=1)
    await search.fold(SYSTEM)
    rows = Statement("select count(*) from search_index", int)
    async with db.read() as tx:
        assert await tx._connection.one(rows) == 0
