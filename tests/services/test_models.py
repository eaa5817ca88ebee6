"""Models come from what providers list, and nobody waits for a provider without need."""

import asyncio
from collections.abc import AsyncIterator, Callable

import msgspec
import pytest

from palaver.domain.errors import DomainError, ErrorKind, ProviderError
from palaver.domain.models import ListedModel, ModelChange, ModelProfile, ModelType
from palaver.domain.users import SYSTEM, Actor
from palaver.services import listings, models
from palaver.services.models import ModelService, ProviderHealth
from palaver.services.registry import RegistryService
from palaver.storage.database import Database
from palaver.storage.statements import Statement
from tests.cast import a_cast
from tests.fakes.clock import StillClock
from tests.fakes.listing import ToldProvider

OWNER = Actor(user_id=1)
DOWN = ProviderError("Nobody listens there.", kind=ErrorKind.PROVIDER_UNREACHABLE)
CANNOT_LIST = ProviderError("No such route.", kind=ErrorKind.PROVIDER_FAILED)


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests in which somebody keeps silent."""
    monkeypatch.setattr(listings, "PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr(models, "CHECK_SECONDS", 0.2)


Service = Callable[..., ModelService]


@pytest.fixture
async def service(db: Database, clock: StillClock) -> AsyncIterator[Service]:
    """Give what makes services over providers; they are closed at the end."""
    made: list[ModelService] = []

    def make(*providers: ToldProvider, **settings) -> ModelService:
        made.append(
            ModelService(db, {given.id: given for given in providers}, clock=clock, **settings)
        )
        return made[-1]

    yield make
    for each in made:
        await each.close()


async def settled(registry: ModelService) -> None:
    """Let the renewals that have begun come to their end."""
    await registry._tasks.wait()


async def names(registry: ModelService, provider_id: str) -> list[str]:
    return [model.name for model in await registry.list_models(OWNER, provider_id)]


async def refused(registry: ModelService, **choice) -> ErrorKind:
    with pytest.raises(DomainError) as error:
        await registry.choose(OWNER, **choice)
    return error.value.kind


async def resolved(registry: ModelService, **choice) -> str:
    return (await registry.choose(OWNER, **choice)).model.name


async def deactivate(db: Database, name: str) -> None:
    statement = Statement("update models set is_active = 0 where name = :name")
    async with db.transaction() as tx:
        await tx._connection.run(statement, name=name)


async def test_providers_are_listed_with_their_models_in_their_order(service):
    registry = service(ToldProvider("b", "zeta", "alpha"), ToldProvider("a", "x/y"))
    first, second = await registry.list_providers(OWNER)
    assert [first.id, second.id] == ["b", "a"]
    assert [model.name for model in first.models] == ["b/zeta", "b/alpha"]
    assert [model.label for model in first.models] == ["Zeta", "Alpha"]
    assert [model.upstream_name for model in second.models] == ["x/y"]
    assert first.error is None
    assert first.capabilities.streaming


async def test_a_provider_that_fails_is_listed_without_models_and_with_the_reason(service):
    down, up = await service(ToldProvider("a", error=DOWN), ToldProvider("b", "m")).list_providers(
        OWNER
    )
    assert (list(down.models), down.error) == ([], "Nobody listens there.")
    assert len(up.models) == 1


@pytest.mark.usefixtures("little_patience")
async def test_a_provider_that_keeps_silent_holds_nobody_up(service):
    silent = ToldProvider("a", is_silent=True)
    listed, other = await service(silent, ToldProvider("b", "m")).list_providers(OWNER)
    assert (list(listed.models), listed.error) == ([], "A has not answered yet.")
    assert len(other.models) == 1
    assert silent.asked == 1


async def test_a_list_is_served_at_once_and_renewed_behind(service, clock):
    provider = ToldProvider("a", "old")
    registry = service(provider)
    assert await names(registry, "a") == ["a/old"]
    provider.models = [ListedModel("new", "New")]
    clock.move(seconds=60)
    assert await names(registry, "a") == ["a/old"]
    assert provider.asked == 1
    clock.move(seconds=1)
    assert await names(registry, "a") == ["a/old"], "the list that is there"
    await settled(registry)
    assert await names(registry, "a") == ["a/new"]
    assert provider.asked == 2


async def test_a_list_stays_when_its_provider_fails_later(service, clock):
    provider = ToldProvider("a", "m")
    registry = service(provider)
    await registry.list_providers(OWNER)
    provider.error = DOWN
    clock.move(seconds=61)
    await registry.list_providers(OWNER)
    await settled(registry)
    (listed,) = await registry.list_providers(OWNER)
    assert [model.name for model in listed.models] == ["a/m"]
    assert listed.error == "Nobody listens there."


async def test_one_renewal_at_a_time(service):
    provider = ToldProvider("a", "m")
    registry = service(provider)
    await asyncio.gather(*(registry.list_providers(OWNER) for _ in range(10)))
    assert provider.asked == 1


async def test_a_provider_that_was_down_is_asked_again_soon(service, clock):
    provider = ToldProvider("a", "m", error=DOWN)
    registry = service(provider)
    await registry.list_providers(OWNER)
    provider.error = None
    clock.move(seconds=5)
    await registry.list_providers(OWNER)
    assert provider.asked == 1
    clock.move(seconds=1)
    assert await names(registry, "a") == ["a/m"]


async def test_another_worker_finds_the_rows_and_adds_none(service, db):
    await service(ToldProvider("a", "m")).list_providers(OWNER)
    await service(ToldProvider("a", "m", "n")).list_providers(OWNER)
    async with db.read() as tx:
        rows = await tx.models.all()
    assert [row.name for row in rows] == ["a/m", "a/n"]
    assert all(row.listed_at is not None for row in rows)


async def test_a_profile_is_renewed_and_a_label_is_not(service, clock, db):
    provider = ToldProvider("a", "m")
    registry = service(provider)
    await registry.list_providers(OWNER)
    profile = ModelProfile(context_tokens=9, thinks=True)
    provider.models = [ListedModel("m", "Another name", profile)]
    clock.move(seconds=61)
    await registry.list_providers(OWNER)
    await settled(registry)
    async with db.read() as tx:
        (row,) = await tx.models.all()
    assert (row.label, row.profile) == ("M", profile)


async def test_what_cannot_be_stored_is_not_listed(service):
    provider = ToldProvider("a", "good", "", "nul\0", "line\nbreak", "x" * 301, "\ud800", "good")
    provider.models.append(ListedModel("odd label", "\0"))
    registry = service(provider)
    listed = await registry.list_models(OWNER, "a")
    assert [(model.name, model.label) for model in listed] == [
        ("a/good", "Good"),
        ("a/odd label", "odd label"),
    ]


async def test_an_inactive_model_is_not_on_offer(service, db, clock):
    registry = service(ToldProvider("a", "m", "n"))
    await registry.list_providers(OWNER)
    await deactivate(db, "a/m")
    clock.move(seconds=2)
    assert await names(registry, "a") == ["a/n"]
    assert await refused(registry, model="a/m") is ErrorKind.MODEL_NOT_FOUND
    assert await resolved(registry, conversation_model="a/m") == "a/n"
    begun = await registry.stored(SYSTEM, "a/m")
    assert begun.model.name == "a/m", "a run that has begun goes on"


async def test_new_models_can_be_hidden(service):
    registry = service(ToldProvider("a", "m"), new_models_hidden=True)
    assert await names(registry, "a") == []
    assert await refused(registry, model="a/m") is ErrorKind.MODEL_NOT_FOUND


async def test_a_model_that_was_added_by_hand_is_on_offer(service, db):
    async with db.transaction() as tx:
        await tx.models.put(
            "a", [ListedModel("extra", "Extra")], is_active=True, listed_at=None, at=1
        )
    registry = service(ToldProvider("a", "m"))
    assert await names(registry, "a") == ["a/m", "a/extra"]
    assert await resolved(registry, provider_id="a", model="extra") == "a/extra"


async def test_a_model_is_named_with_or_beside_its_provider(service):
    openrouter = ToldProvider("openrouter", "anthropic/claude")
    registry = service(openrouter, ToldProvider("demo", "demo"))
    await registry.list_providers(OWNER)
    wanted = "openrouter/anthropic/claude"
    assert await resolved(registry, model=wanted) == wanted
    assert await resolved(registry, provider_id="openrouter", model="anthropic/claude") == wanted
    assert await resolved(registry, model="demo") == "demo/demo"
    found = await registry.choose(OWNER, model=wanted)
    assert found.provider is openrouter
    assert openrouter.asked == 1


@pytest.mark.parametrize("model", ["nothing", "a/unknown", "b/m", "/", "a/", "A/m", "anthropic/m"])
async def test_what_nobody_serves_is_not_found(service, model):
    registry = service(ToldProvider("a", "m"), ToldProvider("b", "n"))
    assert await refused(registry, model=model) is ErrorKind.MODEL_NOT_FOUND


async def test_an_unknown_provider_is_said_to_be_unknown(service):
    registry = service(ToldProvider("a", "m"))
    for choice in ({"provider_id": "x"}, {"provider_id": "x", "model": "m"}):
        assert await refused(registry, **choice) is ErrorKind.PROVIDER_NOT_FOUND
    with pytest.raises(DomainError) as error:
        await registry.stored(SYSTEM, "x/m")
    assert error.value.kind is ErrorKind.PROVIDER_NOT_FOUND
    for ask in (registry.list_models, registry.check):
        with pytest.raises(DomainError) as error:
            await ask(OWNER, "x")
        assert error.value.kind is ErrorKind.NOT_FOUND, "its name stands in the path"


async def test_without_a_name_it_is_the_conversations_then_the_default_then_the_first(service):
    providers = (ToldProvider("demo", "demo"), ToldProvider("a", "m", "n"))
    registry = service(*providers, default_model="a/n")
    assert await resolved(registry) == "a/n"
    assert await resolved(registry, conversation_model="a/m") == "a/m"
    assert await resolved(registry, conversation_model="gone/m") == "a/n"
    assert await resolved(registry, provider_id="demo", conversation_model="a/m") == "demo/demo"
    assert await resolved(registry, provider_id="a") == "a/n"
    assert await resolved(service(*providers)) == "a/m", "the demo's comes last"


@pytest.mark.usefixtures("little_patience")
async def test_the_first_that_answers_with_a_model_for_text_is_taken(service):
    painter = ToldProvider("c", "paint")
    painter.models = [ListedModel("paint", "Paint", ModelProfile(type=ModelType.IMAGE))]
    registry = service(
        ToldProvider("a", error=DOWN),
        ToldProvider("b", is_silent=True),
        painter,
        ToldProvider("d", "m"),
        ToldProvider("demo", "demo"),
    )
    assert await resolved(registry) == "d/m"


async def test_without_any_provider_the_demo_answers_and_without_it_nobody(service):
    demo = ToldProvider("demo", "demo")
    assert await resolved(service(ToldProvider("a", error=DOWN), demo)) == "demo/demo"
    assert await refused(service()) is ErrorKind.MODEL_NOT_FOUND


async def test_a_default_that_is_wrong_is_not_passed_over(service):
    registry = service(ToldProvider("a", "m"), default_model="a/typo")
    assert await refused(registry) is ErrorKind.MODEL_NOT_FOUND
    registry = service(ToldProvider("b", error=DOWN), default_model="b/m")
    assert await refused(registry) is ErrorKind.PROVIDER_UNREACHABLE


async def test_what_is_known_is_resolved_without_asking_anybody(service, db, clock):
    await service(ToldProvider("a", "m")).list_providers(OWNER)
    provider = ToldProvider("a", error=DOWN)
    registry = service(provider)
    for _ in range(3):
        assert await resolved(registry, model="a/m") == "a/m"
        clock.move(seconds=100)
    assert provider.asked == 0


async def test_a_model_that_has_just_been_loaded_is_found(service, clock):
    provider = ToldProvider("a", "m")
    registry = service(provider)
    await registry.list_providers(OWNER)
    provider.models.append(ListedModel("fresh", "Fresh"))
    assert await refused(registry, model="a/fresh") is ErrorKind.MODEL_NOT_FOUND, "asked just now"
    clock.move(seconds=3)
    assert await resolved(registry, model="a/fresh") == "a/fresh"


async def test_a_provider_that_cannot_list_is_taken_at_the_callers_word(service):
    registry = service(ToldProvider("a", error=CANNOT_LIST))
    found = await registry.choose(OWNER, model="a/anything")
    assert (found.model.name, found.model.upstream_name, found.model.id) == (
        "a/anything",
        "anything",
        0,
    )
    hidden = service(ToldProvider("a", error=CANNOT_LIST), new_models_hidden=True)
    assert await refused(hidden, model="a/anything") is ErrorKind.MODEL_NOT_FOUND


@pytest.mark.usefixtures("little_patience")
async def test_a_provider_that_does_not_answer_is_what_failed(service):
    registry = service(ToldProvider("a", error=DOWN), ToldProvider("b", is_silent=True))
    assert await refused(registry, model="a/m") is ErrorKind.PROVIDER_UNREACHABLE
    assert await refused(registry, provider_id="a") is ErrorKind.PROVIDER_UNREACHABLE
    assert await refused(registry, model="b/m") is ErrorKind.PROVIDER_TIMEOUT
    with pytest.raises(ProviderError):
        await registry.list_models(OWNER, "a")


@pytest.mark.usefixtures("little_patience")
async def test_a_check_asks_now(service):
    provider = ToldProvider("a", "m", "n")
    registry = service(provider, ToldProvider("b", error=DOWN), ToldProvider("c", is_silent=True))
    assert await registry.check(OWNER, "a") == ProviderHealth(ok=True, detail="2 models listed.")
    provider.models.pop()
    assert await registry.check(OWNER, "a") == ProviderHealth(ok=True, detail="1 model listed.")
    assert provider.asked == 2
    assert (await registry.check(OWNER, "b")).detail == "Nobody listens there."
    assert not (await registry.check(OWNER, "c")).ok


async def test_what_others_write_is_seen_after_a_second(service, db, clock):
    registry = service(ToldProvider("a", "m"))
    await registry.list_providers(OWNER)
    await deactivate(db, "a/m")
    assert await resolved(registry, model="a/m") == "a/m"
    clock.move(seconds=1, microseconds=1)
    assert await refused(registry, model="a/m") is ErrorKind.MODEL_NOT_FOUND


async def test_warming_up_waits_for_nobody(service):
    silent, quick = ToldProvider("a", is_silent=True), ToldProvider("b", "m")
    registry = service(silent, quick)
    await registry.warm(SYSTEM)
    await asyncio.sleep(0)
    assert (silent.asked, quick.asked) == (1, 1)
    with pytest.raises(DomainError):
        await registry.warm(OWNER)


async def test_an_adapter_with_a_bug_spoils_nothing_else(service, caplog):
    broken = ToldProvider("a")
    broken.models = None  # what a bug may return
    listed, other = await service(broken, ToldProvider("b", "m")).list_providers(OWNER)
    assert (list(listed.models), listed.error) == ([], "A could not be asked.")
    assert len(other.models) == 1
    assert "cannot be listed" in caplog.text


def test_a_profile_survives_its_row():
    profile = ModelProfile(context_tokens=1, sees=True, type=ModelType.IMAGE)
    assert msgspec.json.decode(msgspec.json.encode(profile), type=ModelProfile) == profile


async def close(db: Database, *names: str) -> None:
    """Let these models be for the plans that hold them alone."""
    statement = Statement("update models set open_to_all = 0 where name = :name")
    async with db.transaction() as tx:
        await tx._connection.many(statement, [{"name": name} for name in names])


async def hold(db: Database, *names: str) -> None:
    """Let the default plan hold these models."""
    async with db.transaction() as tx:
        every = {model.name: model.id for model in await tx.models.all()}
        await tx.plans.link_models(1, [every[name] for name in names])


@pytest.fixture
async def person(db) -> Actor:
    return (await a_cast(db)).owner


async def test_what_is_not_open_is_for_the_plans_that_hold_it(service, db, clock, person):
    registry = service(ToldProvider("a", "m", "n"))
    await registry.list_providers(person)
    await close(db, "a/m")
    clock.move(seconds=2)

    async def offered(actor: Actor) -> list[list[str]]:
        (listed,) = await registry.list_providers(actor)
        lists = (
            listed.models,
            await registry.list_models(actor, "a"),
            await registry.list_visible(actor),
        )
        return [[model.name for model in each] for each in lists]

    assert await offered(person) == [["a/n"]] * 3
    assert await offered(SYSTEM) == [["a/m", "a/n"]] * 3
    for choice in ({"model": "a/m"}, {"conversation_model": "a/m"}):
        with pytest.raises(DomainError) as error:
            await registry.choose(person, **choice)
        assert error.value.kind is ErrorKind.NOT_IN_PLAN
    assert (await registry.choose(person)).model.name == "a/n"
    assert (await registry.stored(SYSTEM, "a/m")).model.name == "a/m"
    await hold(db, "a/m")
    assert await offered(person) == [["a/m", "a/n"]] * 3
    assert (await registry.choose(person, model="a/m")).model.name == "a/m"


async def test_a_default_that_the_plan_does_not_hold_is_passed_over(service, db, clock, person):
    registry = service(ToldProvider("a", "m", "n"), default_model="a/m")
    await registry.list_providers(person)
    await close(db, "a/m")
    clock.move(seconds=2)
    assert (await registry.choose(person)).model.name == "a/n"
    await close(db, "a/n")
    clock.move(seconds=2)
    with pytest.raises(DomainError) as error:
        await registry.choose(person)
    assert error.value.kind is ErrorKind.NOT_IN_PLAN


async def test_an_open_model_costs_no_look_at_the_plan(service, db, clock, person):
    registry = service(ToldProvider("a", "m", "n"))
    await registry.list_providers(person)
    await close(db, "a/n")
    clock.move(seconds=2)
    await registry.registry.rows()
    registry.db = None  # what is asked of it now fails
    assert (await registry.choose(person, model="a/m")).model.name == "a/m"


async def test_conversations_show_a_model_whatever_has_become_of_it(service, db, clock, person):
    registry = service(ToldProvider("a", "m", "n"), default_model="a/n")
    await registry.list_providers(person)
    await deactivate(db, "a/m")
    clock.move(seconds=2)
    described = await registry.describe(person, ["a/m", None, "gone/x"])
    assert {name: model.name for name, model in described.items()} == {
        "a/m": "a/m",
        None: "a/n",
        "gone/x": "gone/x",
    }
    assert (described["a/m"].is_active, described["gone/x"].id) == (0, 0)
    nobody = service(ToldProvider("b", error=DOWN))
    assert (await nobody.describe(person, [None]))[None].name == "demo/demo"


async def test_an_administrators_word_on_the_type_counts(service, db, clock, person):
    registry = service(ToldProvider("a", "m", "n"))
    await registry.list_providers(person)
    async with db.transaction() as tx:
        (first, _) = await tx.models.all()
        await tx.models.save(msgspec.structs.replace(first, type=ModelType.IMAGE))
    clock.move(seconds=2)
    assert (await registry.choose(person)).model.name == "a/n"


async def test_what_nobody_answers_for_is_still_visible(service, clock, person):
    provider = ToldProvider("a", "m")
    await service(provider).list_providers(person)
    elsewhere = service(ToldProvider("a", error=DOWN))
    assert [model.name for model in await elsewhere.list_visible(person)] == ["a/m"]


async def test_what_an_administrator_changes_counts_at_once(service, db, clock):
    registry = service(ToldProvider("a", "m", "n"))
    await registry.list_providers(OWNER)
    keeper = RegistryService(db, registry.registry, provider_ids=["a"], clock=clock)
    (first, _) = (await keeper.list(SYSTEM)).items
    await keeper.update(SYSTEM, first.id, ModelChange(is_active=False, label="Mine"))
    assert await names(registry, "a") == ["a/n"]
    added = await keeper.create(SYSTEM, "a/extra", ModelChange(multiplier="1.5"))
    assert added.multiplier_percent == 150
    assert await names(registry, "a") == ["a/n", "a/extra"]
    await keeper.delete(SYSTEM, added.id)
    assert await names(registry, "a") == ["a/n"]


async def test_a_model_that_was_added_and_is_then_listed_keeps_what_was_said(service, db, clock):
    provider = ToldProvider("a", "m")
    registry = service(provider)
    keeper = RegistryService(db, registry.registry, provider_ids=["a"], clock=clock)
    change = ModelChange(label="Ours", is_free=True, prompt_price_usd="2")
    added = await keeper.create(SYSTEM, "a/m", change)
    await registry.list_providers(OWNER)
    kept = await keeper.get(SYSTEM, "a/m")
    assert kept == msgspec.structs.replace(added, profile=kept.profile, listed_at=kept.listed_at)
    assert kept.listed_at is not None
