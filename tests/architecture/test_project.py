"""What is installed is what is locked, and nothing of anybody's machine is in the checkout."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCKS = ["requirements.lock", "requirements-dev.lock"]


def pins(name: str) -> dict[str, str]:
    """Return what a lock file pins, each with its version."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9][a-z0-9._-]*)==([^ ;\\]+)", text, re.MULTILINE))


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[<>=~!;\[ ]", one)[0].lower() for one in requirements}


def test_everything_that_the_project_asks_for_is_locked():
    groups = PROJECT["dependency-groups"]
    runtime = names(PROJECT["project"]["dependencies"]) | names(groups["build"])
    assert runtime <= set(pins("requirements.lock"))
    tools = runtime | names(groups["test"]) | names(groups["check"])
    assert tools <= set(pins("requirements-dev.lock"))


def test_tests_run_with_the_versions_that_are_served():
    runtime, tools = (pins(name) for name in LOCKS)
    assert {name: tools.get(name) for name in runtime} == runtime


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_file_has_its_hash_and_no_address(lock):
    text = (ROOT / lock).read_text(encoding="utf-8")
    entries = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert entries
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []
    assert "://" not in text
    assert not re.search(r"^-", text, re.MULTILINE)


def test_what_builds_the_package_is_the_locked_one():
    assert PROJECT["build-system"]["requires"] == PROJECT["dependency-groups"]["build"]
