"""Pictures that users give: kept, sent, shown to models that see, and forgotten."""

import io
from base64 import b64encode
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from palaver.domain.errors import DomainError, ErrorKind, InvalidInput, NotFound
from palaver.domain.models import ModelProfile, ModelType
from palaver.domain.pictures import (
    PER_PROMPT,
    PROMPT_MAX_BYTES,
    Attached,
    Picture,
    attach,
    attached,
    check_file,
)
from palaver.domain.providers import CompletionRequest, ImageRef, Turn
from palaver.domain.users import SYSTEM, Actor
from palaver.kit.clock import system_clock
from palaver.kit.ids import new_uuid
from palaver.services.pictures import UNSENT_KEPT, PictureService
from palaver.services.prompts import worst_case
from palaver.services.purge import PurgeService
from palaver.services.starting import Choice
from palaver.storage.database import Database
from palaver.storage.files import Files
from tests.cast import a_cast
from tests.fakes.extractor import PlainExtractor
from tests.fakes.provider import HOLD, PNG, ScriptedProvider, words
from tests.services.conftest import Talk, a_worker
from tests.services.test_generations import read

SEES = ModelProfile(sees=True)
ANY = Choice(model="scripted/one")


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """Give where pictures lie."""
    return Files(tmp_path / "images")


@pytest.fixture
async def talk(db: Database, files: Files) -> AsyncIterator[Talk]:
    """Give a worker whose models see."""
    provider = ScriptedProvider([words("A fox.")], profile=SEES)
    async with a_worker(db, await a_cast(db), provider, files=files) as talk:
        yield talk


@pytest.fixture
def pictures(talk: Talk, files: Files) -> PictureService:
    """Give the verbs."""
    return PictureService(talk.db, files, PlainExtractor())


async def given(pictures: PictureService, actor: Actor) -> Picture:
    return await pictures.give(actor, io.BytesIO(PNG), size_bytes=len(PNG))


async def sent(talk: Talk, conversation_id: int, text: str = "Look", *ids: str) -> None:
    """Say something, and wait for the answer."""
    _, _, generation = await talk.generations.send(
        talk.owner, conversation_id, [("user", text)], ANY, image_ids=ids
    )
    await read(talk, generation.uuid)


def shown(request: CompletionRequest) -> Sequence[tuple[str, int]]:
    """Return what each turn says, and how many pictures go with it."""
    return [(turn.text, len(turn.images)) for turn in request.turns]


async def test_what_is_given_goes_into_the_prompt_with_what_it_holds(
    talk: Talk, pictures: PictureService
) -> None:
    conversation = await talk.conversations.create(talk.owner)
    first, second = await given(pictures, talk.owner), await given(pictures, talk.owner)
    await sent(talk, conversation.id, "Look", second.uuid, first.uuid)
    (request,) = talk.provider.requests
    (turn,) = request.turns
    assert [image.name for image in turn.images] == [second.name, first.name]
    assert (turn.images[0].media_type, turn.images[0].width) == ("image/png", 2)
    assert request.images == {first.name: b64encode(PNG), second.name: b64encode(PNG)}
    (question, _) = await talk.conversations.messages(talk.owner, conversation.id)
    assert [each.uuid for each in attached(question.images)] == [second.uuid, first.uuid]


async def test_large_ones_are_encoded_whole(pictures: PictureService) -> None:
    content = bytes(range(256)) * 9_001 + b"!"
    await pictures.files.write(uuid := new_uuid(), io.BytesIO(content))
    turn = Turn("user", "Look", (ImageRef(f"{uuid}.png", "image/png", 1, 1),))
    assert await pictures.shown([turn]) == ((turn,), {f"{uuid}.png": b64encode(content)})


async def test_its_tokens_are_held(talk: Talk, pictures: PictureService) -> None:
    talk.provider.scripts = [[HOLD]]
    held = []
    for ids in ((), ((await given(pictures, talk.owner)).uuid,)):
        conversation = await talk.conversations.create(talk.owner)
        _, _, generation = await talk.generations.send(
            talk.owner, conversation.id, [("user", "Look")], ANY, image_ids=ids
        )
        held.append(generation.recipe.prompt_tokens)
    assert held[1] - held[0] == Attached("", "image/png", 2, 1, 1).tokens
    talk.provider.go.set()


