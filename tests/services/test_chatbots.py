"""Chatbots are visible to those whose plan holds them, on both databases."""

from dataclasses import dataclass

import pytest

from palaver.domain.chatbots import NOBODY, Chatbot, ChatbotChange
from palaver.domain.errors import DomainError, ErrorKind, InvalidInput, NotFound
from palaver.domain.plans import PlanChange
from palaver.domain.users import SYSTEM
from palaver.services.chatbots import ChatbotService
from palaver.services.plans import PlanService
from palaver.services.subscriptions import SubscriptionService
from palaver.storage.database import Database
from tests.cast import Cast, a_cast


@dataclass
class House:
    db: Database
    cast: Cast
    chatbots: ChatbotService

    async def bot(self, name: str, **fields: object) -> Chatbot:
        return await self.chatbots.create(SYSTEM, ChatbotChange(name=name, **fields))

    async def subscribe(self, *chatbots: Chatbot) -> int:
        """Put the owner on a plan with these chatbots."""
        change = PlanChange(name="Own", chatbot_ids=[chatbot.id for chatbot in chatbots])
        plan = (await PlanService(self.db).create(SYSTEM, change)).plan
        await SubscriptionService(self.db).assign(SYSTEM, self.cast.owner.owner_id, plan_id=plan.id)
        return plan.id

    async def names(self) -> list[str]:
        return [chatbot.name for chatbot in await self.chatbots.list(self.cast.owner)]


@pytest.fixture
async def house(db: Database) -> House:
    return House(db, await a_cast(db), ChatbotService(db))


async def test_visible_is_what_is_active_and_open_or_in_the_plan(house: House) -> None:
    closed = await house.bot("Closed", open_to_all=False)
    await house.bot("Inactive", is_active=False)
    await house.bot("Open")
    other = await house.bot("Of another plan", open_to_all=False)
    change = PlanChange(name="Other", chatbot_ids=[other.id])
    await PlanService(house.db).create(SYSTEM, change)
    assert await house.names() == ["General Assistant", "Open"]
    await house.subscribe(closed)
    assert await house.names() == ["General Assistant", "Closed", "Open"]
    await house.chatbots.update(SYSTEM, closed.id, ChatbotChange(is_active=False))
    assert await house.names() == ["General Assistant", "Open"]


async def test_what_the_default_plan_holds_is_for_all_without_a_subscription(house: House) -> None:
    closed = await house.bot("Closed", open_to_all=False)
    await PlanService(house.db).update(SYSTEM, 1, PlanChange(chatbot_ids=[closed.id]))
    assert "Closed" in await house.names()
    await house.subscribe()
    assert "Closed" not in await house.names()


async def test_none_named_is_the_first_active_one_for_text(house: House) -> None:
    owner = house.cast.owner
    assert (await house.chatbots.choose(owner, None)).name == "General Assistant"
    await house.chatbots.update(SYSTEM, 1, ChatbotChange(is_active=False))
    await house.bot("Painter", chatbot_type="image")
    with pytest.raises(DomainError) as error:
        await house.chatbots.choose(owner, None)
    assert error.value.kind is ErrorKind.NOT_IN_PLAN
    writer = await house.bot("Writer")
    assert await house.chatbots.choose(owner, None) == writer


async def test_a_named_one_has_to_be_active_and_in_the_plan(house: House) -> None:
    owner = house.cast.owner
    closed = await house.bot("Closed", open_to_all=False)
    inactive = await house.bot("Inactive", is_active=False)
    for id in (inactive.id, 999, 0, -1):
        with pytest.raises(InvalidInput) as wrong:
            await house.chatbots.choose(owner, id)
        assert [fault.field for fault in wrong.value.faults] == ["chatbot_id"]
    with pytest.raises(DomainError) as error:
        await house.chatbots.choose(owner, closed.id)
    assert error.value.kind is ErrorKind.NOT_IN_PLAN
    with pytest.raises(NotFound):
        await house.chatbots.get(owner, closed.id)
    assert await house.chatbots.get(house.cast.admin, inactive.id) == inactive
    await house.subscribe(closed)
    assert await house.chatbots.choose(owner, closed.id) == closed
    assert await house.chatbots.get(owner, closed.id) == closed


async def test_conversations_have_one_whatever_has_become_of_it(house: House) -> None:
    owner = house.cast.owner
    bot = await house.bot("Friend")
    bot = await house.chatbots.update(SYSTEM, bot.id, ChatbotChange(is_active=False))
    described = await house.chatbots.describe(owner, [None, 1, bot.id, 999])
    general = described[1]
    assert general.name == "General Assistant"
    assert described == {None: general, 1: general, bot.id: bot, 999: general}
    assert await house.chatbots.describe(owner, [1]) == {1: general}
    for id in (1, bot.id):
        await house.chatbots.delete(SYSTEM, id)
    assert await house.chatbots.describe(owner, [None, 1]) == {None: NOBODY, 1: NOBODY}
    with pytest.raises(DomainError) as error:
        await house.chatbots.choose(owner, None)
    assert error.value.kind is ErrorKind.NOT_IN_PLAN
    assert (await house.bot("New")).name == "New"


async def test_it_is_for_administrators(house: House) -> None:
    owner = house.cast.owner
    for attempt in (
        house.chatbots.list_all(owner),
        house.chatbots.create(owner, ChatbotChange(name="x")),
        house.chatbots.update(owner, 1, ChatbotChange()),
        house.chatbots.delete(owner, 1),
    ):
        with pytest.raises(DomainError) as error:
            await attempt
        assert error.value.kind is ErrorKind.ADMIN_REQUIRED
