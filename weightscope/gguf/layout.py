"""The slots of a declaration as they lie in a GGUF file, under llama.cpp's names."""

from __future__ import annotations

from collections.abc import Container, Iterator
from math import prod

from msgspec.structs import replace

from weightscope.components.attention.softmax import Attention
from weightscope.components.base import Indices
from weightscope.components.walk import Slot
from weightscope.families.registry import Declaration, merged
from weightscope.gguf.architecture import Architecture
from weightscope.gguf.names import AS_IT_IS, SCALES, TOGETHER, full_name, fused_stem, stem_of
from weightscope.gguf.scheme import InGguf, Piece
from weightscope.gguf.undoing import held_as, undone
from weightscope.gguf.values import Reshaped, Undo
from weightscope.gguf.weaving import Chosen, HeadsTogether, Rows, Weave
from weightscope.quantization.common.modules import Covered
from weightscope.roles import Role, Section
from weightscope.sizes import Shape, Size
from weightscope.storage.base import Kind, StorageItem, Stored
from weightscope.storage.linear import Linear
from weightscope.storage.stacked import Stacked

FACTORS = ("rope_freqs.weight", "rope_factors_short.weight", "rope_factors_long.weight")
ATTENDING = (Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ)


def laid_out(declaration: Declaration, architecture: Architecture, names: Container[str]) -> Declaration:
    """The declaration with the tensors of a GGUF file for slots; `names` are those that the file has.

    Raises:
        UndeclaredError: a role for which no name is known.
    """
    depth = int(declaration.config.data["num_hidden_layers"])
    own = _own_scales(declaration, architecture)
    slots: list[Slot] = []
    covered: list[Covered] = []
    for slot in declaration.slots:
        if slot.stored.kind is Kind.BUFFER and slot.stored.optional:
            # Tables and masks that the converter leaves out.
            continue
        scheme = _scheme(slot, architecture, names, depth)
        if scheme is None:
            role = slot.stored.parts[0][0]
            raise declaration.config.undeclared(
                f"GGUF's name for {role} ({slot.template}) is not known, which {architecture.model_type} has"
            )
        scheme = _scaled(scheme, slot, names, own)
        covered.append(Covered(template=slot.template, ranges=slot.ranges, scheme=scheme))
        for stored in scheme.expand(slot.stored):
            # llama.cpp leaves out what a layer that predicts ahead has of the main model's.
            copied = slot.auxiliary and {Role.TOKEN_EMBEDDING, Role.LM_HEAD} & {role for role, _ in stored.parts}
            held = replace(stored, optional=stored.optional or bool(copied))
            slots.append(replace(slot, template=held.name, ranges=_layers(scheme, slot), stored=held))
    slots += _factors(declaration, names)
    return replace(declaration, slots=merged(slots), covered=tuple(covered), contained=True)


def _layers(scheme: InGguf, slot: Slot) -> tuple[Indices, ...]:
    """The layers of the file in which the slot lies."""
    if scheme.stacked:
        return ()
    if not scheme.above:
        return slot.ranges
    return tuple(tuple(number + scheme.above for number in indices) for indices in slot.ranges)


def _factors(declaration: Declaration, names: Container[str]) -> Iterator[Slot]:
    """What a rotation's frequencies are divided by, where the file has it."""
    for name in (name for name in FACTORS if name in names):
        parts = ((Role.ROTARY_TABLE, 0),)
        stored = Stored(name=name, shape=(), parts=parts, kind=Kind.BUFFER, opaque=True)
        yield Slot(
            template=name,
            ranges=(),
            kinds=(),
            stored=stored,
            owner=declaration.tree,
            section=Section.OTHER,
            auxiliary=False,
        )


def _scheme(slot: Slot, architecture: Architecture, names: Container[str], depth: int) -> InGguf | None:
    """The one of the forms in which the slot may be stored of which the file has most; else the usual one.

    A form of one tensor may be a part of another form: what has the larger share of its tensors there is meant.
    """
    if len(slot.ranges) > 1:
        return None
    forms = [_above(form, slot, depth) for form in _forms(slot, architecture) if form is not None]
    return (
        max(forms, key=lambda form: _share(form, slot, names), default=None)
        if len(forms) > 1
        else next(iter(forms), None)
    )


