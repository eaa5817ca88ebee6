"""A handler's signature is its schema."""

from typing import Annotated, Any

import pytest
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from palaver.domain.errors import Fault, InvalidInput, NotFound
from palaver.web.binding import Uuid, signature_of
from palaver.web.call import Call
from palaver.web.settings import WebSettings

ID = "01890a5d-ac96-774b-bcce-b302099a8057"


class Body(Struct):
    name: str = "x"


async def everything(
    call: Call,
    number: int,
    id: Uuid,
    word: str,
    body: Body,
    *,
    limit: Annotated[int, Meta(ge=1)] = 10,
    q: str | None = None,
    is_new: bool = False,
) -> list[Any]:
    return [number, id, word, body.name, limit, q, is_new]


SIGNATURE = signature_of(everything, "/{number}/{id}/{word}")


def a_call(query: str = "") -> Call:
    scope = {"type": "http", "headers": [], "query_string": query.encode()}
    return Call(Request(scope), None, WebSettings(), request_id="x")  # type: ignore[arg-type]


async def called(*values: str, query: str = "") -> Any:
    return await SIGNATURE.call(a_call(query), list(values), Body("b"))


def test_a_signature_tells_all_of_an_endpoint() -> None:
    assert SIGNATURE.path == (("number", int), ("id", Uuid), ("word", str))
    assert [parameter.name for parameter in SIGNATURE.query] == ["limit", "q", "is_new"]
    assert SIGNATURE.body is Body
    assert SIGNATURE.answers_json


async def test_values_reach_the_parameters_of_their_names() -> None:
    assert await called("7", ID.upper(), "w") == [7, ID, "w", "b", 10, None, False]
    result = await called("7", ID, "w", query="q=a%20b&limit=3&is_new=true&unknown=1")
    assert result == [7, ID, "w", "b", 3, "a b", True]


async def test_of_a_parameter_that_comes_twice_the_last_counts() -> None:
    assert (await called("7", ID, "w", query="limit=1&limit=2"))[4] == 2


async def test_null_in_a_query_is_a_word() -> None:
    assert (await called("7", ID, "w", query="q=null"))[5] == "null"
    with pytest.raises(InvalidInput):
        await called("7", ID, "w", query="limit=null")


@pytest.mark.parametrize("number", ["x", "-1", "1.0", " 1", "٣", "9" * 19, "9" * 40, "1e3"])
async def test_a_number_of_the_wrong_form_is_not_found(number: str) -> None:
    with pytest.raises(NotFound):
        await called(number, ID, "w")


@pytest.mark.parametrize("id", ["x", ID[:-1], ID + "0", ID.replace("-", ""), "g" + ID[1:]])
async def test_a_uuid_of_the_wrong_form_is_not_found(id: str) -> None:
    with pytest.raises(NotFound):
        await called("7", id, "w")


async def test_a_path_with_nul_is_not_found() -> None:
    with pytest.raises(NotFound):
        await called("7", ID, "a\0")


async def test_every_wrong_query_parameter_is_named() -> None:
    with pytest.raises(InvalidInput) as caught:
        await called("7", ID, "w", query="limit=0&q=%00&is_new=maybe")
    assert [(fault.path, fault.fault) for fault in caught.value.faults] == [
        (("query", "limit"), Fault.TOO_SMALL),
        (("query", "q"), Fault.NOT_ALLOWED),
        (("query", "is_new"), Fault.WRONG_TYPE),
    ]


def test_a_handler_that_does_not_fit_its_path_is_refused() -> None:
    with pytest.raises(TypeError, match=r"lacks \['other'\]"):
        signature_of(everything, "/{number}/{id}/{word}/{other}")
    with pytest.raises(TypeError, match="word is not in"):
        signature_of(everything, "/{number}/{id}")


def test_a_query_parameter_wants_a_default() -> None:
    async def handler(call: Call, *, q: str) -> Response:
        raise NotImplementedError

    with pytest.raises(TypeError, match="query parameter q wants a default"):
        signature_of(handler, "/")


def test_a_response_is_no_shape() -> None:
    async def handler(call: Call) -> Response:
        raise NotImplementedError

    assert not signature_of(handler, "/").answers_json
