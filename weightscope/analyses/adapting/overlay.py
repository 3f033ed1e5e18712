"""The changes of one or several adapters, by the weight of the base that they change: what a pass applies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from weightscope.adapters.common.change import Change
from weightscope.adapters.parameters import StackedLowRank
from weightscope.adapters.registry import Adapter
from weightscope.adapters.saved import Replaced
from weightscope.adapters.tokens import Rows
from weightscope.analyses.adapting.base import BaseWeights, Weight
from weightscope.analyses.adapting.fit import Fit, weights_of
from weightscope.analyses.rules.adapter_subject import AdapterSubject
from weightscope.analyses.rules.adapters import check_adapter
from weightscope.checkpoint.entry import require_here
from weightscope.checkpoint.reader import Checkpoint
from weightscope.errors import CheckpointError, NotImplementedByWeightscope


class Beside(NamedTuple):
    """An adapter that a pass applies, its files, and how it was named."""

    adapter: Adapter
    checkpoint: Checkpoint
    name: str


class Placed(NamedTuple):
    """A change with the weight that it is for, and the files that its tensors are in."""

    change: Change
    weight: Weight
    checkpoint: Checkpoint


class Overlay(msgspec.Struct, frozen=True, kw_only=True):
    """All changes by the weight's name in the base, in the order in which they are applied."""

    changes: dict[str, tuple[Placed, ...]]

    def of(self, name: str) -> tuple[Placed, ...]:
        """What is done to a weight; nothing for most."""
        return self.changes.get(name, ())

    def replaces(self, name: str) -> bool:
        """Whether nothing of the base's own weight is used."""
        placed = self.of(name)
        return bool(placed) and isinstance(placed[0].change, Replaced)

    def changes_apart(self, name: str) -> bool:
        """Whether a weight that is used in two places is changed in one of them alone."""
        return any(not _is_shared(placed.change) for placed in self.of(name))

    def with_shared(self, name: str, copy: str) -> Overlay:
        """The same with what is changed in both places in a copy of a weight, too."""
        shared = tuple(placed for placed in self.of(name) if _is_shared(placed.change))
        return Overlay(changes=self.changes | {copy: (*shared, *self.of(copy))}) if shared else self


def overlay(beside: Sequence[Beside], base: BaseWeights, base_name: str) -> Overlay:
    """What all the adapters do together.

    Raises:
        CheckpointError: `adapter-mismatch`; one does not fit the base, or itself.
        NotImplementedByWeightscope: what one does is not computed here, by name.
    """
    found: dict[str, list[Placed]] = {}
    for one in beside:
        require_here(*(file.remote for file in one.checkpoint.files))
        fitting = _checked(one, base, base_name)
        for change, weight in fitting.found:
            for part in _placed(change, weight, one.checkpoint):
                found.setdefault(part.weight.name, []).append(part)
    for name, placed in found.items():
        _refuse_order(name, placed)
    return Overlay(changes={name: tuple(placed) for name, placed in found.items()})


def _placed(change: Change, weight: Weight, checkpoint: Checkpoint) -> Iterator[Placed]:
    """The change where its weight is stored: a stack's may lie in a tensor for each expert."""
    if weight.experts and isinstance(change, StackedLowRank):
        for part in weight.experts:
            yield Placed(change.of_expert(part.expert, part.rows), part.weight, checkpoint)
    else:
        yield Placed(change, weight, checkpoint)


def _checked(one: Beside, base: BaseWeights, base_name: str) -> Fit:
    """The adapter's changes with their weights, all of which can be computed."""
    adapter, settings = one.adapter, one.adapter.settings
    unknown = next((name for name, held in adapter.tensors.items() if not held.known), "")
    reasons = (
        settings.unapplied,
        f"{settings.words} is counted, not computed" if adapter.prompts or not settings.known else "",
        f"{unknown} is of a method that is not implemented" if unknown else "",
    )
    for reason in filter(None, reasons):
        raise NotImplementedByWeightscope(f"forward does not apply this adapter: {reason}", where=one.name)
    subject = AdapterSubject(adapter=adapter, checkpoint=one.checkpoint, base=base, base_name=base_name)
    for finding in check_adapter(subject):
        if finding.severity == "error":
            raise CheckpointError(finding.message, where=one.name, hint=finding.hint, code=finding.code)
    fitting = subject.fit
    assert fitting
    if lacking := weights_of([*fitting.added, *fitting.absent]):
        raise NotImplementedByWeightscope(
            f"forward does not apply this adapter: {base_name} has no {lacking[0]} that it could change",
            where=one.name,
        )
    for _, weight in fitting.found:
        if base.is_shared(weight):
            raise NotImplementedByWeightscope(
                f"adapters of blocks that layers share are not applied ({weight.name})", where=one.name
            )
    for reason in filter(None, (change.unready for change, _ in fitting.found)):
        raise NotImplementedByWeightscope(f"forward does not apply this adapter: {reason}", where=one.name)
    if not fitting.found:
        raise CheckpointError("changes no weight", where=one.name, code="adapter-mismatch")
    return fitting


def _refuse_order(name: str, placed: Sequence[Placed]) -> None:
    """Refuse changes of several adapters that make something else in another order."""
    several = len({id(one.checkpoint) for one in placed}) > 1
    single = next((one.change for one in placed if not one.change.adds and not _is_copy(one.change)), None)
    if several and single is not None:
        raise NotImplementedByWeightscope(
            f"several adapters change {name}, and one of them does more than add to it ({single.formula}): "
            "the result depends on their order, which is not implemented"
        )


def _is_shared(change: Change) -> bool:
    """Whether PEFT changes the parameter that head and embedding share, and not the module of one of them."""
    return isinstance(change, Rows) or _is_copy(change)


def _is_copy(change: Change) -> bool:
    """Whether it is the base's own tensor, kept beside."""
    return isinstance(change, Replaced) and not change.trained
