"""The chapter "Settings"."""

from palaver.dialects.native import memories_wire
from palaver.web.call import Call


async def get(call: Call) -> memories_wire.Settings:
    """Get what one lets Palaver do. Contract: "Get Settings"."""
    return memories_wire.Settings.of(await call.services.memories.settings(call.actor))


async def update(call: Call, body: memories_wire.SettingsUpdate) -> memories_wire.Settings:
    """Change what one lets Palaver do. Contract: "Update Settings"."""
    settings = await call.services.memories.set(
        call.actor, uses_memories=body.use_memories, extracts_memories=body.extract_memories
    )
    return memories_wire.Settings.of(settings)
