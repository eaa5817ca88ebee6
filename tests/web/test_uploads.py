"""Uploads: a handler's signature tells a form from JSON, and two forms are told by what they hold."""

import io
from typing import Any

import pytest
from msgspec import Struct
from starlette.datastructures import FormData, Headers, UploadFile

from palaver.domain.errors import Fault, InvalidInput
from palaver.web.binding import signature_of
from palaver.web.call import Call
from palaver.web.uploads import File, Form, _form, content_of, is_multipart


class Text(Struct):
    content: str


class Sent(Form):
    file: File
    title: str | None = None
    count: int | None = None
    metadata: dict[str, Any] | None = None


async def either(call: Call, body: Text | Sent) -> None: ...
async def text_alone(call: Call, body: Text) -> None: ...


def a_file(content: bytes = b"x", name: str = "x.txt", type_: str = "text/plain") -> UploadFile:
    headers = Headers({"content-type": type_})
    return UploadFile(io.BytesIO(content), size=len(content), filename=name, headers=headers)


def form(*fields: tuple[str, str | UploadFile]) -> Sent:
    return _form(FormData(list(fields)), Sent)


def faults(*fields: tuple[str, str | UploadFile]) -> list[tuple[str, Fault]]:
    with pytest.raises(InvalidInput) as caught:
        form(*fields)
    return [(fault.field, fault.fault) for fault in caught.value.faults]


def test_a_signature_tells_a_form_from_json() -> None:
    signature = signature_of(either, "/x")
    assert (signature.body, signature.form) == (Text, Sent)
    signature = signature_of(text_alone, "/x")
    assert (signature.body, signature.form) == (Text, None)


def test_fields_are_texts_files_and_json() -> None:
    sent = form(
        ("file", a_file(b"abc")), ("title", "7"), ("count", "7"), ("metadata", '{"a": [1]}')
    )
    assert (sent.title, sent.count, sent.metadata) == ("7", 7, {"a": [1]})
    assert sent.file.content.read() == b"abc"
    assert (sent.file.name, sent.file.declared, sent.file.size_bytes) == ("x.txt", "text/plain", 3)


def test_what_is_empty_was_not_given_and_of_several_the_last_counts() -> None:
    sent = form(("file", a_file()), ("title", ""), ("count", ""), ("other", "x"))
    assert (sent.title, sent.count) == (None, None)
    assert form(("file", a_file()), ("title", "a"), ("title", "b")).title == "b"


def test_several_files_are_refused_where_one_is_wanted() -> None:
    assert faults(("file", a_file()), ("file", a_file(b"y"))) == [("file", Fault.NOT_ALLOWED)]


def test_a_text_that_comes_as_a_file_is_refused_in_words_of_forms() -> None:
    for name in ("title", "count", "metadata"):
        with pytest.raises(InvalidInput) as caught:
            form(("file", a_file()), (name, a_file()))
        (fault,) = caught.value.faults
        assert (fault.field, fault.fault) == (name, Fault.WRONG_TYPE)
        assert "without a `filename`" in fault.message


def test_what_is_wrong_is_named() -> None:
    assert faults() == [("file", Fault.MISSING)]
    assert faults(("file", "a text")) == [("file", Fault.WRONG_TYPE)]
    assert faults(("file", a_file()), ("title", a_file())) == [("title", Fault.WRONG_TYPE)]
    assert faults(("file", a_file()), ("count", "x"), ("metadata", "{")) == [
        ("count", Fault.MALFORMED),
        ("metadata", Fault.MALFORMED),
    ]
    assert faults(("file", a_file()), ("count", '"7"')) == [("count", Fault.WRONG_TYPE)]
    for name, text in (("title", "a\0"), ("title", "\ud800"), ("metadata", "\udfff")):
        assert faults(("file", a_file()), (name, text)) == [(name, Fault.NOT_ALLOWED)]
    assert faults(("file", a_file()), ("metadata", "[" * 5000)) == [("metadata", Fault.MALFORMED)]


async def test_forms_are_the_same_that_hold_the_same() -> None:
    async def told(**changed: Any) -> bytes:
        file = a_file(**changed)
        return await content_of(form(("file", file), ("title", "x"), ("metadata", '{"a": 1}')))

    assert await told() == await told()
    for changed in ({"content": b"y"}, {"name": "y.txt"}, {"type_": "text/html"}):
        assert await told(**changed) != await told()
    other = form(("file", a_file()), ("title", "y"), ("metadata", '{"a": 1}'))
    assert await content_of(other) != await told()


def test_a_multipart_body_says_so() -> None:
    assert is_multipart("Multipart/Form-Data; boundary=x")
    for other in ("", "multipart/mixed", "application/json; multipart/form-data"):
        assert not is_multipart(other)
