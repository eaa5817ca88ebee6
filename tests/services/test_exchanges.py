"""Questions with their answers, on both databases."""

import asyncio

import pytest

from palaver.domain.errors import NotFound
from palaver.domain.events import TextDelta
from palaver.domain.generations import GenerationState
from palaver.services.exchanges import NEWEST_MAX, NEWEST_OF_EACH_MAX, ExchangeService
from palaver.services.starting import Choice
from palaver.storage.statements import Statement
from palaver.storage.tx import connection_of
from tests.fakes.provider import HOLD, words
from tests.services.conftest import Talk

Pairs = list[tuple[str, str | None]]


@pytest.fixture
def exchanges(talk: Talk) -> ExchangeService:
    """Give the service under test."""
    talk.provider.scripts = [words("Yes.")]
    return ExchangeService(talk.db, talk.driver)


async def a_conversation(talk: Talk, *texts: str) -> int:
    """Return a new conversation in which these were asked and answered."""
    conversation = await talk.conversations.create(talk.owner)
    for text in texts:
        await asked(talk, conversation.id, text)
    return conversation.id


async def asked(talk: Talk, id: int, text: str) -> int:
    """Ask, wait for the answer, and return the exchange's id."""
    _, question, run = await talk.generations.send(talk.owner, id, [("user", text)], Choice())
    await talk.generations.wait(talk.owner, run.uuid)
    return question.id


async def pairs(talk: Talk, exchanges: ExchangeService, id: int) -> Pairs:
    transcript = await exchanges.transcript(talk.owner, id)
    return [(each.message, each.response) for each in transcript.exchanges]


async def test_a_transcript_pairs_questions_with_their_answers(
    talk: Talk, exchanges: ExchangeService
) -> None:
    id = await a_conversation(talk, "One?", "Two?")
    await talk.conversations.append(talk.owner, id, text="Three?")
    expected = [("One?", "Yes."), ("Two?", "Yes."), ("Three?", None)]
    assert await pairs(talk, exchanges, id) == expected
    page = await exchanges.list(talk.owner, id, page=1, size=20)
    assert [(each.message, each.response) for each in page.items] == expected
    assert (page.total, page.has_next, page.has_previous) == (3, False, False)
    for each in page.items:
        assert await exchanges.get(talk.owner, id, each.id) == each


async def test_only_the_active_branch_is_told(talk: Talk, exchanges: ExchangeService) -> None:
    id = await a_conversation(talk, "One?", "Two?")
    former = (await exchanges.transcript(talk.owner, id)).exchanges[-1]
    talk.provider.scripts = [words("No.")]
    _, run = await talk.generations.retry(talk.owner, id, Choice())
    await talk.generations.wait(talk.owner, run.uuid)
    assert await pairs(talk, exchanges, id) == [("One?", "Yes."), ("Two?", "No.")]
    with pytest.raises(NotFound):
        await exchanges.get(talk.owner, id, former.id)


async def test_an_answer_that_is_being_written_is_none_yet(
    talk: Talk, exchanges: ExchangeService
) -> None:
    talk.provider.scripts = [[TextDelta("Wait"), HOLD, *words("ed.")]]
    id = await a_conversation(talk)
    writing = asyncio.ensure_future(asked(talk, id, "One?"))
    await talk.provider.held.wait()
    assert await pairs(talk, exchanges, id) == [("One?", None)]
    talk.provider.go.set()
    await writing
    assert await pairs(talk, exchanges, id) == [("One?", "Waited.")]


async def test_pages_are_counted_from_the_oldest_on(talk: Talk, exchanges: ExchangeService) -> None:
    id = await a_conversation(talk)
    for number in range(5):
        await talk.conversations.append(talk.owner, id, text=str(number))

    async def texts(page: int | None) -> list[str]:
        return [
            each.message for each in (await exchanges.list(talk.owner, id, page=page, size=2)).items
        ]

    assert [await texts(1), await texts(2), await texts(3)] == [["0", "1"], ["2", "3"], ["4"]]
    assert await texts(None) == ["4"]
    for page in (0, -1, 4, 10**30):
        with pytest.raises(NotFound):
            await texts(page)


