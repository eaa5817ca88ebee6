"""What most tests of the `sessions` contract begin with."""

import re
from typing import Any, Final

from tests.cast import PASSWORD
from tests.contracts import document, examples
from tests.http import Answer, Visitor

EXAMPLES: Final = examples("sessions", part="API Routes (v1)")
REFUSALS: Final = dict(
    re.findall(r'\((\d{3})\)\*\*\s*```json\s*\{\s*"detail": "([^"]+)"', document("sessions"))
)
NOWHERE: Final = "01890a5d-ac96-774b-bcce-b302099a8057"
NOT_SIGNED_IN: Final = {"detail": REFUSALS["401"]}
MISSING: Final = {"detail": REFUSALS["404"]}
BAD_TOKEN: Final = {
    "detail": "Given token not valid for any token type",
    "code": "token_not_valid",
    "messages": [
        {
            "token_class": "AccessToken",
            "token_type": "access",
            "message": "Token is invalid or expired",
        }
    ],
}
BAD_REFRESH: Final = {"detail": "Token is invalid or expired", "code": "token_not_valid"}
REQUIRED: Final = ["This field is required."]
BLANK: Final = ["This field may not be blank."]
NULL: Final = ["This field may not be null."]
NO_STRING: Final = ["Not a valid string."]

AUTH: Final = "/api/v1/auth"
SESSIONS: Final = "/api/v1/chat/sessions/"
TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


async def tokens_of(visitor: Visitor, username: str, password: str = PASSWORD) -> dict[str, Any]:
    """Sign in; return what comes back."""
    answer = await visitor.post(f"{AUTH}/login/", {"username": username, "password": password})
    assert answer.status == 200, answer
    body: dict[str, Any] = answer.json
    return body


def bearing(token: str) -> dict[str, str]:
    """Return the header of a call with a token."""
    return {"Authorization": f"Bearer {token}"}


async def a_session(visitor: Visitor, *messages: str, **body: Any) -> str:
    """Return the id of a new session in which these were said and answered."""
    answer = await visitor.post(SESSIONS, body)
    assert answer.status == 201, answer
    id: str = answer.json["id"]
    for message in messages:
        await said(visitor, id, message)
    return id


async def said(visitor: Visitor, id: str, message: str) -> Any:
    """Say something, and return the chat that it becomes."""
    answer = await visitor.post(f"{SESSIONS}{id}/chats/", {"message": message})
    assert answer.status == 201, answer
    return answer.json


async def chats_of(visitor: Visitor, id: str) -> list[tuple[str, str | None]]:
    """Return what was said in a session, with what was answered."""
    answer = await visitor.get(f"{SESSIONS}{id}/")
    assert answer.status == 200, answer
    return [(chat["message"], chat["response"]) for chat in answer.json["chats"]]


def wrong(answer: Answer) -> Any:
    """Return what is wrong with the fields of a request."""
    assert answer.status == 400, answer
    return answer.json
