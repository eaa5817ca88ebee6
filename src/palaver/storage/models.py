"""The registry in the database: a row per model that was ever listed, used or added."""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from palaver.domain.models import ListedModel, Model, ModelProfile, ModelType, model_name
from palaver.storage.connection import Connection
from palaver.storage.statements import Statement

_COLUMNS: Final = """id, name, label, profile, is_active, listed_at, created_at, description, type,
    is_free, multiplier_percent, open_to_all, prompt_price, completion_price"""

_profile: Final = msgspec.json.Decoder(ModelProfile).decode


def _model(
    id: int,
    name: str,
    label: str,
    profile: str,
    is_active: int,
    listed_at: int | None,
    created_at: int,
    description: str,
    type: str | None,
    *rest: Any,
) -> Model:
    known_as = None if type is None else ModelType(type)
    row = (id, name, label, _profile(profile), is_active, listed_at, created_at)
    return Model(*row, description, known_as, *rest)


_ALL: Final = Statement(f"select {_COLUMNS} from models order by id", _model)
# What people were shown as its name stays; what is known about a model does not.
_PUT: Final[Statement[None]] = Statement(
    """insert into models (name, provider_id, label, profile, is_active, listed_at, created_at)
    values (:name, :provider_id, :label, :profile, :is_active, :listed_at, :at)
    on conflict (name) do update set
        profile = excluded.profile, listed_at = coalesce(excluded.listed_at, models.listed_at)"""
)


class ModelStore:
    """`models`: the registry."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def all(self) -> list[Model]:
        """Return every row, oldest first."""
        return await self._connection.all(_ALL)

    async def put(
        self,
        provider_id: str,
        models: Iterable[ListedModel],
        *,
        is_active: bool,
        listed_at: int | None,
        at: int,
    ) -> None:
        """Add what is new, with `is_active`; of what is known renew the profile alone."""
        rows = [
            {
                "name": model_name(provider_id, model.name),
                "provider_id": provider_id,
                "label": model.label,
                "profile": msgspec.json.encode(model.profile).decode(),
                "is_active": int(is_active),
                "listed_at": listed_at,
                "at": at,
            }
            # Two workers that list at the same time lock the rows in one order.
            for model in sorted(models, key=lambda model: model.name)
        ]
        if rows:
            await self._connection.many(_PUT, rows)
