"""What training takes: weights, their master copy, gradients and the optimizer's state, and what else would save."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec.structs import replace

from weightscope.analyses.groups import Group
from weightscope.analyses.memory.backward import Computing, StepActivations, step_activations, unmeasured
from weightscope.analyses.memory.learning import TABLES, learning
from weightscope.analyses.memory.loading import Loading
from weightscope.analyses.memory.optimizers import OPTIMIZERS, PRECISIONS, Recipe, Trained
from weightscope.analyses.memory.state import Sizing
from weightscope.analyses.memory.weights import is_loaded
from weightscope.analyses.rules.subject import Subject
from weightscope.analyses.training.grammar import Plan
from weightscope.analyses.training.split import Trainable, hits_of, is_trained, split, whole_parts
from weightscope.brief import brief
from weightscope.checkpoint.dtypes import BLOCKS
from weightscope.errors import NotImplementedByWeightscope, UsageError, WeightscopeError
from weightscope.findings import Finding
from weightscope.roles import Section
from weightscope.storage.base import Kind

# What one would save is told for so many devices, where it is asked for one.
USUAL_DEVICES = 8
# The one change whose saving is of activations, which no size of the table holds.
CHECKPOINTING = "activation checkpointing"
# What the words of bitsandbytes' 4 bits begin with.
FOUR_BITS = ("bitsandbytes, nf4", "bitsandbytes, fp4")


class TrainingPart(msgspec.Struct, frozen=True, kw_only=True):
    """One part of what training takes.

    Attributes:
        part: such as `gradients`.
        each: bytes of one trained parameter.
        bytes: of one whole copy.
        per_device: of them on each device.
    """

    part: str
    each: float
    bytes: int
    per_device: int


class Saving(msgspec.Struct, frozen=True, kw_only=True):
    """Another way to train.

    Attributes:
        change: what would be another.
        per_device: bytes that each device would hold then, without activations.
        saved: how many bytes less each device needs, negative for more; with activation checkpointing, of activations.
    """

    change: str
    per_device: int
    saved: int


class Training(msgspec.Struct, frozen=True, kw_only=True):
    """What training takes, without activations; sizes are bytes.

    Attributes:
        recipe: plan, optimizer, precision, ZeRO stage, devices.
        trained: parameters that are trained, LoRA's included.
        frozen: parameters that are not.
        parts: weights, gradients, optimizer state and so on.
        bytes: of one whole copy.
        per_device: on each device.
        usable: of each device that was named; None where none was.
        activations: an estimate of what a step needs beside; None where it is not estimated.
        with_activations: what one device needs in all; None where that is not estimated, and for several devices.
        savings: what other ways would save, one change at a time.
        notes: what is not counted.
    """

    recipe: Recipe
    trained: int
    frozen: int
    parts: tuple[TrainingPart, ...]
    bytes: int
    per_device: int
    usable: int | None
    activations: StepActivations | None
    with_activations: StepActivations | None
    savings: tuple[Saving, ...]
    notes: tuple[str, ...]

    __repr__ = brief


class _Model(msgspec.Struct, frozen=True, kw_only=True):
    """What is trained tensor by tensor, and the bytes of all that stays frozen."""

    tensors: tuple[Trained, ...]
    frozen: int

    @property
    def parameters(self) -> int:
        return sum(tensor.elements * tensor.count for tensor in self.tensors)


def training(subject: Subject, loaded: Loading, recipe: Recipe, usable: int | None, sizing: Sizing) -> Training:
    """What each device holds, which may hold as much as is `usable`, and what a step of the batch adds to it.

    Raises:
        UsageError: a plan that is not understood or does not go with the model, or quantized weights that are trained.
        NotImplementedByWeightscope: LoRA's targets cannot be counted.
    """
    found = _split(subject, recipe.plan)
    model = _model(subject, loaded, recipe.plan, found)
    parts = tuple(_parts(model, recipe))
    total = sum(part.per_device for part in parts)
    live, unestimated = _activations(subject, loaded, recipe, sizing)
    return Training(
        recipe=recipe,
        trained=model.parameters,
        frozen=found.frozen or 0,
        parts=parts,
        bytes=sum(part.bytes for part in parts),
        per_device=total,
        usable=usable,
        activations=live,
        with_activations=live.beside(total) if live and recipe.devices == 1 else None,
        savings=(*_savings(subject, loaded, model, recipe, total), *_recomputed(live, total)),
        notes=(*found.notes, *([f"Activations are not estimated: {unestimated}."] if unestimated else [])),
    )


def _activations(
    subject: Subject, loaded: Loading, recipe: Recipe, sizing: Sizing
) -> tuple[StepActivations | None, str]:
    """The estimate, and why there is none."""
    declaration, plan = subject.declaration, Plan.of(recipe.plan)
    if declaration is None:
        return None, "no family declares this model type"
    if why := unmeasured(declaration):
        return None, why
    whole = _whole(subject, loaded, plan)
    hits = hits_of(plan, whole, declaration, subject.inventory, subject.checkpoint, subject.tying)
    try:
        learned = learning(declaration.tree, plan, whole, hits.matrices, tied=declaration.tied)
    except NotImplementedByWeightscope as error:
        return None, error.what
    is_quantized = any(map(_is_quantized, loaded.groups))
    covered = declaration.covered
    words = loaded.words or (covered[0].scheme.words if covered else "")
    if is_quantized and not words.startswith(FOUR_BITS):
        return None, "a training step beside quantized weights was measured for 4 bits of bitsandbytes alone"
    size = PRECISIONS[recipe.precision].weights
    computing = Computing(
        tokens=sizing.batch * sizing.context,
        seen=sizing.context,
        size=size,
        # PEFT keeps adapters in float32 beside weights of two bytes, as masters are kept.
        adapter_size=4 if recipe.precision == "mixed" else size,
        quantized=is_quantized,
    )
    return step_activations(declaration, learned, computing)


def training_findings(found: Training) -> Iterator[Finding]:
    """Why it does not fit, if it does not; a warning where only an estimate says so."""
    if found.usable is None:
        return
    if found.per_device > found.usable:
        yield Finding(
            code="does-not-fit",
            severity="error",
            message=f"training needs {found.per_device:,} bytes of each device, which may use {found.usable:,}",
            expected=found.usable,
            actual=found.per_device,
            hint="the table says what saves how much",
        )
    elif (whole := found.with_activations) and whole.kept > found.usable:
        saves = whole.checkpointed <= found.usable
        yield Finding(
            code="does-not-fit",
            severity="warning",
            message=f"with activations a step needs about {whole.kept:,} bytes of the device, which may use"
            f" {found.usable:,}",
            expected=found.usable,
            actual=whole.kept,
            hint="activation checkpointing is enough" if saves else "choose a smaller --batch or --context",
        )


def _split(subject: Subject, plan: str) -> Trainable:
    if subject.parameters.total is None:
        raise UsageError("--trainable needs weights of which it is known how many they are")
    return split(Plan.of(plan), subject.declaration, subject.inventory, subject.checkpoint, subject.tying)


def _model(subject: Subject, loaded: Loading, text: str, found: Trainable) -> _Model:
    plan = Plan.of(text)
    whole = _whole(subject, loaded, plan)
    tensors: list[Trained] = []
    frozen = 0
    for group, size in zip(loaded.groups, loaded.sizes, strict=True):
        if group.kind is Kind.BUFFER or not is_trained(group, plan, whole, subject.tying):
            frozen += size
        elif _is_quantized(group):
            raise UsageError("quantized weights cannot be trained", hint="train LoRA beside them (lora:r=16,targets=…)")
        elif is_loaded(group, subject.tying):
            tensors += _tensors(group)
    return _Model(tensors=(*tensors, *_adapters(found)), frozen=frozen)


def _whole(subject: Subject, loaded: Loading, plan: Plan) -> frozenset[Section]:
    """The components that the plan trains as they are."""
    groups = [group for group in loaded.groups if group.kind is not Kind.BUFFER]
    return whole_parts(plan, groups, subject.tying)


def _is_quantized(group: Group) -> bool:
    in_blocks = any(dtype in BLOCKS for dtype, _ in group.counts)
    return in_blocks or group.scheme is not None or group.kind is Kind.SCALE


def _tensors(group: Group) -> Iterator[Trained]:
    for (_, shape), count in group.counts.items():
        yield Trained(shape=shape, count=count, hidden=len(shape) == 2 and group.section not in TABLES)


def _adapters(found: Trainable) -> Iterator[Trained]:
    """LoRA's two thin matrices beside each matrix."""
    for adapted in found.lora.adapted if found.lora else ():
        *_, rows, columns = adapted.shape
        rank = adapted.added // adapted.matrices // max(rows + columns, 1)
        yield Trained(shape=(rank, columns), count=adapted.matrices, hidden=True)
        yield Trained(shape=(rows, rank), count=adapted.matrices, hidden=True)


