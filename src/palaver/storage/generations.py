"""Generations in the database. Every `where` names the old state: no row = another was first."""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from palaver.domain.generations import (
    Generation,
    GenerationState,
    Options,
    Recipe,
    Run,
    ShownRun,
)
from palaver.domain.usage import Terms
from palaver.storage.connection import Connection
from palaver.storage.notices import tell_of_runs
from palaver.storage.statements import Statement

_COLUMNS: Final = """id, uuid, owner_id, conversation_id, message_id, answer_id, model, state,
    worker, attempt, cancel_requested_at, options, recipe, terms, outline, created_at,
    finished_at"""

_options = msgspec.json.Decoder(Options)
_recipe = msgspec.json.Decoder(Recipe)
_terms = msgspec.json.Decoder(Terms)


def _generation(*columns: object) -> Generation:
    row: list[Any] = list(columns)
    row[7] = GenerationState(row[7])
    row[11] = _options.decode(row[11])
    row[12] = _recipe.decode(row[12])
    row[13] = _terms.decode(row[13])
    return Generation(*row)


def _run(uuid: str, state: str, *columns: Any) -> Run:
    return Run(uuid, GenerationState(state), *columns)


def _shown_run(uuid: str, state: str, *columns: Any) -> ShownRun:
    return ShownRun(uuid, GenerationState(state), *columns)


def _ids(conversation_id: int, id: int) -> tuple[int, int]:
    return conversation_id, id


def _pair(id: int, worker: int | None) -> tuple[int, int | None]:
    return id, worker


_START: Final = Statement(
    f"""insert into generations (uuid, owner_id, conversation_id, message_id, answer_id, model,
        state, worker, attempt, options, recipe, terms, created_at)
    values (:uuid, :owner_id, :conversation_id, :message_id, :answer_id, :model,
        :state, :worker, :attempt, :options, :recipe, :terms, :at)
    returning {_COLUMNS}""",
    _generation,
)
_GET: Final = Statement(f"select {_COLUMNS} from generations where id = :id", _generation)
_FIND: Final = Statement(
    f"select {_COLUMNS} from generations where uuid = :uuid and owner_id = :owner_id", _generation
)
_NEWEST_OF_MESSAGE: Final = Statement(
    f"""select {_COLUMNS} from generations where message_id = :message_id
    order by id desc limit 1""",
    _generation,
)
_OF_ANSWER: Final = Statement(
    f"""select {_COLUMNS} from generations where answer_id = :answer_id
    order by id desc limit 1""",
    _generation,
)
_RUNS: Final = Statement(
    """select uuid, state, message_id, answer_id, outline from generations
    where message_id {in_numbers ids} or answer_id {in_numbers ids} order by id""",
    _run,
)
_SHOWN: Final = Statement(
    """select g.uuid, g.state, c.uuid, q.uuid, a.uuid, g.model, g.outline, g.created_at,
        g.finished_at
    from generations g
        join conversations c on c.id = g.conversation_id
        join messages q on q.id = g.message_id
        join messages a on a.id = g.answer_id
    where g.uuid = :uuid and g.owner_id = :owner_id and c.deleted_at is null""",
    _shown_run,
)
_NEWEST_OF_CONVERSATION: Final = Statement(
    f"""select {_COLUMNS} from generations where conversation_id = :conversation_id
    order by id desc limit 1""",
    _generation,
)
_NEWEST_ENDED: Final = Statement(
    f"""select {_COLUMNS} from generations
    where conversation_id = :conversation_id and state not in ('queued', 'running')
    order by id desc limit 1""",
    _generation,
)
_NEWEST_OF_EACH_SQL: Final = """select conversation_id, max(id) from generations
    where conversation_id in {ids} group by conversation_id"""
_NEWEST_OF_EACH: Final = Statement(
    row=_ids,
    sqlite=_NEWEST_OF_EACH_SQL.replace("{ids}", "(select value from json_each(:ids))"),
    postgresql=_NEWEST_OF_EACH_SQL.replace(
        "{ids}", "(select value::bigint from json_array_elements_text(cast(:ids as json)))"
    ),
)
_LIVE_OF_CONVERSATION: Final = Statement(
    f"""select {_COLUMNS} from generations
    where conversation_id = :conversation_id and state in ('queued', 'running') order by id""",
    _generation,
)
_REQUEST_CANCEL: Final = Statement(
    """update generations set cancel_requested_at = coalesce(cancel_requested_at, :at)
    where id = :id and state in ('queued', 'running') returning id, worker""",
    _pair,
)
_FINISH: Final = Statement(
    """update generations set state = :state, worker = null, outline = :outline, finished_at = :at
    where id = :id and worker = :worker and attempt = :attempt and state = 'running'
    returning id, worker""",
    _pair,
)
_JSON: Final = msgspec.json.Encoder()


