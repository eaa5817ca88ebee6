"""Try every contract with schemathesis, through its OpenAPI document, against a running Palaver.

    python -m tests.conformance.fuzz                       every contract, at length
    python -m tests.conformance.fuzz streaming --examples 500

Exits with 1 when an answer is a 5xx, has an undocumented status, type or header, breaks its schema,
accepts what its document forbids, or lets somebody in who has not signed in.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp

from palaver.dialects import DIALECTS
from palaver.web.openapi import is_documented
from tests.chaos.processes import ROOT, House, a_provider

CONTRACTS: Final = [dialect.name for dialect in DIALECTS if is_documented(dialect)]
BOOTSTRAP: Final = "the fuzzer opens the door"
# Some rules have no words in JSON Schema ("not blank", "the conversation has a question"): what the
# document allows may be refused. A cookie that is no session changes nothing beside our bearer token,
# which decides alone. And logging out would end the session that everything else needs.
CHECKS: Final = (
    "--checks=all",
    "--exclude-checks=positive_data_acceptance,ignored_auth",
)
# And who follows a session that nothing runs in, waits.
EXCLUDED: Final = (
    "--exclude-path=/auth/logout",
    "--exclude-path=/api/v1/auth/logout",
    "--exclude-path=/api/chat-sessions/{session_id}/events/",
)


@dataclass
class Target:
    """A running Palaver, a token of its administrator, and the ids of what is there."""

    base_url: str
    token: str
    seeds: dict[str, list[Any]]
    house: House


@asynccontextmanager
async def a_target(folder: Path) -> AsyncIterator[Target]:
    """Serve a house with an administrator, a conversation, and runs in several states."""
    async with a_provider(folder) as port:
        more = {
            "PALAVER_BOOTSTRAP_TOKEN": BOOTSTRAP,
            "PALAVER_DEFAULT_MODEL": "lmstudio/brisk",
            # Nothing upstream fails unless it is asked to: a 5xx is our fault.
            "OLLAMA_BASE_URL": f"http://127.0.0.1:{port}/v1",
            "PALAVER_RATE_LIMIT_PER_MINUTE": "0",
            "PALAVER_RATE_LIMIT_PER_HOUR": "0",
            "PALAVER_LOG_FORMAT": "json",
        }
        house = House(folder / "house", provider_port=port, more=more)
        await house.open()
        try:
            base_url = f"http://127.0.0.1:{house.port}"
            async with aiohttp.ClientSession(base_url) as session:
                token, seeds = await _furnish(session)
            yield Target(base_url, token, seeds, house)
        finally:
            await house.kill()


async def _furnish(session: aiohttp.ClientSession) -> tuple[str, dict[str, list[Any]]]:
    admin = {"username": "fuzzer", "password": "a fuzzer of contracts"}
    headers = {"X-Bootstrap-Token": BOOTSTRAP}
    async with session.post("/admin/bootstrap", json=admin, headers=headers) as response:
        assert response.status == 200, await response.text()
    async with session.post("/token", json=admin) as response:
        token = (await response.json())["access_token"]
    session.headers["Authorization"] = f"Bearer {token}"

    async def post(path: str, body: Any) -> Any:
        async with session.post(path, json=body) as response:
            assert response.status == 200, await response.text()
            return await response.json()

    conversations, generations = [], []
    for model in ("brisk", "dying", "stillborn", "long"):
        conversation = (await post("/conversations", {"title": model}))["id"]
        await post(f"/conversations/{conversation}/messages", {"content": "Well?"})
        path, choice = f"/conversations/{conversation}/stream", {"model": f"lmstudio/{model}"}
        async with session.post(path, json=choice) as response:
            async for line in response.content:
                if line.startswith(b"data: "):
                    generations.append(json.loads(line[6:])["generation_id"])
                if model == "long" and generations:
                    break
        conversations.append(conversation)
    async with session.get(f"/conversations/{conversations[0]}/messages") as response:
        chats = [message["id"] for message in await response.json()]
    user = await post("/auth/register", {"username": "guest", "password": "somebody else's"})
    invite = await post("/admin/invites", {})
    async with session.get("/api/v1/conversations/") as response:
        # Where the model fails, a chat fails with 502, and rightly so.
        uuids = [each["id"] for each in await response.json() if each["title"] in {"brisk", "long"}]
    async with session.get(f"/api/v1/conversations/{uuids[0]}/messages") as response:
        messages = [message["id"] for message in await response.json()]
    return token, {
        # `streaming` shows integers, `companion` uuids: each finds its own among them.
        "conversation_id": [*conversations, *uuids],
        "session_id": [*conversations, *uuids],
        "chat_id": [*chats, *uuids],
        "message_id": messages,
        "name": ["general.png"],
        "generation_id": sorted(set(generations)),
        "user_id": [user["user"]["id"]],
        "user": [str(user["user"]["id"])],
        "plan_id": [1],
        "chatbot_id": [1],
        "model_id": [1],
        "invite": [invite["invite_code"]],
        "provider_id": ["lmstudio", "demo"],
    }


def fuzz(target: Target, contract: str, *, examples: int, phases: str) -> tuple[int, str]:
    """Run schemathesis; return its exit status and what it says."""
    done = subprocess.run(  # noqa: S603  # our own tool
        [
            sys.executable,
            "-m",
            "schemathesis.cli",
            "run",
            f"{target.base_url}/openapi/{contract}.json",
            f"--header=Authorization: Bearer {target.token}",
            *CHECKS,
            *EXCLUDED,
            f"--phases={phases}",
            f"--max-examples={examples}",
            "--continue-on-failure",
            "--request-timeout=30",
            "--suppress-health-check=all",
            "--warnings=off",
            "--generation-database=none",
            "--no-color",
        ],
        cwd=target.house.folder,
        env={
            **os.environ,  # noqa: TID251
            "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}",
            "SCHEMATHESIS_HOOKS": "tests.conformance.hooks",
            "PALAVER_SEEDS": json.dumps(target.seeds),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


async def main() -> int:
    """Fuzz what the command line names."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("contracts", nargs="*", metavar="|".join(CONTRACTS))
    parser.add_argument("--examples", type=int, default=200)
    given = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory(prefix="palaver-fuzz-") as folder:
        async with a_target(Path(folder)) as target:
            for contract in given.contracts or CONTRACTS:
                status, said = await asyncio.to_thread(
                    fuzz,
                    target,
                    contract,
                    examples=given.examples,
                    phases="examples,coverage,fuzzing,stateful",
                )
                failed |= status
                sys.stdout.write(f"{contract}\n{said}\n")
                if errors := target.house.output.read_text():
                    sys.stdout.write(f"the server's output:\n{errors[-4_000:]}\n")
    return failed


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
