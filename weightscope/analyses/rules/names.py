"""Are the tensors there that the config's architecture has, and no others?"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import msgspec

from weightscope.analyses.rules.prefixes import adapter_weights
from weightscope.analyses.rules.quantization import leftovers
from weightscope.analyses.rules.subject import Subject, listed, some
from weightscope.brief import plural
from weightscope.components.decoder import Decoder
from weightscope.components.walk import find
from weightscope.findings import Finding
from weightscope.ranges import Title, expand, fill, number_of, summed, template_of
from weightscope.roles import Role, Section
from weightscope.sizes import Size

# Names that share this much are held to be meant alike; more kinds of them than this are not compared.
NEAR, MOST_NAMESAKES = 0.85, 300


def missing_tensors(subject: Subject) -> Iterator[Finding]:
    """`missing-tensor`, an error; info for auxiliary parts of which nothing is there: many writers leave them out."""
    if subject.declaration is None or not subject.inventory.recognized or not subject.complete:
        return
    partly = any(group.auxiliary for group in subject.inventory.groups)
    left_out: list[str] = []
    depths = _depths(subject)
    near = near_namesakes(subject)
    yield from (_wrong_depth(depth) for depth in depths)
    for slot, absent in subject.inventory.missing:
        lost = {(depth.stack, layer) for depth in depths for layer in depth.missing}
        names = [name for name in absent if _place(slot.template, name) not in lost]
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
    beyond = {name for depth in _depths(subject) for name in depth.beyond} | {*adapter_weights(subject)}
    if renaming := subject.checkpoint.renaming:
        beyond |= {*renaming.superseded}
    names = [name for name in subject.inventory.unrecognized if name not in beyond]
    if subject.declaration.covered:
        from weightscope.quantization.common.marks import is_activation

        beside = {*leftovers(subject)}
        names = [name for name in names if name not in beside and not is_activation(name)]
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
    """`missing-tensor`, an error, where not one name fits: config and weights are of two models."""
    names = subject.checkpoint.names
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


class Depth(msgspec.Struct, frozen=True):
    """A stack whose number of layers is another than the config's; `beyond` are names of layers that it lacks."""

    stack: str
    said: int
    found: int
    missing: frozenset[int]
    beyond: tuple[str, ...]
    key: str


def _depths(subject: Subject) -> list[Depth]:
    """The stacks where whole layers at the end are missing, or more lie there than the config says."""
    inventory = subject.inventory
    if subject.declaration is None or not subject.complete or not (inventory.missing or inventory.unrecognized):
        return []
    slots = [slot for slot in subject.declaration.slots if slot.kinds[:1] == ("layer",) and not slot.auxiliary]
    declared: dict[str, set[int]] = {}
    suffixes: dict[str, set[str]] = {}
    for slot in slots:
        stack, suffix = slot.template.split("{}", 1)
        declared.setdefault(stack, set()).update(slot.ranges[0])
        suffixes.setdefault(stack, set()).add(suffix)
    absent = {name for _, names in inventory.missing for name in names}
    found: dict[str, set[int]] = {stack: set() for stack in declared}
    for slot in slots:
        stack = slot.template.split("{}", 1)[0]
        inner = [indices[0] for indices in slot.ranges[1:]]
        if not slot.stored.optional:
            found[stack] |= {layer for layer in slot.ranges[0] if slot.template.format(layer, *inner) not in absent}
    depths = []
    for stack, layers in declared.items():
        strays = [name for name in inventory.unrecognized if _place(stack, name)[0] == stack]
        beyond = tuple(n for n in strays if template_of(n)[0].removeprefix(f"{stack}{{}}") in suffixes[stack])
        extra = {_place(stack, name)[1] for name in beyond} - layers
        last = max(found[stack], default=-1)
        missing = frozenset(layer for layer in layers if layer > last)
        if found[stack] and (missing or extra):
            names = tuple(name for name in beyond if _place(stack, name)[1] in extra)
            count = max(extra | found[stack]) + 1
            depths.append(Depth(stack, len(layers), count, missing, names, _depth_key(subject, stack)))
    return depths


def _place(template: str, name: str) -> tuple[str, int]:
    """The stack that a template belongs to, and the layer that a name gives there; an empty stack for none."""
    stack = template.split("{}", 1)[0]
    number = number_of(name.removeprefix(stack).partition(".")[0]) if name.startswith(stack) else None
    return ("", -1) if number is None else (stack, number)


def _depth_key(subject: Subject, stack: str) -> str:
    assert subject.declaration is not None
    for decoder in find(subject.declaration.tree, Decoder):
        if "vision" not in stack and isinstance(decoder.depth, Size) and decoder.depth.keys:
            return decoder.depth.keys[0]
    return "vision_config.num_hidden_layers"


def _layers(depth: Depth) -> Title:
    """The missing layers as one."""
    template, layers = f"{depth.stack}{{}}", sorted(depth.missing)
    return Title(fill(template, [layers]), tuple(expand(template, [layers])))


def _wrong_depth(depth: Depth) -> Finding:
    return Finding(
        code="missing-tensor" if depth.missing else "unexpected-tensor",
        severity="error",
        message=f"found {plural(depth.found, 'layer')} in {depth.stack.rstrip('.')}, but {depth.key} is {depth.said:,}",
        tensors=tuple(summed(depth.beyond)) or (_layers(depth),),
        expected=depth.said,
        actual=depth.found,
        config=(depth.key,),
        hint=f"set {depth.key} to {depth.found:,} if these are all layers of the model; otherwise restore the others",
    )
