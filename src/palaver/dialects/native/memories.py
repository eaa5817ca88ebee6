"""The chapter "Memories"."""

from palaver.dialects.native import memories_wire, wire
from palaver.domain.cursors import LIMIT
from palaver.domain.memories import MemoryType
from palaver.domain.search import PAGE_MAX
from palaver.web.binding import Uuid
from palaver.web.call import Call


async def list_(
    call: Call,
    *,
    type: MemoryType | None = None,
    cursor: str | None = None,
    limit: wire.Limit = LIMIT,
) -> memories_wire.Memories:
    """List one's memories, the last changed first. Contract: "List Memories"."""
    found = await call.services.memories.page(call.actor, type=type, cursor=cursor, limit=limit)
    return memories_wire.Memories.of(found)


async def create(call: Call, body: memories_wire.MemoryCreate) -> memories_wire.Memory:
    """Keep something about oneself. Contract: "Create Memory"."""
    return memories_wire.Memory.of(await call.services.memories.create(call.actor, body.new))


async def search(
    call: Call,
    *,
    q: wire.Search = "",
    type: MemoryType | None = None,
    limit: wire.Limit = PAGE_MAX,
) -> memories_wire.MemoryHits:
    """Find memories by words and by meaning, the best first. Contract: "Search Memories"."""
    found = await call.services.memories.search(call.actor, q, type=type, limit=limit, field="q")
    return memories_wire.MemoryHits.of(found)


async def clear(call: Call) -> memories_wire.Cleared:
    """Remove all of one's memories for good. Contract: "Clear Memories"."""
    return memories_wire.Cleared(await call.services.memories.clear(call.actor))


async def get(call: Call, memory_id: Uuid) -> memories_wire.Memory:
    """Get a memory. Contract: "Get Memory"."""
    return memories_wire.Memory.of(await call.services.memories.get(call.actor, memory_id))


async def update(
    call: Call, memory_id: Uuid, body: memories_wire.MemoryUpdate
) -> memories_wire.Memory:
    """Correct a memory. Contract: "Update Memory"."""
    shown = await call.services.memories.update(call.actor, memory_id, body.change)
    return memories_wire.Memory.of(shown)


async def delete(call: Call, memory_id: Uuid) -> None:
    """Remove a memory for good. Contract: "Delete Memory"."""
    await call.services.memories.delete(call.actor, memory_id)
