"""What is this? The one object behind `weightscope inspect`, in the words of the JSON it becomes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from weightscope.analyses.accounting import (
    BufferShare,
    ComponentShare,
    DtypeShare,
    Parameters,
    by_component,
    by_dtype,
    count_buffers,
    count_parameters,
)
from weightscope.analyses.inventory import Inventory
from weightscope.analyses.run_state import run_state
from weightscope.analyses.shape_line import describe
from weightscope.analyses.tying import Tying
from weightscope.brief import brief
from weightscope.checkpoint.reader import Checkpoint
from weightscope.config import Config
from weightscope.errors import printable_path
from weightscope.families.declaration import Declaration
from weightscope.findings import Finding

if TYPE_CHECKING:
    from weightscope.analyses.adapting.summary import AdapterInfo
    from weightscope.analyses.quantized import Quantization
    from weightscope.checkpoint.training import Training


class ModelInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What was named, and what it turned out to be.

    Attributes:
        reference: what was named.
        format: such as `safetensors` or `gguf`.
        model_type: the config's.
        architecture: the class that the config names.
        family: the declaration that it is read by; None for undeclared types.
        recognized: whether there is one.
        quantization: the method.
        dtype: the config's own word on its weights.
        shape: layers, widths and heads in a line.
        notes: what was read otherwise than it stands there, and from where.
    """

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
    """Whether the head is the token embedding.

    Attributes:
        tied: whether it is.
        declared: what the config says; None where it does not.
        evidence: `shared-storage`, `absent-head`, `equal-values`, `untied`, `declared` or `not-applicable`.
    """

    tied: bool
    declared: bool | None
    evidence: str


class PartInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One model of a pipeline: its folder, its class, and what it is. `parameters` is None if nothing tells them."""

    name: str
    architecture: str | None
    family: str | None
    tensors: int
    parameters: int | None
    bytes: int

    @classmethod
    def of(cls, name: str, summary: Summary, kind: str | None) -> PartInfo:
        """From the part's own summary; `kind` is its class where no config in transformers' form says it."""
        return cls(
            name=name,
            architecture=summary.model.architecture or kind,
            family=summary.model.family,
            tensors=summary.tensors.total,
            parameters=summary.parameters.total,
            bytes=summary.bytes,
        )


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What a model is, key for key the JSON of `weightscope inspect`.

    Attributes:
        schema_version: of the JSON.
        model: type, family, format.
        files: the weight files.
        tensors: how many, and the names of those that no declaration knows.
        parameters: the totals.
        bytes: of all tensors.
        dtypes: by element type.
        embeddings: whether the head is tied.
        quantization: how weights are stored; None where none is quantized.
        components: parameters by component and role.
        findings: what headers tell at a glance.
        buffers: what is stored and is no parameter.
        training: the state of a training run; otherwise None.
        adapter: what an adapter changes; otherwise None.
        parts: the models of a pipeline.
        sentence_vectors: how a sentence-transformers folder makes a vector of a text; otherwise None.
    """

    schema_version: int = 1
    model: ModelInfo
    files: tuple[FileInfo, ...]
    tensors: TensorInfo
    parameters: Parameters
    bytes: int
    dtypes: tuple[DtypeShare, ...]
    embeddings: EmbeddingInfo
    quantization: Quantization | None
    components: tuple[ComponentShare, ...]
    findings: tuple[Finding, ...]
    buffers: BufferShare
    training: Training | None = None
    adapter: AdapterInfo | None = None
    parts: tuple[PartInfo, ...] = ()
    sentence_vectors: str | None = None

    __repr__ = brief


def summarize(
    reference: str,
    checkpoint: Checkpoint,
    config: Config | None,
    declaration: Declaration | None,
    inventory: Inventory,
    tying: Tying,
    findings: tuple[Finding, ...] = (),
    adapter: AdapterInfo | None = None,
    parts: tuple[PartInfo, ...] = (),
    vectors: str | None = None,
) -> Summary:
    """All that `inspect` says; `findings` are what opening and a glance at the headers told, `adapter` what it is if
    it is one.
    """
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
            recognized=_is_recognized(declaration, inventory, adapter),
            quantization=_quantization(declaration, checkpoint),
            dtype=config.dtype if config else None,
            shape=describe(declaration.tree) if declaration else None,
            notes=(*checkpoint.location.notes, *_rest(checkpoint)),
        ),
        files=tuple(
            FileInfo(name=printable_path(checkpoint.name_of(file)), bytes=file.bytes, tensors=len(file.tensors))
            for file in checkpoint.files
        ),
        tensors=TensorInfo(
            total=len(checkpoint.names), recognized=inventory.recognized, unrecognized=inventory.unrecognized
        ),
        parameters=parameters,
        bytes=total_bytes,
        dtypes=dtypes,
        embeddings=EmbeddingInfo(tied=tying.tied, declared=tying.declared, evidence=tying.evidence),
        quantization=_schemes(declaration, inventory),
        components=by_component(inventory, tying),
        findings=findings,
        buffers=count_buffers(inventory),
        training=run_state(checkpoint),
        adapter=adapter,
        parts=parts,
        sentence_vectors=vectors,
    )


def _is_recognized(declaration: Declaration | None, inventory: Inventory, adapter: AdapterInfo | None) -> bool:
    """Whether a family declares the model, or methods of adapters all tensors."""
    if adapter is not None:
        return not inventory.unrecognized
    return declaration is not None and not declaration.part


def _quantization(declaration: Declaration | None, checkpoint: Checkpoint) -> str | None:
    """The methods by which weights are stored; without weights, what the config says."""
    if declaration is None or declaration.contained:
        return None
    if checkpoint.format == "config" and declaration.method:
        return declaration.method.name
    return ", ".join(dict.fromkeys(item.scheme.name for item in declaration.covered)) or None


def _schemes(declaration: Declaration | None, inventory: Inventory) -> Quantization | None:
    """How weights are stored; None where all are stored plain, and no file says otherwise."""
    said = declaration is not None and declaration.method is not None
    if not said and all(group.scheme is None or group.alias for group in inventory.groups):
        return None
    from weightscope.analyses.quantized import quantization_of

    return quantization_of(declaration, inventory)


def _rest(checkpoint: Checkpoint) -> Iterator[str]:
    for file in checkpoint.files:
        if file.rest:
            parts = ", ".join(f"{key} ({part.tensors:,} tensors)" for key, part in file.rest.items())
            yield f"{file.path.name} also holds {parts}, which are not weights of the model"
        yield from (f"{file.path.name} {note}" for note in file.notes)
