"""Which matrix scores the vocabulary, where a tied model stores a head all the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from weightscope.analyses.tying import Tying
from weightscope.checkpoint.reader import Checkpoint
from weightscope.config import Config
from weightscope.families.declaration import Declaration, declare
from weightscope.findings import Finding
from weightscope.quantization.common.marks import mark_of
from weightscope.quantization.registry import beside
from weightscope.roles import Role, Section
from weightscope.storage.base import Kind

TIE = "tie_word_embeddings"


def with_stored_head(declaration: Declaration, checkpoint: Checkpoint, tying: Tying) -> Declaration:
    """The declaration with a head of its own, where the config ties it and the files hold one: so does transformers."""
    if not stores_tied_head(declaration, tying):
        return declaration
    again = _declare_untied(declaration, checkpoint)
    return again if again and not again.tied else declaration


def _declare_untied(declaration: Declaration, checkpoint: Checkpoint) -> Declaration | None:
    names = declaration.family.attribute_map
    keys = {TIE, *(other for other, own in names.items() if own == TIE)}
    data = _untied(declaration.config.data, keys)
    config = Config(data, source=declaration.config.source)
    return declare(config, checkpoint.tensors or checkpoint.names, beside=beside(checkpoint.folder))


def with_head_apart(declaration: Declaration, checkpoint: Checkpoint) -> tuple[Declaration, Checkpoint, str]:
    """A tied model with a head of its own that has the embedding's values, and the name of that head.

    So one of the two can be changed alone. The head's tensors are the embedding's under other names. What cannot be
    taken apart is returned as it is, with no name.
    """
    table = table_of(declaration, Role.TOKEN_EMBEDDING)
    again = _declare_untied(declaration, checkpoint)
    head = table_of(again, Role.LM_HEAD) if again and not again.tied else ""
    if again is None or not head or not table:
        return declaration, checkpoint, ""
    old, new = table.removesuffix("weight"), head.removesuffix("weight")
    copies = {new + name.removeprefix(old): entry for name, entry in checkpoint.tensors.items() if name.startswith(old)}
    return again, replace(checkpoint, tensors=checkpoint.tensors | copies), head


def table_of(declaration: Declaration, role: Role) -> str:
    """The name of a matrix over the vocabulary, before quantization; empty where there is none."""
    found = (slot for slot in declaration.slots if role in dict(slot.stored.parts) and slot.stored.kind is Kind.WEIGHT)
    name = next((slot.first_name() for slot in found if slot.section in (Section.EMBEDDING, Section.HEAD)), "")
    mark = mark_of(name)
    return f"{mark[0]}.weight" if mark else name


def stores_tied_head(declaration: Declaration, tying: Tying) -> bool:
    """Whether the config ties the head, and another tensor than the embedding is stored as one."""
    return declaration.tied and bool(tying.head and tying.embedding) and tying.evidence in ("declared", "untied")


def two_heads(tying: Tying) -> Finding:
    """`tie-mismatch`, a warning of a pass: the stored head was used, and differs from the embedding."""
    return Finding(
        code="tie-mismatch",
        severity="warning",
        message=f"config.json says tied, but {tying.head} and {tying.embedding} have different values; "
        f"{tying.head} was used, as transformers 5 does",
        tensors=tuple(name for name in (tying.head, tying.embedding) if name),
        config=(TIE,),
        hint=f"set {TIE} to false to keep the stored head: older loaders drop it and use the embedding",
    )


def _untied(data: Mapping[str, Any], keys: set[str]) -> dict[str, Any]:
    untied = {**data, **dict.fromkeys(keys, False)}
    if isinstance(text := data.get("text_config"), dict):
        untied["text_config"] = {**text, **dict.fromkeys(keys, False)}
    return untied
