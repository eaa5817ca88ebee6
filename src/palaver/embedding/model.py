"""A model of embeddings as its folder holds it: an ONNX graph, a tokenizer, and how to pool.

The files are those that Sentence Transformers writes (`1_Pooling/config.json` and so on), with the
graph as Optimum exports it. https://sbert.net/docs/sentence_transformer/usage/efficiency.html
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

TOKENS_MAX: Final = 2_048
"""No text is read further, whatever the model could: attention costs the square of it."""
USUAL_TOKENS: Final = 512
_BATCH: Final = 8
_MODULES: Final = ("Transformer", "Pooling", "Normalize")


class Model:
    """One model, read into memory, on one thread. What it raises names what is wrong."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)
        self.prompts: dict[str, str] = _texts(
            self._json("config_sentence_transformers.json").get("prompts")
        )
        self._tokenizer = Tokenizer.from_file(str(self._folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(self._tokens_max())
        self._tokenizer.no_padding()
        self._session = self._read()
        self._inputs = {given.name for given in self._session.get_inputs()}
        unknown = self._inputs - {"input_ids", "attention_mask", "token_type_ids", "position_ids"}
        if unknown:
            raise ValueError(f"the model wants inputs that are not known: {sorted(unknown)}")
        outputs = [given.name for given in self._session.get_outputs()]
        self._is_pooled = "sentence_embedding" in outputs
        self._output = "sentence_embedding" if self._is_pooled else outputs[0]
        self._pool = self._pooling()
        self._refuse_more_modules()

    def embed(self, texts: Sequence[str]) -> tuple[tuple[bytes, ...], int]:
        """Return vectors of length 1, and the tokens of all texts."""
        encoded = [found.ids for found in self._tokenizer.encode_batch(list(texts))]
        # Texts of about one length share a run: what is filled up costs as much as what is said.
        order = sorted(range(len(texts)), key=lambda number: len(encoded[number]))
        vectors = [b""] * len(texts)
        for start in range(0, len(order), _BATCH):
            some = order[start : start + _BATCH]
            for number, row in zip(some, self._run([encoded[n] for n in some]), strict=True):
                vectors[number] = row.astype("<f4").tobytes()
        return tuple(vectors), sum(map(len, encoded))

    def _run(self, encoded: Sequence[Sequence[int]]) -> Any:
        shape = len(encoded), max(1, *map(len, encoded))
        ids, mask = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        for row, tokens in enumerate(encoded):
            ids[row, : len(tokens)] = tokens
            mask[row, : len(tokens)] = 1
        given = {
            "input_ids": ids,
            "attention_mask": mask,
            "token_type_ids": np.zeros(shape, np.int64),
            "position_ids": np.broadcast_to(np.arange(shape[1], dtype=np.int64), shape),
        }
        fed = {name: given[name] for name in self._inputs}
        found = self._session.run([self._output], fed)[0].astype(np.float32)
        pooled = found if self._is_pooled or found.ndim == 2 else self._pooled(found, mask)
        lengths = np.linalg.norm(pooled, axis=1, keepdims=True)
        if not np.isfinite(lengths).all() or not lengths.all():
            raise ValueError("the model's numbers make no vector")
        return pooled / lengths

    def _pooled(self, found: Any, mask: Any) -> Any:
        match self._pool:
            case "cls":
                return found[:, 0]
            case "lasttoken":
                return found[np.arange(len(found)), mask.sum(axis=1) - 1]
            case "max":
                return np.where(mask[:, :, None] == 1, found, -np.inf).max(axis=1)
            case _:
                weights = mask[:, :, None].astype(np.float32)
                return (found * weights).sum(axis=1) / np.maximum(weights.sum(axis=1), 1)

    def _read(self) -> Any:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = False  # it would keep what the longest text took
        options.log_severity_level = 3
        paths = (self._folder / "model.onnx", self._folder / "onnx" / "model.onnx")
        path = next(path for path in paths if path.is_file())
        return onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])

    def _tokens_max(self) -> int:
        places = self._json("config.json").get("max_position_embeddings")
        given = (
            self._json("sentence_bert_config.json").get("max_seq_length"),
            self._json("tokenizer_config.json").get("model_max_length"),
            places - 2 if isinstance(places, int) else None,  # RoBERTa's first two are no places
        )
        # Some write 10^30 for "no limit".
        said = [int(most) for most in given if isinstance(most, int | float) and 0 < most < 10**6]
        return min(TOKENS_MAX, *said) if said else USUAL_TOKENS

    def _pooling(self) -> str:
        config = self._json("1_Pooling/config.json")
        ways = {"cls": "cls_token", "max": "max_tokens", "lasttoken": "lasttoken"}
        named = config.get("pooling_mode")
        chosen = [way for way, key in ways.items() if config.get(f"pooling_mode_{key}") is True]
        means = [key for key in config if key.startswith("pooling_mode_mean") and config[key]]
        if len(chosen) + len(means) > 1 or "weightedmean" in f"{means} {named}":
            raise ValueError("its way of pooling is not known here")
        if isinstance(named, str):
            return named
        return chosen[0] if chosen else "mean"

    def _refuse_more_modules(self) -> None:
        """Refuse layers behind the pooling: without them its vectors would be others."""
        modules = self._json("modules.json", [])
        kinds = [str(each.get("type", "")).rpartition(".")[2] for each in modules]
        more = [kind for kind in kinds if kind not in _MODULES]
        if more and not self._is_pooled:
            raise ValueError(f"its layers {', '.join(more)} are not in the graph")

    def _json(self, name: str, default: Any = None) -> Any:
        path = self._folder / name
        empty = {} if default is None else default
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else empty


def _texts(given: Any) -> dict[str, str]:
    return {key: text for key, text in (given or {}).items() if isinstance(text, str)}
