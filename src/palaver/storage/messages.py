"""Messages in the database: the tree, and the rows of its active branch marked as such.

A child's id is always above its parent's, so the active branch is one range of the partial index
`messages_active`, in order.
"""

from collections.abc import Sequence
from typing import Any, Final

from palaver.domain.conversations import Message, MessageRole
from palaver.domain.tokens import estimate_tokens
from palaver.storage.connection import Connection
from palaver.storage.statements import Statement

_COLUMNS: Final = """id, uuid, conversation_id, parent_id, role, text, text_tokens, model,
    prompt_tokens, completion_tokens, is_active, is_hidden, created_at, edited_at,
    asked_model, images"""
_BRANCH: Final = "conversation_id = :conversation_id and is_active = 1"
_SHOWN: Final = f"{_BRANCH} and is_hidden = 0 and deleted_at is null"


def _answer(id: int, citations: str | None) -> tuple[int, str | None]:
    return id, citations


_INSERT: Final = Statement(
    f"""insert into messages (uuid, conversation_id, owner_id, parent_id, role, text,
        text_tokens, model, asked_model, images, is_hidden, created_at, edited_at)
    values (:uuid, :conversation_id, :owner_id, :parent_id, :role, :text,
        :text_tokens, :model, :asked_model, :images, :is_hidden, :at, :edited_at)
    returning {_COLUMNS}""",
    Message,
)
_GET: Final = Statement(f"select {_COLUMNS} from messages where id = :id", Message)
_FIND: Final = Statement(
    f"select {_COLUMNS} from messages where uuid = :uuid and owner_id = :owner_id", Message
)
_BY_OFFSET: Final = Statement(
    f"select {_COLUMNS} from messages where {_SHOWN} order by id limit :limit offset :offset",
    Message,
)
_NEWEST: Final = Statement(
    f"select {_COLUMNS} from messages where {_SHOWN} order by id desc limit :limit", Message
)
_NEWEST_BEFORE: Final = Statement(
    f"""select {_COLUMNS} from messages where {_SHOWN} and id < :before
    order by id desc limit :limit""",
    Message,
)
_NEWEST_BEFORE_UUID: Final = Statement(
    f"""select {_COLUMNS} from messages where {_SHOWN} and id < (
        select id from messages where uuid = :before and conversation_id = :conversation_id)
    order by id desc limit :limit""",
    Message,
)
_NEXT: Final = Statement(
    f"""select {_COLUMNS} from messages where {_SHOWN} and id > :after
    order by id limit :limit""",
    Message,
)
_NEWEST_QUESTION: Final = Statement(
    f"""select {_COLUMNS} from messages where {_SHOWN} and role = 'user'
    order by id desc limit 1""",
    Message,
)
_LATER: Final = Statement(
    f"select uuid from messages where {_SHOWN} and id > :after_id order by id", str
)
_BETWEEN: Final = Statement(
    """select uuid from messages where conversation_id = :conversation_id and is_active = 0
        and is_hidden = 0 and deleted_at is null and id > :after_id and id < :before_id
    order by id""",
    str,
)
_RENUMBER: Final[Statement[None]] = Statement("update messages set uuid = :uuid where id = :id")
_LEAVE_BRANCH: Final[Statement[None]] = Statement(
    f"update messages set is_active = 0 where {_BRANCH} and id > :after_id"
)
_FINISH: Final[Statement[None]] = Statement(
    """update messages set text = :text, text_tokens = :text_tokens, reasoning = :reasoning,
        citations = :citations, images = :images, prompt_tokens = :prompt_tokens,
        completion_tokens = :completion_tokens, is_hidden = :is_hidden
    where id = :id"""
)
_ANSWER: Final = Statement(
    """select m.id, m.citations
    from messages m join conversations c on c.id = m.conversation_id
    where m.uuid = :uuid and m.owner_id = :owner_id and m.role = 'assistant'
        and m.is_hidden = 0 and m.deleted_at is null and c.deleted_at is null""",
    _answer,
)
_REASONING: Final = Statement("select reasoning from messages where id = :id", str)


