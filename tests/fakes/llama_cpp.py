"""llama.cpp's own server with a model of half a megabyte: a real peer, offline and in a second.

The model has the shape of a small Llama and random weights, so that it speaks in words without a
sense. By hand: `python -m tests.fakes.llama_cpp --port 8080`, then give Palaver a provider with the
address that it prints. The server comes from the `xllamacpp` wheel, the writer from `gguf`.
"""

import argparse
import contextlib
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Self

import gguf
import numpy as np
import xllamacpp

MODEL = "palaver-test"
CONTEXT_TOKENS = 2048  # shared by two slots
_WIDTH, _LAYERS, _HEADS, _FEED_FORWARD = 64, 2, 4, 128
_SYLLABLES = (
    "ba",
    "de",
    "fi",
    "go",
    "lu",
    "ma",
    "ne",
    "ri",
    "so",
    "tu",
    "ka",
    "le",
    "pi",
    "vo",
    "wu",
)
_TEMPLATE = (  # strict, as many models' own are
    "{% for message in messages %}"
    "{% if loop.index0 and message.role in ('system', messages[loop.index0 - 1].role) %}"
    "{{ raise_exception('One system message, then the user and the assistant by turns!') }}"
    "{% endif %}{{ message.role }}: {{ message.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)


def write_model(path: Path, *, seed: int = 0) -> None:
    """Write a GGUF file: SentencePiece's kind of vocabulary with all bytes, and some words."""
    words = [f"▁{a}{b}" for a in _SYLLABLES for b in _SYLLABLES]
    special = [b"<unk>", b"<s>", b"</s>"]
    tokens = special + [b"<0x%02X>" % byte for byte in range(256)] + [w.encode() for w in words]
    kinds = [gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.CONTROL]
    kinds += [gguf.TokenType.BYTE] * 256 + [gguf.TokenType.NORMAL] * len(words)

    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name(MODEL)
    writer.add_context_length(CONTEXT_TOKENS)
    writer.add_embedding_length(_WIDTH)
    writer.add_block_count(_LAYERS)
    writer.add_feed_forward_length(_FEED_FORWARD)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(_WIDTH // _HEADS)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_types(kinds)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_chat_template(_TEMPLATE)

    random = np.random.default_rng(seed)

    def add(name: str, *shape: int) -> None:
        writer.add_tensor(name, random.standard_normal(shape, np.float32) / np.float32(8))

    add("token_embd.weight", len(tokens), _WIDTH)
    output = random.standard_normal((len(tokens), _WIDTH), np.float32)
    output[: len(special) + 256] = 0  # words are likelier than bytes and the end
    writer.add_tensor("output.weight", output)
    writer.add_tensor("output_norm.weight", np.ones(_WIDTH, np.float32))
    for layer in range(_LAYERS):
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            add(f"blk.{layer}.{name}.weight", _WIDTH, _WIDTH)
        add(f"blk.{layer}.ffn_gate.weight", _FEED_FORWARD, _WIDTH)
        add(f"blk.{layer}.ffn_up.weight", _FEED_FORWARD, _WIDTH)
        add(f"blk.{layer}.ffn_down.weight", _WIDTH, _FEED_FORWARD)
        for name in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"blk.{layer}.{name}.weight", np.ones(_WIDTH, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


class LlamaCppServer:
    """The server in a process of its own."""

    def __init__(self, *, port: int = 0) -> None:
        self.port = port
        self.base_url = ""

    def __enter__(self) -> Self:
        command = [
            sys.executable,
            "-m",
            "tests.fakes.llama_cpp",
            f"--port={self.port}",
            "--until-eof",
        ]
        root = Path(__file__).parents[2]
        self._log = tempfile.TemporaryFile()
        self._process = subprocess.Popen(  # noqa: S603
            command,
            cwd=root,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        assert self._process.stdout is not None
        self.base_url = self._process.stdout.readline().strip()
        if not self.base_url:
            self._log.seek(0)
            raise RuntimeError(self._log.read().decode(errors="replace")[-2000:])
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._log.close()


def _main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--until-eof", action="store_true", help="end when standard input does")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{MODEL}.gguf"
        write_model(path)
        params = xllamacpp.CommonParams()
        params.model.path = str(path)
        params.hostnames = ["127.0.0.1"]
        params.model_alias = {MODEL}
        params.port = arguments.port
        params.n_ctx = CONTEXT_TOKENS
        params.n_parallel = 2
        params.cpuparams.n_threads = 1
        params.n_threads_http = 4
        server = xllamacpp.Server(params)
        print(f"{server.listening_address}/v1", flush=True)  # noqa: T201
        with contextlib.suppress(KeyboardInterrupt):
            if arguments.until_eof:  # whoever started it may be killed
                sys.stdin.read()
            else:
                signal.pause()


if __name__ == "__main__":
    _main()
