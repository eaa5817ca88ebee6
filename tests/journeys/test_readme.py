"""The README's own lines, run as they stand by somebody who has just cloned this."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.journeys.conftest import Served

README = (Path(__file__).parents[2] / "README.md").read_text()


def lines_after(heading: str) -> str:
    """Return the shell lines of a section."""
    section = README.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return "\n".join(re.findall(r"```sh\n(.*?)```", section, re.DOTALL))


@pytest.mark.skipif(shutil.which("curl") is None, reason="the README's lines want curl")
def test_the_lines_of_the_readme_lead_to_an_answer(
    serve: Callable[..., Served], tmp_path: Path
) -> None:
    served = serve()
    script = lines_after("Try it").replace("http://127.0.0.1:8000", served.url)
    done = subprocess.run(
        ["bash", "-eu", "-c", f"{script}\necho"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    said = done.stdout
    assert done.returncode == 0, done.stderr
    assert said.count('"role":"admin"') == 2, said  # bootstrap and login
    assert '"title":"My first"' in said
    assert said.count("event: delta") > 3
    assert '"status":"ok"' in said
    assert '{"message_id":1,"conversation_id":1}' in said
    assert said.count("GENERATION_NOT_FOUND") == 1, "the placeholder is no generation"
    listed, _ = json.JSONDecoder().raw_decode(said[said.rindex('[{"id"') :])
    (conversation,) = listed
    assert conversation["title"] == "My first", "the other contract sees the same conversation"
    answer = json.loads(said[said.rindex('{"id":"cmpl-') :])
    (cited,) = answer["citations"]
    assert (cited["kind"], cited["title"]) == ("document", "Handbook")
    assert cited["quote"].startswith("Everybody has thirty days of leave a year.")


def test_the_server_prints_a_link_that_sets_it_up(serve: Callable[..., Served]) -> None:
    served = serve()
    token = (served.data_dir / "bootstrap_token").read_text().strip()
    assert f"{served.url}/app/setup?token={token}" in served.said
