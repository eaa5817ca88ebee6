"""Vectors come from a provider, or from a model in a folder; what fails says so."""

import asyncio
import contextlib
import math
import os
import signal
import struct
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from aiohttp import web

from palaver.domain.embedders import EmbedderSettings
from palaver.domain.errors import ErrorKind, ProviderError
from palaver.domain.providers import ProviderSettings
from palaver.outbound.embedders import build
from palaver.outbound.embedders.folder import FolderEmbedder, fingerprint
from palaver.outbound.embedders.prefixes import prefixes_of
from palaver.outbound.embedders.served import LENGTH_MAX, TEXTS_MAX, ServedEmbedder
from tests.fakes.embeddings_server import EmbeddingsServer
from tests.fakes.tiny_model import a_model


def numbers(vector: bytes) -> list[float]:
    return list(struct.unpack(f"<{len(vector) // 4}f", vector))


@pytest.fixture
async def server() -> AsyncIterator[EmbeddingsServer]:
    server = EmbeddingsServer()
    await server.start()
    yield server
    await server.close()


@pytest.fixture
async def embedder_of(
    server: EmbeddingsServer,
) -> AsyncIterator[Callable[..., ServedEmbedder]]:
    made: list[ServedEmbedder] = []

    def make(model: str = "some-model", **given: object) -> ServedEmbedder:
        settings = {
            "id": "openai",
            "name": "OpenAI",
            "protocol": "openai",
            "base_url": f"{server.url}/v1",
            "api_key": "sk-secret",
            "key_setting": "OPENAI_API_KEY",
            **given,
        }
        made.append(ServedEmbedder(ProviderSettings(**settings), model))
        return made[-1]

    yield make
    for embedder in made:
        await embedder.close()