def _above(scheme: InGguf, slot: Slot, depth: int) -> InGguf:
    """Layers that predict further tokens are numbered after all others, where Qwen counts them from 0."""
    if not slot.auxiliary or (slot.ranges and slot.ranges[0] and slot.ranges[0][0] >= depth):
        return scheme
    if slot.ranges:
        return replace(scheme, above=depth)
    pieces = tuple(replace(piece, template=f"blk.{depth}.{piece.template}") for piece in scheme.pieces)
    return replace(scheme, pieces=pieces)


def _own_scales(declaration: Declaration, architecture: Architecture) -> frozenset[str]:
    """The names of scales that the model itself has: they lie where those of a type of block would."""
    found: set[str] = set()
    for slot in declaration.slots:
        role = slot.stored.parts[0][0]
        stem = stem_of(role, slot, architecture.names) if role in SCALES else None
        if stem is not None:
            found.add(full_name(stem, slot, role))
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


def _forms(slot: Slot, architecture: Architecture) -> Iterator[InGguf | None]:
    roles = tuple(role for role, _ in slot.stored.parts)
    item = next((item for item in slot.owner.stored if item.roles == roles), None)
    yield _apart(slot, tuple((role,) for role in roles), item, architecture)
    if len(roles) > 1:
        yield _fused(slot, roles, item, architecture)
    if len(roles) > 3 and roles[:3] == ATTENDING:
        yield _apart(slot, (ATTENDING, *((role,) for role in roles[3:])), item, architecture)
    if roles[0] in TOGETHER and slot.ranges:
        yield _together(slot, roles[0], architecture)
    if roles == (Role.KV_B_PROJ,):
        yield _latent(slot)
    if len(roles) == 1 and roles[0] in ATTENDING and isinstance(slot.owner, Attention):
        yield _one_of_three(slot, roles[0], item, architecture)


def _apart(
    slot: Slot, shared: tuple[tuple[Role, ...], ...], item: StorageItem | None, architecture: Architecture
) -> InGguf | None:
    """A tensor for each role, or for several that share one."""
    pieces: list[Piece] = []
    for roles in shared:
        stem = stem_of(roles[0], slot, architecture.names) if len(roles) == 1 else fused_stem(roles, slot)
        if stem is None:
            return None
        pieces.append(_piece(full_name(stem, slot, roles[0]), roles, slot, item, architecture))
    return _woven(slot, tuple(pieces), item)


def _fused(slot: Slot, roles: tuple[Role, ...], item: StorageItem | None, architecture: Architecture) -> InGguf | None:
    """One tensor for all roles."""
    stem = fused_stem(roles, slot)
    if stem is None:
        return None
    piece = _piece(full_name(stem, slot, roles[0]), roles, slot, item, architecture)
    if roles in AS_IT_IS:
        return InGguf(template=slot.template, pieces=(replace(piece, rows=()),), weave=None, rowwise=True)
    return _woven(slot, (piece,), item)


def _one_of_three(slot: Slot, role: Role, item: StorageItem | None, architecture: Architecture) -> InGguf | None:
    """Queries, keys or values that the converter was told to fuse: some rows of one tensor."""
    stem = fused_stem(ATTENDING, slot)
    if stem is None or not isinstance(item, Linear):
        return None
    piece = _piece(full_name(stem, slot, role), ATTENDING, slot, item, architecture)
    return InGguf(template=slot.template, pieces=(piece,), weave=Chosen(ATTENDING.index(role)), rowwise=False)


def _together(slot: Slot, role: Role, architecture: Architecture) -> InGguf:
    """Matrices that the architecture numbers, one after another in one tensor."""
    count = len(slot.ranges[0])
    shape = (Size(count), *slot.stored.shape)
    piece = Piece(
        template=f"{architecture.names[role]}.weight",
        shape=shape,
        roles=(role,),
        counts=(int(prod(shape)),),
        undo=((),),
    )
    return InGguf(template=slot.template, pieces=(piece,), weave=None, rowwise=False, stacked=True)


