"""Pictures that models make: kept, shown to their owner alone, held and counted."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from palaver.domain.chatbots import ChatbotChange
from palaver.domain.errors import DomainError, ErrorKind, NotFound, ProviderError, QuotaExceeded
from palaver.domain.events import Failed, Finished, Status, UsageReported
from palaver.domain.models import ModelProfile, ModelType
from palaver.domain.pictures import attached, markdown_of
from palaver.domain.plans import PlanChange
from palaver.domain.providers import MadeImage, Turn
from palaver.domain.users import SYSTEM
from palaver.kit.clock import system_clock
from palaver.services.calls import CallService
from palaver.services.chatbots import ChatbotService
from palaver.services.completions import CompletionService
from palaver.services.pictures import PictureService
from palaver.services.plans import PlanService
from palaver.services.starting import Choice, Starter
from palaver.storage.database import Database
from palaver.storage.files import Files
from tests.cast import a_cast
from tests.fakes.extractor import PlainExtractor
from tests.fakes.provider import HOLD, PNG, ScriptedProvider, words
from tests.services.conftest import Talk, a_worker
from tests.services.test_generations import asked, read, text_of

ANY = Choice()
IMAGE = ModelProfile(type=ModelType.IMAGE)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """Give where pictures lie."""
    return Files(tmp_path / "images")


@pytest.fixture
async def talk(db: Database, files: Files) -> AsyncIterator[Talk]:
    """Give a worker whose models make pictures."""
    provider = ScriptedProvider(profile=IMAGE, pictures=[MadeImage(PNG)])
    async with a_worker(db, await a_cast(db), provider, files=files) as talk:
        yield talk


async def painted(talk: Talk, prompt: str = "A red fox") -> str:
    """Have a picture made; return its address."""
    conversation = await asked(talk, prompt)
    generation = await talk.generations.answer(
        talk.owner, conversation, Choice(model="scripted/one")
    )
    await read(talk, generation.uuid)
    (_, answer) = await talk.conversations.messages(talk.owner, conversation)
    (picture,) = attached(answer.images)
    return picture.url


async def images_counted(talk: Talk) -> list[int]:
    async with talk.db.read() as tx:
        assert await tx.usage.held(owner_id=talk.owner.owner_id) == []
        entries = await tx.usage.list(owner_id=talk.owner.owner_id)
    return [entry.images for entry in entries]


async def test_a_picture_is_the_answer_and_its_file_is_the_owners_alone(
    talk: Talk, files: Files
) -> None:
    conversation = await asked(talk, "A [red] fox")
    generation = await talk.generations.answer(
        talk.owner, conversation, Choice(model="scripted/one")
    )
    events = await read(talk, generation.uuid)
    (_, answer) = await talk.conversations.messages(talk.owner, conversation)
    (known,) = attached(answer.images)
    assert answer.text == text_of(events) == f"![A \\[red\\] fox]({known.url})"
    assert isinstance(events[0], Status)
    assert isinstance(events[-1], Finished)
    assert talk.provider.asked_pictures[0].prompt == "A [red] fox"
    pictures = PictureService(talk.db, files, PlainExtractor())
    picture, path = await pictures.find(talk.owner, known.name)
    assert path.read_bytes() == PNG
    assert (picture.media_type, picture.width, picture.height) == ("image/png", 2, 1)
    for actor in (talk.stranger, talk.cast.admin):
        with pytest.raises(NotFound):
            await pictures.find(actor, known.name)


async def test_it_counts_as_a_picture_and_a_message_when_it_is_saved(talk: Talk) -> None:
    talk.provider.pictures = [MadeImage(PNG, UsageReported(10, 4_000, cost_micro_usd=42_000))]
    await painted(talk)
    async with talk.db.read() as tx:
        (entry,) = await tx.usage.list(owner_id=talk.owner.owner_id)
    assert (entry.images, entry.messages, entry.cost_micro_usd) == (1, 1, 42_000)
    assert (entry.prompt_tokens, entry.completion_tokens) == (10, 4_000)


@pytest.mark.parametrize(
    "given", [ProviderError("No."), MadeImage(b"no picture")], ids=["refused", "unreadable"]
)
async def test_one_that_fails_costs_nothing(talk: Talk, given: object, files: Files) -> None:
    talk.provider.pictures = [given]
    conversation = await asked(talk)
    generation = await talk.generations.answer(
        talk.owner, conversation, Choice(model="scripted/one")
    )
    events = await read(talk, generation.uuid)
    assert isinstance(events[-1], Failed)
    assert await images_counted(talk) == []
    assert len(await talk.conversations.messages(talk.owner, conversation)) == 1


async def test_a_cancel_closes_the_provider_and_counts_no_picture(talk: Talk) -> None:
    talk.provider.pictures = [HOLD]
    conversation = await asked(talk)
    generation = await talk.generations.answer(
        talk.owner, conversation, Choice(model="scripted/one")
    )
    await talk.provider.held.wait()
    await talk.generations.cancel(talk.owner, generation.uuid)
    await read(talk, generation.uuid)
    assert talk.provider.closed_early == 1
    assert sum(await images_counted(talk)) == 0


@pytest.mark.parametrize(
    ("limit", "window"),
    [
        ("daily_image_generation_limit", "day"),
        ("weekly_image_generation_limit", "week"),
        ("monthly_image_generation_limit", "month"),
    ],
)
async def test_a_plans_limit_of_pictures_is_held(talk: Talk, limit: str, window: str) -> None:
    plans = PlanService(talk.db)
    plan = next(plan for plan in (await plans.list(SYSTEM)).items if plan.plan.is_default)
    await plans.update(SYSTEM, plan.plan.id, PlanChange(**{limit: 2}))
    await painted(talk)
    talk.provider.pictures = [HOLD]
    conversation = await asked(talk)
    choice = Choice(model="scripted/one")
    second = await talk.generations.answer(talk.owner, conversation, choice)
    with pytest.raises(QuotaExceeded) as refused:  # what is being made is held
        await talk.generations.answer(talk.owner, await asked(talk), choice)
    assert (refused.value.limit, refused.value.window) == (limit, window)
    talk.provider.go.set()
    await read(talk, second.uuid)
    with pytest.raises(QuotaExceeded):
        await talk.generations.answer(talk.owner, await asked(talk), choice)
    assert await images_counted(talk) == [1, 1]


async def test_a_chatbot_for_pictures_asks_a_model_that_makes_them(
    db: Database, files: Files
) -> None:
    provider = ScriptedProvider([words("Text.")], pictures=[MadeImage(PNG)])
    async with a_worker(db, await a_cast(db), provider, files=files) as talk:
        await talk.models.list_providers(SYSTEM)
        painter = await ChatbotService(db).create(
            SYSTEM, ChatbotChange(name="Painter", chatbot_type="image")
        )
        conversation = await talk.conversations.create(talk.owner, chatbot_id=painter.id)
        await talk.conversations.append(talk.owner, conversation.id, text="A fox")
        with pytest.raises(DomainError) as refused:
            await talk.generations.answer(talk.owner, conversation.id, ANY)
        assert refused.value.kind is ErrorKind.MODEL_NOT_FOUND
        with pytest.raises(DomainError, match="makes pictures"):
            await talk.generations.answer(talk.owner, conversation.id, Choice(model="scripted/one"))
        async with db.transaction() as tx:
            model = await tx.models.find("scripted/two")
            assert model is not None
            await tx.models.save(replace(model, type=ModelType.IMAGE))
        await talk.models.registry.rows(anew=True)
        generation = await talk.generations.answer(talk.owner, conversation.id, ANY)
        await read(talk, generation.uuid)
        assert generation.model == "scripted/two"
        # And nobody else is given a model that makes pictures.
        plain = await talk.generations.answer(talk.owner, await asked(talk), ANY)
        assert plain.model == "scripted/one"
        await read(talk, plain.uuid)


async def test_a_completion_without_a_chat_has_nowhere_to_keep_a_picture(talk: Talk) -> None:
    calls = CallService(talk.db, talk.driver.asker)
    completions = CompletionService(calls, Starter(talk.driver, talk.models, clock=system_clock))
    with pytest.raises(DomainError, match="kept in a chat"):
        await completions.open(talk.owner, [Turn("user", "A fox")], Choice(model="scripted/one"))
    await calls.close()


async def test_files_that_no_answer_knows_are_swept_and_others_stay(
    talk: Talk, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = PictureService(talk.db, files, PlainExtractor())
    kept = await painted(talk)
    made, _ = await pictures.make(
        talk.owner, await talk.models.choose(talk.owner, model="scripted/one"), "x"
    )
    monkeypatch.setattr("palaver.services.sweeping.STRAY_SECONDS", -1.0)
    assert await pictures.sweep(SYSTEM) == 1
    assert not await files.has(made.uuid)
    await pictures.find(talk.owner, kept.removeprefix("/media/images/"))


async def test_what_was_deleted_is_shown_to_nobody(talk: Talk, files: Files) -> None:
    url = await painted(talk)
    (conversation,) = await talk.conversations.list(talk.owner)
    await talk.conversations.delete(talk.owner, conversation.id)
    with pytest.raises(NotFound):
        await PictureService(talk.db, files, PlainExtractor()).find(
            talk.owner, url.removeprefix("/media/images/")
        )


def test_a_prompt_cannot_end_its_markdown() -> None:
    text = markdown_of("/media/images/x.png", "a](http://evil)\n\n# b " + "c" * 300)
    assert text.startswith("![a\\](http://evil) # b ccc")
    assert text.endswith("…](/media/images/x.png)")
    assert "\n" not in text
