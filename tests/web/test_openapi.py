"""The OpenAPI documents: valid, whole, and true to the tables."""

import json
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from palaver.dialects import DIALECTS
from palaver.web.app import Row, rows_of
from palaver.web.endpoint import Access, Dialect
from palaver.web.openapi import document

DOCUMENTS: dict[str, Any] = {
    dialect.name: json.loads(document(dialect, version="1.2.3")) for dialect in DIALECTS
}
ROWS = [row for row in rows_of(DIALECTS) if row.endpoint.is_documented]


def operation_of(row: Row) -> Any:
    paths = DOCUMENTS[row.dialect.name]["paths"]
    return paths[row.endpoint.path][row.endpoint.method.lower()]


def name_of(row: Row) -> str:
    return f"{row.dialect.name} {row.endpoint.method} {row.endpoint.path}"


def references(node: Any) -> set[str]:
    if isinstance(node, dict):
        found = {node["$ref"]} if "$ref" in node else set()
        return found.union(*map(references, node.values()))
    if isinstance(node, list):
        return set().union(*map(references, node))
    return set()


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_the_document_is_valid(dialect: Dialect) -> None:
    OpenAPIV31SpecValidator(DOCUMENTS[dialect.name]).validate()


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_every_reference_leads_somewhere(dialect: Dialect) -> None:
    root = DOCUMENTS[dialect.name]
    for reference in references(root):
        node = root
        for step in reference.removeprefix("#/").split("/"):
            node = node[step]
        assert node


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_operations_have_names_of_their_own(dialect: Dialect) -> None:
    names = [
        operation["operationId"]
        for path in DOCUMENTS[dialect.name]["paths"].values()
        for operation in path.values()
    ]
    assert len(names) == len(set(names))
    assert all(name.isidentifier() for name in names)


@pytest.mark.parametrize("row", ROWS, ids=name_of)
def test_every_row_is_described(row: Row) -> None:
    operation = operation_of(row)
    assert operation["summary"]
    assert operation["tags"]
    success = operation["responses"][str(row.endpoint.status)]
    assert ("content" in success) == (row.endpoint.status != 204)
    parameters = {(given["in"], given["name"]) for given in operation["parameters"]}
    for name, _ in row.signature.path:
        assert ("path", name) in parameters
    for parameter in row.signature.query:
        assert ("query", parameter.name) in parameters
    assert ("requestBody" in operation) == row.signature.takes_body


@pytest.mark.parametrize("row", ROWS, ids=name_of)
def test_who_may_call_is_told(row: Row) -> None:
    operation = operation_of(row)
    if row.endpoint.access is Access.PUBLIC:
        assert operation["security"] == []
        return
    assert "401" in operation["responses"]
    cookie = next(way for way in operation["security"] if "cookie" in way)
    assert ("csrf" in cookie) == row.endpoint.changes
    assert {"bearer": []} in operation["security"]


def test_a_documented_slash_form_stands_alone() -> None:
    paths = DOCUMENTS["companion"]["paths"]
    assert "/api/v1/conversations/" in paths
    assert "/api/v1/conversations" not in paths


def test_query_parameters_have_their_bounds_and_defaults() -> None:
    listing = DOCUMENTS["companion"]["paths"]["/api/v1/conversations/"]["get"]
    skip, limit = (parameter["schema"] for parameter in listing["parameters"])
    assert (skip["minimum"], skip["default"]) == (0, 0)
    assert (limit["minimum"], limit["default"]) == (1, 100)


def test_what_a_query_cannot_say_is_not_offered() -> None:
    search = DOCUMENTS["native"]["paths"]["/api/palaver/search"]["get"]
    cursor = next(given for given in search["parameters"] if given["name"] == "cursor")
    assert cursor["schema"] == {"type": "string"}


def test_a_parameter_whose_default_is_refused_is_required() -> None:
    search = DOCUMENTS["native"]["paths"]["/api/palaver/search"]["get"]
    q = next(given for given in search["parameters"] if given["name"] == "q")
    assert q["required"] is True
    assert "default" not in q["schema"]


def test_a_stream_is_described_with_the_data_of_its_events() -> None:
    chat = DOCUMENTS["companion"]["paths"]["/api/chat"]["post"]
    content = chat["responses"]["200"]["content"]
    assert set(content) == {"application/json", "text/event-stream"}
    stream = content["text/event-stream"]
    assert list(stream) == ["x-event-data"]
    assert len(stream["x-event-data"]["anyOf"]) == 3


def test_a_form_is_described_beside_json() -> None:
    token = DOCUMENTS["companion"]["paths"]["/token"]["post"]
    assert set(token["requestBody"]["content"]) == {
        "application/json",
        "application/x-www-form-urlencoded",
    }
    assert token["requestBody"]["required"] is True


def test_a_body_of_which_nothing_is_required_may_be_left_out() -> None:
    create = DOCUMENTS["companion"]["paths"]["/api/v1/conversations/"]["post"]
    assert create["requestBody"]["required"] is False


def test_the_citation_is_the_summary_and_no_part_of_the_text() -> None:
    create = DOCUMENTS["companion"]["paths"]["/api/v1/conversations/"]["post"]
    assert create["summary"] == "Create Conversation"
    assert create["description"] == "Start an empty conversation."


def test_a_shape_that_is_missing_for_a_status_is_found() -> None:
    from palaver.dialects.native import ENDPOINTS  # noqa: PLC0415  # the smallest table
    from palaver.dialects.native.errors import render_error  # noqa: PLC0415

    bare = Dialect("bare", "Bare", ENDPOINTS, render_error)
    with pytest.raises(TypeError, match="bare has no shape for"):
        document(bare, version="1")


def test_a_failure_of_a_shape_of_its_own_is_described() -> None:
    deep = DOCUMENTS["streaming"]["paths"]["/health/deep"]["get"]
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/DeepHealth"}}}
    assert deep["responses"]["200"]["content"] == content
    assert deep["responses"]["503"]["content"] == content
