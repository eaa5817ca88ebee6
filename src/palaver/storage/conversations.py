"""Conversations in the database. Every read names the owner: not yours is not there."""

from collections.abc import Sequence
from typing import Final

import msgspec

from palaver.domain.conversations import AutoTitle, Conversation
from palaver.domain.generations import Options
from palaver.storage.connection import Connection
from palaver.storage.statements import Statement


class Afterwards(msgspec.Struct, frozen=True, gc=False):
    """What is to happen after an answer: a title asked for, memories taken from its question."""

    wants_title: int = 0
    wants_memories: int = 0


class Manner(msgspec.Struct, frozen=True, gc=False):
    """How a conversation's answers are made where a request does not say."""

    options: Options = Options()  # flags alone
    makes_pictures: bool = False  # its chatbot does


_parse_options: Final = msgspec.json.Decoder(Options).decode


def _manner(options: str | None, chatbot_type: str | None) -> Manner:
    return Manner(_parse_options(options) if options else Options(), chatbot_type == "image")


_COLUMNS: Final = (
    "id, uuid, owner_id, title, system_prompt, active_message_id, model, created_at, updated_at, "
    "chatbot_id, asked_model, metadata, archived_at, auto_titled"
)
_MINE: Final = "owner_id = :owner_id and deleted_at is null"

_CREATE: Final = Statement(
    f"""insert into conversations
        (uuid, owner_id, title, title_key, system_prompt, model, chatbot_id, asked_model, metadata,
        auto_titled, created_at, updated_at)
    values (:uuid, :owner_id, :title, :title_key, :system_prompt, :model, :chatbot_id,
        :asked_model, :metadata, :auto_titled, :at, :at)
    on conflict (uuid) do nothing returning {_COLUMNS}""",
    Conversation,
)
_GET: Final = Statement(
    f"select {_COLUMNS} from conversations where id = :key and {_MINE}", Conversation
)
_GET_BY_UUID: Final = Statement(
    f"select {_COLUMNS} from conversations where uuid = :key and {_MINE}", Conversation
)
_LOCK: Final = Statement(
    f"select {_COLUMNS} from conversations where id = :key and {_MINE} {{for_update}}", Conversation
)
_LOCK_BY_UUID: Final = Statement(
    f"select {_COLUMNS} from conversations where uuid = :key and {_MINE} {{for_update}}",
    Conversation,
)
_LIST: Final = Statement(
    f"""select {_COLUMNS} from conversations where {_MINE}
    order by updated_at desc, id desc limit :limit offset :offset""",
    Conversation,
)
_LIST_UNARCHIVED: Final = Statement(
    f"""select {_COLUMNS} from conversations where {_MINE} and archived_at is null
    order by updated_at desc, id desc limit :limit offset :offset""",
    Conversation,
)
_AFTER: Final = "(updated_at, id) < (cast(:updated_at as bigint), cast(:after_id as bigint))"
_STRETCHES: Final = {
    is_archived: Statement(
        f"""select {_COLUMNS} from conversations where {_MINE} {condition} and {_AFTER}
        order by updated_at desc, id desc limit :limit""",
        Conversation,
    )
    for is_archived, condition in (
        (None, ""),
        (False, "and archived_at is null"),
        (True, "and archived_at is not null"),
    )
}
_COUNT: Final = Statement(f"select count(*) from conversations where {_MINE}", int)
_LIST_BEFORE: Final = Statement(
    f"""select {_COLUMNS} from conversations where {_MINE} and (updated_at, id) <
        (select updated_at, id from conversations where id = :before and owner_id = :owner_id)
    order by updated_at desc, id desc limit :limit""",
    Conversation,
)
_TITLE_HOLDS: Final = """(
    title_key like :pattern escape '!' or (title_key is null and :default_matches = 1))"""
