"""A folder with a real, tiny model of embeddings: a tokenizer of words, and an ONNX graph."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

WORDS = ("[UNK]", "cat", "feline", "dog", "sits", "query", "passage", ":")
NUMBERS = np.array(
    [[0, 0, 1], [4, 0, 0], [3, 1, 0], [0, 4, 0], [0, 0, 2], [0, 0, 0], [0, 0, 0], [0, 0, 0]],
    dtype=np.float32,
)  # fmt: skip


def a_model(folder: Path, *, pooling: dict[str, Any] | None = None, **config: Any) -> Path:
    """Write the model: a token's numbers are looked up, and pooled by who reads it."""
    folder.mkdir(parents=True, exist_ok=True)
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "input_ids"], ["last_hidden_state"])],
        "tiny",
        [
            helper.make_tensor_value_info(name, TensorProto.INT64, ["texts", "tokens"])
            for name in ("input_ids", "attention_mask")
        ],
        [
            helper.make_tensor_value_info(
                "last_hidden_state", TensorProto.FLOAT, ["texts", "tokens", 3]
            )
        ],
        [numpy_helper.from_array(NUMBERS, "table")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, str(folder / "model.onnx"))
    tokenizer = Tokenizer(WordLevel({word: id for id, word in enumerate(WORDS)}, "[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    if pooling is not None:
        (folder / "1_Pooling").mkdir(exist_ok=True)
        (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    for name, given in config.items():
        (folder / f"{name}.json").write_text(json.dumps(given))
    return folder
