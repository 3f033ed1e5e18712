"""The slots of a declaration as they lie in a GGUF file, under llama.cpp's names."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from math import prod

from msgspec.structs import replace

from weightscope.checkpoint.entry import TensorEntry
from weightscope.components.base import Indices
from weightscope.components.unused import Unused
from weightscope.components.walk import Slot
from weightscope.families.declaration import Declaration, merged
from weightscope.gguf.architecture import Architecture
from weightscope.gguf.forms import forms_of, written_form
from weightscope.gguf.names import SCALES, name_of
from weightscope.gguf.scheme import InGguf, Piece
from weightscope.quantization.common.modules import Covered
from weightscope.roles import Role, Section
from weightscope.sizes import Size
from weightscope.storage.base import Kind, Stored

# What lies beside the weights in some files: what a rotation's frequencies are divided by, and a table that T5 has and
# does not use.
BESIDE = {
    **dict.fromkeys(("rope_freqs.weight", "rope_factors_short.weight", "rope_factors_long.weight"), Role.ROTARY_TABLE),
    "dec.blk.0.cross_attn_rel_b.weight": Role.RELATIVE_POSITION,
}
# Matrices that sentence-transformers has after EmbeddingGemma.
AFTER = ("dense_2.weight", "dense_3.weight")


def laid_out(
    declaration: Declaration, architecture: Architecture, names: Mapping[str, TensorEntry] | None
) -> Declaration:
    """The declaration with the tensors of a GGUF file for slots; `names` are those that the file has.

    Without a file, they are those that llama.cpp's converter would write.

    Raises:
        UndeclaredError: a role for which no name is known.
    """
    depth = int(declaration.config.data.get("num_hidden_layers", 0))
    own = _own_scales(declaration, architecture)
    slots: list[Slot] = []
    covered: list[Covered] = []
    for slot in declaration.slots:
        if _is_left_out(slot, architecture):
            continue
        forms = [_above(form, slot, depth) for form in _known_forms(slot, architecture)]
        if not forms:
            role = slot.stored.parts[0][0]
            raise declaration.config.undeclared(
                f"GGUF's name for {role} ({slot.template}) is not known, which {architecture.model_type} has"
            )
        scheme = _by_list(_scheme(forms, slot, architecture, names), slot, declaration, architecture)
        scheme = _scaled(scheme, slot, names or (), own)
        covered.append(Covered(template=slot.template, ranges=slot.ranges, scheme=scheme))
        slots += _held(slot, scheme)
    slots += (*_beside(declaration, names or {}), *_after(declaration, names or {}))
    return replace(declaration, slots=merged(slots), covered=tuple(covered), contained=True)


def nameless(declaration: Declaration, architecture: Architecture) -> Slot | None:
    """The first slot for which no name is known, of those that a file has."""
    held = (slot for slot in declaration.slots if not _is_left_out(slot, architecture))
    return next((slot for slot in held if not _known_forms(slot, architecture)), None)


def _known_forms(slot: Slot, architecture: Architecture) -> list[InGguf]:
    """The forms in which a file may have it, as far as their names are known; of what is numbered twice none is."""
    if len(slot.ranges) > 1:
        return []
    return [form for form in forms_of(slot, architecture) if form is not None]


def _is_left_out(slot: Slot, architecture: Architecture) -> bool:
    """Whether the converter leaves it out: tables, masks, copies, what is unused, and what the architecture says."""
    unused = slot.stored.kind in (Kind.BUFFER, Kind.COPY) or isinstance(slot.owner, Unused)
    return (unused and slot.stored.optional) or slot.stored.parts[0][0] in architecture.lacks


def _by_list(scheme: InGguf, slot: Slot, declaration: Declaration, architecture: Architecture) -> InGguf:
    """The scheme with the file's numbers, of a module that it numbers by the layers that the config lists."""
    for word, (part, key) in architecture.lists.items():
        if f".{word}." in slot.template:
            return replace(scheme, places=tuple(declaration.config.data[part][key]))
    return scheme


def _held(slot: Slot, scheme: InGguf) -> Iterator[Slot]:
    """The tensors of the file that stand for one of the architecture."""
    layers = _layers(scheme, slot)
    for stored in scheme.expand(slot.stored):
        # llama.cpp leaves out what a layer that predicts ahead has of the main model's.
        copied = slot.auxiliary and {Role.TOKEN_EMBEDDING, Role.LM_HEAD} & {role for role, _ in stored.parts}
        held = replace(stored, optional=stored.optional or bool(copied))
        kinds = slot.kinds if layers else ()
        yield replace(slot, template=held.name, ranges=layers, kinds=kinds, stored=held)


