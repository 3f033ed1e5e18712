"""The tensors of an adapter under their roles, as all other analyses read them."""

from __future__ import annotations

from collections import Counter

from weightscope.adapters.common.spelling import WRAPPER
from weightscope.adapters.registry import Adapter, Held
from weightscope.analyses.groups import Group
from weightscope.analyses.infer import guess
from weightscope.analyses.inventory import Inventory
from weightscope.checkpoint.reader import Checkpoint
from weightscope.ranges import columns, template_of
from weightscope.roles import Role, Section, section_of
from weightscope.storage.base import Kind

Key = tuple[str, Role | None, Kind, int]


def adapter_inventory(adapter: Adapter, checkpoint: Checkpoint) -> Inventory:
    """Every tensor of the adapter; those of the base that it stores whole have roles guessed from their names."""
    members: dict[Key, list[str]] = {}
    for name, held in adapter.tensors.items():
        key = (template_of(name)[0], held.role, held.kind, len(checkpoint.tensors[name].shape))
        members.setdefault(key, []).append(name)
    unknown = tuple(name for name, held in adapter.tensors.items() if not held.known)
    return Inventory(
        groups=tuple(_group(key, names, adapter.tensors[names[0]], checkpoint) for key, names in members.items()),
        recognized=len(adapter.tensors) - len(unknown),
        unrecognized=unknown,
        measured=bool(checkpoint.files),
    )


def _group(key: Key, names: list[str], held: Held, checkpoint: Checkpoint) -> Group:
    template, role, kind, dimensions = key
    section = section_of(role) if role and held.known else Section.ADAPTER
    if role is None:
        suggestion = guess(template_of(held.module)[0].removeprefix(WRAPPER), dimensions)
        role, section = suggestion.role, suggestion.section
    ranges = tuple(sorted(column) for column in columns(template_of(name)[1] for name in names))
    return Group(
        template=template,
        ranges=ranges,
        kinds=("layer", *("expert",) * (len(ranges) - 1)) if ranges else (),
        names=tuple(names),
        counts=Counter((checkpoint.tensors[name].dtype, checkpoint.tensors[name].shape) for name in names),
        parts=((role, 1),),
        kind=kind,
        section=section,
        inferred=held.role is None or not held.known,
    )
