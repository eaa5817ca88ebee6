"""The stage of the chaos: a provider, a database, and the houses on them, none of them open yet."""

import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from tests.chaos.evidence import PostgreSQLWitness, SQLiteWitness, Witness
from tests.chaos.processes import House, a_postgresql, a_provider


@contextlib.asynccontextmanager
async def a_stage(
    folder: Path,
    *,
    engine: str,
    processes: int = 1,
    control: str | None = None,
    settings: Mapping[str, str] | None = None,
) -> AsyncIterator[tuple[list[House], Witness]]:
    """Give the houses, and who looks into their database; `control` is a fault put into them."""
    async with contextlib.AsyncExitStack() as stack:
        port = await stack.enter_async_context(a_provider(folder))
        url = stack.enter_context(a_postgresql()) if engine == "postgresql" else None
        module = "palaver" if control is None else f"tests.chaos.control {control}"
        houses = [
            House(
                folder / f"house{n}",
                provider_port=port,
                database_url=url,
                module=module,
                more=dict(settings or {}),
            )
            for n in range(processes)
        ]
        for house in houses:
            stack.push_async_callback(house.kill)
        witness: Witness = (
            PostgreSQLWitness(url) if url else SQLiteWitness(houses[0].folder / "palaver.db")
        )
        stack.push_async_callback(witness.close)
        yield houses, witness