_FILTER: Final = Statement(
    f"""select {_COLUMNS} from conversations where {_MINE} and {_TITLE_HOLDS}
    order by updated_at desc, id desc limit :limit""",
    Conversation,
)
_FILTER_BEFORE: Final = Statement(
    f"""select {_COLUMNS} from conversations where {_MINE} and {_TITLE_HOLDS}
        and (updated_at, id) < (select updated_at, id from conversations
            where id = :before and owner_id = :owner_id)
    order by updated_at desc, id desc limit :limit""",
    Conversation,
)
_RENAME: Final[Statement[None]] = Statement(
    """update conversations set title = :title, title_key = :title_key, updated_at = :at
    where id = :id"""
)
_MOVE_LEAF: Final[Statement[None]] = Statement(
    """update conversations set active_message_id = :leaf_id, updated_at = :at,
        asked_model = case when model is null then :asked_model else asked_model end,
        model = coalesce(model, :model)
    where id = :id"""
)
_INSTRUCT: Final[Statement[None]] = Statement(
    "update conversations set system_prompt = :system_prompt where id = :id"
)
_SET: Final[Statement[None]] = Statement(
    """update conversations set
        chatbot_id = coalesce(:chatbot_id, chatbot_id),
        model = coalesce(:model, model),
        asked_model = case when cast(:model as text) is null then asked_model end,
        auto_titled = coalesce(:auto_titled, auto_titled),
        updated_at = :at
    where id = :id"""
)
_ASK_TITLE: Final = Statement(
    f"""update conversations set auto_titled = 2
    where id = :id and title is null and deleted_at is null
        and auto_titled in (1, cast(:again as bigint))
    returning {_COLUMNS}""",
    Conversation,
)
_ENTITLE: Final = Statement(
    """update conversations set title = :title, title_key = :title_key, updated_at = :at
    where id = :id and title is null and deleted_at is null returning owner_id""",
    int,
)
_ARCHIVE: Final[Statement[None]] = Statement(
    "update conversations set archived_at = :archived_at, updated_at = :at where id = :id"
)
_MANNER: Final = Statement(
    """select options, case when chatbot_id is null then null else (
        select chatbot_type from chatbots where chatbots.id = conversations.chatbot_id) end
    from conversations where id = :id and (options is not null or chatbot_id is not null)""",
    _manner,
)
_SET_OPTIONS: Final[Statement[None]] = Statement(
    "update conversations set options = :options where id = :id"
)
_FINISH: Final = Statement(
    """update conversations set updated_at = :at where id = :id returning
        case when title is null and auto_titled = 1 and deleted_at is null then 1 else 0 end,
        case when deleted_at is null then (
            select extracts_memories from users where users.id = conversations.owner_id)
        else 0 end""",
    Afterwards,
)
_DELETE: Final[Statement[None]] = Statement(
    "update conversations set deleted_at = :at where id = :id"
)