class GenerationStore:
    """`generations`: a record per run; `(worker, attempt)` fences whoever lost it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def start(
        self,
        *,
        uuid: str,
        owner_id: int,
        conversation_id: int,
        message_id: int,
        answer_id: int,
        model: str,
        worker: int | None,
        options: Options,
        recipe: Recipe,
        terms: Terms,
        at: int,
    ) -> Generation:
        """Insert a running generation, a queued one without a worker.

        A second live one of the same message breaks a unique index.
        """
        row = await self._connection.one(
            _START,
            uuid=uuid,
            owner_id=owner_id,
            conversation_id=conversation_id,
            message_id=message_id,
            answer_id=answer_id,
            model=model,
            state="queued" if worker is None else "running",
            worker=worker,
            attempt=0 if worker is None else 1,
            options=_JSON.encode(options).decode(),
            recipe=_JSON.encode(recipe).decode(),
            terms=_JSON.encode(terms).decode(),
            at=at,
        )
        assert row is not None  # noqa: S101  # an insert returns its row
        if worker is None:
            await tell_of_runs(self._connection)
        return row

    async def get(self, id: int) -> Generation | None:
        """Return a generation whose owner has been checked already."""
        return await self._connection.one(_GET, id=id)

    async def find(self, uuid: str, *, owner_id: int) -> Generation | None:
        """Return the owner's generation with this uuid."""
        return await self._connection.one(_FIND, uuid=uuid, owner_id=owner_id)

    async def shown(self, uuid: str, *, owner_id: int) -> ShownRun | None:
        """Return the owner's run, unless its conversation was deleted."""
        return await self._connection.one(_SHOWN, uuid=uuid, owner_id=owner_id)

    async def of_messages(self, ids: Iterable[int]) -> list[Run]:
        """Return the runs that answer messages, or have written them, oldest first."""
        return await self._connection.all(_RUNS, ids=_JSON.encode(list(ids)).decode())

    async def of_answer(self, answer_id: int) -> Generation | None:
        """Return the run that wrote an answer; one that was told has none."""
        return await self._connection.one(_OF_ANSWER, answer_id=answer_id)

    async def newest_of_message(self, message_id: int) -> Generation | None:
        """Return the latest run that answers a message."""
        return await self._connection.one(_NEWEST_OF_MESSAGE, message_id=message_id)

    async def newest_of_conversation(self, conversation_id: int) -> Generation | None:
        """Return the latest run of a conversation."""
        return await self._connection.one(_NEWEST_OF_CONVERSATION, conversation_id=conversation_id)

    async def newest_ended_of_conversation(self, conversation_id: int) -> Generation | None:
        """Return the latest run of a conversation that is over."""
        return await self._connection.one(_NEWEST_ENDED, conversation_id=conversation_id)

    async def newest_of_each(self, conversation_ids: Iterable[int]) -> list[tuple[int, int]]:
        """Return the ids of conversations that have runs, each with the id of its latest one."""
        ids = _JSON.encode(list(conversation_ids)).decode()
        return await self._connection.all(_NEWEST_OF_EACH, ids=ids)

    async def live_of_conversation(self, conversation_id: int) -> list[Generation]:
        """Return the runs of a conversation that are not over."""
        return await self._connection.all(_LIVE_OF_CONVERSATION, conversation_id=conversation_id)

    async def request_cancel(self, id: int, *, at: int) -> bool:
        """Ask whoever runs a live generation to stop it; False if it is over."""
        if await self._connection.one(_REQUEST_CANCEL, id=id, at=at) is None:
            return False
        await tell_of_runs(self._connection)
        return True

    async def finish(
        self,
        id: int,
        *,
        worker: int,
        attempt: int,
        state: GenerationState,
        outline: str,
        at: int,
    ) -> bool:
        """Bring a run to its final state; False if it is no longer this attempt's."""
        row = await self._connection.one(
            _FINISH,
            id=id,
            worker=worker,
            attempt=attempt,
            state=state.value,
            outline=outline,
            at=at,
        )
        return row is not None
