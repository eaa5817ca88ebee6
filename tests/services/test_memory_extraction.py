"""Memories are taken from what a user wrote, where that user wants it; on both databases."""

from collections.abc import AsyncIterator

import msgspec
import pytest

from palaver.domain.conversations import Conversation, Message
from palaver.domain.errors import DomainError, ErrorKind, ProviderError
from palaver.domain.events import TextDelta, UsageReported
from palaver.domain.jobs import Job
from palaver.domain.memories import Memory, NewMemory
from palaver.domain.usage import UsageKind
from palaver.domain.users import SYSTEM
from palaver.jobs.extract_memories import MAX_ATTEMPTS, extract_memories
from palaver.kit.clock import system_clock
from palaver.services.calls import CallService
from palaver.services.memories import MemoryService
from palaver.services.memory_extraction import (
    DELAY,
    EXTRACTION_JOB,
    MemoryExtractionService,
    enqueue_extraction,
)
from palaver.services.models import ModelService
from palaver.services.retrieval import RetrievalService
from palaver.services.starting import Choice
from palaver.storage.statements import Statement
from tests.fakes.provider import HOLD, ScriptedProvider, words
from tests.services.conftest import Talk

USAGE = UsageReported(prompt_tokens=200, completion_tokens=30)
PORTO = '{"message": 1, "type": "user_fact", "content": "The user lives in Porto."}'


@pytest.fixture
def memories(talk: Talk) -> MemoryService:
    return MemoryService(talk.db, RetrievalService(talk.db))


@pytest.fixture
async def extraction(talk: Talk) -> AsyncIterator[MemoryExtractionService]:
    """Give the service; the jobs of this worker do not run."""
    asker = talk.generations.starter.driver.asker
    calls = CallService(talk.db, asker)
    yield MemoryExtractionService(talk.db, talk.models, calls, RetrievalService(talk.db))
    await calls.close()


async def told(
    talk: Talk, *texts: str, conversation: Conversation | None = None
) -> tuple[Conversation, Message]:
    """Return a conversation in which these were said and answered, and the first of them."""
    conversation = conversation or await talk.conversations.create(talk.owner)
    first: Message | None = None
    for text in texts:
        _, question, generation = await talk.generations.send(
            talk.owner, conversation.id, [("user", text)], Choice()
        )
        await talk.generations.wait(talk.owner, generation.uuid)
        first = first or question
    assert first is not None
    return conversation, first


async def kept(memories: MemoryService, talk: Talk) -> list[Memory]:
    return [each.memory for each in await memories.list(talk.owner, limit=1000)][::-1]


async def mined(
    talk: Talk, extraction: MemoryExtractionService, *answers: list[object]
) -> tuple[Conversation, Message, int]:
    """Let the user say where they live, and the model note it in these words."""
    talk.provider.scripts = [words("How nice."), *answers]
    conversation, message = await told(talk, "I live in Porto, and you?")
    count = await extraction.extract(SYSTEM, conversation.id, first_message_id=message.id)
    return conversation, message, count


async def jobs(talk: Talk) -> list[tuple[dict, int]]:
    every = Statement(
        f"select payload, run_at from jobs where kind = '{EXTRACTION_JOB}' order by id",  # noqa: S608
        lambda payload, run_at: (msgspec.json.decode(payload), run_at),
    )
    async with talk.db.read() as tx:
        return await tx._connection.all(every)


# What becomes of a job


async def test_what_is_new_is_kept_with_its_source_and_paid(talk, memories, extraction):
    await memories.set(talk.owner, extracts_memories=True)
    likes = '{"message":1,"type":"preference","content":"The user prefers short answers."}'
    answer = words("```json\n" + PORTO, "\n" + likes + "\n```", usage=USAGE)
    _, message, count = await mined(talk, extraction, answer)
    assert count == 2
    fact, preference = await kept(memories, talk)
    assert (fact.type, fact.content) == ("user_fact", "The user lives in Porto.")
    assert (preference.type, preference.content) == (
        "preference",
        "The user prefers short answers.",
    )
    assert fact.source_message_id == preference.source_message_id == message.id
    shown = await memories.get(talk.owner, fact.uuid)
    assert shown.source_message_uuid == message.uuid
    assert await memories.list(talk.stranger, limit=10) == []
    async with talk.db.read() as tx:
        entries = await tx.usage.list(owner_id=talk.owner.owner_id)
        assert await tx.usage.held(owner_id=talk.owner.owner_id) == []
    assert entries[-1].kind is UsageKind.EXTRACTION
    assert (entries[-1].prompt_tokens, entries[-1].completion_tokens) == (200, 30)


