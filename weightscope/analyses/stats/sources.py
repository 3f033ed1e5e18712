"""Which tensors are looked at, and what is known of each beforehand."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from weightscope.analyses.groups import Group
from weightscope.analyses.inventory import Inventory
from weightscope.analyses.stats.reading import Source
from weightscope.checkpoint.reader import Checkpoint
from weightscope.families.declaration import Declaration
from weightscope.quantization.common.marks import is_activation, mark_of
from weightscope.ranges import before
from weightscope.storage.base import Kind, Scheme


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """A tensor with its place in the model; `order` is that of its group in the forward pass.

    `heads` are those along its rows and along its columns, or 0.
    """

    source: Source
    order: int
    group: Group
    stack: str | None
    layer: int | None
    experts: int
    heads: tuple[int, int]

    @property
    def is_weight(self) -> bool:
        """Whether it is learned, and no buffer or scale."""
        return self.group.kind in (Kind.WEIGHT, Kind.BIAS)


def sources_of(
    checkpoint: Checkpoint, inventory: Inventory, declaration: Declaration | None, *, stored: bool
) -> list[Known]:
    """Each tensor once, in the order of the files; tensors that share their storage once.

    Unless `stored`, a quantized weight stands for itself and for its scales.
    """
    heads = _heads(declaration)
    found = [
        known
        for order, group in enumerate(inventory.groups)
        if not group.alias and group.kind is not Kind.COPY
        for known in _of_group(group, order, checkpoint, heads, stored=stored)
    ]
    return sorted(found, key=lambda known: (known.source.entry.file, known.source.entry.data_offsets))


def _of_group(
    group: Group, order: int, checkpoint: Checkpoint, heads: dict[str, tuple[int, int]], *, stored: bool
) -> Iterator[Known]:
    stack = before(group.template).removesuffix(".") if "layer" in group.kinds else None
    for name in group.names:
        weight = None if stored or group.scheme is None else weight_of(name, group.scheme)
        if weight is not None and weight.packed != name:
            continue
        entry = checkpoint.tensors.get(name)
        # An index or a config alone has names, and no tensors.
        if entry is None:
            continue
        stacked = len(entry.shape) == 3 and "expert" not in group.kinds and group.section == "moe"
        yield Known(
            source=Source(
                name=name,
                entry=entry,
                scheme=group.scheme if weight else None,
                weight=weight.name if weight else "",
            ),
            order=order,
            group=group,
            stack=stack,
            layer=group.layer_of(name),
            experts=entry.shape[0] if stacked else 0,
            heads=heads.get(group.template, (0, 0)),
        )


class Weight(msgspec.Struct, frozen=True):
    """A quantized weight's name before quantization, and its packed tensor's."""

    name: str
    packed: str


def weight_of(name: str, scheme: Scheme) -> Weight | None:
    """The weight that a tensor is a part of; None where the scheme does not know it, or it scales activations."""
    if is_activation(name):
        return None
    mark = mark_of(name)
    module = mark[0] if mark else name.removesuffix(".weight")
    for weight in (f"{module}.weight", module, name):
        parts = scheme.parts(weight)
        if name in parts:
            return Weight(weight, parts[0])
    return None


def _heads(declaration: Declaration | None) -> dict[str, tuple[int, int]]:
    """Template -> heads along rows and columns, of matrices that hold one role."""
    found: dict[str, tuple[int, int]] = {}
    for slot in declaration.slots if declaration else ():
        if len(slot.stored.parts) != 1 or slot.stored.kind is not Kind.WEIGHT:
            continue
        role = slot.stored.parts[0][0]
        count = slot.owner.heads_of(role)
        by_row = (role != "o_proj") != slot.stored.transposed
        found[slot.template] = (count, 0) if by_row else (0, count)
    return found
