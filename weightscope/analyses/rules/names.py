"""Are the tensors there that the config's architecture has, and no others?"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from weightscope.analyses.rules.prefixes import adapter_weights
from weightscope.analyses.rules.quantization import leftovers
from weightscope.analyses.rules.subject import Subject, listed, some
from weightscope.findings import Finding
from weightscope.ranges import summed, template_of
from weightscope.roles import Role, Section

# Names that share this much are held to be meant alike; more kinds of them than this are not compared.
NEAR, MOST_NAMESAKES = 0.85, 300


def missing_tensors(subject: Subject) -> Iterator[Finding]:
    """`missing-tensor`, an error; info for auxiliary parts of which nothing is there: many writers leave them out."""
    if subject.declaration is None or not subject.inventory.recognized or not subject.complete:
        return
    partly = any(group.auxiliary for group in subject.inventory.groups)
    left_out: list[str] = []
    counts = subject.miscounts
    near = near_namesakes(subject)
    yield from (count.finding for count in counts)
    for slot, absent in subject.inventory.missing:
        names = [name for name in absent if not any(count.explains(name) for count in counts)]
        if not names:
            continue
        # An absent head is a question of tying, asked there.
        if slot.section is Section.HEAD and Role.LM_HEAD in dict(slot.stored.parts):
            continue
        if slot.auxiliary and not partly:
            left_out += names
            continue
        titles = summed(names)
        yield Finding(
            code="missing-tensor",
            severity="error",
            message=f"{some(names)} missing: {titles[0]}",
            tensors=tuple(titles),
            expected=[int(n) for n in slot.stored.shape],
            config=tuple(dict.fromkeys(key for n in slot.stored.shape for key in n.keys)),
            hint=_remedy(names, near),
        )
    if left_out:
        yield Finding(
            code="missing-tensor",
            severity="info",
            message=f"{some(left_out)} of the multi-token-prediction layers in config.json are not stored",
            tensors=tuple(summed(left_out)),
            config=("num_nextn_predict_layers",),
            hint="the main model does not need them",
        )


def unexpected_tensors(subject: Subject) -> Iterator[Finding]:
    """`unexpected-tensor`, a warning: loaders ignore such tensors."""
    if subject.declaration is None or subject.declaration.part or not subject.inventory.recognized:
        return
    beyond = {name for count in subject.miscounts for name in count.beyond} | {*adapter_weights(subject)}
    if renaming := subject.checkpoint.renaming:
        beyond |= {*renaming.superseded}
    names = [name for name in subject.inventory.unrecognized if name not in beyond]
    if subject.declaration.covered:
        from weightscope.quantization.common.marks import is_activation

        beside = {*leftovers(subject)}
        names = [name for name in names if name not in beside and not is_activation(name)]
    if names:
        from weightscope.analyses.rules.caches import cache_scales

        scales = cache_scales(subject)
        names = [name for name in names if name not in scales]
    titles = summed(names)
    if titles:
        yield Finding(
            code="unexpected-tensor",
            severity="warning",
            message=f"{some(names)} not in the architecture of config.json: {listed(titles)}",
            tensors=tuple(titles),
            hint="loaders ignore them; check that config.json belongs to these weights",
        )


def near_namesakes(subject: Subject) -> dict[str, str]:
    """Missing names, each with a stored one of the same shape that is not declared and has nearly the same name."""
    inventory, tensors = subject.inventory, subject.checkpoint.tensors
    strays: dict[str, dict[tuple[int, ...], str]] = {}
    for name in inventory.unrecognized if inventory.missing else ():
        template, numbers = template_of(name)
        strays.setdefault(template, {})[numbers] = name
    if not 0 < len(strays) <= MOST_NAMESAKES:
        return {}
    from difflib import get_close_matches

    near: dict[str, str] = {}
    for slot, names in inventory.missing:
        template = template_of(names[0])[0]
        like = [other for other in strays if other.count("{}") == template.count("{}")]
        found = get_close_matches(template, like, n=1, cutoff=NEAR)
        for name in names if found else ():
            other = strays[found[0]].get(template_of(name)[1])
            fits = other in tensors and tensors[other].shape == tuple(map(int, slot.stored.shape))
            if other and (fits or not tensors):
                near[name] = other
    return near


def _remedy(names: list[str], near: dict[str, str]) -> str:
    """What to do about missing tensors."""
    stored = [near[name] for name in names if name in near]
    if stored and stored[0].endswith("_orig"):
        return "torch's pruning was not made permanent: call prune.remove on each module, and save again"
    if stored:
        return (
            f"{summed(stored)[0]} is stored and may be the same tensor; rename it, because loaders need the exact name"
        )
    return "loaders fill missing weights with random numbers; save or download the checkpoint again"


def unrelated_weights(subject: Subject) -> Iterator[Finding]:
    """`missing-tensor`, an error, where not one name fits: config and weights are of two models, or none is there."""
    names = subject.checkpoint.names
    if subject.has_names and subject.complete and not names:
        yield Finding(
            code="missing-tensor",
            severity="error",
            message="the files hold no tensors",
            hint="it has settings and a vocabulary alone: give the file with the weights"
            if subject.checkpoint.format == "gguf"
            else "save or download the checkpoint again",
        )
    if subject.declaration is not None and names and not subject.inventory.recognized:
        yield Finding(
            code="missing-tensor",
            severity="error",
            message=f"none of {some(list(names))} belongs to {subject.declaration.family.model_type}, "
            f"such as {next(iter(summed(sorted(names)[:1])))}",
            config=("model_type",),
            hint=_other_kind(names) or "config.json and weights describe different models",
        )


def _other_kind(names: Collection[str]) -> str:
    """What to say of FSDP's flat parameters, and of an adapter; empty for other names."""
    if any(name.rpartition(".")[2].lstrip("_").startswith("flat_param") for name in names):
        return "saved by FSDP before the weights were gathered: save again with a full state dict"
    if all("lora_" in name for name in names):
        return "these are the weights of a LoRA adapter: give the directory of its base model"
    return ""
