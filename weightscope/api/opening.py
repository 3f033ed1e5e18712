"""From a path to an opened model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from weightscope.api.naming import asking_for, elsewhere, require_path, shown
from weightscope.checkpoint.reader import Checkpoint, Progress, open_checkpoint, open_elsewhere
from weightscope.config import Config, read_config
from weightscope.errors import ConfigError, UndeclaredError, UsageError, WeightscopeError
from weightscope.findings import Finding

if TYPE_CHECKING:
    from weightscope.api.model import Model
    from weightscope.families.declaration import Declaration

# Lists that have an entry for each layer.
PER_LAYER = ("layer_types", "layers_block_type", "mlp_layer_types", "no_rope_layers")
STORED = "roles are guessed from names, and parameters are counted as stored"

UNCHECKED = "the tensors were not checked against config.json"


def open_model(
    path: str | Path,
    *,
    variant: str | None = None,
    progress: Progress | None = None,
    tolerant: bool = False,
    base: str | Path | None = None,
) -> Model:
    """Open a checkpoint directory, a weight file, an index, a config.json or a remote model; reads headers only.

    Args:
        path: a path; a directory with both formats is read as safetensors. Text that is not a path may
            name a repository of the Hugging Face Hub (`org/name@revision`, `hf://org/name/file`) or be a URL.
        variant: the infix of `model.fp16.safetensors`, where a directory holds several.
        progress: called with (done, total, file name) before each file's header is read.
        tolerant: go on without weight files that cannot be read; findings say which.
        base: the model that an adapter is held against. Without it that is the one which the adapter's config names,
            if the local Hugging Face cache has it.

    Raises:
        WeightscopeError: one line that says what is wrong, where, and what to do.
    """
    reference = shown(str(path))
    if not reference:
        raise UsageError("the path is empty", hint="give a checkpoint directory, or . for the current one")
    checkpoint = _open(path, variant, progress, tolerant=tolerant)
    from weightscope.api.model import Model

    if checkpoint.location.format == "pipeline":
        return Model(reference, checkpoint, None, None, parts=_parts(checkpoint, variant))
    if base is not None or _may_be_adapter(checkpoint):
        from weightscope.api.adapters import adapter_of

        if opened := adapter_of(checkpoint, base, tolerant=tolerant):
            return Model(reference, checkpoint, None, None, opened.notices, opened.adapter, opened.base)
    notices: list[Finding] = []
    config, declaration = None, None
    try:
        if checkpoint.format == "gguf":
            config, declaration = _in_gguf(checkpoint, notices)
            return Model(reference, checkpoint, config, declaration, tuple(notices))
        config = _config_of(checkpoint, notices)
        declaration = _declare(config, checkpoint, notices) if config else None
        if config and declaration and checkpoint.format != "config":
            checkpoint, declaration = _under_declared_names(config, declaration, checkpoint)
    except ConfigError as error:
        error = _explained(config, error)
        if not tolerant:
            raise error from None
        notices.append(Finding.of(error))
    else:
        notices += () if config or notices else (_written(_no_config(checkpoint), checkpoint),)
    return Model(reference, checkpoint, config, declaration, tuple(notices))


def _parts(checkpoint: Checkpoint, variant: str | None) -> dict[str, Model]:
    """The models of a pipeline by name, each opened by itself."""
    from weightscope.checkpoint.pipeline import part_of

    folder = checkpoint.folder.path
    names = dict.fromkeys(part_of(folder, path) for path in checkpoint.location.weights)
    return {name: open_model(folder / name, variant=variant, tolerant=True) for name in names}


def _may_be_adapter(checkpoint: Checkpoint) -> bool:
    """Whether it is worth a look: a model has a config.json, an adapter one of its own."""
    alone = checkpoint.location.config is None and checkpoint.format != "gguf"
    return alone or checkpoint.folder.holds("adapter_config.json")


def _open(path: str | Path, variant: str | None, progress: Progress | None, *, tolerant: bool) -> Checkpoint:
    text = path if isinstance(path, str) else ""
    reference = elsewhere(text)
    if reference is None:
        if text:
            require_path(text)
        return open_checkpoint(Path(path), variant=variant, progress=progress, tolerant=tolerant)
    from weightscope.checkpoint.find import find

    with asking_for(text):
        folder, name = find(reference, variant)
    # The first files are on their way: what will be needed takes as long to import.
    import weightscope.api.model  # noqa: F401

    return open_elsewhere(folder, name, variant=variant, progress=progress, tolerant=tolerant)


def _config_of(checkpoint: Checkpoint, notices: list[Finding]) -> Config | None:
    """The config beside the weights; that of an original release, or of a run, is said in transformers' keys."""
    if checkpoint.arguments and checkpoint.tensors:
        from weightscope.families.megatron_args import has_sizes

        if has_sizes(checkpoint.arguments):
            return _of_run(checkpoint, notices)
    path = checkpoint.location.config
    config = read_config(path) if path else None
    if config is None or path is None or path.name != "params.json":
        return config
    from weightscope.families.params_json import EMBEDDING, OUTPUT, as_config

    if checkpoint.format == "safetensors" and not checkpoint.folder.holds("config.json"):
        # On the Hub these lie beside the files for transformers: who has them alone has half of a download.
        notices.append(_no_config(checkpoint, "these are Mistral's own files, which transformers does not load"))
    rows = _rows(checkpoint, EMBEDDING)
    try:
        return as_config(config, rows, tied=OUTPUT not in checkpoint.tensors if checkpoint.tensors else None)
    except UndeclaredError as error:
        notices.append(_notice(error.what, STORED, "the tensors were not checked against params.json"))
        return None


