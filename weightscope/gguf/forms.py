"""The forms in which a GGUF file may store a weight: in one tensor or in several, turned, stacked or divided."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

from msgspec.structs import replace

from weightscope.components.attention.softmax import Attention
from weightscope.components.walk import Slot
from weightscope.gguf.architecture import Architecture
from weightscope.gguf.names import AS_IT_IS, NUMBERS, TOGETHER, full_name, fused_name, name_of
from weightscope.gguf.scheme import InGguf, Piece
from weightscope.gguf.undoing import held_as, undone
from weightscope.gguf.values import Reshaped, Undo
from weightscope.gguf.weaving import Chosen, Frames, HeadsTogether, Rows, Weave
from weightscope.roles import Role
from weightscope.sizes import Shape, Size
from weightscope.storage.base import Kind, StorageItem
from weightscope.storage.linear import Linear
from weightscope.storage.stacked import Stacked

ATTENDING = (Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ)
GATED = (Role.GATE_PROJ, Role.UP_PROJ)
# Where gate and up are one tensor, the converter writes it as it is for an MLP, and in two for experts; these differ.
PARTS_MLP = frozenset({"granitemoeshared", "granitemoehybrid"})
KEEPS_EXPERTS = frozenset({"gemma4_text"})


def forms_of(slot: Slot, architecture: Architecture) -> Iterator[InGguf | None]:
    """The forms in which a file may have it, the usual one first; None for one of which no name is known."""
    roles = tuple(role for role, _ in slot.stored.parts)
    item = next((item for item in slot.owner.stored if item.roles == roles), None)
    if architecture.forms.get(roles[0]) == "as it is":
        yield _as_it_is(slot, roles[0], architecture)
        return
    if architecture.forms.get(roles[0]) == "frames" and slot.stored.kind is Kind.WEIGHT:
        yield _frames(slot, roles[0], architecture)
        return
    if roles[0] in NUMBERS and roles[0] in architecture.names:
        yield _together(slot, roles[0], architecture.names[roles[0]])
        return
    yield _apart(slot, tuple((role,) for role in roles), item, architecture)
    if len(roles) > 1:
        yield _fused(slot, roles, item, architecture)
    if len(roles) > 3 and roles[:3] == ATTENDING:
        yield _apart(slot, (ATTENDING, *((role,) for role in roles[3:])), item, architecture)
    if roles[0] in TOGETHER and slot.ranges:
        yield _together(slot, roles[0], f"{architecture.names[roles[0]]}.weight")
    if roles == (Role.KV_B_PROJ,):
        yield _latent(slot, architecture)
    if len(roles) == 1 and roles[0] in ATTENDING and isinstance(slot.owner, Attention):
        yield _one_of_three(slot, roles[0], item, architecture)


def written_form(forms: Sequence[InGguf], slot: Slot, architecture: Architecture) -> InGguf:
    """Of the forms, the one that the converter writes: what the architecture has in one tensor mostly stays in one."""
    roles = tuple(role for role, _ in slot.stored.parts)
    if roles == (Role.KV_B_PROJ,) or roles[0] in TOGETHER:
        return forms[-1]
    if len(roles) == 1 or (roles == GATED and _parts_gate_and_up(slot, architecture.model_type)):
        return forms[0]
    return min(forms, key=lambda form: len(form.pieces))


def _parts_gate_and_up(slot: Slot, model_type: str) -> bool:
    of_experts = slot.chosen != (1, 1)
    return model_type not in KEEPS_EXPERTS if of_experts else model_type in PARTS_MLP


def _apart(
    slot: Slot, shared: tuple[tuple[Role, ...], ...], item: StorageItem | None, architecture: Architecture
) -> InGguf | None:
    """A tensor for each role, or for several that share one."""
    pieces: list[Piece] = []
    for roles in shared:
        name = name_of(roles[0], slot, architecture) if len(roles) == 1 else fused_name(roles, slot, architecture)
        if name is None:
            return None
        pieces.append(_piece(name, roles, slot, item, architecture))
    return _woven(slot, tuple(pieces), item)


def _as_it_is(slot: Slot, role: Role, architecture: Architecture) -> InGguf | None:
    """The architecture's own tensor, turned where that one is."""
    name = name_of(role, slot, architecture)
    if name is None:
        return None
    piece = _unchanged(name, slot.stored.shape, role)
    return InGguf(template=slot.template, pieces=(piece,), weave=None, rowwise=True)


def _frames(slot: Slot, role: Role, architecture: Architecture) -> InGguf | None:
    """A kernel over two frames, each of which is a tensor of its own."""
    name = name_of(role, slot, architecture)
    if name is None:
        return None
    out, channels, _, *sides = slot.stored.shape
    pieces = tuple(_unchanged(template, (out, channels, *sides), role) for template in (name, f"{name}.1"))
    return InGguf(template=slot.template, pieces=pieces, weave=Frames(), rowwise=False)


def _fused(slot: Slot, roles: tuple[Role, ...], item: StorageItem | None, architecture: Architecture) -> InGguf | None:
    """One tensor for all roles."""
    name = fused_name(roles, slot, architecture)
    if name is None:
        return None
    piece = _piece(name, roles, slot, item, architecture)
    if roles in AS_IT_IS:
        return InGguf(template=slot.template, pieces=(replace(piece, rows=()),), weave=None, rowwise=True)
    return _woven(slot, (piece,), item)


def _one_of_three(slot: Slot, role: Role, item: StorageItem | None, architecture: Architecture) -> InGguf | None:
    """Queries, keys or values that the converter was told to fuse: some rows of one tensor."""
    name = fused_name(ATTENDING, slot, architecture)
    if name is None or not isinstance(item, Linear):
        return None
    piece = _piece(name, ATTENDING, slot, item, architecture)
    return InGguf(template=slot.template, pieces=(piece,), weave=Chosen(ATTENDING.index(role)), rowwise=False)


def _together(slot: Slot, role: Role, name: str) -> InGguf:
    """Matrices or numbers that the architecture numbers, one after another in one tensor."""
    each = () if slot.stored.shape == (1,) else slot.stored.shape
    piece = _unchanged(name, (Size(len(slot.ranges[0])), *each), role)
    return InGguf(template=slot.template, pieces=(piece,), weave=None, rowwise=False, stacked=True)


def _latent(slot: Slot, architecture: Architecture) -> InGguf:
    """The keys and values of latent attention as newer converters hold them: apart, the keys transposed."""
    from weightscope.components.attention.latent import LatentAttention

    owner = slot.owner
    assert isinstance(owner, LatentAttention)
    shapes = {
        "attn_k_b": (owner.heads, owner.kv_rank, owner.nope),
        "attn_v_b": (owner.heads, owner.v_dim, owner.kv_rank),
    }
    role = Role.KV_B_PROJ
    pieces = tuple(_unchanged(full_name(stem, slot, role, architecture), shape, role) for stem, shape in shapes.items())
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


def _unchanged(template: str, shape: Shape, role: Role) -> Piece:
    """A tensor of one role, whose values are those of the architecture."""
    return Piece(template=template, shape=shape, roles=(role,), counts=(int(prod(shape)),), undo=((),))


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
