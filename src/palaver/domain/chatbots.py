"""Chatbots: personas that administrators offer."""

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