@pytest.mark.parametrize(
    ("width", "height", "least", "most"),
    [
        (300, 200, 258, 300),
        (512, 512, 1_032, 1_100),
        (960, 540, 1_548, 1_600),
        (1000, 1000, 2_520, 2_600),
        (2048, 2048, 4_784, 4_900),
    ],
)
def test_the_estimate_leans_upwards_and_stays_near(
    width: int, height: int, least: int, most: int
) -> None:
    counted = worst_case(Attached("", "image/png", width, height, 1).tokens)
    assert least <= counted <= most


async def test_in_a_conversation_the_newest_pictures_are_shown(
    talk: Talk, pictures: PictureService
) -> None:
    conversation = await talk.conversations.create(talk.owner)
    for number in range(3):
        ids = [(await given(pictures, talk.owner)).uuid for _ in range(8)]
        await sent(talk, conversation.id, f"{number}", *ids)
    turns = [turn for turn in shown(talk.provider.requests[-1]) if turn[0] != "A fox."]
    assert turns == [("0" + "\n[image]" * 4, 4), ("1", 8), ("2", 8)]
    assert len(talk.provider.requests[-1].images) == PER_PROMPT


async def test_so_many_bytes_are_shown_and_no_more(talk: Talk, pictures: PictureService) -> None:
    conversation = await talk.conversations.create(talk.owner)

    async def a_large_one() -> str:
        """Return a picture of more than half of what goes into a prompt, as far as is known."""
        picture = await given(pictures, talk.owner)
        large = replace(picture, uuid=new_uuid(), size_bytes=PROMPT_MAX_BYTES // 2 + 1)
        await files.write(large.uuid, io.BytesIO(PNG))
        async with talk.db.transaction() as tx:
            await tx.pictures.insert(replace(large, name=f"{large.uuid}.png"))
        return large.uuid

    files = pictures.files
    for number in range(2):
        await sent(talk, conversation.id, f"{number}", await a_large_one())
    turns = [turn for turn in shown(talk.provider.requests[-1]) if turn[0] != "A fox."]
    assert turns == [("0\n[image]", 0), ("1", 1)]
    both = await a_large_one(), await a_large_one()
    with pytest.raises(InvalidInput, match="in all"):
        await sent(talk, conversation.id, "Both", *both)


async def test_a_word_stands_for_a_picture_whose_file_is_gone(
    talk: Talk, pictures: PictureService, files: Files
) -> None:
    conversation = await talk.conversations.create(talk.owner)
    picture = await given(pictures, talk.owner)
    await files.remove(picture.uuid)
    await sent(talk, conversation.id, "Look", picture.uuid)
    (request,) = talk.provider.requests
    assert (shown(request), request.images) == ([("Look\n[image]", 0)], {})


async def test_a_takeover_sends_the_same(
    talk: Talk, pictures: PictureService, files: Files
) -> None:
    talk.provider.scripts = [[HOLD]]
    conversation = await talk.conversations.create(talk.owner)
    picture = await given(pictures, talk.owner)
    _, _, generation = await talk.generations.send(
        talk.owner, conversation.id, [("user", "Look")], ANY, image_ids=[picture.uuid]
    )
    await talk.provider.held.wait()
    await talk.driver.close()
    await talk.runs.close()
    heir = ScriptedProvider([words("A fox.")], profile=SEES)
    async with a_worker(talk.db, talk.cast, heir, files=files) as other:
        await read(other, generation.uuid)
    assert heir.requests == talk.provider.requests


@pytest.mark.parametrize("profile", [ModelProfile(), ModelProfile(type=ModelType.IMAGE, sees=True)])
async def test_a_model_that_does_not_see_or_paints_takes_none(
    db: Database, files: Files, profile: ModelProfile
) -> None:
    provider = ScriptedProvider([words("A fox.")], profile=profile)
    async with a_worker(db, await a_cast(db), provider, files=files) as talk:
        pictures = PictureService(db, files, PlainExtractor())
        picture = await given(pictures, talk.owner)
        conversation = await talk.conversations.create(talk.owner)
        with pytest.raises(InvalidInput, match="does not see pictures") as refused:
            await sent(talk, conversation.id, "Look", picture.uuid)
        assert [fault.field for fault in refused.value.faults] == ["image_ids"]
        assert await talk.conversations.messages(talk.owner, conversation.id) == []


async def test_nobody_sends_or_deletes_anothers(talk: Talk, pictures: PictureService) -> None:
    picture = await given(pictures, talk.owner)
    conversation = await talk.conversations.create(talk.stranger)
    with pytest.raises(InvalidInput, match="no picture with this id"):
        await talk.generations.send(
            talk.stranger, conversation.id, [("user", "Look")], ANY, image_ids=[picture.uuid]
        )
    with pytest.raises(NotFound):
        await pictures.delete(talk.stranger, picture.uuid)
    await pictures.find(talk.owner, picture.name)


async def test_of_two_messages_one_takes_a_picture(talk: Talk, pictures: PictureService) -> None:
    picture = await given(pictures, talk.owner)
    first, second = [await talk.conversations.create(talk.owner) for _ in range(2)]
    await sent(talk, first.id, "Look", picture.uuid)
    with pytest.raises(InvalidInput):
        await sent(talk, second.id, "Look", picture.uuid)
    with pytest.raises(DomainError) as refused:
        await pictures.delete(talk.owner, picture.uuid)
    assert refused.value.kind is ErrorKind.CONFLICT


async def test_what_was_not_sent_is_forgotten_and_what_was_stays(
    talk: Talk, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("palaver.services.sweeping.STRAY_SECONDS", -1.0)
    moved = 0
    pictures = PictureService(
        talk.db, files, PlainExtractor(), clock=lambda: system_clock() + moved
    )
    unsent, kept = await given(pictures, talk.owner), await given(pictures, talk.owner)
    conversation = await talk.conversations.create(talk.owner)
    await sent(talk, conversation.id, "Look", kept.uuid)
    assert await pictures.sweep(SYSTEM) == 0
    moved = UNSENT_KEPT + 1
    assert await pictures.sweep(SYSTEM) == 1
    assert not await files.has(unsent.uuid)
    await pictures.find(talk.owner, kept.name)


async def test_a_purge_takes_the_rows_and_the_sweep_the_files(
    talk: Talk, pictures: PictureService, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("palaver.services.sweeping.STRAY_SECONDS", -1.0)
    conversation = await talk.conversations.create(talk.owner)
    picture = await given(pictures, talk.owner)
    await sent(talk, conversation.id, "Look", picture.uuid)
    await talk.conversations.delete(talk.owner, conversation.id)
    with pytest.raises(NotFound):
        await pictures.find(talk.owner, picture.name)
    assert await PurgeService(talk.db).conversation(SYSTEM, conversation.id)
    async with talk.db.read() as tx:
        assert await tx.pictures.known([picture.uuid]) == set()
    assert await pictures.sweep(SYSTEM) == 1
    assert not await files.has(picture.uuid)


async def test_an_edit_takes_the_pictures_along(talk: Talk, pictures: PictureService) -> None:
    conversation = await talk.conversations.create(talk.owner)
    picture = await given(pictures, talk.owner)
    await sent(talk, conversation.id, "Look", picture.uuid)
    (question, _) = await talk.conversations.messages(talk.owner, conversation.id)
    edit = await talk.generations.edit(
        talk.owner, conversation.id, question.uuid, text="Look again"
    )
    await read(talk, edit.generation.uuid)
    assert shown(talk.provider.requests[-1]) == [("Look again", 1)]
    assert attached(edit.message.images) == attached(question.images)
    await pictures.find(talk.owner, picture.name)


@pytest.mark.parametrize(
    "head",
    [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"GIF87a", b"GIF89a", b"RIFF\n\0\0\0WEBPVP8 "],
)
def test_pictures_are_known_by_their_first_bytes(head: bytes) -> None:
    check_file(head, size_bytes=100)


@pytest.mark.parametrize("head", [b"<svg", b"BM", b"RIFF\0\0\0\0WAVE", b" \x89PNG\r\n\x1a\n"])
def test_nothing_else_is_a_picture(head: bytes) -> None:
    with pytest.raises(DomainError) as refused:
        check_file(head, size_bytes=100)
    assert refused.value.kind is ErrorKind.UNSUPPORTED_MEDIA_TYPE


def test_a_message_without_pictures_keeps_nothing() -> None:
    assert attach([]) is None
    assert attached(None) == ()