class MessageStore:
    """`messages`: rows are added, hidden and shown, never rewritten."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def insert(
        self,
        *,
        uuid: str,
        conversation_id: int,
        owner_id: int,
        parent_id: int | None,
        role: MessageRole,
        text: str,
        at: int,
        model: str | None = None,
        asked_model: str | None = None,
        images: str | None = None,
        is_hidden: bool = False,
        edited_at: int | None = None,
    ) -> Message:
        """Add a message to the active branch, below `parent_id`."""
        row = await self._connection.one(
            _INSERT,
            uuid=uuid,
            conversation_id=conversation_id,
            owner_id=owner_id,
            parent_id=parent_id,
            role=role,
            text=text,
            text_tokens=estimate_tokens(text),
            model=model,
            asked_model=asked_model,
            images=images,
            edited_at=edited_at,
            is_hidden=int(is_hidden),
            at=at,
        )
        assert row is not None  # noqa: S101  # an insert returns its row
        return row

    async def get(self, id: int) -> Message | None:
        """Return a message whose owner has been checked already."""
        return await self._connection.one(_GET, id=id)

    async def find(self, uuid: str, *, owner_id: int) -> Message | None:
        """Return the owner's message with this uuid."""
        return await self._connection.one(_FIND, uuid=uuid, owner_id=owner_id)

    async def list(self, conversation_id: int, *, limit: int, offset: int = 0) -> Sequence[Message]:
        """Return the shown messages of the active branch from `offset` on, oldest first."""
        return await self._connection.all(
            _BY_OFFSET, conversation_id=conversation_id, limit=limit, offset=offset
        )

    async def newest(
        self, conversation_id: int, *, limit: int, before: int | str | None = None
    ) -> Sequence[Message]:
        """Return the newest shown messages of the active branch, oldest of them first.

        Those before an id or a uuid, if one is given.
        """
        place: dict[str, Any] = {"conversation_id": conversation_id, "limit": limit}
        if before is None:
            rows = await self._connection.all(_NEWEST, **place)
        else:
            statement = _NEWEST_BEFORE if isinstance(before, int) else _NEWEST_BEFORE_UUID
            rows = await self._connection.all(statement, before=before, **place)
        rows.reverse()
        return rows

    async def next(self, conversation_id: int, *, limit: int, after: int) -> Sequence[Message]:
        """Return the shown messages of the active branch that follow an id, oldest first."""
        return await self._connection.all(
            _NEXT, conversation_id=conversation_id, limit=limit, after=after
        )

    async def newest_question(self, conversation_id: int) -> Message | None:
        """Return the newest user message of the active branch."""
        return await self._connection.one(_NEWEST_QUESTION, conversation_id=conversation_id)

    async def later(self, conversation_id: int, *, after_id: int) -> Sequence[str]:
        """Return the uuids of what is shown below a message, oldest first."""
        return await self._connection.all(
            _LATER, conversation_id=conversation_id, after_id=after_id
        )

    async def between(
        self, conversation_id: int, *, after_id: int, before_id: int
    ) -> Sequence[str]:
        """Return the uuids of what left the branch between two messages, oldest first."""
        return await self._connection.all(
            _BETWEEN, conversation_id=conversation_id, after_id=after_id, before_id=before_id
        )

    async def renumber(self, id: int, *, uuid: str) -> None:
        """Give a message another uuid: its own goes to what takes its place."""
        await self._connection.run(_RENUMBER, id=id, uuid=uuid)

    async def leave_branch(self, conversation_id: int, *, after_id: int) -> None:
        """Take everything below a message off the active branch: a sibling comes in its place."""
        await self._connection.run(
            _LEAVE_BRANCH, conversation_id=conversation_id, after_id=after_id
        )

    async def finish(
        self,
        id: int,
        *,
        text: str,
        reasoning: str | None,
        citations: str | None,
        images: str | None,
        prompt_tokens: int | None,
        completion_tokens: int | None,
        is_hidden: bool,
    ) -> None:
        """Store an answer, and show it unless `is_hidden`."""
        await self._connection.run(
            _FINISH,
            id=id,
            text=text,
            text_tokens=estimate_tokens(text),
            reasoning=reasoning,
            citations=citations,
            images=images,
            prompt_tokens=prompt_tokens,
            completion_tokens=completion_tokens,
            is_hidden=int(is_hidden),
        )

    async def reasoning(self, id: int) -> str:
        """Return what the model thought before this answer, "" if nothing."""
        return await self._connection.one(_REASONING, id=id) or ""

    async def answer(self, uuid: str, *, owner_id: int) -> tuple[int, str | None] | None:
        """Return the id of the owner's shown answer, and what it cites, as JSON."""
        return await self._connection.one(_ANSWER, uuid=uuid, owner_id=owner_id)
