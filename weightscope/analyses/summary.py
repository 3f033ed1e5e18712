"""What is this? The one object behind `weightscope inspect`, in the words of the JSON it becomes."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from weightscope.analyses.accounting import (
    ComponentShare,
    DtypeShare,
    Parameters,
    by_component,
    by_dtype,
    count_parameters,
)
from weightscope.analyses.inventory import Inventory
from weightscope.analyses.tying import Tying
from weightscope.checkpoint.reader import Checkpoint
from weightscope.components.attention import Attention
from weightscope.components.base import Component, Repeat, find
from weightscope.components.decoder import Decoder
from weightscope.components.latent_attention import LatentAttention
from weightscope.components.mlp import MLP, GatedMLP
from weightscope.components.moe import MixtureOfExperts
from weightscope.components.vision import VisionEncoder
from weightscope.config import Config
from weightscope.errors import printable_path
from weightscope.families.registry import Declaration
from weightscope.findings import Finding


class ModelInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What was named and what it turned out to be. `dtype` is the config's own word on its weights."""

    reference: str
    format: str
    model_type: str | None
    architecture: str | None
    family: str | None
    recognized: bool
    quantization: str | None
    dtype: str | None
    shape: str | None
    notes: tuple[str, ...]


class FileInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One weight file that was read."""

    name: str
    bytes: int
    tensors: int


class TensorInfo(msgspec.Struct, frozen=True, kw_only=True):
    """How many tensors the declaration knows, and the names of those it does not."""

    total: int
    recognized: int
    unrecognized: tuple[str, ...]


class EmbeddingInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the head is the token embedding; see `Tying`."""

    tied: bool
    declared: bool | None
    evidence: str


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """The JSON of `inspect`, key for key."""

    schema_version: int = 1
    model: ModelInfo
    files: tuple[FileInfo, ...]
    tensors: TensorInfo
    parameters: Parameters
    bytes: int
    dtypes: tuple[DtypeShare, ...]
    embeddings: EmbeddingInfo
    components: tuple[ComponentShare, ...]
    findings: tuple[Finding, ...]


def summarize(
    reference: str,
    checkpoint: Checkpoint,
    config: Config | None,
    declaration: Declaration | None,
    inventory: Inventory,
    tying: Tying,
    findings: tuple[Finding, ...] = (),
) -> Summary:
    """All that `inspect` says; `findings` are what opening and a glance at the headers told."""
    dtypes = by_dtype(inventory)
    total_bytes = sum(share.bytes for share in dtypes)
    if checkpoint.format == "index" and checkpoint.index:
        total_bytes = checkpoint.index.total_size or 0
    parameters = count_parameters(inventory, tying)
    return Summary(
        model=ModelInfo(
            reference=printable_path(reference),
            format=checkpoint.format,
            model_type=(config.model_type or None) if config else None,
            architecture=(config.architecture or None) if config else None,
            family=declaration.family.module if declaration else None,
            recognized=declaration is not None and not declaration.part,
            quantization=_quantization(declaration, checkpoint),
            dtype=config.dtype if config else None,
            shape=describe(declaration.tree) if declaration else None,
            notes=(*checkpoint.location.notes, *_rest(checkpoint)),
        ),
        files=tuple(
            FileInfo(name=printable_path(file.path.name), bytes=file.bytes, tensors=len(file.tensors))
            for file in checkpoint.files
        ),
        tensors=TensorInfo(
            total=len(checkpoint.names), recognized=inventory.recognized, unrecognized=inventory.unrecognized
        ),
        parameters=parameters,
        bytes=total_bytes,
        dtypes=dtypes,
        embeddings=EmbeddingInfo(tied=tying.tied, declared=tying.declared, evidence=tying.evidence),
        components=by_component(inventory, tying),
        findings=findings,
    )


def _quantization(declaration: Declaration | None, checkpoint: Checkpoint) -> str | None:
    """The methods by which weights are stored; without weights, what the config says."""
    if declaration is None:
        return None
    if checkpoint.format == "config" and declaration.method:
        return declaration.method.name
    return ", ".join(dict.fromkeys(item.scheme.name for item in declaration.covered)) or None


def _rest(checkpoint: Checkpoint) -> Iterator[str]:
    for file in checkpoint.files:
        if file.rest:
            parts = ", ".join(f"{key} ({count:,} tensors)" for key, count in file.rest.items())
            yield f"{file.path.name} also holds {parts}, which are not weights of the model"


def describe(tree: Component) -> str | None:
    """The shape of a model in one line, from its declaration: `32 layers · hidden 4,096 · 32 heads of 128 (8 kv) …`."""
    decoder = next(find(tree, Decoder), None)
    encoder = next(find(tree, VisionEncoder), None)
    parts: list[str] = []
    if decoder is not None:
        parts += _decoder(decoder)
    if encoder is not None:
        layers, width = len(encoder.blocks.indices), encoder.patches.width
        parts.append(
            f"vision {layers} layers of {width:,}, {encoder.patches.image:,} px in patches of {encoder.patches.patch}"
        )
    return " · ".join(parts) or None


def _decoder(decoder: Decoder) -> Iterator[str]:
    yield f"{decoder.depth:,} layer{'' if decoder.depth == 1 else 's'}"
    yield f"hidden {decoder.embedding.width:,}"
    attention = next(find(decoder, Attention), None)
    if attention:
        shared = f" ({attention.kv_heads:,} kv)" if attention.kv_heads != attention.heads else ""
        yield f"{attention.heads:,} heads of {attention.head_dim:,}{shared}"
    latent = next(find(decoder, LatentAttention), None)
    if latent:
        yield f"{latent.heads:,} heads of {latent.nope}+{latent.rope_dim}, latent {latent.kv_rank:,}"
    mixture = next(find(decoder, MixtureOfExperts), None)
    inner = _dense_inner(decoder)
    if inner:
        yield f"mlp {inner:,}"
    if mixture:
        yield f"{mixture.experts:,} experts of {mixture.expert.inner:,}, {mixture.chosen:,} a token"
    window = next((a.window for a in find(decoder, Attention) if a.window), None)
    if window:
        yield f"window {window:,}"
    yield f"vocabulary {decoder.embedding.rows:,}"


def _dense_inner(decoder: Decoder) -> int | None:
    for block in find(decoder, Repeat):
        if block.of == "layer":
            for part in block.child.children():
                if isinstance(part, MLP | GatedMLP) and block.indices:
                    return part.inner
    return None