def _parts(model: _Model, recipe: Recipe) -> Iterator[TrainingPart]:
    precision, keep = PRECISIONS[recipe.precision], OPTIMIZERS[recipe.optimizer]
    count = model.parameters
    state = sum(keep(tensor, precision.moments) * tensor.count for tensor in model.tensors)
    # Which stage of ZeRO divides what.
    sizes = (
        ("weights that are trained", precision.weights * count, 3),
        ("weights that are frozen", model.frozen, 3),
        ("master weights", precision.master * count, 1),
        ("gradients", precision.gradients * count, 2),
        ("optimizer state", state, 1),
    )
    for part, size, stage in sizes:
        if not size:
            continue
        devices = recipe.devices if recipe.zero >= stage else 1
        each = 0.0 if part.endswith("frozen") else size / max(count, 1)
        yield TrainingPart(part=part, each=round(each, 4), bytes=size, per_device=-(-size // devices))


def _savings(subject: Subject, loaded: Loading, model: _Model, recipe: Recipe, total: int) -> Iterator[Saving]:
    """The other optimizers, stages of ZeRO and precisions, one change at a time; LoRA where all is trained."""
    devices = recipe.devices if recipe.devices > 1 else USUAL_DEVICES
    changes: dict[str, Recipe] = {
        f"optimizer {name}": replace(recipe, optimizer=name) for name in OPTIMIZERS if name != recipe.optimizer
    }
    for stage in range(recipe.zero + 1, 4):
        changes[f"ZeRO {stage} on {devices:,} devices"] = replace(recipe, zero=stage, devices=devices)
    changes |= {f"precision {name}": replace(recipe, precision=name) for name in PRECISIONS if name != recipe.precision}
    for words, changed in changes.items():
        held = sum(part.per_device for part in _parts(model, changed))
        yield Saving(change=words, per_device=held, saved=total - held)
    if recipe.plan == "full":
        yield from _with_adapters(subject, loaded, recipe, total)


def _recomputed(live: StepActivations | None, total: int) -> Iterator[Saving]:
    """Activation checkpointing, where it is known what it saves."""
    if live:
        yield Saving(change=CHECKPOINTING, per_device=total, saved=live.kept - live.checkpointed)


def _with_adapters(subject: Subject, loaded: Loading, recipe: Recipe, total: int) -> Iterator[Saving]:
    plan = "lora:r=16,targets=all-linear"
    try:
        model = _model(subject, loaded, plan, _split(subject, plan))
    except WeightscopeError:
        # Of a mixture nothing tells what all linear layers are.
        return
    held = sum(part.per_device for part in _parts(model, recipe))
    yield Saving(change="LoRA of rank 16", per_device=held, saved=total - held)
