"""The declaration and what the files hold, joined; the files have a say in which modules are quantized."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container

from weightscope.analyses.inventory import Inventory, take_inventory
from weightscope.checkpoint.reader import Checkpoint
from weightscope.config import Config
from weightscope.families.declaration import Declaration
from weightscope.quantization.registry import settings_of
from weightscope.storage.base import Kind


def join(
    declaration: Declaration | None, checkpoint: Checkpoint, config: Config | None
) -> tuple[Declaration | None, Inventory]:
    """The declaration with each module's scheme as it is stored, and the inventory under it.

    Where every name is as the config says, nothing more is asked, and that is how nearly all checkpoints are.
    """
    settings = settings_of(config) if config else None
    inventory = take_inventory(declaration, checkpoint, settings)
    if declaration is not None and declaration.contained:
        return declaration, inventory
    if declaration is None or checkpoint.format == "config" or not _is_open(declaration, inventory, checkpoint.names):
        return declaration, inventory
    # Few checkpoints need it, and none is to wait for its import.
    from weightscope.families.covering import settled

    declaration = settled(declaration, checkpoint.tensors or checkpoint.names, inventory.unrecognized)
    return declaration, take_inventory(declaration, checkpoint, settings)


def _is_open(declaration: Declaration, inventory: Inventory, names: Container[str]) -> bool:
    """Whether a tensor of a quantized weight is not where the config has it."""
    if _is_torn(inventory):
        return True
    strays = inventory.unrecognized
    if not strays:
        return False
    if declaration.method is not None and declaration.method.missing:
        return True
    from weightscope.quantization.common.marks import mark_beside

    # Writers of some methods give every module a bias, whether the architecture has one or not.
    biased = declaration.method is not None
    return any((biased and name.endswith(".bias")) or mark_beside(name, names) for name in strays)


def _is_torn(inventory: Inventory) -> bool:
    """Whether of quantized weights some tensors are there and others are not; what is wholly absent tells nothing."""
    missing = [(slot, len(names)) for slot, names in inventory.missing if slot.stored.scheme]
    weights: Counter[tuple[int, object]] = Counter()
    for slot, count in missing:
        if slot.stored.kind is Kind.WEIGHT:
            weights[id(slot.owner), slot.stored.parts] += count
    torn = any(
        slot.stored.kind is Kind.SCALE and count != weights[id(slot.owner), slot.stored.parts]
        for slot, count in missing
    )
    return torn or bool(missing and inventory.unrecognized)
