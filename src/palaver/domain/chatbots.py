"""Chatbots: personas that administrators offer."""

from typing import Final

import msgspec


class Chatbot(msgspec.Struct, frozen=True, gc=False):
    """A persona on offer. Contract `subscriptions`: "List Available Chatbots"."""

    id: int
    name: str
    description: str
    image: str  # a path below `/media/`, "" for none
    system_prompt: str
    chatbot_type: str  # `text` or `image`
    is_active: int
    open_to_all: int  # else only to the plans that it is linked to
    created_at: int


NOBODY: Final = Chatbot(
    id=0,
    name="General Assistant",
    description="",
    image="",
    system_prompt="",
    chatbot_type="text",
    is_active=1,
    open_to_all=1,
    created_at=0,
)
"""Who answers where an administrator has removed every chatbot: the model as it is."""
