"""The embedder: a model that a provider serves, or one from a folder; at most one of them."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from palaver.config.errors import ConfigError
from palaver.config.providers import SETTINGS
from palaver.config.settings import PREFIX, Settings
from palaver.domain.embedders import EmbedderSettings
from palaver.domain.providers import ProviderSettings

MODEL: Final = f"{PREFIX}EMBEDDING_MODEL"
FOLDER: Final = f"{PREFIX}EMBEDDING_FOLDER"

_EXTRA: Final = ("onnxruntime", "tokenizers")
_WITHOUT: Final = frozenset({"anthropic", "demo"})
"""Protocols in which nothing embeds."""


def embedder(settings: Settings, providers: Sequence[ProviderSettings]) -> EmbedderSettings | None:
    """Return what embeds, None where nothing does. Raises `ConfigError`."""
    model, folder = settings.embedding_model, settings.embedding_folder
    if model is not None and folder is not None:
        raise ConfigError(f"{MODEL} and {FOLDER} are both set: choose one.")
    if model is not None:
        return _served(model, providers)
    return None if folder is None else _from_folder(folder.absolute())


def _served(name: str, providers: Sequence[ProviderSettings]) -> EmbedderSettings:
    id, _, model = name.partition("/")
    provider = next((given for given in providers if given.id == id), None)
    if provider is None:
        setting = SETTINGS.get(id)
        hint = f"set {setting}" if setting else f"add [providers.{id}] to the settings file"
        raise ConfigError(f"{MODEL} is {name}: there is no provider {id}; {hint}.")
    if provider.protocol in _WITHOUT:
        raise ConfigError(f"{MODEL} is {name}: {provider.name} has no models that embed.")
    return EmbedderSettings(model=model, provider=provider)


def _from_folder(folder: Path) -> EmbedderSettings:
    if not all(map(find_spec, _EXTRA)):
        raise ConfigError(f'{FOLDER} needs more packages: pip install "palaver[embeddings]".')
    if not folder.is_dir():
        raise ConfigError(f"{FOLDER}: {folder} is no folder.")
    models = (folder / "model.onnx", folder / "onnx" / "model.onnx")
    if not any(path.is_file() for path in models):
        raise ConfigError(f"{FOLDER}: {folder} has no model.onnx, nor onnx/model.onnx.")
    if not (folder / "tokenizer.json").is_file():
        raise ConfigError(f"{FOLDER}: {folder} has no tokenizer.json.")
    return EmbedderSettings(model=folder.name, folder=folder)
