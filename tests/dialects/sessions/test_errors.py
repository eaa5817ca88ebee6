"""How the contract words each kind of failure, and each fault of a field."""

from typing import Any

import pytest

from palaver.dialects.sessions import DIALECT
from palaver.dialects.sessions.errors import meaning, render_faults
from palaver.dialects.sessions.routes import ENDPOINTS
from palaver.domain.errors import ErrorKind, Fault, FieldFault, InvalidInput
from palaver.web.endpoint import Endpoint
from tests.dialects.sessions.helpers import AUTH, NOWHERE, REFUSALS, SESSIONS, wrong
from tests.http import Visitor

PATHS = sorted({endpoint.path for endpoint in ENDPOINTS})
TAKING = [endpoint for endpoint in ENDPOINTS if endpoint.method in {"POST", "PUT", "PATCH"}]


def path_of(endpoint: Endpoint) -> str:
    return endpoint.path.replace("{session_id}", NOWHERE).replace("{chat_id}", "1")


@pytest.mark.parametrize("kind", ErrorKind)
def test_every_kind_of_failure_has_a_status_that_is_documented(kind: ErrorKind) -> None:
    status, _ = meaning(kind)
    assert status in DIALECT.error_shapes


def test_the_documents_own_failures_have_its_words() -> None:
    assert meaning(ErrorKind.UNAUTHENTICATED) == (401, REFUSALS["401"])
    assert meaning(ErrorKind.FORBIDDEN) == (403, REFUSALS["403"])
    assert meaning(ErrorKind.NOT_FOUND) == (404, REFUSALS["404"])


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (FieldFault(("body", "x"), Fault.TOO_SHORT, "…", limit=5), "at least 5 characters"),
        (FieldFault(("body", "x"), Fault.TOO_LONG, "…", limit=5), "no more than 5 characters"),
        (FieldFault(("query", "x"), Fault.TOO_SMALL, "…", limit=5), "greater than or equal to 5"),
        (FieldFault(("query", "x"), Fault.TOO_LARGE, "…", limit=5), "less than or equal to 5"),
        (FieldFault(("body", "x"), Fault.WRONG_TYPE, "A sentence.", "int"), "A sentence."),
        (FieldFault(("body", "x"), Fault.WRONG_FORMAT, "A sentence."), "A sentence."),
        (FieldFault(("body", "x"), Fault.NOT_ALLOWED, "A sentence."), "A sentence."),
    ],
)
def test_every_fault_has_words(fault: FieldFault, expected: str) -> None:
    (message,) = render_faults(InvalidInput([fault]))["x"]
    assert expected in message


def test_a_prompt_that_is_too_long_is_a_fault_of_the_message() -> None:
    fault = FieldFault(("body", "content"), Fault.TOO_LONG, "Too long for the model.", limit=5)
    assert render_faults(InvalidInput([fault])) == {"message": ["Too long for the model."]}


@pytest.mark.parametrize("path", PATHS)
async def test_another_method_is_refused_with_those_that_there_are(
    owner: Visitor, path: str
) -> None:
    rows = {endpoint.method: endpoint for endpoint in ENDPOINTS if endpoint.path == path}
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - set(rows):
        answer = await owner.request(method, path_of(next(iter(rows.values()))))
        assert (answer.status, answer.json) == (
            405,
            {"detail": f'Method "{method}" not allowed.'},
        )
        assert answer.headers["allow"] == ", ".join(sorted(rows))


@pytest.mark.parametrize("endpoint", TAKING, ids=lambda row: f"{row.method} {row.path}")
async def test_a_body_that_cannot_be_read_is_refused(owner: Visitor, endpoint: Endpoint) -> None:
    path = path_of(endpoint)

    async def sent(content: bytes, **headers: str) -> Any:
        return await owner.request(endpoint.method, path, content=content, headers=headers)

    for content in (b"{", b'{"title": }', b"\xff", b"[" * 100_000, b"nul"):
        detail = wrong(await sent(content))
        assert list(detail) == ["detail"]
        assert detail["detail"].startswith("JSON parse error - ")
    wholes = {
        b"[]": "Invalid data. Expected a dictionary, but got list.",
        b'"x"': "Invalid data. Expected a dictionary, but got str.",
        b"7": "Invalid data. Expected a dictionary, but got int.",
        b"null": "No data provided",
    }
    for content, message in wholes.items():
        assert wrong(await sent(content)) == {"non_field_errors": [message]}
    answer = await sent(b"{}", **{"Content-Type": "text/plain"})
    detail = {"detail": 'Unsupported media type "text/plain" in request.'}
    assert (answer.status, answer.json) == (415, detail)
    answer = await sent(b" " * (2 * 1024 * 1024 + 1))
    assert (answer.status, list(answer.json)) == (413, ["detail"])


async def test_a_path_that_there_is_not_tells_every_contract_so(owner: Visitor) -> None:
    for path in (f"{AUTH}/nowhere/", f"{SESSIONS}{NOWHERE}/nowhere/", f"{SESSIONS}/"):
        answer = await owner.get(path)
        assert answer.status == 404
        assert list(answer.json) == ["detail", "error", "message"]
