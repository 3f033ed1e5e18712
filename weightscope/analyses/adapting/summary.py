"""What an adapter is, in the words of `inspect`'s JSON: method, ranks, targets by role, what is trained."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import prod

import msgspec

from weightscope.adapters.common.change import Change
from weightscope.adapters.registry import Adapter, encoded
from weightscope.adapters.tokens import Rows
from weightscope.analyses.adapting.base import BaseWeights
from weightscope.analyses.infer import guess
from weightscope.analyses.inventory import Inventory
from weightscope.brief import brief
from weightscope.checkpoint.reader import Checkpoint
from weightscope.ranges import template_of
from weightscope.storage.base import Kind


class TargetShare(msgspec.Struct, frozen=True, kw_only=True):
    """Modules of one name beside which the adapter stands; `role` is that of their weight in the base."""

    role: str
    module: str
    modules: int
    ranks: tuple[int, ...]
    parameters: int


class AdapterInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The adapter itself. What nothing tells is None.

    `words` is the method for people. `rank` and `alpha` are those of the settings; `ranks` and `scales` what the
    modules have. `base` is what the settings name, `held_against` the base that was opened, `base_parameters` its
    size. `trainable` are the parameters that were trained, `share` is their share of the base. `frozen` counts
    elements of the base that are stored beside and were not trained.
    """

    library: str
    method: str
    words: str
    task: str | None
    rank: int | None
    alpha: float | None
    ranks: tuple[int, ...]
    scales: tuple[float, ...]
    targets: tuple[TargetShare, ...]
    modules_to_save: tuple[str, ...]
    trained_tokens: int
    base: str | None
    held_against: str | None
    base_parameters: int | None
    trainable: int | None
    share: float | None
    frozen: int

    __repr__ = brief


def describe_adapter(
    adapter: Adapter,
    inventory: Inventory,
    checkpoint: Checkpoint,
    *,
    base: BaseWeights | None = None,
    held_against: str | None = None,
    base_parameters: int | None = None,
) -> AdapterInfo:
    """All that `inspect` says of an adapter, with its base where that was opened."""
    settings = adapter.settings
    stored = sum(group.parameters for group in inventory.groups)
    trainable = None if inventory.unrecognized or encoded(settings) else stored
    share = trainable / base_parameters if trainable is not None and base_parameters else None
    scales = {scale for change in adapter.changes if (scale := getattr(change, "scale", None)) is not None}
    return AdapterInfo(
        library=settings.library,
        method=settings.method,
        words=settings.words,
        task=settings.task or None,
        rank=settings.rank,
        alpha=settings.alpha,
        ranks=_ranks(adapter.changes),
        scales=tuple(sorted(scales)),
        targets=tuple(_targets(adapter, checkpoint, base)),
        modules_to_save=settings.saved,
        trained_tokens=sum(len(change.indices) for change in adapter.changes if isinstance(change, Rows)),
        base=settings.base or None,
        held_against=held_against,
        base_parameters=base_parameters,
        trainable=trainable,
        share=share,
        frozen=sum(group.elements for group in inventory.groups if group.kind is Kind.COPY),
    )


def _ranks(changes: Iterable[Change]) -> tuple[int, ...]:
    return tuple(sorted({change.rank for change in changes if change.rank is not None}))


def _targets(adapter: Adapter, checkpoint: Checkpoint, base: BaseWeights | None) -> Iterator[TargetShare]:
    """The modules by the last word of their names, in the order of the files."""
    ranks = {tensor: change.rank for change in adapter.changes for tensor in change.tensors}
    found: dict[str, list[str]] = {}
    for name, held in adapter.tensors.items():
        if held.role and held.module and held.known:
            found.setdefault(held.module.removesuffix(".weight").rpartition(".")[2], []).append(name)
    for word, names in found.items():
        modules = dict.fromkeys(adapter.tensors[name].module for name in names)
        yield TargetShare(
            role=_role(next(iter(modules)), base),
            module=word,
            modules=len(modules),
            ranks=tuple(sorted({rank for name in names if (rank := ranks.get(name)) is not None})),
            parameters=sum(
                prod(checkpoint.tensors[name].shape) for name in names if adapter.tensors[name].kind is not Kind.BUFFER
            ),
        )


def _role(module: str, base: BaseWeights | None) -> str:
    """The role of a module's weight, or of a parameter: the base's own, or one guessed from the name."""
    names = (f"{module}.weight", module)
    weight = next((weight for name in names if (weight := base.find(name))), None) if base else None
    if weight and weight.roles:
        return " + ".join(map(str, weight.roles))
    return str(guess(template_of(f"{module}.weight")[0], 2).role)
