"""What towers do with their layers alike: run them as far as they are used, and keep what some of them put out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from weightscope.components.base import Repeat
from weightscope.components.decoder import run_layers
from weightscope.components.norm import Norm
from weightscope.components.running import At

if TYPE_CHECKING:
    import torch


def depth_of(blocks: Iterable[Repeat]) -> int:
    """How many layers there are."""
    return sum(len(repeat.indices) for repeat in blocks)


def outputs_of(
    blocks: Sequence[Repeat], hidden: torch.Tensor, at: At, layers: Sequence[int], *, last_norm: Norm | None = None
) -> tuple[torch.Tensor, ...]:
    """What each of `layers` puts out, of the vectors [N, width] that enter the first; later ones are not run.

    Layers are counted as transformers does: 0 is what enters the first, -1 what leaves the last, through `last_norm` if
    there is one.
    """
    depth = depth_of(blocks)
    wanted = [layer if layer >= 0 else layer + depth + 1 for layer in layers]
    found = {0: hidden}

    def tap(layer: int, out: torch.Tensor) -> None:
        if layer + 1 in wanted:
            found[layer + 1] = out

    used = [replace(repeat, indices=[number for number in repeat.indices if number < max(wanted)]) for repeat in blocks]
    run_layers(used, hidden, at, tap=tap)
    if last_norm and depth in wanted:
        found[depth] = at.call(last_norm, found[depth])
        at.stage("last norm", last_norm.equation(), found[depth])
    return tuple(found[layer] for layer in wanted)
