"""A GGUF checkpoint's config and declaration."""

from __future__ import annotations

from msgspec.structs import replace

from weightscope.checkpoint.gguf_metadata import Metadata
from weightscope.checkpoint.reader import Checkpoint
from weightscope.config import Config
from weightscope.errors import UndeclaredError
from weightscope.families.declaration import Declaration, declare_under
from weightscope.gguf.architecture import Architecture
from weightscope.gguf.config import config_of
from weightscope.gguf.keys import Keys
from weightscope.gguf.layout import laid_out
from weightscope.gguf.table import architecture_of


def described(checkpoint: Checkpoint) -> Metadata | None:
    """What the file says of the model; of split files the first one does."""
    return next((file.described for file in checkpoint.files if file.described and file.described.architecture), None)


def declared(metadata: Metadata, checkpoint: Checkpoint) -> tuple[Config, Declaration]:
    """The config that the metadata stands for, and the declaration as the file stores it.

    Raises:
        UndeclaredError: an architecture that is not known, or one that is only known in parts.
        CheckpointError, ConfigError: metadata that describes no model.
    """
    if metadata.text("general.type") == "adapter":
        raise UndeclaredError("a LoRA adapter of llama.cpp is not checked", where=metadata.where)
    keys, architecture = _architecture(metadata, checkpoint)
    config = config_of(architecture, keys)
    return config, _declared(config, keys, architecture, checkpoint)


def redeclared(config: Config, checkpoint: Checkpoint) -> Declaration:
    """The declaration of the same file under a config that says more.

    Raises:
        UndeclaredError, CheckpointError, ConfigError: as for `declared`.
    """
    metadata = described(checkpoint)
    assert metadata is not None
    return _declared(config, *_architecture(metadata, checkpoint), checkpoint)


def _architecture(metadata: Metadata, checkpoint: Checkpoint) -> tuple[Keys, Architecture]:
    keys = Keys(metadata, checkpoint.tensors)
    architecture = architecture_of(keys)
    if architecture is None:
        raise UndeclaredError(f"architecture {metadata.architecture!r:.60} is not declared", where=metadata.where)
    return keys, architecture


def _declared(config: Config, keys: Keys, architecture: Architecture, checkpoint: Checkpoint) -> Declaration:
    declaration = declare_under(config, _spellings(keys, architecture))
    assert declaration is not None, architecture.model_type
    if architecture.cut:
        declaration = architecture.cut(declaration, keys)
    laid = laid_out(declaration, architecture, checkpoint.tensors)
    return replace(laid, again=lambda other: _declared(other, keys, architecture, checkpoint).slots)


def _spellings(keys: Keys, architecture: Architecture) -> tuple[str, ...]:
    """Those that the architecture names; of mixtures the one with the experts of a layer in one tensor a role."""
    if architecture.spellings:
        return architecture.spellings(keys)
    if not keys.whole("expert_count"):
        return ()
    from weightscope.families.common.mixtures import STACKED

    return (STACKED,)
