"""What log lines show, and what they must not."""

import json
import logging
from collections.abc import Iterator

import pytest
from structlog.contextvars import bound_contextvars

from palaver.commands.logs import set_up_logs

log = logging.getLogger("palaver.tests")


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Give the loggers back as they were."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def fail() -> None:
    password = "correct horse"  # noqa: F841  # what must not be seen
    raise RuntimeError("it broke")


@pytest.mark.parametrize("format", ["console", "json"])
def test_a_traceback_shows_no_local_variables(
    format: str, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up_logs("info", format)
    password = "battery staple"  # noqa: F841  # neither must this
    try:
        fail()
    except RuntimeError:
        log.exception("the work failed")
    shown = capsys.readouterr().err
    assert "the work failed" in shown
    assert "in fail" in shown
    assert "RuntimeError: it broke" in shown
    # The line that raised is shown; what any name held there is not.
    assert "battery" not in shown
    assert "horse" not in shown


@pytest.mark.parametrize("format", ["console", "json"])
def test_a_line_names_its_request(format: str, capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs("info", format)
    with bound_contextvars(request_id="0123456789abcdef"):
        log.info("%s is done", "it")
    log.info("and the next")
    first, second = capsys.readouterr().err.splitlines()
    assert "it is done" in first
    assert "0123456789abcdef" in first
    assert "request_id" not in second


def test_a_line_of_json_has_its_parts(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs("info", "json")
    log.debug("too small to be told")
    with bound_contextvars(request_id="0123456789abcdef"):
        log.warning("mind %s", "this")
    line = json.loads(capsys.readouterr().err)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "mind this",
        "level": "warning",
        "logger": "palaver.tests",
        "request_id": "0123456789abcdef",
    }
