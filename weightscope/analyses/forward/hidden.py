"""What a pass is asked to keep of what its stages put out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

Keep = Callable[[str, "torch.Tensor"], None]
# After the layers, what still makes hidden states of hidden states.
LAST = ("final norm", "output projection")
# What the stages of an encoder-decoder begin with; what its decoder puts out comes last.
SIDES = ("encoder ", "decoder ")


class Hidden:
    """The last hidden states [T, width] of a pass; None before there are any."""

    def __init__(self) -> None:
        self.states: torch.Tensor | None = None

    def __call__(self, name: str, x: torch.Tensor) -> None:
        """Keep what a layer, or the norm after all of them, has put out."""
        for side in SIDES:
            name = name.removeprefix(side)
        if name.startswith("layer ") or name in LAST:
            self.states = x.float().cpu()


class Both:
    """Hands every stage to two others."""

    def __init__(self, first: Keep, second: Keep) -> None:
        self._both = first, second

    def __call__(self, name: str, x: torch.Tensor) -> None:
        """To both."""
        for keep in self._both:
            keep(name, x)
