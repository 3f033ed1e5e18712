"""Whether stored names are those of a declaration, or may be behind words that wrappers put into names."""

from __future__ import annotations

from collections.abc import Collection

from weightscope.components.walk import Slot
from weightscope.families.declaration import Declaration
from weightscope.roles import Role, Section
from weightscope.storage.base import Kind

# What wrappers put into names, each with who writes it; `prefixes.py` finds them all in one pattern.
WRAPPERS = {
    "base_model.model.": "PEFT",
    "_orig_mod.": "torch.compile",
    "_fsdp_wrapped_module.": "FSDP",
    "_checkpoint_wrapped_module.": "activation checkpointing",
    "_forward_module.": "Lightning Fabric or DeepSpeed",
    "module.": "DataParallel, DistributedDataParallel or DeepSpeed",
    "modules_to_save.default.": "PEFT",
    "original_module.": "PEFT",
    "base_layer.": "PEFT",
}
# What tells that some names may hold such a word, without looking at each.
WITHIN = (
    "_orig_mod.", "_wrapped_module.", "_forward_module.", "\nmodule.", ".module.", "modules_to_save.",
    "original_module.", "base_layer.", "\nbase_model.",
)  # fmt: skip
LM_HEAD = "lm_head.weight"


def required_of(declaration: Declaration) -> list[Slot]:
    """The kinds of tensors that are needed."""
    return [slot for slot in declaration.slots if not (slot.stored.optional or slot.auxiliary)]


def fitting(declaration: Declaration, names: Collection[str]) -> tuple[int, int]:
    """How many of the kinds of tensors that are needed are among these names, and of how many."""
    required = required_of(declaration)
    return sum(slot.first_name() in names for slot in required), len(required)


def may_be_renamed(declaration: Declaration, stored: Collection[str]) -> bool:
    """Whether needed tensors are not there, or may be there once more under other names; cheap for 90,000 names."""
    there, needed = fitting(declaration, stored)
    if there < needed:
        return True
    if len(stored) <= sum(slot.count for slot in declaration.slots if slot.first_name() in stored):
        return False
    head = table_of(declaration, Role.LM_HEAD, Section.HEAD)
    if head and LM_HEAD in stored and head.first_name() != LM_HEAD:
        return True
    joined = "\n".join(("", *stored))
    return any(word in joined for word in WITHIN)


def table_of(declaration: Declaration, role: Role, section: Section) -> Slot | None:
    """The slot of an embedding or a head; None where the declaration has none."""
    return next(
        (
            slot
            for slot in declaration.slots
            if role in dict(slot.stored.parts) and slot.section is section and slot.stored.kind is Kind.WEIGHT
        ),
        None,
    )
