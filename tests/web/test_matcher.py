"""Which row answers a path."""

import pytest

from palaver.web.matcher import Matcher


def found(matcher: Matcher[str], path: str, method: str = "GET") -> tuple[str, list[str]] | None:
    match = matcher.find(path.split("/"))
    return None if match is None else (match[0].methods[method], match[1])


def test_a_literal_segment_goes_before_a_parameter() -> None:
    matcher = Matcher([("GET", "/things/{id}", "one"), ("GET", "/things/new", "new")])
    assert found(matcher, "/things/new") == ("new", [])
    assert found(matcher, "/things/7") == ("one", ["7"])


def test_a_literal_that_leads_nowhere_gives_way_to_the_parameter() -> None:
    matcher = Matcher([("GET", "/a/b", "literal"), ("GET", "/{x}/{y}/z", "deep")])
    assert found(matcher, "/a/b/z") == ("deep", ["a", "b"])


def test_what_a_contract_owns_is_no_value_of_a_parameter() -> None:
    rows = [("GET", "/chat/cancel/{id}", "cancel"), ("GET", "/chat/{id}", "page")]
    matcher = Matcher(rows, owned=["/chat/cancel"])
    assert found(matcher, "/chat/7") == ("page", ["7"])
    assert found(matcher, "/chat/cancel/7") == ("cancel", ["7"])
    assert matcher.find(["", "chat", "cancel"]) is None


def test_values_come_in_the_order_of_the_template() -> None:
    matcher = Matcher([("GET", "/a/{x}/b/{y}", "row")])
    assert found(matcher, "/a/1/b/2") == ("row", ["1", "2"])


def test_a_parameter_is_never_empty() -> None:
    matcher = Matcher([("GET", "/a/{x}", "row")])
    assert matcher.find(["", "a", ""]) is None
    assert matcher.find(["", "a", "", ""]) is None


def test_the_other_slash_form_answers_as_well() -> None:
    matcher = Matcher([("GET", "/a", "without"), ("GET", "/b/{x}/", "with")])
    assert found(matcher, "/a/") == ("without", [])
    assert found(matcher, "/b/1") == ("with", ["1"])


def test_two_forms_that_are_both_owned_stay_apart() -> None:
    matcher = Matcher([("POST", "/login", "without"), ("POST", "/login/", "with")])
    assert found(matcher, "/login", "POST") == ("without", [])
    assert found(matcher, "/login/", "POST") == ("with", [])


def test_a_form_that_is_owned_for_one_method_does_not_take_the_others() -> None:
    matcher = Matcher([("GET", "/a", "get"), ("POST", "/a/", "post")])
    match = matcher.find(["", "a", ""])
    assert match is not None
    assert set(match[0].methods) == {"POST"}


def test_the_root_has_no_twin() -> None:
    matcher = Matcher([("GET", "/", "root")])
    assert found(matcher, "/") == ("root", [])
    assert matcher.find(["", "", ""]) is None
    assert matcher.find([""]) is None


def test_what_is_not_there_is_not_found() -> None:
    matcher = Matcher([("GET", "/a/b", "row")])
    assert matcher.find(["", "a"]) is None
    assert matcher.find(["", "a", "b", "c"]) is None
    assert matcher.find(["", "A", "b"]) is None


def test_methods_of_one_path_are_allowed_together() -> None:
    matcher = Matcher([("POST", "/a", "post"), ("GET", "/a", "get")])
    match = matcher.find(["", "a", ""])
    assert match is not None
    assert match[0].allow == "GET, POST"


def test_two_equal_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="two rows for GET /a"):
        Matcher([("GET", "/a", "one"), ("GET", "/a", "two")])


def test_templates_that_differ_in_a_name_alone_are_one_path() -> None:
    matcher = Matcher([("GET", "/a/{x}", "get"), ("POST", "/a/{y}", "post")])
    match = matcher.find(["", "a", "1"])
    assert match is not None
    assert set(match[0].methods) == {"GET", "POST"}
