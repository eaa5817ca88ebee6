"""Request bodies: strict, and every wrong field is named at once."""

import enum
import json
from typing import Annotated, Literal
from uuid import UUID

import pytest
from msgspec import Meta, Struct

from palaver.domain.errors import DomainError, ErrorKind, Fault, InvalidInput
from palaver.web.bodies import FORM, JSON_MAX_DEPTH, Int64, decode_body, decode_json


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Part(Struct):
    role: Literal["user", "assistant"]
    text: str
    notes: dict[str, int] | None = None


class Body(Struct):
    parts: Annotated[list[Part], Meta(min_length=1)]
    name: Annotated[str, Meta(min_length=1, max_length=5)] = "x"
    age: Annotated[int, Meta(ge=0, le=10)] | None = None
    share: Annotated[float, Meta(ge=0.5)] = 1.0
    colour: Colour = Colour.RED
    id: UUID | None = None
    first: Part | None = None
    big: Int64 = 0
    is_new: bool = False


GOOD = '"parts": [{"role": "user", "text": "x"}]'


def faults(content: str, shape: type = Body) -> list[tuple[str, Fault]]:
    with pytest.raises(InvalidInput) as caught:
        decode_json(content.encode(), shape)
    return [(fault.field, fault.fault) for fault in caught.value.faults]


def test_what_is_right_is_decoded() -> None:
    content = f'{{{GOOD}, "age": 10, "unknown": [1]}}'
    body = decode_json(content.encode(), Body)
    assert (body.parts[0].text, body.age) == ("x", 10)


@pytest.mark.parametrize(
    ("field", "fault"),
    [
        ('"name": ""', Fault.BLANK),
        ('"name": "123456"', Fault.TOO_LONG),
        ('"name": null', Fault.NULL),
        ('"name": 7', Fault.WRONG_TYPE),
        ('"name": "a\\u0000"', Fault.NOT_ALLOWED),
        ('"age": -1', Fault.TOO_SMALL),
        ('"age": 11', Fault.TOO_LARGE),
        ('"age": 1.5', Fault.WRONG_TYPE),
        ('"age": "1"', Fault.WRONG_TYPE),
        ('"share": 0.1', Fault.TOO_SMALL),
        ('"colour": "green"', Fault.NOT_ALLOWED),
        ('"id": "7"', Fault.WRONG_FORMAT),
        ('"big": 9223372036854775808', Fault.TOO_LARGE),
        ('"is_new": 1', Fault.WRONG_TYPE),
        ('"first": []', Fault.WRONG_TYPE),
    ],
)
def test_each_fault_of_a_field_is_told_apart(field: str, fault: Fault) -> None:
    name = field.split('"')[1]
    assert faults(f"{{{GOOD}, {field}}}") == [(name, fault)]


def test_every_wrong_field_is_named_at_once() -> None:
    content = '{"name": "", "age": "x", "colour": 7, "is_new": null}'
    assert faults(content) == [
        ("parts", Fault.MISSING),
        ("name", Fault.BLANK),
        ("age", Fault.WRONG_TYPE),
        ("colour", Fault.WRONG_TYPE),
        ("is_new", Fault.NULL),
    ]


def test_faults_within_lists_and_objects_are_named_by_their_place() -> None:
    parts = '[{"role": "x", "text": 1}, 7, {"role": "user", "text": "", "notes": {"a": "b"}}, {}]'
    assert faults(f'{{"parts": {parts}, "first": {{"role": "user"}}}}') == [
        ("parts.0.role", Fault.NOT_ALLOWED),
        ("parts.0.text", Fault.WRONG_TYPE),
        ("parts.1", Fault.WRONG_TYPE),
        ("parts.2.notes.item", Fault.WRONG_TYPE),
        ("parts.3.role", Fault.MISSING),
        ("parts.3.text", Fault.MISSING),
        ("first.text", Fault.MISSING),
    ]


def test_an_empty_list_is_blank() -> None:
    assert faults('{"parts": []}') == [("parts", Fault.BLANK)]


def test_a_fault_says_what_was_wanted() -> None:
    with pytest.raises(InvalidInput) as caught:
        decode_json(f'{{{GOOD}, "colour": "green", "age": 11}}'.encode(), Body)
    age, colour = caught.value.faults
    assert (age.limit, age.expected) == (10, "int")
    assert colour.expected == "red, blue"


def test_nul_is_found_wherever_it_hides() -> None:
    content = '{"parts": [{"role": "user", "text": "a\\u0000"}], "more": {"deep": "\\u0000"}}'
    assert faults(content) == [
        ("parts.0.text", Fault.NOT_ALLOWED),
        ("more.deep", Fault.NOT_ALLOWED),
    ]


