"""A layer of two attentions and two MLPs, past which a mixture of experts goes (LongCat-Flash, arXiv 2509.01322)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from msgspec.structs import replace

from weightscope.components.base import Component, Repeat
from weightscope.components.live import Live
from weightscope.components.norm import Norm
from weightscope.components.running import At

if TYPE_CHECKING:
    import torch

    from weightscope.components.live import Widths


class ShortcutBlock(Component, frozen=True, kw_only=True):
    """Twice x + attention(input_norm(x)) and x + mlp(feed_forward_norm(x)), each with weights of its own.

    The mixture sees what the first MLP sees, and is added at the end. Both parts of a kind are numbered 0 and 1 below
    one name.
    """

    input_norm: Norm
    attention: Component
    feed_forward_norm: Norm
    feed_forward: Component
    mixture: Component
    word: ClassVar[str] = "layer"

    def children(self) -> Iterable[Component]:
        return (*self._halves(), self.mixture)

    def live(self, widths: Widths) -> tuple[Live, ...]:
        """What the second attention needs beside what the mixture made, and beside what that is added to."""
        beside = 2 * int(self.input_norm.size)
        return tuple(Live(elements=beside + live.elements) for live in self.attention.live(widths))

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[T, D] to [T, D]."""
        input_norms, attentions, norms, mlps = self._halves()
        mixed: torch.Tensor | None = None
        for number in (0, 1):
            normed = self.input_norm.forward(x, at.below(input_norms, number))
            x = x + self.attention.forward(normed, at.below(attentions, number))
            self._stage(self.attention, self.input_norm, number, x, at)
            normed = self.feed_forward_norm.forward(x, at.below(norms, number))
            if mixed is None:
                mixed = at.call(self.mixture, normed)
                at.stage(
                    self.mixture.word, f"{self.mixture.equation('n')},  n = {self.feed_forward_norm.word}(x)", mixed
                )
            x = x + self.feed_forward.forward(normed, at.below(mlps, number))
            self._stage(self.feed_forward, self.feed_forward_norm, number, x, at)
        out = x if mixed is None else x + mixed
        at.stage("sum", "x + what the mixture made", out)
        return out

    def _stage(self, part: Component, norm: Norm, number: int, x: torch.Tensor, at: At) -> None:
        at.stage(f"{part.word} {number}", f"x + {part.equation('n')},  n = {norm.word}(x)", x)

    def _halves(self) -> tuple[Repeat, Repeat, Repeat, Repeat]:
        return (
            _twice(self.input_norm),
            _twice(self.attention),
            _twice(self.feed_forward_norm),
            _twice(self.feed_forward),
        )


def _twice(part: Component) -> Repeat:
    """The part under its own name, numbered 0 and 1."""
    return Repeat(name=part.name, indices=range(2), child=replace(part, name=""), of="part")
