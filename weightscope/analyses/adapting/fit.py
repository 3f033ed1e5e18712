"""Each change of an adapter with the weight of the base that it is for."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from weightscope.adapters.common.change import Change, fits
from weightscope.adapters.ia3 import Scaled
from weightscope.adapters.registry import Adapter
from weightscope.adapters.saved import Replaced
from weightscope.analyses.adapting.base import BaseWeights, Weight
from weightscope.brief import brief


class Fit(msgspec.Struct, frozen=True, kw_only=True):
    """`found` pairs changes with weights of the same sizes, `misfits` with weights of others. `absent` are changes of
    what the base does not have, `added` the whole tensors among them: a head of its own, such as a classifier's.
    `packed` are those of weights whose sizes are not known.
    """

    found: tuple[tuple[Change, Weight], ...]
    misfits: tuple[tuple[Change, Weight], ...]
    absent: tuple[Change, ...]
    packed: tuple[Change, ...]
    added: tuple[Change, ...]

    __repr__ = brief


def fit(adapter: Adapter, base: BaseWeights) -> Fit:
    """Look up every weight that the adapter changes."""
    found: list[tuple[Change, Weight]] = []
    misfits: list[tuple[Change, Weight]] = []
    absent: list[Change] = []
    packed: list[Change] = []
    added: list[Change] = []
    for change in adapter.changes:
        weight = base.find(change.weight)
        if weight is None and base.packs(change.weight):
            packed.append(change)
        elif weight is None:
            (added if isinstance(change, Replaced) and change.trained else absent).append(change)
        elif fits(change.shape, weight.stored if isinstance(change, Replaced) else weight.shape):
            found.append((change, weight))
        else:
            misfits.append((change, weight))
    # Where a module's weight has other sizes, so has its bias.
    wrong = {change.weight for change, _ in misfits}
    misfits = [pair for pair in misfits if not _is_bias(pair[0]) or _weight_beside(pair[0]) not in wrong]
    # IA3 scales a bias where there is one.
    absent = [change for change in absent if not (isinstance(change, Scaled) and _is_bias(change))]
    return Fit(
        found=tuple(found), misfits=tuple(misfits), absent=tuple(absent), packed=tuple(packed), added=tuple(added)
    )


def _is_bias(change: Change) -> bool:
    return change.weight.endswith(".bias") and not isinstance(change, Replaced)


def _weight_beside(change: Change) -> str:
    return f"{change.weight.removesuffix('.bias')}.weight"


def weights_of(changes: Iterable[Change]) -> list[str]:
    """The names of the weights that they change, each once."""
    return list(dict.fromkeys(change.weight for change in changes))
