"""What meets at the wrong moment: ends with cancels, retries with retries, deletes with streams."""

import asyncio
import random

from tests.chaos.checks import Judge, replayed_text
from tests.chaos.conftest import Reader
from tests.chaos.evidence import Evidence, SQLiteWitness
from tests.chaos.load import PROVIDER
from tests.chaos.processes import House

CHOICE = {"provider_id": PROVIDER, "model": "brisk"}


async def judged(house: House, person: Reader) -> Evidence:
    """Compare everything that was shown with the database; nothing may be running any more."""
    witness = SQLiteWitness(house.folder / "palaver.db")
    async with asyncio.timeout(10):
        while any(row.is_live for row in (await witness.see()).generations.values()):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    seen = await witness.see()
    judge = Judge(person.record)
    judge.judge(seen, everything=True)
    assert not judge.verdict.violations, judge.verdict.violations
    assert "error" not in house.tail()
    return seen


async def test_a_cancel_that_meets_the_end_leaves_one_end(house: House, person: Reader) -> None:
    talks = [await person.begin_talk() for _ in range(40)]
    rng = random.Random(7)

    async def ask_and_cancel(talk: int) -> None:
        reading, task = await person.begin_reading(talk, "brisk")
        await asyncio.sleep(rng.random() * 0.5)
        calls = (
            person.call("POST", f"/chat/cancel/{reading.generation}")
            for _ in range(rng.choice([1, 3]))
        )
        statuses = {status for status, _ in await asyncio.gather(*calls)}
        assert statuses <= {200, 404}
        await task
        assert reading.done in {"ok", "canceled"}
        if reading.done == "ok" and 200 in statuses:
            return  # the cancel came while the end was being written
        assert (reading.done == "canceled") == (200 in statuses)

    await asyncio.gather(*map(ask_and_cancel, talks))
    seen = await judged(house, person)
    assert {row.state for row in seen.generations.values()} == {"canceled", "completed"}


async def test_of_many_retries_at_once_the_last_one_runs(house: House, person: Reader) -> None:
    talk = await person.begin_talk()
    _, task = await person.begin_reading(talk, "long")
    answers = await asyncio.gather(
        *(
            person.call("POST", "/chat/retry", {"conversation_id": talk, **CHOICE})
            for _ in range(12)
        )
    )
    assert {status for status, _ in answers} == {200}
    await task
    last = await person.read_stream(talk, "brisk", last=0)
    assert last.done == "ok"
    _, messages = await person.call("GET", f"/conversations/{talk}/messages")
    assert isinstance(messages, list)
    assert [message["role"] for message in messages] == ["user", "assistant"]
    assert messages[0]["id"] == max(answer["message_id"] for _, answer in answers)  # type: ignore[index]
    assert messages[1]["content"] == replayed_text(last.frames)
    seen = await judged(house, person)
    assert sum(row.state == "completed" for row in seen.generations.values()) == 1


async def test_a_delete_ends_the_stream_and_hides_everything(house: House, person: Reader) -> None:
    talks = [await person.begin_talk() for _ in range(10)]
    readings = await asyncio.gather(*(person.begin_reading(talk, "long") for talk in talks))
    answers = await asyncio.gather(
        *(person.call("DELETE", f"/conversations/{talk}") for talk in talks)
    )
    assert {status for status, _ in answers} == {200}
    async with asyncio.timeout(10):
        await asyncio.gather(*(task for _, task in readings))
    assert all(reading.ended_cleanly for reading, _ in readings)
    for talk in talks:
        assert (await person.call("GET", f"/conversations/{talk}/messages"))[0] == 404
    witness = SQLiteWitness(house.folder / "palaver.db")
    assert not any(row.is_live for row in (await witness.see()).generations.values())


async def test_of_many_starts_at_once_of_one_question_one_runs(
    house: House, person: Reader
) -> None:
    talk = await person.begin_talk()
    readings = await asyncio.gather(*(person.read_stream(talk, "brisk") for _ in range(100)))
    assert not person.record.odd
    assert len({reading.generation for reading in readings}) == 1
    assert {reading.done for reading in readings} == {"ok"}
    assert len({replayed_text(reading.frames) for reading in readings}) == 1
    assert len((await judged(house, person)).generations) == 1


async def test_a_hundred_starts_at_once_all_run(house: House, person: Reader) -> None:
    talks = [await person.begin_talk() for _ in range(100)]
    readings = await asyncio.gather(*(person.read_stream(talk, "brisk") for talk in talks))
    assert {reading.done for reading in readings} == {"ok"}
    seen = await judged(house, person)
    assert len(seen.generations) == 100
    assert sum(map(len, seen.entries.values())) == 100
