"""Does an adapter fit its base: modules, sizes, targets?"""

from __future__ import annotations

from collections.abc import Iterator

from weightscope.adapters.common.spelling import place_of
from weightscope.adapters.lora import AddedBias
from weightscope.adapters.oft import Rotated
from weightscope.adapters.registry import Adapter
from weightscope.adapters.tokens import Rows
from weightscope.adapters.vera import Vectors
from weightscope.analyses.adapting.fit import Fit, weights_of
from weightscope.analyses.rules.adapter_subject import MOST_FAULTS, AdapterSubject, mismatch
from weightscope.analyses.rules.subject import listed, some
from weightscope.findings import Finding
from weightscope.ranges import blank, summed

OTHER_BASE = "name the model that it was trained on; adapter_config.json has it as base_model_name_or_path"


def other_base(subject: AdapterSubject) -> Iterator[Finding]:
    """Whether the modules are the base's, and have its sizes."""
    found = subject.fit
    if found is None:
        return
    if subject.adapter.settings.replicates:
        yield mismatch(
            f"layer_replication repeats layers of {subject.base_name}, which is not implemented: its modules were not "
            "checked against it",
            "",
            severity="warning",
        )
        return
    if found.absent and not (found.found or found.misfits or found.packed):
        names = weights_of(found.absent)
        yield mismatch(
            f"an adapter for another base: {subject.base_name} has none of its {len(names):,} weights, "
            f"such as {names[0]}",
            OTHER_BASE,
        )
        return
    if found.packed:
        names = weights_of(found.packed)
        yield mismatch(
            f"the sizes of {some(names, 'weight')} of {subject.base_name} are not known, such as {names[0]}: "
            "no family declares it, and its weights are packed",
            "",
            severity="info",
        )
    yield from _absent(subject, found)
    yield from _misfits(subject, found)
    yield from _beyond(found)
    yield from _other_inputs(found)
    if found.added:
        names = weights_of(found.added)
        yield mismatch(
            f"it stores {listed(summed(names))}, which {subject.base_name} does not have: a head of its own",
            "",
            severity="info",
        )


def _absent(subject: AdapterSubject, found: Fit) -> Iterator[Finding]:
    # PEFT adds a bias of B's own also where the module has none.
    absent = [change for change in found.absent if not isinstance(change, AddedBias)]
    names = weights_of(change for change in absent if place_of(change.tensors[0]).part != "saved")
    if names and subject.base and subject.base.shares_blocks:
        yield mismatch(
            f"{some(names, 'weight')} of blocks that layers share were not checked, such as {names[0]}",
            "",
            severity="info",
        )
    elif names:
        titles = summed([name.removesuffix(".weight") for name in names])
        yield mismatch(
            f"{subject.base_name} lacks {some(names, 'module')} that the adapter changes: {listed(titles)}",
            OTHER_BASE,
            tensors=tuple(titles),
        )


def _misfits(subject: AdapterSubject, found: Fit) -> Iterator[Finding]:
    """One finding for each kind of misfit, or one for all where nothing fits."""
    kinds: dict[tuple[tuple[int | None, ...], tuple[int, ...]], list[str]] = {}
    for change, weight in found.misfits:
        kinds.setdefault((change.shape, weight.shape), []).append(change.weight)
    whole = not found.found and len(found.misfits) > 1
    for (wanted, shape), names in [*kinds.items()][: 1 if whole else MOST_FAULTS]:
        titles = summed(names)
        sizes = [size for size in wanted if size is not None]
        start = "an adapter for another base: " if whole else ""
        yield mismatch(
            f"{start}{listed(titles)} would have to be {sizes}, but {subject.base_name} has {list(shape)}",
            OTHER_BASE if whole else "the adapter was trained on a model with other sizes",
            tensors=tuple(titles),
            expected=list(shape),
            actual=sizes,
        )


def _beyond(found: Fit) -> Iterator[Finding]:
    """Trained rows that the table of the base does not have."""
    for change, weight in found.found:
        beyond = [row for row in change.indices if row >= weight.shape[0]] if isinstance(change, Rows) else []
        if beyond:
            yield mismatch(
                f"row {beyond[0]:,} of {weight.name} was trained, but the base's has {weight.shape[0]:,} rows",
                "the adapter was trained on a model with more tokens: resize the base's embeddings first",
                tensors=change.tensors,
            )


