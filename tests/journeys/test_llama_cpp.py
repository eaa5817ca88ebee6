"""The main job on a server that is not ours: from sign-up to an answer by llama.cpp, and a cancel.

`make test ARGS=tests/journeys/test_llama_cpp.py` repeats it; docs/providers.md tells it by hand.
"""

import asyncio
from collections.abc import Callable, Iterator

import pytest

from tests.fakes.llama_cpp import MODEL, LlamaCppServer
from tests.http import Visitor
from tests.journeys.conftest import Served


@pytest.fixture(scope="module")
def llama() -> Iterator[LlamaCppServer]:
    with LlamaCppServer() as server:
        yield server


async def test_llama_cpp_answers_through_palaver(
    serve: Callable[..., Served], llama: LlamaCppServer
) -> None:
    served = serve(LMSTUDIO_BASE_URL=llama.base_url, OLLAMA_BASE_URL="http://127.0.0.1:9/v1")
    visitor = Visitor(served.url)
    async with visitor.session:
        account = {"username": "ada", "password": "a long password"}
        assert (await visitor.post("/auth/register", account)).status == 200
        providers = (await visitor.get("/providers")).json
        assert providers[0]["models"] == [{"id": MODEL, "label": MODEL}]
        conversation = (await visitor.post("/conversations", {})).json["id"]
        path = f"/conversations/{conversation}"
        await visitor.post(f"{path}/messages", {"content": "Tell me something."})
        choice = {"provider_id": "lmstudio", "model": MODEL, "temperature": 0}
        async with visitor.events(f"{path}/stream", choice | {"max_tokens": 24}) as events:
            answer = await events.all()
        assert [event.name for event in answer[-2:]] == ["usage", "done"]
        text = "".join(event.data["delta"] for event in answer if event.name == "delta")
        (_, stored) = (await visitor.get(f"{path}/messages")).json
        assert stored["content"] == text != ""

        await visitor.post(f"{path}/messages", {"content": "Go on for long."})
        async with visitor.events(f"{path}/stream", choice | {"max_tokens": 1500}) as events:
            begun = await events.until("delta")
            uuid = begun[-1].data["generation_id"]
            assert (await visitor.post(f"/chat/cancel/{uuid}", None)).status == 200
            assert (await events.all())[-1].data["status"] == "canceled"
        # Its two slots are free again: two more answers come at once. Not in that conversation:
        # who knows how much was said before the cancel, and whether the model can hold it.
        conversation = (await visitor.post("/conversations", {})).json["id"]
        path = f"/conversations/{conversation}"
        for _ in range(2):
            await visitor.post(f"{path}/messages", {"content": "Again."})
            async with asyncio.timeout(20):
                async with visitor.events(f"{path}/stream", choice | {"max_tokens": 8}) as events:
                    seen = await events.all()
                assert seen[-1].data["status"] == "ok", seen
