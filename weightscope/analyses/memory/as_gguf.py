"""The weights of a declared model as llama.cpp would quantize them into a GGUF file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec
from msgspec.structs import replace

from weightscope.analyses.groups import Group
from weightscope.analyses.inventory import planned
from weightscope.analyses.memory.file_types import FILE_TYPES, WITH_MATRIX, Tensor, element_types
from weightscope.analyses.memory.tensor_rules import Sizes
from weightscope.checkpoint.dtypes import BLOCKS
from weightscope.components.walk import Slot
from weightscope.errors import UsageError
from weightscope.families.declaration import Declaration
from weightscope.roles import Role

# What llama.cpp calls a 70B model if it has 80 layers: these always, Llama if several queries share a key.
OF_80_LAYERS = ("olmo", "qwen2")
# Types whose files say for each layer how many keys it has: none of the first, where that is recurrent.
KEYS_BY_LAYER = ("lfm2", "lfm2_moe", "granitemoehybrid", "bamba", "nemotron_h", "jamba")


class AsFile(msgspec.Struct, frozen=True, kw_only=True):
    """A language model as llama.cpp's converter would lay it out, and the model type that the file is written as.

    `beside` is what sees or hears, which has a file of its own.
    """

    declaration: Declaration
    written_as: str
    beside: tuple[Slot, ...] = ()


Convert = Callable[[Declaration], AsFile]


def as_gguf(converted: AsFile, file_type: str) -> tuple[Group, ...]:
    """All tensors of the language model; those of one name with several types are several groups.

    Raises:
        UsageError: no row of the model is long enough for a block.
    """
    found = typed(converted, file_type)
    if FILE_TYPES[file_type] in BLOCKS and not any(dtype in BLOCKS for group in found for dtype, _ in group.counts):
        raise UsageError(f"{file_type} quantizes nothing of this model: its rows are no multiple of a block")
    return found


def typed(converted: AsFile, file_type: str) -> tuple[Group, ...]:
    """The same, but nothing is raised. Tables of a rotation's factors are not counted."""
    slots = converted.declaration.slots
    types = element_types(file_type, _tensors(slots), _sizes(slots, converted.written_as, file_type))
    return tuple(group for slot in slots for group in _by_type(slot, types))


def _tensors(slots: Sequence[Slot]) -> Iterator[Tensor]:
    for slot in slots:
        shape = tuple(map(int, slot.stored.shape))
        layers = slot.ranges[0] if slot.ranges else (None,)
        for name, layer in zip(slot.names(), layers, strict=True):
            yield Tensor(name=name, shape=shape, layer=layer if name.startswith("blk.") else None)


def _by_type(slot: Slot, types: Mapping[str, str]) -> Iterator[Group]:
    """The groups of a slot, one for each element type that its layers get."""
    found: dict[str, list[int]] = {}
    layers = slot.ranges[0] if slot.ranges else (0,)
    for name, layer in zip(slot.names(), layers, strict=True):
        found.setdefault(types[name], []).append(layer)
    for dtype, same in found.items():
        part = replace(slot, ranges=(same,)) if slot.ranges else slot
        for group in planned([part]).groups:
            yield replace(group, counts={(dtype, shape): count for (_, shape), count in group.counts.items()})


def _sizes(slots: Sequence[Slot], model_type: str, file_type: str) -> Sizes:
    layers = 1 + max((layer for slot in slots if slot.ranges for layer in slot.ranges[0]), default=-1)
    shared = _queries_per_key(slots, first=model_type in KEYS_BY_LAYER)
    return Sizes(
        layers=layers,
        queries_per_key=shared,
        experts=max((slot.chosen[1] for slot in slots), default=1),
        is_70b=layers == 80 and (model_type in OF_80_LAYERS or (model_type == "llama" and shared > 1)),
        tied=not any(slot.template == "output.weight" for slot in slots),
        falcon=model_type == "falcon",
        matrix=file_type in WITH_MATRIX,
    )


def _queries_per_key(slots: Sequence[Slot], *, first: bool) -> int:
    """The number that the file names: where it names one for each layer, that of the `first`; latents are one key."""
    owners = [slot.owner for slot in slots if not first or not slot.ranges or 0 in slot.ranges[0]]
    queries, keys = (
        next((count for owner in owners if (count := owner.heads_of(role))), 0) for role in (Role.Q_PROJ, Role.K_PROJ)
    )
    latent = next((slot for slot in slots if slot.stored.parts[0][0] is Role.KV_B_PROJ), None)
    if latent is not None:
        return int(latent.stored.shape[0])
    # A config may describe no layers.
    return queries // keys if keys else 0