def _other_inputs(found: Fit) -> Iterator[Finding]:
    """Weights with more inputs than VeRA's shared matrix has, or that OFT's shared block does not divide."""
    kinds: dict[str, list[str]] = {}
    for change, weight in found.found:
        inputs = weight.shape[-1]
        if isinstance(change, Vectors) and change.inputs is not None and inputs > change.inputs:
            what = f"vera_A has {change.inputs:,} columns, fewer than the {inputs:,} inputs"
        elif isinstance(change, Rotated) and inputs % change.block:
            what = f"the rotation of blocks of {change.block:,} does not divide the {inputs:,} inputs"
        else:
            continue
        kinds.setdefault(what, []).append(weight.name)
    for what, names in [*kinds.items()][:MOST_FAULTS]:
        titles = summed(names)
        yield mismatch(f"{what} of {listed(titles)}", OTHER_BASE, tensors=tuple(titles))


def idle_targets(subject: AdapterSubject) -> Iterator[Finding]:
    """Targets that hit nothing: nothing in the base, or without one nothing in the adapter."""
    adapter = subject.adapter
    targets = adapter.settings.targets
    if not targets.told or targets.pattern or not adapter.modules:
        return
    modules = [*adapter.modules]
    if subject.base:
        modules += [weight.name.removesuffix(".weight") for weight in subject.base.matrices()]
    declared = bool(subject.base and subject.base.slots)
    # PEFT writes `all-linear` out, with what exclude_modules leaves out again: only the base tells of those.
    if not declared and targets.leaves_out:
        return
    if idle := targets.idle(modules):
        where = "neither the adapter nor its base has" if declared else "the adapter has no"
        yield mismatch(
            f"target_modules names {', '.join(idle[:5])}, but {where} such a module",
            "correct the names, or train the adapter again",
            severity="warning" if declared else "error",
        )


def missing_modules(subject: AdapterSubject) -> Iterator[Finding]:
    """Modules of the base that the targets mean and the adapter lacks: loaders start them at random, or at nothing."""
    adapter, base = subject.adapter, subject.base
    targets = adapter.settings.targets
    # mlx-lm adapts the last layers alone.
    if base is None or not targets.told or adapter.settings.library != "peft" or not adapter.modules:
        return
    # Where layers are repeated, the adapter's numbers of layers are not the base's.
    if adapter.settings.replicates or (subject.fit and subject.fit.misfits) or base.shares_blocks:
        return
    own = {weight.name for change in adapter.changes if (weight := base.find(change.weight))}
    kinds = {blank(name) for name in own}
    meant = [
        weight.name
        for weight in base.matrices()
        # Experts that are modules of their own on disk need not be in memory: then no adapter has any of them.
        if targets.holds(weight.name.removesuffix(".weight")) and (not weight.of_expert or blank(weight.name) in kinds)
    ]
    lacking = [name for name in meant if name not in own and not _is_saved(name, adapter)]
    if lacking and own:
        titles = summed([name.removesuffix(".weight") for name in lacking])
        yield mismatch(
            f"{some(lacking, 'module')} of the base that target_modules means "
            f"{'has' if len(lacking) == 1 else 'have'} no tensors in the adapter: {listed(titles)}",
            "loaders start them anew, so the adapter is not whole; save it again",
            tensors=tuple(titles),
        )


def _is_saved(name: str, adapter: Adapter) -> bool:
    return any(f".{saved}." in f".{name}" for saved in adapter.settings.saved)


def wrong_prompts(subject: AdapterSubject) -> Iterator[Finding]:
    """Vectors before the text that are no vectors of the base's tokens."""
    table = subject.base.table() if subject.base else None
    for name, held in subject.adapter.tensors.items():
        shape = subject.checkpoint.tensors[name].shape
        if held.part != "prompt" or subject.adapter.settings.method not in ("prompt_tuning", "p_tuning"):
            continue
        if table and shape[-1:] != table.shape[-1:]:
            yield mismatch(
                f"{name} holds vectors of {shape[-1] if shape else 0:,} numbers, but those of the base's tokens "
                f"have {table.shape[-1]:,}",
                OTHER_BASE,
                tensors=(name,),
            )


def without_base(subject: AdapterSubject) -> Iterator[Finding]:
    """An info where no base is at hand: only the adapter itself was looked at."""
    if subject.base is not None or not subject.adapter.tensors:
        return
    named = subject.adapter.settings.base
    base = f"its base, {named}, is not in the local Hugging Face cache" if named else "its settings name no base"
    yield mismatch(f"{base}: sizes and targets were not checked against it", "name it: --base MODEL", severity="info")
