"""All contracts as ways to do the same things: begin, find, read, go on, rename, delete."""

from typing import Any, Protocol

from tests.http import Answer, Visitor, settled

Said = tuple[str, str]
"""Who spoke, and what."""


class Tongue(Protocol):
    """A contract; keys are the conversation's ids as it shows them."""

    name: str
    renames: bool
    deletes: bool

    async def titles(self, visitor: Visitor) -> dict[Any, str]:
        """List conversations."""

    async def begin(self, visitor: Visitor, title: str) -> Any:
        """Begin a conversation."""

    async def read(self, visitor: Visitor, key: Any) -> list[Said]:
        """Read what was said."""

    async def reading_fails(self, visitor: Visitor, key: Any) -> int:
        """Return the status of a read that fails."""

    async def say(self, visitor: Visitor, key: Any, text: str) -> None:
        """Say something, and wait until it is answered."""

    async def rename(self, visitor: Visitor, key: Any, title: str) -> None:
        """Give another title."""

    async def delete(self, visitor: Visitor, key: Any) -> None:
        """Delete."""


def ok(answer: Answer) -> Any:
    assert answer.status in {200, 201}, (answer.status, answer.content)
    return answer.json


class Sessions:
    """`sessions`: exchanges."""

    name = "sessions"
    renames = deletes = True
    base = "/api/v1/chat/sessions/"

    async def titles(self, visitor: Visitor) -> dict[Any, str]:
        return {row["id"]: row["title"] for row in ok(await visitor.get(self.base))["results"]}

    async def begin(self, visitor: Visitor, title: str) -> Any:
        return ok(await visitor.post(self.base, {"title": title}))["id"]

    async def read(self, visitor: Visitor, key: Any) -> list[Said]:
        page = ok(await visitor.get(f"{self.base}{key}/chats/"))
        said = []
        for row in page["results"]:
            said.append(("user", row["message"]))
            if row["response"] is not None:
                said.append(("assistant", row["response"]))
        return said

    async def reading_fails(self, visitor: Visitor, key: Any) -> int:
        return (await visitor.get(f"{self.base}{key}/chats/")).status

    async def say(self, visitor: Visitor, key: Any, text: str) -> None:
        ok(await visitor.post(f"{self.base}{key}/chats/", {"message": text}))

    async def rename(self, visitor: Visitor, key: Any, title: str) -> None:
        ok(await visitor.patch(f"{self.base}{key}/", {"title": title}))

    async def delete(self, visitor: Visitor, key: Any) -> None:
        assert (await visitor.delete(f"{self.base}{key}/")).status == 204


class Subscriptions:
    """`subscriptions`: chat sessions, answered in the background."""

    name = "subscriptions"
    renames = deletes = True
    base = "/api/chat-sessions/"

    async def titles(self, visitor: Visitor) -> dict[Any, str]:
        return {row["id"]: row["title"] for row in ok(await visitor.get(self.base))}

    async def begin(self, visitor: Visitor, title: str) -> Any:
        return ok(await visitor.post(self.base, {"title": title}))["id"]

    async def read(self, visitor: Visitor, key: Any) -> list[Said]:
        listed = ok(await visitor.get(f"{self.base}{key}/messages/"))["messages"]
        return [(row["message_type"], row["content"]) for row in listed]

    async def reading_fails(self, visitor: Visitor, key: Any) -> int:
        return (await visitor.get(f"{self.base}{key}/messages/")).status

    async def say(self, visitor: Visitor, key: Any, text: str) -> None:
        ok(await visitor.post(f"{self.base}{key}/send/", {"message": text}))

        async def is_answered() -> bool:
            return (await self.read(visitor, key))[-1][0] == "assistant"

        await settled(is_answered)

    async def rename(self, visitor: Visitor, key: Any, title: str) -> None:
        ok(await visitor.post(f"{self.base}{key}/update-title/", {"title": title}))

    async def delete(self, visitor: Visitor, key: Any) -> None:
        assert ok(await visitor.delete(f"{self.base}{key}/")) == {"success": True}


class _Plain:
    """What three contracts do alike: a bare list, and messages below a conversation."""

    base: str

    def _messages(self, key: Any) -> str:
        return f"{self.base.rstrip('/')}/{key}/messages"

    async def titles(self, visitor: Visitor) -> dict[Any, str]:
        return {row["id"]: row["title"] for row in ok(await visitor.get(self.base))}

    async def begin(self, visitor: Visitor, title: str) -> Any:
        return ok(await visitor.post(self.base, {"title": title}))["id"]

    async def read(self, visitor: Visitor, key: Any) -> list[Said]:
        listed = ok(await visitor.get(self._messages(key)))
        return [(row["role"], row["content"]) for row in listed]

    async def reading_fails(self, visitor: Visitor, key: Any) -> int:
        return (await visitor.get(self._messages(key))).status

    async def rename(self, visitor: Visitor, key: Any, title: str) -> None:
        ok(await visitor.patch(f"{self.base}/{key}", {"title": title}))

    async def delete(self, visitor: Visitor, key: Any) -> None:
        assert (await visitor.delete(f"{self.base}/{key}")).status == 200


class Streaming(_Plain):
    """`streaming`: a message, then the stream of its answer."""

    name = "streaming"
    renames = deletes = True
    base = "/conversations"

    async def say(self, visitor: Visitor, key: Any, text: str) -> None:
        ok(await visitor.post(self._messages(key), {"content": text}))
        async with visitor.events(f"{self.base}/{key}/stream", {}) as events:
            assert (await events.all())[-1].data["status"] == "ok"


class Platform(_Plain):
    """`platform`: chats and completions."""

    name = "platform"
    renames = deletes = True
    base = "/api/v1/chats"

    async def begin(self, visitor: Visitor, title: str) -> Any:
        return ok(await visitor.post(self.base, {"title": title, "model": "sim/sim"}))["id"]

    async def say(self, visitor: Visitor, key: Any, text: str) -> None:
        said = {"role": "user", "content": text}
        body = {"chat_id": key, "model": "sim/sim", "messages": [said]}
        ok(await visitor.post("/api/v1/chat/completions", body))


class Companion(_Plain):
    """`companion`, whose document knows neither renaming nor deleting."""

    name = "companion"
    renames = deletes = False
    base = "/api/v1/conversations/"

    async def say(self, visitor: Visitor, key: Any, text: str) -> None:
        said = {"role": "user", "content": text}
        ok(await visitor.post("/api/chat", {"messages": [said], "conversation_id": key}))


class Native(_Plain):
    """`native`: messages that are answered in the background."""

    name = "native"
    renames = deletes = True
    base = "/api/palaver/conversations"

    async def titles(self, visitor: Visitor) -> dict[Any, str]:
        return {row["id"]: row["title"] for row in ok(await visitor.get(self.base))["items"]}

    async def read(self, visitor: Visitor, key: Any) -> list[Said]:
        listed = ok(await visitor.get(self._messages(key)))["items"]
        return [(row["role"], row["content"]) for row in listed]

    async def say(self, visitor: Visitor, key: Any, text: str) -> None:
        ok(await visitor.post(self._messages(key), {"content": text}))

        async def is_answered() -> bool:
            return (await self.read(visitor, key))[-1][0] == "assistant"

        await settled(is_answered)

    async def delete(self, visitor: Visitor, key: Any) -> None:
        assert (await visitor.delete(f"{self.base}/{key}")).status == 204


TONGUES: list[Tongue] = [
    Sessions(),
    Subscriptions(),
    Streaming(),
    Platform(),
    Companion(),
    Native(),
]
