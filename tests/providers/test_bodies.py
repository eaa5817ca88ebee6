"""Bodies of requests: pictures are put in beside the event loop."""

import asyncio
import json

import pytest

from palaver.kit.tasks import Tasks
from palaver.providers.bodies import LARGE_BYTES, Inlined, encoded


@pytest.mark.parametrize("size", [0, 8, LARGE_BYTES])
async def test_a_body_is_json_with_its_pictures_in_their_places(size: int) -> None:
    first, second = b"A" * size, b"B+/=" * 2
    body = {
        "text": 'Grüße "…"',
        "parts": [Inlined(first, before="data:image/png;base64,"), {"data": Inlined(second)}],
        "again": Inlined(first),
    }
    assert json.loads(await encoded(body)) == {
        "text": 'Grüße "…"',
        "parts": [f"data:image/png;base64,{first.decode()}", {"data": second.decode()}],
        "again": first.decode(),
    }


async def test_large_pictures_do_not_hold_the_loop() -> None:
    tasks = Tasks()
    large = tasks.start(encoded({"data": Inlined(b"A" * LARGE_BYTES)}), name="large")
    small = tasks.start(encoded({"data": Inlined(b"A")}), name="small")
    await asyncio.sleep(0)
    assert (large.done(), small.done()) == (False, True)
    assert len(await large) == LARGE_BYTES + len('{"data":""}')


async def test_what_is_no_json_is_a_fault() -> None:
    with pytest.raises(TypeError):
        await encoded({"data": object()})