async def test_the_model_sees_the_user_s_words_and_what_is_known_near_them(
    talk, memories, extraction
):
    await memories.set(talk.owner, extracts_memories=True)
    await memories.create(talk.owner, NewMemory(content="The user was born in Porto."))
    await memories.create(talk.stranger, NewMemory(content="Somebody else of Porto."))
    await mined(talk, extraction, words(""))
    request = talk.provider.requests[-1]
    system, user = request.turns
    assert (system.role, user.role) == ("system", "user")
    assert "I live in Porto, and you?" in user.text
    assert "- The user was born in Porto." in user.text
    assert "Somebody else" not in user.text
    assert "How nice." not in user.text  # never what was answered
    assert request.max_tokens is not None
    assert request.max_tokens < 1000


async def test_nobody_who_does_not_want_it_is_mined(talk, memories, extraction):
    _, _, count = await mined(talk, extraction, words(PORTO))
    assert (count, await kept(memories, talk)) == (0, [])
    assert len(talk.provider.requests) == 1
    await memories.set(talk.stranger, extracts_memories=True)
    _, _, count = await mined(talk, extraction, words(PORTO))
    assert count == 0


async def test_several_messages_are_mined_at_once(talk, memories, extraction):
    await memories.set(talk.owner, extracts_memories=True)
    baker = '{"message": 2, "type": "user_fact", "content": "The user is a baker."}'
    talk.provider.scripts = [words("Yes."), words("Yes."), words("Yes."), words(baker)]
    conversation, _ = await told(talk, "Before that")
    _, first = await told(talk, "Hello", "I am a baker", conversation=conversation)
    await extraction.extract(SYSTEM, conversation.id, first_message_id=first.id)
    assert "Before that" not in talk.provider.requests[-1].turns[-1].text
    (memory,) = await kept(memories, talk)
    shown = await memories.get(talk.owner, memory.uuid)
    messages = await talk.conversations.messages(talk.owner, conversation.id)
    (source,) = [each for each in messages if each.uuid == shown.source_message_uuid]
    assert source.text == "I am a baker"


@pytest.mark.parametrize(
    "line",
    [
        "The user lives in Porto.",
        '{"type": "user_fact", "content": "The user lives in Porto."}',
        '{"message": 2, "type": "user_fact", "content": "There is no second message."}',
        '{"message": 0, "type": "user_fact", "content": "Nor one before."}',
        '{"message": "1", "type": "user_fact", "content": "A number is no text."}',
        '{"message": 1, "type": "global", "content": "Not a type for this."}',
        '{"message": 1, "type": "chat", "content": "Nor this."}',
        '{"message": 1, "type": "user_fact", "content": "More", "importance": 1}',
        '{"message": 1, "type": "user_fact", "content": " \\u202e\\u0000\\n "}',
        '{"message": 1, "type": "user_fact", "content": "' + "x" * 301 + '"}',
        '{"message": 1, "type": "user_fact", "content": ["x"]}',
        "[" * 10_000,
        "null",
    ],
)
async def test_what_is_not_as_it_was_asked_for_is_left_out(talk, memories, extraction, line):
    await memories.set(talk.owner, extracts_memories=True)
    _, _, count = await mined(talk, extraction, words(line + "\n" + line))
    assert (count, await kept(memories, talk)) == (0, [])


async def test_no_message_gives_more_than_a_few(talk, memories, extraction):
    await memories.set(talk.owner, extracts_memories=True)
    lines = [PORTO.replace("Porto", f"Porto {number}") for number in range(50)]
    _, _, count = await mined(talk, extraction, words("\n".join(lines)))
    assert count == len(await kept(memories, talk)) == 5


