"""The weights that would be loaded: those that are there, or what a method of quantization makes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from msgspec.structs import replace

from weightscope.analyses.groups import Group
from weightscope.analyses.inventory import planned
from weightscope.analyses.memory.as_gguf import Convert, as_gguf
from weightscope.analyses.memory.file_types import FILE_TYPES, WITH_MATRIX
from weightscope.analyses.memory.quantizing import quantized, unquantized
from weightscope.analyses.memory.recipes import FLOAT32_SCALES
from weightscope.analyses.memory.request import Request
from weightscope.analyses.memory.weights import Weights, loaded_bytes, weights
from weightscope.analyses.rules.subject import Subject
from weightscope.checkpoint.dtypes import BLOCKS, FLOATS
from weightscope.components.base import Component
from weightscope.errors import NotImplementedByWeightscope
from weightscope.storage.base import Kind


class Loading(msgspec.Struct, frozen=True, kw_only=True):
    """`sizes` are the bytes of each of the main model's `groups`; `owners` are the components by their templates.

    `words` say how the weights would be quantized; empty where they are loaded as they are. Where they are `contained`,
    they have the names of a GGUF file.
    """

    weights: Weights
    groups: tuple[Group, ...]
    sizes: tuple[int, ...]
    owners: Mapping[str, Component]
    words: str = ""
    contained: bool = False


def loading(subject: Subject, request: Request, dtype: str, convert: Convert, beside: Sequence[Group] = ()) -> Loading:
    """What is loaded; `dtype` is that of the computation, `beside` are an adapter's weights.

    Where no file tells the type of plain weights, the config does, or the size that an index names.

    Raises:
        UsageError, NotImplementedByWeightscope, ConfigError: the weights cannot be quantized as they are asked to be.
        NotImplementedByWeightscope: nothing says how large they are.
    """
    declaration, groups, words = subject.declaration, subject.inventory.groups, ""
    stored = stored_bytes(subject, (*groups, *beside))
    if isinstance(request.quantize, str):
        file = convert(unquantized(subject))
        declaration = file.declaration
        groups = (*as_gguf(file, request.quantize), *planned(file.beside).groups)
        words = f"{request.quantize} of llama.cpp{_matrix(request.quantize)}"
        words += "; the encoder keeps its type" if file.beside else ""
    elif request.quantize is not None:
        declaration = quantized(subject, request.quantize)
        groups = planned(declaration.slots).groups
        if declaration.method and declaration.method.name in FLOAT32_SCALES:
            groups = tuple(map(_in_float32, groups))
        words = declaration.covered[0].scheme.words
    groups = (*groups, *beside)
    said = subject.config.dtype if subject.config else None
    found = [
        weights(groups, subject.tying, dtype=request.dtype, assumed=assumed, stored=stored)
        for assumed in ([said] if said in FLOATS else [dtype, "F16"])
    ]
    chosen = next((one for one in found if one.loaded + one.auxiliary == stored), found[0])
    if subject.checkpoint.format == "index" and not chosen.loaded + chosen.auxiliary:
        chosen = replace(chosen, loaded=_total(stored))
    main = tuple(group for group in groups if not group.auxiliary)
    return Loading(
        weights=chosen,
        groups=main,
        sizes=tuple(
            loaded_bytes(group, subject.tying, dtype=request.dtype, assumed=chosen.assumed or said) for group in main
        ),
        owners={slot.template: slot.owner for slot in declaration.slots} if declaration else {},
        words=words,
        contained=declaration is not None and declaration.contained,
    )


def _total(stored: int | None) -> int:
    """What an index says of all tensors, where no family says how large each is.

    Raises:
        NotImplementedByWeightscope: it says nothing.
    """
    if not stored:
        raise NotImplementedByWeightscope(
            "how large the weights are is not known: the index has no total_size, and no family declares this type"
        )
    return stored


def _in_float32(group: Group) -> Group:
    """Scales as float32 if they may have that type; all else as it is."""
    if group.kind is not Kind.SCALE or "F32" not in group.dtypes:
        return group
    return replace(group, counts={("F32", shape): count for (_, shape), count in group.counts.items()})


def _matrix(file_type: str) -> str:
    """Whether it is made with an importance matrix; nothing for types without blocks, on which it has no influence."""
    if FILE_TYPES[file_type] not in BLOCKS:
        return ""
    return ", with an importance matrix" if file_type in WITH_MATRIX else ", without an importance matrix"


def stored_bytes(subject: Subject, groups: Sequence[Group]) -> int | None:
    """Bytes of all tensors in the files, or what an index says; None where there are none."""
    checkpoint = subject.checkpoint
    if checkpoint.format == "index":
        return checkpoint.index.total_size if checkpoint.index else None
    return sum(group.bytes for group in groups) if checkpoint.files else None
