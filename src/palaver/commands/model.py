"""`palaver model list|show|add|edit`."""

import argparse

from palaver.commands.database import database
from palaver.commands.lists import every
from palaver.commands.plan import given, nothing_given, show
from palaver.config import load
from palaver.dialects.native import catalogue_wire
from palaver.domain.errors import DomainError, ErrorKind, NotFound
from palaver.domain.models import Model
from palaver.domain.users import SYSTEM
from palaver.kit.clock import system_clock
from palaver.services.registry import Registry, RegistryService


async def model(arguments: argparse.Namespace) -> int:
    """Run the verb on the database of the settings, beside a server that may be running."""
    settings = load()
    async with database(settings) as db:
        ids = [provider.id for provider in settings.providers]
        registry = RegistryService(db, Registry(db, clock=system_clock), provider_ids=ids)
        match arguments.verb:
            case "list":
                await _list(registry, arguments.word)
            case "show":
                show(catalogue_wire.Model.of(await _find(registry, arguments.model)))
            case "add":
                said = catalogue_wire.ModelUpdate(**given(arguments, catalogue_wire.ModelUpdate))
                made = await registry.create(SYSTEM, arguments.model_id, said.change)
                print(f"Added the model {made.name}, id {made.id}.")
            case _:
                await _edit(registry, arguments)
    return 0


async def _list(registry: RegistryService, word: str) -> None:
    print(f"{'id':>6}  {'status':<8}  {'for':<5}  {'times':>7}  {'prompt':>9}  {'answer':>9}  name")
    async for found in every(registry.list):
        if word.casefold() in found.name.casefold():
            _print(catalogue_wire.Model.of(found))


def _print(shape: catalogue_wire.Model) -> None:
    status = "inactive" if not shape.is_active else "free" if shape.is_free else "active"
    whom = "all" if shape.open_to_all else "plans"
    prompt = shape.price_per_million_prompt_usd or "-"
    answer = shape.price_per_million_completion_usd or "-"
    print(
        f"{shape.id:>6}  {status:<8}  {whom:<5}  {shape.token_cost_multiplier:>7}  "
        f"{prompt:>9}  {answer:>9}  {shape.model_id}"
    )


async def _edit(registry: RegistryService, arguments: argparse.Namespace) -> None:
    found = await _find(registry, arguments.model)
    fields = given(arguments, catalogue_wire.ModelUpdate)
    if not fields:
        raise nothing_given("palaver model edit")
    await registry.update(SYSTEM, found.id, catalogue_wire.ModelUpdate(**fields).change)
    print(f"Changed the model {found.name}: {', '.join(fields)}.")


async def _find(registry: RegistryService, key: str) -> Model:
    try:
        return await registry.get(SYSTEM, int(key) if key.isascii() and key.isdigit() else key)
    except NotFound:
        message = f"There is no model {key}; `palaver model list` shows those that there are."
        raise DomainError(message, kind=ErrorKind.NOT_FOUND) from None
