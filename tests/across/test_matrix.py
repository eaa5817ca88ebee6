"""What one contract does, all others see, each in its own shape."""

import pytest

from tests.across.tongues import TONGUES, Said, Tongue
from tests.fakes.upstream import Upstream
from tests.http import Visitor

ANSWER = "Hello, world!"  # what the simulated provider says

each_tongue = pytest.mark.parametrize("first", TONGUES, ids=lambda tongue: tongue.name)
each_other = pytest.mark.parametrize("second", TONGUES, ids=lambda tongue: tongue.name)
renaming = pytest.mark.parametrize(
    "second", [tongue for tongue in TONGUES if tongue.renames], ids=lambda tongue: tongue.name
)
deleting = pytest.mark.parametrize(
    "second", [tongue for tongue in TONGUES if tongue.deletes], ids=lambda tongue: tongue.name
)


async def found(tongue: Tongue, visitor: Visitor, title: str) -> object:
    """Return the key of the conversation with this title, by a contract's own list."""
    (key,) = [key for key, shown in (await tongue.titles(visitor)).items() if shown == title]
    return key


def exchange(text: str) -> list[Said]:
    return [("user", text), ("assistant", ANSWER)]


@each_tongue
@each_other
async def test_a_conversation_made_through_one_is_read_and_continued_through_the_other(
    first: Tongue, second: Tongue, owner: Visitor
) -> None:
    made = await first.begin(owner, "A palaver")
    await first.say(owner, made, "Who goes there?")
    key = await found(second, owner, "A palaver")
    assert await second.read(owner, key) == exchange("Who goes there?")
    await second.say(owner, key, "And now?")
    said = exchange("Who goes there?") + exchange("And now?")
    assert await first.read(owner, made) == said
    assert await second.read(owner, key) == said


@each_tongue
@renaming
async def test_a_conversation_made_through_one_is_renamed_through_the_other(
    first: Tongue, second: Tongue, owner: Visitor
) -> None:
    made = await first.begin(owner, "Before")
    await second.rename(owner, await found(second, owner, "Before"), "After")
    for tongue in TONGUES:
        assert list((await tongue.titles(owner)).values()) == ["After"]
    assert (await first.titles(owner))[made] == "After"


@each_tongue
@deleting
async def test_a_conversation_made_through_one_is_deleted_through_the_other(
    first: Tongue, second: Tongue, owner: Visitor
) -> None:
    made = await first.begin(owner, "Gone soon")
    keys = {tongue.name: await found(tongue, owner, "Gone soon") for tongue in TONGUES}
    await second.delete(owner, keys[second.name])
    for tongue in TONGUES:
        assert await tongue.titles(owner) == {}
        assert await tongue.reading_fails(owner, keys[tongue.name]) == 404
    assert await first.reading_fails(owner, made) == 404


@each_tongue
async def test_a_conversation_of_one_person_is_nobody_elses_through_any_contract(
    first: Tongue, owner: Visitor, stranger: Visitor
) -> None:
    await first.begin(owner, "Mine")
    keys = {tongue.name: await found(tongue, owner, "Mine") for tongue in TONGUES}
    for tongue in TONGUES:
        assert await tongue.titles(stranger) == {}
        assert await tongue.reading_fails(stranger, keys[tongue.name]) == 404


async def test_the_provider_is_sent_the_same_history_whatever_was_spoken(
    owner: Visitor, upstream: Upstream
) -> None:
    key = await TONGUES[0].begin(owner, "One talk")
    await TONGUES[0].say(owner, key, "message 0")
    for number, tongue in enumerate(TONGUES[1:], start=1):
        await tongue.say(owner, await found(tongue, owner, "One talk"), f"message {number}")
    turns = [
        (turn["role"], turn["content"])
        for turn in upstream.requests[-1].body["messages"]
        if turn["role"] != "system"
    ]
    said = [turn for number in range(len(TONGUES)) for turn in exchange(f"message {number}")]
    assert turns == said[:-1]