def _rows(checkpoint: Checkpoint, name: str) -> int | None:
    """The rows of a tensor; None where it is not stored."""
    entry = checkpoint.tensors.get(name)
    return entry.shape[0] if entry and entry.shape else None


def _of_run(checkpoint: Checkpoint, notices: list[Finding]) -> Config | None:
    """The config that a Megatron-LM run's own arguments give; a config.json beside it has another form."""
    from weightscope.families.megatron_args import EMBEDDING, as_config

    rows = _rows(checkpoint, EMBEDDING)
    try:
        return as_config(checkpoint.arguments, checkpoint.names, rows, checkpoint.files[0].path)
    except UndeclaredError as error:
        notices.append(_notice(error.what, STORED, "the tensors were not checked against the run's arguments"))
        return None


def _in_gguf(checkpoint: Checkpoint, notices: list[Finding]) -> tuple[Config | None, Declaration | None]:
    """What the metadata of a GGUF file declares."""
    from weightscope.gguf.opening import declared, described

    metadata, unchecked = described(checkpoint), "the tensors were not checked against the metadata"
    try:
        if metadata is not None:
            return declared(metadata, checkpoint)
        # What could not be read has been said.
        if checkpoint.files:
            notices.append(_notice("no file that was read names an architecture", STORED, unchecked))
    except UndeclaredError as error:
        notices.append(_notice(error.what, STORED, unchecked))
    return None, None


def _declare(config: Config, checkpoint: Checkpoint, notices: list[Finding]) -> Declaration | None:
    alone = checkpoint.format == "config"
    from weightscope.families.declaration import declare
    from weightscope.quantization.registry import beside

    what = _undeclared(config)
    try:
        declaration = declare(
            config, None if alone else checkpoint.tensors or checkpoint.names, beside=beside(checkpoint.folder)
        )
    except UndeclaredError as error:
        declaration, what = None, error.what
    if declaration is None and alone:
        raise WeightscopeError(
            f"{what}, and there are no weights to read",
            where=config.source,
            hint="give the directory with the weights",
            code="unknown-architecture",
        )
    if declaration is None:
        from weightscope.analyses.language import language_part

        declaration = language_part(config, checkpoint.names)
        if declaration is None:
            notices.append(_written(_notice(what, STORED), checkpoint))
        else:
            told = f"only its language model is checked, as {declaration.family.model_type}"
            notices.append(_notice(what, told, "its other parts were not checked against config.json"))
    return declaration


