"""The weights of a declared model as llama.cpp would quantize them into a GGUF file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from weightscope.analyses.inventory import Group, planned
from weightscope.analyses.memory.file_types import Place, Sizes, block_type
from weightscope.checkpoint.dtypes import BLOCKS
from weightscope.components.walk import Slot
from weightscope.errors import NotImplementedByWeightscope, UsageError
from weightscope.families.registry import Declaration
from weightscope.roles import Role
from weightscope.storage.base import Kind

# The types of which llama.cpp's converter is known to keep each matrix as one, with rows as the declaration has them.
KNOWN = (
    "arcee", "gemma", "gemma2", "gemma3_text", "llama", "mistral", "mixtral", "olmo2", "olmoe", "phi3", "qwen2",
    "qwen2_moe", "qwen3", "qwen3_moe", "smollm3",
)  # fmt: skip
MATRICES = frozenset(
    {
        Role.TOKEN_EMBEDDING, Role.LM_HEAD, Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ, Role.O_PROJ,
        Role.GATE_PROJ, Role.UP_PROJ, Role.DOWN_PROJ,
    }
)  # fmt: skip
ROUTERS = frozenset({Role.ROUTER, Role.SHARED_GATE})
LLAMAS = ("llama", "mistral")
# A tensor of several roles is, for the rules, that of the role which comes first here.
LEADING = (Role.V_PROJ, Role.UP_PROJ)
PLAIN = "F32"


def as_gguf(declaration: Declaration, file_type: str) -> tuple[Group, ...]:
    """All tensors with their element types; those of one name with several types are several groups.

    Tables of a rotation's factors, some hundred bytes, are not counted.

    Raises:
        NotImplementedByWeightscope: it is not known how llama.cpp would store a model of this type, or a part of it.
        UsageError: no row of it is long enough for a block.
    """
    model_type = declaration.family.model_type
    if model_type not in KNOWN:
        raise NotImplementedByWeightscope(
            f"how llama.cpp would quantize {model_type} is not known to weightscope; known are {', '.join(KNOWN)}"
        )
    sizes = _sizes(declaration)
    found = tuple(group for slot in declaration.slots for group in _typed(slot, file_type, sizes))
    if not any(dtype in BLOCKS for group in found for dtype, _ in group.counts):
        raise UsageError(f"{file_type} quantizes nothing of this model: its rows are no multiple of a block")
    return found


def _typed(slot: Slot, file_type: str, sizes: Sizes) -> Iterator[Group]:
    """The groups of a slot, one for each element type that its layers get."""
    layers = slot.ranges[0] if slot.ranges else (0,)
    found: dict[str, list[int]] = {}
    for layer in layers:
        found.setdefault(_dtype(slot, layer, file_type, sizes), []).append(layer)
    for dtype, same in found.items():
        part = replace(slot, ranges=(same, *slot.ranges[1:])) if slot.ranges else slot
        for group in planned([part]).groups:
            yield replace(group, counts={(dtype, shape): count for (_, shape), count in group.counts.items()})


def _dtype(slot: Slot, layer: int, file_type: str, sizes: Sizes) -> str:
    roles = [role for role, _ in slot.stored.parts]
    shape = slot.stored.shape
    if slot.stored.kind is not Kind.WEIGHT or len(shape) < 2 or ROUTERS & set(roles):
        return PLAIN
    if unknown := set(roles) - MATRICES:
        raise NotImplementedByWeightscope(f"how llama.cpp would quantize {min(unknown)} is not known to weightscope")
    role = next((leading for leading in LEADING if leading in roles), roles[0])
    return block_type(file_type, Place(role=role, layer=layer, row=int(shape[-1])), sizes)


def _sizes(declaration: Declaration) -> Sizes:
    slots = declaration.slots
    layers = 1 + max(layer for slot in slots if slot.ranges for layer in slot.ranges[0])
    queries, keys = _weights(slots, Role.Q_PROJ), _weights(slots, Role.K_PROJ)
    shared = queries // keys
    model_type = declaration.family.model_type
    return Sizes(
        layers=layers,
        queries_per_key=shared,
        experts=max(slot.chosen[1] for slot in slots),
        is_70b=layers == 80 and (model_type == "qwen2" or (model_type in LLAMAS and shared > 1)),
        tied=declaration.tied,
    )


def _weights(slots: Sequence[Slot], role: Role) -> int:
    """The weights of the first matrix of a role."""
    matrices = (slot.stored.parts for slot in slots if slot.stored.kind is Kind.WEIGHT)
    return next(count for parts in matrices for own, count in parts if own is role)
