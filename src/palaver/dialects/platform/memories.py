"""The chapter "Memories"."""

from typing import Final

from palaver.dialects.platform import memories_wire, wire
from palaver.domain.memories import MemoryType
from palaver.web.binding import Uuid
from palaver.web.call import Call

HITS: Final = 10


async def create(call: Call, body: memories_wire.MemoryCreate) -> memories_wire.Memory:
    """Keep something about oneself. Contract: "Create Memory"."""
    shown = await call.services.memories.create(call.actor, body.new)
    return memories_wire.Memory.of(shown, user_id=call.actor.owner_uuid)


async def list_(
    call: Call,
    *,
    memory_type: MemoryType | None = None,
    limit: wire.Limit = 50,
    offset: wire.Offset = 0,
) -> list[memories_wire.Memory]:
    """List one's memories, the last changed first. Contract: "Get Memories"."""
    page = await call.services.memories.list(
        call.actor, type=memory_type, limit=limit, offset=offset
    )
    user_id = call.actor.owner_uuid
    return [memories_wire.Memory.of(shown, user_id=user_id) for shown in page]


async def search(call: Call, body: memories_wire.MemorySearch) -> list[memories_wire.MemoryHit]:
    """Find memories by words and by meaning, the best first. Contract: "Search Memories"."""
    found = await call.services.memories.search(
        call.actor, body.query, type=body.memory_type, limit=body.limit or HITS
    )
    user_id = call.actor.owner_uuid
    return [memories_wire.MemoryHit.found(hit, user_id=user_id) for hit in found.items]


async def delete(call: Call, memory_id: Uuid) -> wire.Notice:
    """Remove a memory for good. Contract: "Delete Memory"."""
    await call.services.memories.delete(call.actor, memory_id)
    return wire.Notice("Memory deleted successfully")