def _undeclared(config: Config) -> str:
    """Why no family declares a config; one of diffusers names a class, and no model type."""
    if config.model_type:
        return f"model type {config.model_type!r} is not declared"
    kind = config.data.get("_class_name")
    if isinstance(kind, str) and "_diffusers_version" in config.data:
        return f"{kind[:100]!r} of diffusers is not declared"
    return "config.json has no model_type"


def _under_declared_names(
    config: Config, declaration: Declaration, checkpoint: Checkpoint
) -> tuple[Checkpoint, Declaration]:
    """Both again, where a prefix or a wrapper's word stands between the stored names and the declared ones."""
    from weightscope.analyses.fitting import fitting, may_be_renamed

    if declaration.part or not may_be_renamed(declaration, checkpoint.names):
        return checkpoint, declaration
    from weightscope.analyses.prefixes import find_renaming, unwrapped
    from weightscope.checkpoint.renaming import Renaming, rename

    basis, (there, needed) = declaration, fitting(declaration, checkpoint.names)
    spellings = [root for root in declaration.family.roots if root]
    if there < needed and len(spellings) > 1:
        # Which of a family's spellings is meant may show only without what stands before all names.
        for cut, names in enumerate(unwrapped(checkpoint.names)):
            bare = rename(checkpoint, Renaming(names=names))
            other = _declare(config, bare, [])
            # Less a word that no wrapper writes, names without a root may be those of any root.
            if other and (other.root or not cut) and (fits := fitting(other, bare.names)[0]) > there:
                basis, there = other, fits
    renaming = find_renaming(basis, checkpoint)
    if renaming is None:
        return checkpoint, declaration
    checkpoint = rename(checkpoint, renaming)
    return checkpoint, _declare(config, checkpoint, []) or declaration


def _explained(config: Config | None, error: ConfigError) -> ConfigError:
    """The error, or what lies behind it: a list with an entry for each layer that is of another length."""
    if config is None:
        return error
    text = config.data.get("text_config")
    parts = {"": config.data, "text_config.": text if isinstance(text, dict) else {}}
    for prefix, part in parts.items():
        depth = part.get("num_hidden_layers")
        for key in PER_LAYER:
            listed = part.get(key)
            if isinstance(listed, list) and isinstance(depth, int) and len(listed) != depth and key in error.what:
                entries = "1 entry" if len(listed) == 1 else f"{len(listed):,} entries"
                return config.error(
                    f"{prefix}{key} has {entries}, but num_hidden_layers is {depth:,}",
                    f"give {key} one entry per layer, or correct num_hidden_layers",
                )
    return error


def _notice(what: str, consequence: str, hint: str = UNCHECKED) -> Finding:
    return Finding(
        code="unknown-architecture",
        severity="warning",
        message=f"{what}: {consequence}",
        config=("model_type",),
        hint=hint,
    )


def _written(notice: Finding, checkpoint: Checkpoint) -> Finding:
    """The notice, with whose names the tensors have, where that is known."""
    from weightscope.analyses.writers import writer_of

    writer = writer_of(checkpoint.names)
    if writer is None:
        return notice
    words, hint = writer
    return msgspec.structs.replace(notice, message=f"{notice.message}; the names are {words}", hint=hint)


def _no_config(checkpoint: Checkpoint, consequence: str = "roles are guessed from names") -> Finding:
    return Finding(
        code="config-missing",
        severity="warning",
        message=f"there is no config.json beside the weights: {consequence}",
        hint=f"put the model's config.json into {checkpoint.folder.where}",
    )