async def test_a_model_that_does_not_stop_is_left(talk, memories, extraction):
    await memories.set(talk.owner, extracts_memories=True)
    endless = [TextDelta(PORTO + "\n"), TextDelta("and so on " * 2000), HOLD]
    _, _, count = await mined(talk, extraction, endless)
    assert count == 1
    assert not talk.provider.held.is_set()


async def test_what_controls_is_taken_out_of_a_line(talk, memories, extraction):
    await memories.set(talk.owner, extracts_memories=True)
    line = PORTO.replace("lives in", "lives\\n\\u202e\\u0007  in")
    await mined(talk, extraction, words(line))
    (memory,) = await kept(memories, talk)
    assert memory.content == "The user lives in Porto."


async def test_what_is_known_is_not_kept_again(talk, memories, extraction):
    await memories.set(talk.owner, extracts_memories=True)
    await memories.create(talk.owner, NewMemory(content="the user lives in PORTO"))
    spain = PORTO.replace("Porto", "Spain")
    again = PORTO.replace("The user lives in Porto.", "In Porto lives the user!")
    answer = words("\n".join([PORTO, again, spain, spain]))
    conversation, message, count = await mined(talk, extraction, answer)
    assert count == 1
    assert [each.content for each in await kept(memories, talk)] == [
        "the user lives in PORTO",
        "The user lives in Spain.",
    ]
    await extraction.extract(SYSTEM, conversation.id, first_message_id=message.id)
    assert len(await kept(memories, talk)) == 2
    await memories.set(talk.stranger, extracts_memories=True)
    assert await memories.list(talk.stranger, limit=10) == []


async def test_there_is_no_room_beyond_the_cap(talk, memories, extraction):
    await memories.set(talk.owner, extracts_memories=True)
    extraction.per_user = 2
    await memories.create(talk.owner, NewMemory(content="One"))
    lines = [PORTO.replace("Porto", town) for town in ("Porto", "Lisbon", "Faro")]
    _, _, count = await mined(talk, extraction, words("\n".join(lines)))
    assert count == 1
    assert len(await kept(memories, talk)) == 2


# Meanwhile


@pytest.mark.parametrize("meanwhile", ["conversation", "wish"])
async def test_what_was_deleted_or_unwished_meanwhile_gives_nothing(
    talk, memories, extraction, meanwhile, monkeypatch
):
    await memories.set(talk.owner, extracts_memories=True)
    talk.provider.scripts = [words("How nice."), words(PORTO)]
    conversation, message = await told(talk, "I live in Porto, and you?")
    is_known = extraction._is_known

    async def late(*given):
        if meanwhile == "conversation":
            await talk.conversations.delete(talk.owner, conversation.id)
        else:
            await memories.set(talk.owner, extracts_memories=False)
        return await is_known(*given)

    monkeypatch.setattr(extraction, "_is_known", late)
    count = await extraction.extract(SYSTEM, conversation.id, first_message_id=message.id)
    assert (count, await kept(memories, talk)) == (0, [])
    assert await extraction.extract(SYSTEM, conversation.id, first_message_id=message.id) == 0
    assert len(talk.provider.requests) == 2


async def test_a_source_that_is_deleted_leaves_the_memory_alone(talk, memories, extraction):
    await memories.set(talk.owner, extracts_memories=True)
    conversation, _, _ = await mined(talk, extraction, words(PORTO))
    await talk.conversations.delete(talk.owner, conversation.id)
    (shown,) = await memories.list(talk.owner, limit=10)
    assert (shown.source_message_uuid, shown.source_conversation_uuid) == (None, None)


# Failures


async def test_a_failure_is_told_and_costs_nothing(talk, memories, extraction):
    await memories.set(talk.owner, extracts_memories=True)
    with pytest.raises(ProviderError):
        await mined(talk, extraction, [ProviderError("No.")])
    assert await kept(memories, talk) == []
    async with talk.db.read() as tx:
        entries = await tx.usage.list(owner_id=talk.owner.owner_id)
        assert await tx.usage.held(owner_id=talk.owner.owner_id) == []
    assert [entry.kind for entry in entries] == [UsageKind.ANSWER]