def _latent(slot: Slot) -> InGguf:
    """The keys and values of latent attention as newer converters hold them: apart, the keys transposed."""
    from weightscope.components.attention.latent import LatentAttention

    owner = slot.owner
    assert isinstance(owner, LatentAttention)
    shapes = {
        "attn_k_b": (owner.heads, owner.kv_rank, owner.nope),
        "attn_v_b": (owner.heads, owner.v_dim, owner.kv_rank),
    }
    pieces = tuple(
        Piece(
            template=full_name(stem, slot, Role.KV_B_PROJ),
            shape=shape,
            roles=(Role.KV_B_PROJ,),
            counts=(int(prod(shape)),),
            undo=((),),
        )
        for stem, shape in shapes.items()
    )
    return InGguf(template=slot.template, pieces=pieces, weave=HeadsTogether(), rowwise=False)


def _woven(slot: Slot, pieces: tuple[Piece, ...], item: StorageItem | None) -> InGguf:
    weave = _weave(slot, item) if _is_otherwise(pieces, item, slot) else None
    plain = weave is None and not any(step for piece in pieces for step in piece.undo)
    return InGguf(template=slot.template, pieces=pieces, weave=weave, rowwise=plain or isinstance(item, Stacked))


def _is_otherwise(pieces: tuple[Piece, ...], item: StorageItem | None, slot: Slot) -> bool:
    """Whether the architecture's tensor is more than the one piece as it is."""
    undone = any(step for piece in pieces for step in piece.undo)
    several = len(pieces) > 1 or (undone and len(pieces[0].roles) > 1)
    groups = isinstance(item, Linear) and item.groups > 1 and len(item.roles) > 1
    alternating = isinstance(item, Stacked) and item.alternating and len(item.roles) > 1
    return several or groups or alternating or (slot.stored.kind is Kind.WEIGHT and _is_transposed(item, slot))


def _is_transposed(item: StorageItem | None, slot: Slot) -> bool:
    return slot.stored.transposed or (isinstance(item, Stacked) and item.transposed)


def _weave(slot: Slot, item: StorageItem | None) -> Weave:
    several = item is not None and len(item.roles) > 1
    return Rows(
        groups=item.groups if isinstance(item, Linear) and several else 1,
        alternating=isinstance(item, Stacked) and item.alternating and several,
        stacked=isinstance(item, Stacked),
        transposed=slot.stored.kind is Kind.WEIGHT and _is_transposed(item, slot),
    )


def _piece(
    template: str, roles: tuple[Role, ...], slot: Slot, item: StorageItem | None, architecture: Architecture
) -> Piece:
    shapes = [_shape(role, slot, item) for role in roles]
    rows = 1 if isinstance(item, Stacked) else 0
    whole = shapes[0]
    for shape in shapes[1:]:
        whole = (*whole[:rows], whole[rows] + shape[rows], *whole[rows + 1 :])
    held, same = held_as(whole, roles[0], slot, architecture) if len(roles) == 1 else (whole, None)
    reshaped: tuple[Undo, ...] = () if same is None else (Reshaped(tuple(map(int, whole))),)
    return Piece(
        template=template,
        shape=held,
        also=() if same is None else (same,),
        roles=roles,
        rows=tuple(int(shape[rows]) for shape in shapes),
        along=rows,
        counts=tuple(int(prod(shape)) for shape in shapes),
        undo=tuple((*reshaped, *undone(role, slot, architecture)) for role in roles),
    )


def _shape(role: Role, slot: Slot, item: StorageItem | None) -> Shape:
    """A role's own tensor, (out, in) or (experts, out, in), or of a bias (out) or (experts, out)."""
    if not isinstance(item, Linear | Stacked):
        return slot.stored.shape
    shape = slot.owner.sizes()[role]
    return shape[:-1] if slot.stored.kind is Kind.BIAS else shape
