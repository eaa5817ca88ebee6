"""SIGTERM: what can end in the time of grace ends, the rest is handed over, and streams end cleanly."""

import asyncio

import pytest

from tests.chaos.checks import replayed_text
from tests.chaos.conftest import Reader
from tests.chaos.evidence import SQLiteWitness
from tests.chaos.processes import House
from tests.chaos.provider import SPEECHES, told

pytestmark = pytest.mark.timeout(120)
SHORT, LONG = "steady", "long"


async def test_answers_that_end_in_time_are_complete_and_the_others_are_handed_over(
    house: House, person: Reader
) -> None:
    talks = [await person.begin_talk() for _ in range(2)]
    long, long_task = await person.begin_reading(talks[0], LONG)
    short, short_task = await person.begin_reading(talks[1], SHORT)
    async with asyncio.timeout(20):
        await house.terminate()
        await asyncio.gather(short_task, long_task)

    assert not person.record.odd
    assert house.returncode == 0, house.tail()
    assert short.done == "ok"
    assert told(replayed_text(short.frames))[0][1] == SPEECHES[SHORT].count - 1
    assert short.ended_cleanly
    assert long.ended_cleanly
    assert long.done is None
    witness = SQLiteWitness(house.folder / "palaver.db")
    states = {row.uuid: row.state for row in (await witness.see()).generations.values()}
    assert states == {short.generation: "completed", long.generation: "queued"}

    await house.open()
    again = await person.read_stream(talks[0], LONG, last=long.at)
    assert again.generation == long.generation
    assert [frame.name for frame in again.frames[-2:]] == ["error", "done"]
    seen = await witness.see()
    row = seen.of(long.generation or "")
    assert row is not None
    assert row.state == "interrupted"
    text = replayed_text(long.frames) + replayed_text(again.frames)
    assert seen.messages[row.answer_id].text == text
    assert told(text)
