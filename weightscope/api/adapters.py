"""From an opened checkpoint to the adapter that it is, and to its base."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from weightscope.adapters.common.other_settings import is_mlx, metadata_settings, mlx_settings
from weightscope.adapters.common.peft_settings import peft_settings
from weightscope.adapters.common.settings import Settings
from weightscope.adapters.common.spelling import library_of, tells_adapter
from weightscope.adapters.registry import Adapter, read_adapter
from weightscope.checkpoint.cached import in_cache
from weightscope.checkpoint.reader import Checkpoint
from weightscope.checkpoint.reference import HubReference, parse
from weightscope.config import Config, read_config
from weightscope.errors import ConfigError, NotImplementedByWeightscope, UsageError, WeightscopeError
from weightscope.findings import Finding
from weightscope.roles import Role

if TYPE_CHECKING:
    from weightscope.analyses.adapting.overlay import Beside, Overlay
    from weightscope.api.model import Model
    from weightscope.families.declaration import Declaration

CONFIG = "adapter_config.json"
# What PEFT, mlx-lm and diffusers call the weights of an adapter.
FILES = ("adapter_model.", "adapters.", "pytorch_lora_weights.")


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """An adapter, with what is to be said of how it was opened, and its base where that is here."""

    adapter: Adapter
    notices: tuple[Finding, ...] = ()
    base: Model | None = None


def adapter_of(checkpoint: Checkpoint, base: str | Path | None, *, tolerant: bool) -> Opened | None:
    """The adapter that a checkpoint is; None for anything else.

    Raises:
        ConfigError: adapter_config.json cannot be read, unless `tolerant`.
        UsageError: a base was named for what is no adapter.
        WeightscopeError: the base that was named cannot be opened.
    """
    if not _is_adapter(checkpoint):
        if base is not None:
            raise UsageError(
                "--base requires an adapter, and this is none", where=checkpoint.path, hint="leave --base out"
            )
        return None
    settings, notices = _settings(checkpoint, tolerant=tolerant)
    adapter = read_adapter(checkpoint.tensors, settings)
    return Opened(adapter=adapter, notices=notices, base=_base(settings, base))


def _is_adapter(checkpoint: Checkpoint) -> bool:
    weights = checkpoint.location.weights
    if not weights:
        return False
    if all(path.name.startswith(FILES) for path in weights):
        return True
    return checkpoint.location.config is None and tells_adapter(checkpoint.tensors)


def _settings(checkpoint: Checkpoint, *, tolerant: bool) -> tuple[Settings, tuple[Finding, ...]]:
    """What the config beside the weights says, or else what their names and the header do."""
    library = library_of(checkpoint.tensors)
    metadata = checkpoint.files[0].metadata if checkpoint.files else {}
    if not checkpoint.folder.holds(CONFIG):
        missing = () if library in ("diffusers", "kohya") else (_no_config(checkpoint),)
        return metadata_settings(library, metadata), missing
    try:
        config = read_config(checkpoint.folder.fetch(CONFIG))
        return settings_in(config), ()
    except ConfigError as error:
        if not tolerant:
            raise
        return metadata_settings(library, metadata), (Finding.of(error),)


def settings_in(config: Config) -> Settings:
    """The settings in an adapter_config.json, PEFT's or mlx-lm's.

    Raises:
        ConfigError: a key has a value that it cannot have.
    """
    return mlx_settings(config) if is_mlx(config) else peft_settings(config)


def _no_config(checkpoint: Checkpoint) -> Finding:
    return Finding(
        code="config-missing",
        severity="warning",
        message=f"there is no {CONFIG} beside the adapter: its scale (alpha), targets and base are not known",
        hint=f"put the adapter's {CONFIG} into {checkpoint.folder.where}",
    )


def adapted(
    reference: str, declaration: Declaration, checkpoint: Checkpoint, named: Sequence[str | Path]
) -> tuple[Declaration, Checkpoint, Overlay]:
    """A model as a pass with these adapters takes it, and what they change.

    Where the head is tied to the embedding and one of the two is changed, each has a matrix of its own.

    Raises:
        UsageError: one is no adapter.
        CheckpointError: one does not fit the model.
        NotImplementedByWeightscope: what one does is not computed here.
    """
    from weightscope.analyses.adapting.base import BaseWeights
    from weightscope.analyses.adapting.overlay import overlay
    from weightscope.analyses.forward.heads import table_of, with_head_apart

    found = overlay([beside(path) for path in named], BaseWeights.of(declaration, checkpoint), reference)
    table, head = (table_of(declaration, role) for role in (Role.TOKEN_EMBEDDING, Role.LM_HEAD))
    if declaration.tied and (found.changes_apart(table) or found.of(head)):
        declaration, checkpoint, head = with_head_apart(declaration, checkpoint)
        if not head:
            raise NotImplementedByWeightscope("the tied head of this model is not taken apart", where=reference)
        found = found.with_shared(table, head)
    return declaration, checkpoint, found


def beside(path: str | Path) -> Beside:
    """An adapter that a pass applies.

    Raises:
        UsageError: the path names none.
        WeightscopeError: it cannot be read.
    """
    from weightscope.analyses.adapting.overlay import Beside
    from weightscope.api.opening import open_model

    # A merged model may lie in the same directory.
    within = (Path(path) / f"{FILES[0]}{suffix}" for suffix in ("safetensors", "bin"))
    model = open_model(next((file for file in within if file.is_file()), path))
    if model.adapter is None:
        raise UsageError("this is no adapter", where=path, hint="--adapter names the directory of one")
    return Beside(model.adapter, model.checkpoint, str(path))


def _base(settings: Settings, named: str | Path | None) -> Model | None:
    """The base that was named, or the one that the settings name if the local Hugging Face cache has all of it."""
    from weightscope.api.opening import open_model

    if named is not None:
        base = open_model(named)
        if base.adapter is not None:
            raise UsageError("--base names an adapter, not a model", where=named, hint="name the whole model")
        return base
    try:
        reference = parse(settings.base)
        if not isinstance(reference, HubReference) or in_cache(reference) is None:
            return None
        return open_model(f"hf://{settings.base}")
    except (WeightscopeError, OSError):
        # Nobody asked for it, so the adapter is shown without.
        return None
