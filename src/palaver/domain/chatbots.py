"""Chatbots: personas that administrators offer."""

import re
from typing import Any, Final, Literal, TypeAlias

import msgspec
from msgspec import UNSET

from palaver.domain.checks import Change, Checks, Flag, Text
from palaver.domain.errors import Fault

NAME_MAX_LENGTH: Final = 200
DESCRIPTION_MAX_LENGTH: Final = 10_000
PROMPT_MAX_LENGTH: Final = 100_000
IMAGE_MAX_LENGTH: Final = 2_000

ChatbotType: TypeAlias = Literal["text", "image"]
"""What a chatbot answers with. A literal and no enum: rows become chatbots without a conversion."""

_IMAGE: Final = re.compile(r"/media/chatbot_images/[\w.-]+|https://[!-~]+", re.ASCII)


class Chatbot(msgspec.Struct, frozen=True, gc=False):
    """A persona on offer. Contract `subscriptions`: "List Available Chatbots"."""

    id: int
    name: str
    description: str
    image: str  # `/media/chatbot_images/…` or an https address, "" for none
    system_prompt: str
    chatbot_type: ChatbotType
    is_active: int
    open_to_all: int  # else only to the plans that it is linked to
    created_at: int


class ChatbotChange(Change, frozen=True, kw_only=True):
    """What an administrator says of a chatbot; UNSET = stays as it is."""

    name: Text = UNSET
    description: Text = UNSET
    image: Text = UNSET
    system_prompt: Text = UNSET
    chatbot_type: Text = UNSET
    is_active: Flag = UNSET
    open_to_all: Flag = UNSET

    def columns(self) -> dict[str, Any]:
        """Return the fields of the chatbot that are different afterwards.

        Raises `InvalidInput`, with every wrong one.
        """
        checks = Checks()
        columns = {field: _column(checks, field, value) for field, value in self.given.items()}
        checks.end()
        return columns


def _column(checks: Checks, field: str, given: Any) -> int | str:
    match field:
        case "name":
            return checks.line(field, given, max_length=NAME_MAX_LENGTH)
        case "description":
            return checks.text(field, given, max_length=DESCRIPTION_MAX_LENGTH)
        case "system_prompt":
            return checks.text(field, given, max_length=PROMPT_MAX_LENGTH)
        case "image":
            if given and _IMAGE.fullmatch(given) is None:
                message = "Name a picture as /media/chatbot_images/… or by its https address."
                checks.blame(field, Fault.WRONG_FORMAT, message)
            return checks.text(field, given, max_length=IMAGE_MAX_LENGTH)
        case "chatbot_type":
            return checks.one_of(field, given, ("text", "image"))
        case _:
            return int(given)


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

NEW: Final = msgspec.structs.replace(NOBODY, name="")
"""A chatbot before anything is said of it."""
