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

_PAGE: Final = Statement(
    f"select {_COLUMNS} from models where id > :after order by id limit :limit", _model
)
_LOCK: Final = Statement(f"select {_COLUMNS} from models where id = :id {{for_update}}", _model)
_GET: Final = Statement(f"select {_COLUMNS} from models where id = :id", _model)
_FIND: Final = Statement(f"select {_COLUMNS} from models where name = :name", _model)
_IDS: Final = Statement("select id from models", int)
_GIVEN: Final = (
    "label",
    "description",
    "type",
    "is_active",
    "is_free",
    "multiplier_percent",
    "open_to_all",
    "prompt_price",
    "completion_price",
)
_INSERT: Final = Statement(
    f"""insert into models (name, provider_id, profile, created_at, {", ".join(_GIVEN)})
    values (:name, :provider_id, :profile, :created_at, {", ".join(f":{n}" for n in _GIVEN)})
    on conflict (name) do nothing returning {_COLUMNS}""",
    _model,
)
_SAVE: Final[Statement[None]] = Statement(
    f"update models set {', '.join(f'{name} = :{name}' for name in _GIVEN)} where id = :id"
)
_DELETE: Final[Statement[None]] = Statement("delete from models where id = :id")


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

    async def page(self, *, after: int, limit: int) -> list[Model]:
        """Return models with ids above `after`, oldest first."""
        return await self._connection.all(_PAGE, after=after, limit=limit)

    async def get(self, id: int) -> Model | None:
        """Return a model."""
        return await self._connection.one(_GET, id=id)

    async def lock(self, id: int) -> Model | None:
        """Return a model, and hold its row until the end."""
        return await self._connection.one(_LOCK, id=id)

    async def find(self, name: str) -> Model | None:
        """Return the model of this whole name."""
        return await self._connection.one(_FIND, name=name)

    async def ids(self) -> frozenset[int]:
        """Return the ids of all models."""
        return frozenset(await self._connection.all(_IDS))

    async def insert(self, model: Model) -> Model | None:
        """Store a new model, under an id of its own; None when there is one of its name."""
        return await self._connection.one(
            _INSERT,
            name=model.name,
            provider_id=model.provider_id,
            profile=msgspec.json.encode(model.profile).decode(),
            created_at=model.created_at,
            **_given(model),
        )

    async def save(self, model: Model) -> None:
        """Write what an administrator says of a model; what its provider says stays."""
        await self._connection.run(_SAVE, id=model.id, **_given(model))

    async def delete(self, id: int) -> None:
        """Remove a model, also from the plans that hold it."""
        await self._connection.run(_DELETE, id=id)


def _given(model: Model) -> dict[str, Any]:
    given = {name: getattr(model, name) for name in _GIVEN}
    return given | {"type": None if model.type is None else model.type.value}