async def test_many_transcripts_hold_the_newest_of_each(
    talk: Talk, exchanges: ExchangeService
) -> None:
    ids = [await a_conversation(talk) for _ in range(3)]
    await _fill(talk, ids[0], NEWEST_MAX + 10)
    await _fill(talk, ids[1], 2)
    page = await exchanges.list_transcripts(talk.owner, page=1, size=2)
    assert (page.total, page.number, page.has_next) == (3, 1, True)
    listed = [*page.items, *(await exchanges.list_transcripts(talk.owner, page=2, size=2)).items]
    assert sorted(each.conversation.id for each in listed) == ids
    by_id = {each.conversation.id: [one.message for one in each.exchanges] for each in listed}
    everything = [str(number) for number in range(NEWEST_MAX + 10)]
    assert by_id == {ids[0]: everything[-NEWEST_OF_EACH_MAX:], ids[1]: ["0", "1"], ids[2]: []}
    transcript = await exchanges.transcript(talk.owner, ids[0])
    assert [each.message for each in transcript.exchanges] == everything[-NEWEST_MAX:]


async def test_a_deleted_exchange_is_gone_and_what_follows_stays(
    talk: Talk, exchanges: ExchangeService
) -> None:
    id = await a_conversation(talk, "One?", "Two?", "Three?")
    first, second, third = (await exchanges.transcript(talk.owner, id)).exchanges
    await exchanges.delete(talk.owner, id, second.id)
    assert await pairs(talk, exchanges, id) == [("One?", "Yes."), ("Three?", "Yes.")]
    for gone in (second.id, 10**18):
        with pytest.raises(NotFound):
            await exchanges.get(talk.owner, id, gone)
        with pytest.raises(NotFound):
            await exchanges.delete(talk.owner, id, gone)
    await exchanges.delete(talk.owner, id, third.id)
    await asked(talk, id, "Four?")
    assert await pairs(talk, exchanges, id) == [("One?", "Yes."), ("Four?", "Yes.")]
    sent = talk.provider.requests[-1].turns
    assert [turn.text for turn in sent if turn.role != "system"] == ["One?", "Yes.", "Four?"]
    assert (await exchanges.list(talk.owner, id, page=1, size=20)).total == 2
    assert (await exchanges.get(talk.owner, id, first.id)).response == "Yes."


async def test_deleting_stops_what_still_answers(talk: Talk, exchanges: ExchangeService) -> None:
    talk.provider.scripts = [[TextDelta("Wait"), HOLD]]
    id = await a_conversation(talk)
    _, question, run = await talk.generations.send(talk.owner, id, [("user", "One?")], Choice())
    await talk.provider.held.wait()
    await exchanges.delete(talk.owner, id, question.id)
    assert (await talk.generations.get(talk.owner, run.uuid)).state is GenerationState.CANCELED
    assert talk.provider.closed_early == 1
    assert await pairs(talk, exchanges, id) == []


async def test_what_is_anothers_is_not_there(talk: Talk, exchanges: ExchangeService) -> None:
    id = await a_conversation(talk, "One?")
    other = await a_conversation(talk, "Two?")
    (mine,) = (await exchanges.transcript(talk.owner, id)).exchanges
    with pytest.raises(NotFound):
        await exchanges.transcript(talk.stranger, id)
    with pytest.raises(NotFound):
        await exchanges.list(talk.stranger, id, page=1, size=20)
    with pytest.raises(NotFound):
        await exchanges.get(talk.stranger, id, mine.id)
    with pytest.raises(NotFound):
        await exchanges.delete(talk.stranger, id, mine.id)
    with pytest.raises(NotFound):
        await exchanges.delete(talk.owner, other, mine.id)
    assert (await exchanges.list_transcripts(talk.stranger, page=1, size=20)).total == 0
    assert await pairs(talk, exchanges, id) == [("One?", "Yes.")]


_FILL: Statement[None] = Statement(
    """insert into messages (uuid, conversation_id, owner_id, role, text, created_at)
    values (:uuid, :conversation_id, :owner_id, 'user', :text, :at)"""
)


async def _fill(talk: Talk, id: int, count: int) -> None:
    """Put many questions into a conversation at once."""
    async with talk.db.transaction() as tx:
        await connection_of(tx).many(
            _FILL,
            [
                {
                    "uuid": f"{id}/{number}",
                    "conversation_id": id,
                    "owner_id": talk.owner.owner_id,
                    "text": str(number),
                    "at": number,
                }
                for number in range(count)
            ],
        )
