"""What `docs/security.md` names as proof exists."""

import re
from pathlib import Path

from palaver.config.settings import FIELDS, PREFIX

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")


def test_every_test_that_it_names_is_there():
    named = set(re.findall(r"`(tests/[\w/.]+)`", PAGE))
    assert named
    assert {path for path in named if not (ROOT / path).is_file()} == set()


def test_every_setting_that_it_names_is_there():
    named = set(re.findall(rf"`{PREFIX}([A-Z_]+)", PAGE))
    assert {name.lower() for name in named} <= set(FIELDS)


def test_no_requirement_is_assessed_twice():
    rows = re.findall(r"^\| ([\d., ]+) \| (?:met|set|part|no) \|", PAGE, re.MULTILINE)
    numbers = [number for row in rows for number in row.split(", ")]
    assert len(numbers) > 100
    assert len(set(numbers)) == len(numbers)
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", number) for number in numbers)
