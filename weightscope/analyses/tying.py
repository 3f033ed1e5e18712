"""Whether the head is the token embedding again, and what says so."""

from __future__ import annotations

from typing import Literal

import msgspec

from weightscope.analyses.groups import Group
from weightscope.analyses.inventory import Inventory
from weightscope.checkpoint.reader import Checkpoint, Progress
from weightscope.config import Config
from weightscope.families.declaration import Declaration
from weightscope.roles import Role, Section
from weightscope.storage.base import Kind

Evidence = Literal["shared-storage", "absent-head", "equal-values", "untied", "declared", "not-applicable"]
CHUNK = 1 << 24


class Tying(msgspec.Struct, frozen=True, kw_only=True):
    """`declared` is what the config says (its class's default where it says nothing), None where it has no say.

    Evidence `declared` means that the config alone says so: the head is stored apart and its values were not
    compared, or there are no files.
    """

    tied: bool
    declared: bool | None
    evidence: Evidence
    head: str | None = None
    embedding: str | None = None


def find_tying(
    inventory: Inventory,
    checkpoint: Checkpoint,
    declaration: Declaration | None,
    config: Config | None,
    *,
    values: bool = False,
    progress: Progress | None = None,
) -> Tying:
    """From the strongest evidence to the weakest; `values` compares stored head and embedding byte by byte.

    `progress` is called while they are read.

    Raises:
        OSError: a file cannot be read while values are compared.
        CheckpointError: it ends too early.
    """
    # Beside a declaration, a name that only sounds like a head is not the head.
    groups = [group for group in inventory.groups if declaration is None or not group.inferred]
    embedding = _the(groups, Role.TOKEN_EMBEDDING, Section.EMBEDDING)
    head = _the(groups, Role.LM_HEAD, Section.HEAD)
    declared, has_head = _declared(declaration, config)
    name = head.names[0] if head and head.names else None
    table = embedding.names[0] if embedding and embedding.names else None

    def verdict(evidence: Evidence, *, tied: bool) -> Tying:
        return Tying(tied=tied, declared=declared, evidence=evidence, head=name, embedding=table)

    tableless = embedding is None and not (declaration and _has_table(declaration))
    if tableless or (head is None and not has_head):
        return verdict("not-applicable", tied=False)
    by_config = verdict("declared" if declared else "untied", tied=bool(declared))
    if head is None or checkpoint.format == "config":
        return by_config if checkpoint.format == "config" else verdict("absent-head", tied=bool(declared))
    if embedding is None or _shapes(head) != _shapes(embedding):
        return verdict("untied", tied=False)
    if head.alias or embedding.alias:
        return verdict("shared-storage", tied=True)
    if values and name and table and checkpoint.tensors:
        return (
            verdict("equal-values", tied=True)
            if equal_bytes(checkpoint, name, table, progress)
            else verdict("untied", tied=False)
        )
    return by_config


def equal_bytes(
    checkpoint: Checkpoint, left: str, right: str, progress: Progress | None = None, *, of: Checkpoint | None = None
) -> bool:
    """Whether two tensors, the `right` one perhaps of another checkpoint, have the same dtype, shape and bytes.

    At most two chunks are in memory at once.
    """
    other = of or checkpoint
    a, b = checkpoint.tensors[left], other.tensors[right]
    if (a.dtype, a.shape) != (b.dtype, b.shape):
        return False
    from weightscope.checkpoint.values import load_bytes, slabs

    parts = list(slabs(a, CHUNK))
    for number, rows in enumerate(parts):
        if progress:
            progress(number, len(parts), left)
        if not (load_bytes(checkpoint.files, a, rows) == load_bytes(other.files, b, rows)).all():
            return False
    return True


def _the(groups: list[Group], role: Role, section: Section) -> Group | None:
    found = [g for g in groups if role in g.roles and g.section is section and g.kind is Kind.WEIGHT]
    # What is the storage of another is the table itself only where there is no other.
    return min(found, key=lambda group: group.alias, default=None)


def _shapes(group: Group) -> set[tuple[int, ...]]:
    return {shape for _, shape in group.counts}


def _has_table(declaration: Declaration) -> bool:
    """Whether the model has a table of tokens at all: one that hears has none."""
    return any(Role.TOKEN_EMBEDDING in dict(slot.stored.parts) for slot in declaration.slots)


def _declared(declaration: Declaration | None, config: Config | None) -> tuple[bool | None, bool]:
    """What the config says of tying, and whether the model has a head at all."""
    if declaration is None:
        value = config.data.get("tie_word_embeddings") if config else None
        return (value if isinstance(value, bool) else None), value is True and not _is_headless(config)
    heads = [
        slot for slot in declaration.slots if Role.LM_HEAD in dict(slot.stored.parts) and slot.section is Section.HEAD
    ]
    if not heads:
        return None, False
    tied = declaration.tied
    # Saved without its head, as a base model, under a config that names a model with one.
    named = bool(declaration.config.architecture) and not declaration.config.is_base_model
    return tied, tied or named or not heads[0].stored.optional


def _is_headless(config: Config | None) -> bool:
    """Whether the architecture is one that scores no vocabulary: a base model, an encoder, a classifier."""
    if config is None or not config.architecture:
        return False
    return not any(word in config.architecture for word in ("ForCausalLM", "LMHead", "ForConditional", "ForMaskedLM"))
