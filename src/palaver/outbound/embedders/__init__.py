"""Embedders: a provider's, or a model from a folder. Both are the operator's choice: no gate."""

from palaver.domain.embedders import Embedder, EmbedderSettings

__all__ = ["build"]


def build(settings: EmbedderSettings) -> Embedder:
    """Return what embeds. Opens and starts nothing yet."""
    # aiohttp is a third of the time to start, and most commands embed nothing.
    if settings.provider is not None:
        from palaver.outbound.embedders.served import ServedEmbedder  # noqa: PLC0415

        return ServedEmbedder(settings.provider, settings.model)
    if settings.folder is None:
        raise ValueError("An embedder has a provider or a folder.")
    from palaver.outbound.embedders.folder import FolderEmbedder  # noqa: PLC0415

    return FolderEmbedder(settings.folder)
