"""What a sentence-transformers folder has beside its encoder: pooling in words, and dense layers as models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightscope.checkpoint.folder import LocalFolder
from weightscope.checkpoint.reader import Checkpoint
from weightscope.errors import WeightscopeError

if TYPE_CHECKING:
    from weightscope.api.model import Model


def sentence_parts(checkpoint: Checkpoint) -> tuple[str | None, dict[str, Model]]:
    """How a text becomes a vector, and the dense layers by their folders; what cannot be read is said by `forward`."""
    place = checkpoint.folder.path
    if not checkpoint.whole or not isinstance(checkpoint.folder, LocalFolder) or not (place / "modules.json").is_file():
        return None, {}
    from weightscope.analyses.forward.sentences import read_sentences
    from weightscope.api.opening import open_model

    try:
        said = read_sentences(place)
        layers = said.dense if said else ()
        return said.words if said else None, {layer.folder.name: open_model(layer.folder) for layer in layers}
    except WeightscopeError:
        return None, {}
