"""Scales of cached keys and values beside a plain attention: serving engines read them where they cache in 8 bits."""

from __future__ import annotations

from weightscope.analyses.rules.subject import Subject
from weightscope.quantization.common.marks import CACHES
from weightscope.roles import Section

# The module inside of an attention that has the cache in vLLM.
INNER = ".attn"


def cache_scales(subject: Subject) -> set[str]:
    """Names of such scales, of attentions that the model has: `self_attn.k_scale`, `self_attn.k_proj.k_scale`."""
    strays = {*subject.inventory.unrecognized}
    places = {name: name.rpartition(".")[0] for name in strays if name.endswith(tuple(CACHES))}
    if not places:
        return set()
    matrices = [
        name.removesuffix(".weight")
        for group in subject.inventory.groups
        if group.section == Section.ATTENTION
        for name in group.names
        if name.endswith(".weight") and name not in strays
    ]
    modules = {*matrices, *(name.rpartition(".")[0] for name in matrices)}
    return {name for name, module in places.items() if {module, module.removesuffix(INNER)} & modules}
