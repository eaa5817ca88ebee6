"""Following a conversation whose run has not begun, on both databases."""

import asyncio

import pytest

from palaver.domain.errors import DomainError, NotFound
from palaver.domain.generations import Generation
from palaver.domain.users import SYSTEM
from palaver.kit.tasks import Tasks
from palaver.services.live import LiveService, LiveStream, Waiting
from palaver.services.starting import Choice
from tests.fakes.provider import HOLD, words
from tests.services.conftest import Talk

TASKS = Tasks()


@pytest.fixture
def live(talk: Talk) -> LiveService:
    """Give the service of a worker that is not told of what begins on this one."""
    return LiveService(talk.db, talk.generations, Waiting())


async def send(talk: Talk, key: int, text: str = "Hello?") -> Generation:
    _, _, generation = await talk.generations.send(talk.owner, key, [("user", text)], Choice())
    return generation


async def heard(stream: LiveStream) -> str:
    """Read to the end; return the text."""
    text = ""
    while (segments := await stream.next()) is not None and segments:
        text += "".join(segment.body for segment in segments if segment.kind.name == "TEXT")
    return text


async def test_who_waits_hears_of_a_run_on_another_worker_by_looking(
    talk: Talk, live: LiveService
) -> None:
    talk.provider.scripts = [words("Yes", ".")]
    conversation = await talk.conversations.create(talk.owner)
    stream = await live.follow(talk.owner, conversation.id)
    reading = TASKS.start(heard(stream), name="reader")
    await asyncio.sleep(0)
    assert stream.running is None
    await live.look(SYSTEM)
    generation = await send(talk, conversation.id)
    await live.look(SYSTEM)
    assert await reading == "Yes."
    assert stream.running is not None
    assert stream.running.generation.uuid == generation.uuid
    assert list(live.waiting.conversation_ids) == []
    stream.close()


async def test_who_is_told_need_not_look(talk: Talk, live: LiveService) -> None:
    talk.provider.scripts = [words("Yes.")]
    conversation = await talk.conversations.create(talk.owner)
    stream = await live.follow(talk.owner, conversation.id)
    reading = TASKS.start(heard(stream), name="reader")
    await asyncio.sleep(0)
    live.waiting.tell(await send(talk, conversation.id))
    assert await reading == "Yes."
    stream.close()


async def test_a_run_that_is_known_already_wakes_nobody(talk: Talk, live: LiveService) -> None:
    talk.provider.scripts = [words("One."), words("Two.")]
    conversation = await talk.conversations.create(talk.owner)
    first = await send(talk, conversation.id)
    await talk.generations.wait(talk.owner, first.uuid)
    end = (await talk.generations.follow(talk.owner, first.uuid)).at
    reader = await talk.generations.follow(talk.owner, first.uuid, after=end)
    while await reader.next():
        pass
    stream = await live.follow(talk.owner, conversation.id, after=reader.at)
    await live.look(SYSTEM)
    live.waiting.tell(first)
    assert await stream.next(silence_seconds=0.01) is None
    live.waiting.tell(await send(talk, conversation.id))
    assert await heard(stream) == "Two."
    stream.close()


async def test_silence_is_told_and_lost_is_nothing(talk: Talk, live: LiveService) -> None:
    talk.provider.scripts = [words("Yes.")]
    conversation = await talk.conversations.create(talk.owner)
    stream = await live.follow(talk.owner, conversation.id)
    assert await stream.next(silence_seconds=0.0) is None
    waiting = TASKS.start(stream.next(), name="reader")
    await asyncio.sleep(0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    live.waiting.tell(await send(talk, conversation.id))
    assert await heard(stream) == "Yes."
    stream.close()


async def test_a_live_run_is_followed_at_once(talk: Talk, live: LiveService) -> None:
    talk.provider.scripts = [[*words("Yes")[:1], HOLD, *words(".")]]
    conversation = await talk.conversations.create(talk.owner)
    await send(talk, conversation.id)
    stream = await live.follow(talk.owner, conversation.uuid)
    assert stream.running is not None
    reading = TASKS.start(heard(stream), name="reader")
    talk.provider.go.set()
    assert await reading == "Yes."
    stream.close()


async def test_a_conversation_that_goes_ends_the_wait_for_its_run(
    talk: Talk, live: LiveService
) -> None:
    conversation = await talk.conversations.create(talk.owner)
    stream = await live.follow(talk.owner, conversation.id)
    assert await stream.next(silence_seconds=0.0) is None
    await talk.conversations.delete(talk.owner, conversation.id)
    assert await stream.next() == []
    stream.close()
    stream.close()


async def test_who_comes_when_the_server_stops_is_sent_home(talk: Talk, live: LiveService) -> None:
    conversation = await talk.conversations.create(talk.owner)
    early = await live.follow(talk.owner, conversation.id)
    live.waiting.close()
    late = await live.follow(talk.owner, conversation.id)
    assert (await early.next(), await late.next()) == ([], [])


async def test_nobody_waits_in_what_belongs_to_another(talk: Talk, live: LiveService) -> None:
    conversation = await talk.conversations.create(talk.owner)
    with pytest.raises(NotFound):
        await live.follow(talk.stranger, conversation.id)
    with pytest.raises(DomainError):
        await live.look(talk.stranger)
