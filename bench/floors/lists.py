"""The floor of nested lists: the same queries by the bare driver, the same bytes, nothing else.

GET /sessions: 20 sessions with their newest exchanges, as `sessions` shows them;
GET /chat-sessions: 1,000 with their chatbot and model, as `subscriptions` shows them. On the
database that Palaver has filled.

Run: python -m bench.floors.lists PORT DATABASE_URL TALKER_ID LISTER_ID
"""

import asyncio
import json
import sys

import msgspec
import uvicorn

from palaver.kit.clock import iso_text  # the same bytes, by the cheapest way that we know

SHOWN = "{0}.is_active = 1 and {0}.is_hidden = 0 and {0}.deleted_at is null and {0}.role = '{1}'"
QUESTION, ANSWER = SHOWN.format("q", "user"), SHOWN.format("a", "assistant")
COUNT = "select count(*) from conversations where owner_id = ?1 and deleted_at is null"
CONVERSATIONS = """select id, uuid, title, created_at, updated_at, archived_at, auto_titled
    from conversations where owner_id = ?1 and deleted_at is null
    order by updated_at desc, id desc limit ?2"""
EXCHANGES = f"""with given (conversation_id, beginning) as materialized (
        select ids.id, coalesce((
            select q.id from messages q where q.conversation_id = ids.id and {QUESTION}
            order by q.id desc limit 1 offset 49), 0) from ({{ids}}) as ids)
    select q.id, q.conversation_id, q.text, a.text, q.created_at from given
    join messages q on q.conversation_id = given.conversation_id and q.id >= given.beginning
        and {QUESTION}
    left join messages a on a.parent_id = q.id and {ANSWER} order by q.id"""
IDS_SQLITE = "select value as id from json_each(?1)"
IDS_POSTGRESQL = "select value::bigint as id from json_array_elements_text(cast($1 as json))"
CHATBOTS = (
    "select id, name, description, image, is_active, system_prompt, chatbot_type from chatbots"
)
MODELS = """select id, label, name, description, is_active, is_free, multiplier_percent from models
    where name = 'demo/demo'"""


class Chat(msgspec.Struct, gc=False):
    id: int
    message: str
    response: str | None
    created_at: str


class Session(msgspec.Struct):
    id: str
    title: str
    created_at: str
    chats: list[Chat]
    last_message: Chat | None


class Page(msgspec.Struct):
    count: int
    next: None
    previous: None
    results: list[Session]


class ChatSession(msgspec.Struct, gc=False):
    id: int
    chatbot: msgspec.Raw
    ai_model: msgspec.Raw
    title: str
    auto_generate_title: bool
    created_at: str
    updated_at: str
    is_active: bool


encode = msgspec.json.Encoder().encode


class SQLiteRows:
    """Reads on the loop."""

    ids = IDS_SQLITE

    def __init__(self, url: str) -> None:
        import apsw

        self.reader = apsw.Connection(url, flags=apsw.SQLITE_OPEN_READONLY)

    async def __call__(self, sql, *values):
        return self.reader.execute(sql, values).fetchall()


class PostgreSQLRows:
    """A pool of bare connections."""

    ids = IDS_POSTGRESQL

    def __init__(self, url: str) -> None:
        self.url = url
        self.pool = None
        self.lock = asyncio.Lock()

    async def __call__(self, sql, *values):
        import asyncpg

        async with self.lock:  # the first requests come together
            if self.pool is None:
                self.pool = await asyncpg.create_pool(self.url, min_size=20, max_size=20)
        return await self.pool.fetch(sql.replace("?", "$"), *values)


class Floor:
    def __init__(self, url: str, talker: int, lister: int) -> None:
        self.rows = PostgreSQLRows(url) if url.startswith("postgresql:") else SQLiteRows(url)
        self.exchanges = EXCHANGES.format(ids=self.rows.ids)
        self.talker = talker
        self.lister = lister

    async def sessions(self):
        ((count,),) = await self.rows(COUNT, self.talker)
        conversations = await self.rows(CONVERSATIONS, self.talker, 20)
        chats: dict[int, list[Chat]] = {row[0]: [] for row in conversations}
        ids = json.dumps(list(chats))
        for id, conversation, message, response, at in await self.rows(self.exchanges, ids):
            chats[conversation].append(Chat(id, message, response, f"{iso_text(at)}Z"))
        sessions = [
            Session(uuid, title, f"{iso_text(created)}Z", chats[id], (chats[id] or [None])[-1])
            for id, uuid, title, created, *_ in conversations
        ]
        return Page(count, None, None, sessions)

    async def chat_sessions(self):
        conversations = await self.rows(CONVERSATIONS, self.lister, 1000)
        (chatbot,) = await self.rows(CHATBOTS)
        (model,) = await self.rows(MODELS)
        shown_chatbot, shown_model = _chatbot(*chatbot), _model(*model)
        return [
            ChatSession(
                id,
                shown_chatbot,
                shown_model,
                title,
                auto_titled != 0,
                f"{iso_text(created)}Z",
                f"{iso_text(updated)}Z",
                archived is None,
            )
            for id, _, title, created, updated, archived, auto_titled in conversations
        ]

    async def __call__(self, scope, receive, send) -> None:
        if scope["path"] == "/sessions":
            found = await self.sessions()
        elif scope["path"] == "/chat-sessions":
            found = await self.chat_sessions()
        else:
            found = "ok"
        body = encode(found)
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _chatbot(id, name, description, image, is_active, system_prompt, chatbot_type):
    return msgspec.Raw(
        encode(
            {
                "id": id,
                "name": name,
                "description": description,
                "image": image,
                "is_active": bool(is_active),
                "system_prompt": system_prompt,
                "chatbot_type": chatbot_type,
            }
        )
    )


def _model(id, label, name, description, is_active, is_free, multiplier_percent):
    return msgspec.Raw(
        encode(
            {
                "id": id,
                "name": label,
                "model_id": name,
                "description": description,
                "model_type": "text",
                "is_active": bool(is_active),
                "is_free": bool(is_free),
                "token_cost_multiplier": f"{multiplier_percent / 100:.2f}",
            }
        )
    )


if __name__ == "__main__":
    port, url, talker, lister = sys.argv[1:]
    uvicorn.run(
        Floor(url, int(talker), int(lister)),
        port=int(port),
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
    )
