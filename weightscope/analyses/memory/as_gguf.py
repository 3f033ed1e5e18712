"""The weights of a declared model as llama.cpp would quantize them into a GGUF file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from weightscope.analyses.groups import Group
from weightscope.analyses.inventory import planned
from weightscope.analyses.memory.file_types import Place, Sizes, block_type
from weightscope.checkpoint.dtypes import BLOCKS
from weightscope.components.walk import Slot
from weightscope.errors import NotImplementedByWeightscope, UsageError
from weightscope.families.declaration import Declaration
from weightscope.roles import Role, Section
from weightscope.storage.base import Kind

# The types of which llama.cpp's converter is known to keep each matrix as one, with rows as the declaration has them.
KNOWN = (
    "arcee", "bloom", "cohere", "ernie4_5", "gemma", "gemma2", "gemma3_text", "glm", "glm4", "gpt_neox",
    "granite", "granitemoeshared", "hunyuan_v1_dense", "llama", "mistral", "mixtral", "nemotron", "olmo",
    "olmo2", "olmoe", "phi", "phi3", "qwen2", "qwen2_moe", "qwen3", "qwen3_moe", "seed_oss", "smollm3",
    "stablelm", "starcoder2",
)  # fmt: skip
MATRICES = frozenset(
    {
        Role.TOKEN_EMBEDDING, Role.LM_HEAD, Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ, Role.O_PROJ,
        Role.GATE_PROJ, Role.UP_PROJ, Role.DOWN_PROJ,
    }
)  # fmt: skip
ROUTERS = frozenset({Role.ROUTER, Role.SHARED_GATE})
# What llama.cpp calls a 70B model if it has 80 layers: these always, Llamas if several queries share a key.
OF_80_LAYERS = ("olmo", "qwen2")
LLAMAS = ("llama", "mistral")
# A tensor of several roles is, for the rules, that of the role which comes first here.
LEADING = (Role.V_PROJ, Role.UP_PROJ)
PLAIN = "F32"


def as_gguf(declaration: Declaration, file_type: str) -> tuple[Group, ...]:
    """All tensors with their element types; those of one name with several types are several groups.

    Raises:
        NotImplementedByWeightscope, UsageError: as for `typed`, or no row of the model is long enough for a block.
    """
    found = typed(declaration, file_type)
    if not any(dtype in BLOCKS for group in found for dtype, _ in group.counts):
        raise UsageError(f"{file_type} quantizes nothing of this model: its rows are no multiple of a block")
    return found


def typed(declaration: Declaration, file_type: str) -> tuple[Group, ...]:
    """The same, also where no matrix can be quantized. Tables of a rotation's factors are not counted.

    Raises:
        NotImplementedByWeightscope: it is not known how llama.cpp would store a model of this type, or a part of it.
    """
    model_type = declaration.family.model_type
    if model_type not in KNOWN:
        raise NotImplementedByWeightscope(
            f"how llama.cpp would quantize {model_type} is not known", hint=f"known are {', '.join(KNOWN)}"
        )
    sizes = _sizes(declaration)
    return tuple(group for slot in declaration.slots for group in _by_type(slot, file_type, sizes))


def _by_type(slot: Slot, file_type: str, sizes: Sizes) -> Iterator[Group]:
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
    if slot.stored.kind is not Kind.WEIGHT or len(shape) < 2 or ROUTERS & set(roles) or slot.section is Section.NORM:
        return PLAIN
    if unknown := set(roles) - MATRICES:
        raise NotImplementedByWeightscope(f"how llama.cpp would quantize {slot.template} ({min(unknown)}) is not known")
    role = next((leading for leading in LEADING if leading in roles), roles[0])
    return block_type(file_type, Place(role=role, layer=layer, row=int(shape[-1])), sizes)


def _sizes(declaration: Declaration) -> Sizes:
    slots = declaration.slots
    layers = 1 + max((layer for slot in slots if slot.ranges for layer in slot.ranges[0]), default=-1)
    queries, keys = _weights(slots, Role.Q_PROJ), _weights(slots, Role.K_PROJ)
    # A config may describe no layers, or heads of no width.
    shared = queries // keys if keys else 1
    model_type = declaration.family.model_type
    return Sizes(
        layers=layers,
        queries_per_key=shared,
        experts=max((slot.chosen[1] for slot in slots), default=1),
        is_70b=layers == 80 and (model_type in OF_80_LAYERS or (model_type in LLAMAS and shared > 1)),
        tied=declaration.tied,
    )


def _weights(slots: Sequence[Slot], role: Role) -> int:
    """The weights of the first matrix of a role, 0 without one."""
    matrices = (slot.stored.parts for slot in slots if slot.stored.kind is Kind.WEIGHT)
    return next((count for parts in matrices for own, count in parts if own is role), 0)