def test_an_escaped_backslash_is_no_nul() -> None:
    body = decode_json(f'{{{GOOD}, "name": "\\\\u0"}}'.encode(), Body)
    assert body.name == "\\u0"


@pytest.mark.parametrize(
    "content", [b"", b"{", b"nul", b"\xff\xfe", b'{"name": "\xff"}', b"[" * 100_000, b"{} {}"]
)
def test_what_is_no_json_is_malformed(content: bytes) -> None:
    with pytest.raises(InvalidInput) as caught:
        decode_json(content, Body)
    assert [fault.fault for fault in caught.value.faults] == [Fault.MALFORMED]


@pytest.mark.parametrize("content", ["[]", "7", "null", '"text"'])
def test_what_is_no_object_has_the_wrong_type(content: str) -> None:
    assert faults(content) == [("body", Fault.WRONG_TYPE)]


class Form(Struct):
    name: str
    note: str = ""


def test_a_form_is_read_as_its_fields() -> None:
    form = decode_body(b"name=Ada+B&note=%C3%A9&more=1", FORM, Form, takes_form=True)
    assert form == Form("Ada B", "é")


def test_a_form_may_hold_no_nul() -> None:
    with pytest.raises(InvalidInput):
        decode_body(b"name=%00", FORM, Form, takes_form=True)


def test_an_empty_body_counts_as_an_empty_object() -> None:
    class Nothing(Struct):
        title: str | None = None

    assert decode_body(b"", "", Nothing, takes_form=False) == Nothing()
    with pytest.raises(InvalidInput):
        decode_body(b"", "", Form, takes_form=False)


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "Application/JSON; charset=utf-8", "application/merge-patch+json"],
)
def test_json_has_several_names(content_type: str) -> None:
    assert decode_body(b'{"name": "x"}', content_type, Form, takes_form=False) == Form("x")


@pytest.mark.parametrize("content_type", ["", "text/plain", FORM, "multipart/form-data"])
def test_other_types_are_refused(content_type: str) -> None:
    with pytest.raises(DomainError) as caught:
        decode_body(b"name=x", content_type, Form, takes_form=False)
    assert caught.value.kind is ErrorKind.UNSUPPORTED_MEDIA_TYPE


def test_any_json_is_either_taken_or_refused() -> None:
    values = ["{}", "[{}]", "1e999", "-0", '"\\ud800"', "[[[[1]]]]", '{"a": {"b": null}}']
    refused = []
    for value in values:
        for name in ("parts", "name", "age", "id", "first", "big", "share"):
            try:
                decode_json(f'{{{GOOD}, "{name}": {value}}}'.encode(), Body)
            except InvalidInput as error:
                refused.append(error)
    assert refused
    assert all(error.faults for error in refused)


class Kept(Struct):
    metadata: dict[str, object] | None = None
    text: str = ""


def nested(times: int, opening: str, closing: str) -> bytes:
    """Return a body in whose metadata, two levels deep itself, brackets are opened so often."""
    return f'{{"metadata": {{"x": {opening * times}1{closing * times}}}}}'.encode()


@pytest.mark.parametrize(("opening", "closing"), [('{"a":', "}"), ("[", "]"), ('[{"]":', "}]")])
def test_what_lies_too_deep_is_refused(opening: str, closing: str) -> None:
    times = (JSON_MAX_DEPTH - 2) // len(closing)
    decode_json(nested(times, opening, closing), Kept)
    for more in (1, 500, 100_000):
        with pytest.raises(InvalidInput) as caught:
            decode_json(nested(times + more, opening, closing), Kept)
        assert caught.value.faults[0].fault is Fault.MALFORMED
        assert "64 levels" in caught.value.faults[0].message


def test_only_brackets_that_nest_count_as_depth() -> None:
    texts = ["[" * 1000, '{\\"' * 1000, '\\\\" + "', '"[' * 100, '\\u005b"[' * 100]
    for text in texts:
        body = json.dumps({"text": text}).encode()
        assert decode_json(body, Kept).text == text
    many = {"metadata": {"list": [[1], {"a": [2]}] * 1000}, "text": "{" * 1000}
    assert decode_json(json.dumps(many).encode(), Kept).metadata == many["metadata"]


def test_an_endless_text_is_looked_through_once() -> None:
    with pytest.raises(InvalidInput):
        decode_json(b'{"text": "' + b'\\"[' * 300_000, Kept)
    with pytest.raises(InvalidInput):
        decode_json(b"[" * 2_000_000, Kept)


def test_a_form_has_not_so_many_fields() -> None:
    content = b"&".join(b"name%d=x" % number for number in range(101))
    with pytest.raises(InvalidInput):
        decode_body(content, FORM, Form, takes_form=True)