def _layers(scheme: InGguf, slot: Slot) -> tuple[Indices, ...]:
    """The layers of the file in which the slot lies."""
    if scheme.stacked:
        return ()
    return tuple(tuple(map(scheme.place, indices)) for indices in slot.ranges) if scheme.places else slot.ranges


def _beside(declaration: Declaration, names: Container[str]) -> Iterator[Slot]:
    """What the file has that is no weight of the model."""
    for name, role in BESIDE.items():
        if name not in names:
            continue
        stored = Stored(name=name, shape=(), parts=((role, 0),), kind=Kind.BUFFER, opaque=True)
        yield _own_slot(declaration, stored, Section.OTHER)


def _after(declaration: Declaration, tensors: Mapping[str, TensorEntry]) -> Iterator[Slot]:
    """The matrices after a model of sentences, as the file has them: no pass comes to them."""
    for name in (name for name in AFTER if name in tensors):
        shape = tuple(map(Size, tensors[name].shape))
        stored = Stored(name=name, shape=shape, parts=((Role.OUTPUT_PROJ, int(prod(shape))),))
        yield _own_slot(declaration, stored, Section.POOLER)


def _own_slot(declaration: Declaration, stored: Stored, section: Section) -> Slot:
    """The slot of one tensor that the file has and the architecture has not."""
    return Slot(
        template=stored.name,
        ranges=(),
        kinds=(),
        stored=stored,
        owner=declaration.tree,
        section=section,
        auxiliary=False,
    )


def _scheme(forms: list[InGguf], slot: Slot, architecture: Architecture, names: Container[str] | None) -> InGguf:
    """The form of which the file has the largest share of tensors, of equal ones the usual; without a file, as written.

    It is the share that counts, not the number, since a form of one tensor may be a part of another form.
    """
    if len(forms) == 1:
        return forms[0]
    if names is None:
        return written_form(forms, slot, architecture)
    return max(forms, key=lambda form: _share(form, slot, names))


def _above(scheme: InGguf, slot: Slot, depth: int) -> InGguf:
    """Layers that predict further tokens are numbered after all others, where Qwen counts them from 0."""
    if not slot.auxiliary or (slot.ranges and slot.ranges[0] and slot.ranges[0][0] >= depth):
        return scheme
    if slot.ranges and slot.ranges[0]:
        return replace(scheme, places=tuple(range(depth, depth + max(slot.ranges[0]) + 1)))
    pieces = tuple(replace(piece, template=f"blk.{depth}.{piece.template}") for piece in scheme.pieces)
    return replace(scheme, pieces=pieces)


def _own_scales(declaration: Declaration, architecture: Architecture) -> frozenset[str]:
    """The names of scales that the model itself has: they lie where those of a type of block would."""
    found: set[str] = set()
    for slot in declaration.slots:
        role = slot.stored.parts[0][0]
        name = name_of(role, slot, architecture) if role in SCALES else None
        if name is not None:
            found.add(name)
    return frozenset(found)


def _scaled(scheme: InGguf, slot: Slot, names: Container[str], own: frozenset[str]) -> InGguf:
    """With the scales that lie beside tensors of some types (NVFP4), as far as the file has them."""
    layers = [(number,) for number in slot.ranges[0]] if slot.ranges else [()]

    def held(template: str) -> bool:
        return any(template.format(*layer) in names for layer in layers)

    def with_scale(piece: Piece) -> Piece:
        module, weight = piece.template.removesuffix(".weight"), piece.template.endswith(".weight")
        scale, inputs = f"{module}.scale", f"{module}.input_scale"
        scaled, quantized = held(scale) and scale not in own, held(inputs)
        if not weight or not (scaled or quantized):
            return piece
        return replace(piece, scale=scale if scaled else "", unused=(inputs,) if quantized else ())

    return replace(scheme, pieces=tuple(map(with_scale, scheme.pieces)))


def _share(scheme: InGguf, slot: Slot, names: Container[str]) -> float:
    wanted = [part for name in slot.names() for part in scheme.parts(name)]
    return sum(name in names for name in wanted) / max(len(wanted), 1)