class ConversationStore:
    """`conversations`: one row each, the title folded beside it for comparison."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def create(
        self,
        *,
        uuid: str,
        owner_id: int,
        title: str | None,
        title_key: str | None,
        system_prompt: str | None,
        model: str | None,
        at: int,
        chatbot_id: int | None = None,
        asked_model: str | None = None,
        metadata: str | None = None,
        auto_titled: bool = False,
    ) -> Conversation | None:
        """Insert a conversation without messages; None where there is one with this uuid."""
        return await self._connection.one(
            _CREATE,
            uuid=uuid,
            owner_id=owner_id,
            title=title,
            title_key=title_key,
            system_prompt=system_prompt,
            model=model,
            chatbot_id=chatbot_id,
            asked_model=asked_model,
            metadata=metadata,
            auto_titled=int(auto_titled),
            at=at,
        )

    async def find(self, key: int | str, *, owner_id: int) -> Conversation | None:
        """Return the conversation with this integer id or uuid, if it is the owner's."""
        statement = _GET if isinstance(key, int) else _GET_BY_UUID
        return await self._connection.one(statement, key=key, owner_id=owner_id)

    async def lock(self, key: int | str, *, owner_id: int) -> Conversation | None:
        """Return it as `find` does, and keep others from changing its tree until the end."""
        statement = _LOCK if isinstance(key, int) else _LOCK_BY_UUID
        return await self._connection.one(statement, key=key, owner_id=owner_id)

    async def list(
        self, *, owner_id: int, limit: int, offset: int = 0, with_archived: bool = True
    ) -> Sequence[Conversation]:
        """Return the newest first, from `offset` on."""
        statement = _LIST if with_archived else _LIST_UNARCHIVED
        return await self._connection.all(statement, owner_id=owner_id, limit=limit, offset=offset)

    async def count(self, *, owner_id: int) -> int:
        """Return how many the owner has."""
        return await self._connection.one(_COUNT, owner_id=owner_id) or 0

    async def list_before(
        self, before: int, *, owner_id: int, limit: int
    ) -> Sequence[Conversation]:
        """Return those that follow the one with id `before`, newest first."""
        return await self._connection.all(
            _LIST_BEFORE, owner_id=owner_id, limit=limit, before=before
        )

    async def stretch(
        self, *, owner_id: int, is_archived: bool | None, after: tuple[int, int], limit: int
    ) -> Sequence[Conversation]:
        """Return the newest first, behind a change and an id; all, or those put away or not."""
        updated_at, after_id = after
        return await self._connection.all(
            _STRETCHES[is_archived],
            owner_id=owner_id,
            updated_at=updated_at,
            after_id=after_id,
            limit=limit,
        )

    async def filter(
        self,
        *,
        owner_id: int,
        title_key_holds: str,
        default_matches: bool,
        limit: int,
        before: int | None = None,
    ) -> Sequence[Conversation]:
        """Return those whose folded title holds a text; untitled ones where the default does."""
        escaped = title_key_holds.replace("!", "!!").replace("%", "!%").replace("_", "!_")
        values = {
            "owner_id": owner_id,
            "pattern": f"%{escaped}%",
            "default_matches": int(default_matches),
            "limit": limit,
        }
        if before is None:
            return await self._connection.all(_FILTER, **values)
        return await self._connection.all(_FILTER_BEFORE, before=before, **values)

    async def rename(self, id: int, *, title: str | None, title_key: str | None, at: int) -> None:
        """Set the title, or take it away."""
        await self._connection.run(_RENAME, id=id, title=title, title_key=title_key, at=at)

    async def move_leaf(
        self,
        id: int,
        *,
        leaf_id: int,
        model: str | None = None,
        asked_model: str | None = None,
        at: int,
    ) -> None:
        """Make a message the leaf of the active branch; the first model named stays."""
        await self._connection.run(
            _MOVE_LEAF, id=id, leaf_id=leaf_id, model=model, asked_model=asked_model, at=at
        )

    async def instruct(self, id: int, *, system_prompt: str) -> None:
        """Set what the model is told before everything else."""
        await self._connection.run(_INSTRUCT, id=id, system_prompt=system_prompt)

    async def set(
        self,
        id: int,
        *,
        chatbot_id: int | None,
        model: str | None,
        auto_titled: AutoTitle | None,
        at: int,
    ) -> None:
        """Change who answers, and whether the model gives it a title; None leaves that alone."""
        await self._connection.run(
            _SET, id=id, chatbot_id=chatbot_id, model=model, auto_titled=auto_titled, at=at
        )

    async def ask_title(self, id: int, *, is_again: bool) -> Conversation | None:
        """Note that the model is asked for a title, and return what it is for.

        None where there is a title, none is wanted, or it was asked already, unless `is_again`.
        """
        again = AutoTitle.ASKED if is_again else AutoTitle.WANTED
        return await self._connection.one(_ASK_TITLE, id=id, again=again.value)

    async def entitle(self, id: int, *, title: str, title_key: str, at: int) -> int | None:
        """Give it a title while it has none, and return its owner; None where it has one."""
        return await self._connection.one(_ENTITLE, id=id, title=title, title_key=title_key, at=at)

    async def archive(self, id: int, *, archived_at: int | None, at: int) -> None:
        """Put it away, or with None take it out again."""
        await self._connection.run(_ARCHIVE, id=id, archived_at=archived_at, at=at)

    async def manner(self, id: int) -> Manner:
        """Return how its answers are made where a request does not say."""
        return await self._connection.one(_MANNER, id=id) or Manner()

    async def set_options(self, id: int, options: Options) -> None:
        """Keep how its answers are made."""
        encoded = msgspec.json.encode(options).decode()
        await self._connection.run(_SET_OPTIONS, id=id, options=encoded)

    async def finish(self, id: int, *, at: int) -> Afterwards:
        """Bring it to the top of its owner's list for an answer, whoever owns it, deleted or not.

        Keeps others from changing its tree until the end; tells what is to happen then.
        """
        return await self._connection.one(_FINISH, id=id, at=at) or Afterwards()

    async def delete(self, id: int, *, at: int) -> None:
        """Hide it everywhere at once; a job removes the content."""
        await self._connection.run(_DELETE, id=id, at=at)