class TestServed:
    async def test_vectors_come_in_the_order_of_their_texts_and_have_length_1(
        self, server: EmbeddingsServer, embedder_of: Callable[..., ServedEmbedder]
    ) -> None:
        embedder = embedder_of()
        assert embedder.id == "openai/some-model"
        found = await embedder.embed(["one", "two", "three"])
        assert found.tokens == 9
        for text, vector in zip(["one", "two", "three"], found.vectors, strict=True):
            given = server.numbers(text)
            assert numbers(vector) == pytest.approx([n / math.hypot(*given) for n in given])
        assert server.asked == [{"model": "some-model", "input": ["one", "two", "three"]}]
        assert server.keys == ["Bearer sk-secret"]
        assert server.paths == ["/v1/embeddings"]

    async def test_many_and_long_texts_go_in_several_requests(
        self, server: EmbeddingsServer, embedder_of: Callable[..., ServedEmbedder]
    ) -> None:
        found = await embedder_of().embed([str(number) for number in range(TEXTS_MAX + 6)])
        assert len(found.vectors) == TEXTS_MAX + 6
        assert [len(asked["input"]) for asked in server.asked] == [TEXTS_MAX, 6]
        server.asked.clear()
        await embedder_of().embed(["a" * (LENGTH_MAX // 2), "b" * (LENGTH_MAX // 2), "c"])
        assert [len(asked["input"]) for asked in server.asked] == [2, 1]
        assert (await embedder_of().embed([])).vectors == ()

    async def test_gemini_is_asked_beside_its_own_protocol(
        self, server: EmbeddingsServer, embedder_of: Callable[..., ServedEmbedder]
    ) -> None:
        await embedder_of(protocol="gemini", base_url=server.url).embed(["one"])
        assert server.paths == ["/v1beta/openai/embeddings"]

    async def test_a_model_reads_the_words_that_it_was_trained_with(
        self, server: EmbeddingsServer, embedder_of: Callable[..., ServedEmbedder]
    ) -> None:
        embedder = embedder_of("intfloat/multilingual-e5-small")
        await embedder.embed(["cats"])
        await embedder.embed(["cats"], is_query=True)
        assert [asked["input"] for asked in server.asked] == [["passage: cats"], ["query: cats"]]

    @pytest.mark.parametrize(
        ("status", "headers", "kind", "retry"),
        [
            (401, {}, ErrorKind.PROVIDER_FAILED, None),
            (404, {}, ErrorKind.MODEL_NOT_FOUND, None),
            (429, {"Retry-After": "7"}, ErrorKind.PROVIDER_OVERLOADED, 7),
            (429, {}, ErrorKind.PROVIDER_OVERLOADED, 10),
            (503, {}, ErrorKind.PROVIDER_UNREACHABLE, None),
            (400, {}, ErrorKind.PROVIDER_FAILED, None),
            (302, {"Location": "/elsewhere"}, ErrorKind.PROVIDER_FAILED, None),
        ],
    )
    async def test_refusals_are_told_apart_and_never_quote_the_key(
        self,
        server: EmbeddingsServer,
        embedder_of: Callable[..., ServedEmbedder],
        status: int,
        headers: dict[str, str],
        kind: ErrorKind,
        retry: int | None,
    ) -> None:
        body = '{"error": {"message": "no, not with sk-secret"}}'
        server.script.append(web.Response(status=status, headers=headers, text=body))
        with pytest.raises(ProviderError) as raised:
            await embedder_of().embed(["one"])
        assert (raised.value.kind, raised.value.retry_after_seconds) == (kind, retry)
        assert "sk-secret" not in raised.value.message

    @pytest.mark.parametrize(
        "body",
        [
            "no JSON",
            '{"data": []}',
            '{"data": [{"embedding": [0.0, 0.0]}]}',
            '{"data": [{"embedding": [1.0], "index": 3}]}',
            '{"data": [{"embedding": "base64"}]}',
        ],
    )
    async def test_what_are_no_vectors_is_refused(
        self, server: EmbeddingsServer, embedder_of: Callable[..., ServedEmbedder], body: str
    ) -> None:
        server.script.append(web.Response(text=body))
        with pytest.raises(ProviderError, match="no vectors for these texts"):
            await embedder_of().embed(["one"])

    async def test_a_server_that_is_not_there_may_be_asked_again(
        self, embedder_of: Callable[..., ServedEmbedder]
    ) -> None:
        with pytest.raises(ProviderError) as raised:
            await embedder_of(base_url="http://127.0.0.1:9/v1").embed(["one"])
        assert raised.value.may_be_repeated


@pytest.mark.parametrize(
    ("model", "query", "passage"),
    [
        ("text-embedding-3-small", "", ""),
        ("multilingual-e5-base", "query: ", "passage: "),
        ("nomic-embed-text:v1.5", "search_query: ", "search_document: "),
        ("BAAI/bge-small-en-v1.5", "Represent this sentence for searching relevant passages: ", ""),
        ("bge-m3", "", ""),
        ("snowflake-arctic-embed2", "query: ", ""),
        ("embeddinggemma", "task: search result | query: ", "title: none | text: "),
    ],
)
def test_known_models_have_their_prefixes(model: str, query: str, passage: str) -> None:
    found = prefixes_of(model)
    assert (found.query, found.passage) == (query, passage)


@contextlib.asynccontextmanager
async def from_folder(folder: Path, **given: float) -> AsyncIterator[FolderEmbedder]:
    embedder = FolderEmbedder(folder, **given)
    try:
        yield embedder
    finally:
        await embedder.close()


class TestFolder:
    async def test_a_real_model_embeds_in_a_process_of_its_own(self, tmp_path: Path) -> None:
        folder = a_model(tmp_path / "tiny")
        async with from_folder(folder) as embedder:
            assert embedder.process_id is None, "nothing starts before the first text"
            found = await embedder.embed(["cat", "cat dog", "cat cat dog sits"])
            assert embedder.process_id not in (None, os.getpid())
            assert os.getpriority(os.PRIO_PROCESS, embedder.process_id) > 0
        assert found.tokens == 7
        assert numbers(found.vectors[0]) == pytest.approx([1, 0, 0])
        assert numbers(found.vectors[1]) == pytest.approx([0.5**0.5, 0.5**0.5, 0])
        whole = math.hypot(8, 4, 2)  # mean pooling: the others in the batch are not in it
        assert numbers(found.vectors[2]) == pytest.approx([8 / whole, 4 / whole, 2 / whole])
        assert embedder.process_id is None

    async def test_the_folder_says_how_to_pool_and_what_comes_first(self, tmp_path: Path) -> None:
        folder = a_model(
            tmp_path / "tiny",
            pooling={"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False},
            config_sentence_transformers={"prompts": {"query": "dog ", "document": ""}},
        )
        async with from_folder(folder) as embedder:
            assert numbers((await embedder.embed(["cat sits"])).vectors[0]) == [1, 0, 0]
            found = await embedder.embed(["cat sits"], is_query=True)
            assert numbers(found.vectors[0]) == [0, 1, 0]

    async def test_a_text_is_read_as_far_as_the_model_can(self, tmp_path: Path) -> None:
        folder = a_model(tmp_path / "tiny", sentence_bert_config={"max_seq_length": 2})
        async with from_folder(folder) as embedder:
            found = await embedder.embed(["cat cat dog dog dog"])
        assert found.tokens == 2
        assert numbers(found.vectors[0]) == [1, 0, 0]

    async def test_another_model_is_another_space(self, tmp_path: Path) -> None:
        one, other = a_model(tmp_path / "one"), a_model(tmp_path / "other")
        assert fingerprint(one) == fingerprint(other)
        (other / "tokenizer.json").write_text("{}")
        assert fingerprint(one) != fingerprint(other)
        assert FolderEmbedder(one).id == f"local/one@{fingerprint(one)}"

    async def test_a_process_that_dies_is_started_again(self, tmp_path: Path) -> None:
        async with from_folder(a_model(tmp_path / "tiny")) as embedder:
            await embedder.embed(["cat"])
            first = embedder.process_id
            assert first is not None
            os.kill(first, signal.SIGKILL)
            with pytest.raises(ProviderError) as raised:
                await embedder.embed(["cat"])
            assert raised.value.may_be_repeated
            assert len((await embedder.embed(["cat"])).vectors) == 1
            assert embedder.process_id not in (None, first)

    async def test_it_ends_when_nothing_is_asked_for(self, tmp_path: Path) -> None:
        async with from_folder(a_model(tmp_path / "tiny"), idle_seconds=0.01) as embedder:
            await embedder.embed(["cat"])
            while embedder.process_id is not None:  # noqa: ASYNC110  # a process has no event
                await asyncio.sleep(0.01)
            assert len((await embedder.embed(["dog"])).vectors) == 1

    async def test_who_goes_away_leaves_the_next_with_the_right_answer(
        self, tmp_path: Path
    ) -> None:
        async with from_folder(a_model(tmp_path / "tiny")) as embedder:
            impatient = asyncio.ensure_future(embedder.embed(["dog"], is_query=True))
            await asyncio.sleep(0)
            impatient.cancel()
            found = await embedder.embed(["cat"], is_query=True)
            assert numbers(found.vectors[0]) == [1, 0, 0]

    async def test_what_is_no_model_is_said(self, tmp_path: Path) -> None:
        folder = a_model(tmp_path / "tiny")
        (folder / "model.onnx").write_bytes(b"nonsense")
        async with from_folder(folder) as embedder:
            with pytest.raises(ProviderError, match=r"The model in .* did not embed"):
                await embedder.embed(["cat"])

    async def test_layers_that_are_not_in_the_graph_are_refused(self, tmp_path: Path) -> None:
        folder = a_model(
            tmp_path / "tiny",
            modules=[{"type": "sentence_transformers.models.Dense", "path": "2_Dense"}],
        )
        async with from_folder(folder) as embedder:
            with pytest.raises(ProviderError, match="layers Dense"):
                await embedder.embed(["cat"])


async def test_the_settings_name_one_of_the_two(tmp_path: Path) -> None:
    folder = a_model(tmp_path / "tiny")
    assert isinstance(build(EmbedderSettings(model="tiny", folder=folder)), FolderEmbedder)
    provider = ProviderSettings(id="x", name="X", protocol="openai", base_url="http://x/v1")
    assert build(EmbedderSettings(model="m", provider=provider)).id == "x/m"
