"""What the tests of this contract share."""

from tests.contracts import examples
from tests.http import Answer, Visitor

EXAMPLES = examples("native")
ADMIN = "/api/palaver/admin"
NOWHERE = 9_999_999


def assert_error(answer: Answer, status: int, code: str, *fields: str) -> None:
    """Check that an answer is a failure in this contract's shape."""
    assert (answer.status, answer.json["code"]) == (status, code), answer
    assert answer.json["request_id"] == answer.headers["x-request-id"]
    assert set(answer.json.get("fields", {})) == set(fields)
    assert list(answer.json)[:3] == ["code", "message", "request_id"]


async def made(admin: Visitor, noun: str, **fields: object) -> dict:
    """Make a plan, a chatbot or a model, and return it."""
    answer = await admin.post(f"{ADMIN}/{noun}", fields)
    assert answer.status == 201, answer
    return answer.json


async def all_of(visitor: Visitor, path: str, *, limit: int) -> list[dict]:
    """Read a list to its end, some items at a time."""
    items, cursor = [], ""
    while True:
        page = (await visitor.get(f"{path}?limit={limit}{cursor}")).json
        assert list(page) == ["items", "next"]
        items += page["items"]
        if page["next"] is None:
            return items
        assert len(page["items"]) == limit
        cursor = f"&cursor={page['next']}"