async def test_a_job_is_given_up_after_some_attempts(talk, memories, extraction):
    await memories.set(talk.owner, extracts_memories=True)
    busy = ProviderError("Later.", kind=ErrorKind.PROVIDER_OVERLOADED)
    talk.provider.scripts = [words("How nice."), [busy]]
    conversation, message = await told(talk, "I live in Porto")
    handle = extract_memories(extraction)
    payload = {"conversation_id": conversation.id, "message_id": message.id}
    for attempt in range(1, MAX_ATTEMPTS + 1):
        with pytest.raises(ProviderError):
            await handle(Job(1, EXTRACTION_JOB, payload, 0, attempt))
    asked = len(talk.provider.requests)
    await handle(Job(1, EXTRACTION_JOB, payload, 0, MAX_ATTEMPTS + 1))
    assert len(talk.provider.requests) == asked
    talk.provider.scripts[-1] = [ProviderError("Never.")]
    await handle(Job(1, EXTRACTION_JOB, payload, 0, 1))


async def test_only_the_house_asks(talk, extraction):
    with pytest.raises(DomainError):
        await extraction.extract(talk.owner, 1, first_message_id=1)


# The demo


async def test_the_demo_quotes_plain_sentences_and_asks_nobody(talk, memories):
    demo = ScriptedProvider([words("I am no language model.")], id="demo")
    models = ModelService(talk.db, {demo.id: demo}, default_model="demo/one")
    talk.driver.models = models
    talk.generations.starter.models = models
    await memories.set(talk.owner, extracts_memories=True)
    said = "Hello! My name is Ada. I prefer tea. What is my name? Somebody said I live in Rome."
    conversation, message = await told(talk, said)
    calls = CallService(talk.db, talk.driver.asker)
    extraction = MemoryExtractionService(talk.db, models, calls, RetrievalService(talk.db))
    for expected in (2, 0):
        count = await extraction.extract(SYSTEM, conversation.id, first_message_id=message.id)
        assert count == expected
    assert [(each.type, each.content) for each in await kept(memories, talk)] == [
        ("user_fact", 'The user said: "My name is Ada."'),
        ("preference", 'The user said: "I prefer tea."'),
    ]
    assert len(demo.requests) == 1
    await calls.close()
    await models.close()


# The hook


async def test_answers_in_a_row_make_one_job(talk, memories):
    await memories.set(talk.owner, extracts_memories=True)
    talk.provider.scripts = [words("Yes.")]
    conversation, first = await told(talk, "One", "Two")
    at = system_clock()
    async with talk.db.transaction() as tx:
        await tx._connection.run(Statement(f"delete from jobs where kind = '{EXTRACTION_JOB}'"))  # noqa: S608
        for message_id in (first.id, first.id + 2):
            await enqueue_extraction(tx, talk.owner.owner_id, message_id, at=at)
    ((payload, run_at),) = await jobs(talk)
    assert payload == {"conversation_id": conversation.id, "message_id": first.id}
    assert run_at == at + DELAY


async def test_nothing_is_asked_where_nobody_wants_it(talk, memories):
    talk.provider.scripts = [words("Yes.")]
    _, message = await told(talk, "One")
    await memories.set(talk.stranger, extracts_memories=True)
    at = system_clock()
    async with talk.db.transaction() as tx:
        await enqueue_extraction(tx, talk.owner.owner_id, message.id, at=at)
        await enqueue_extraction(tx, talk.stranger.owner_id, message.id, at=at)
    assert await jobs(talk) == []


async def test_a_retry_is_not_mined_again(talk, memories, extraction):
    await memories.set(talk.owner, extracts_memories=True)
    talk.provider.scripts = [words("Yes.")]
    conversation, _ = await told(talk, "I live in Porto")
    retried, generation = await talk.generations.retry(talk.owner, conversation.id, Choice())
    await talk.generations.wait(talk.owner, generation.uuid)
    asked = len(talk.provider.requests)
    assert await extraction.extract(SYSTEM, conversation.id, first_message_id=retried.id) == 0
    assert len(talk.provider.requests) == asked
