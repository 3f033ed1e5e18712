"""Rotary position embedding (Su et al. 2021)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from weightscope.components.attention.frequencies import Scaling
from weightscope.components.attention.positions import Positions, Steps
from weightscope.errors import NotImplementedByWeightscope
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.plain import Buffer

if TYPE_CHECKING:
    import torch

    from weightscope.components.running import At
    from weightscope.storage.base import StorageItem

UNSCALED = Scaling()


class Rope(Positions, frozen=True, kw_only=True):
    """Rotation of the first `dim` elements of each head.

    `interleaved` pairs neighbours (2i, 2i+1) rather than halves (i, i + dim/2). `sections` are how many pairs turn by
    each axis of a multi-axis position (Qwen2-VL, arXiv 2409.12191): one axis after the other, or with `alternating` in
    turns (Qwen3-VL). One that goes `backwards` turns by the opposite angles (nanochat). Positions from `limit` on are
    refused, because of what `beyond` says. `steps` are how transformers' module computes it, which decides what lives
    at the peak of a pass: in the type of the computation, with tables in `float32`, of queries and keys that were first
    `converted` to float32, as a product of `complex` numbers, or with the part of a head that turns held `apart`.
    """

    dim: int
    theta: float
    scaling: Scaling = UNSCALED
    interleaved: bool = False
    sections: tuple[int, ...] = ()
    alternating: bool = False
    backwards: bool = False
    limit: int | None = None
    beyond: str = ""
    steps: Steps = "plain"
    turns: ClassVar[bool] = True

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (self.table("rotary_emb.inv_freq"),)

    @property
    def halves(self) -> int:
        return 0 if self.interleaved else self.dim

    @property
    def neighbours(self) -> int:
        return self.dim if self.interleaved else 0

    @property
    def turning(self) -> Steps:
        return self.steps

    def turned_part(self, size: int) -> int | None:
        return self.dim if self.dim < size else None

    def turned(self, x: torch.Tensor, at: At) -> torch.Tensor:
        return self.turn(x, at.rotation(self))

    def table(self, name: str) -> Buffer:
        """The inverse frequencies that checkpoints before transformers 4.32 carry in every layer."""
        return Buffer(name, Role.ROTARY_TABLE, (Size(-(-self.dim // 2)),))

    def rotation(self, positions: torch.Tensor, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
        """Cosines and sines [T, dim/2] of positions [T], or [axes, T] where the rotation has several axes.

        Raises:
            NotImplementedByWeightscope: a scaling that is not implemented, by name; positions beyond `limit`.
        """
        import torch

        if self.limit is not None and int(positions.max()) >= self.limit:
            raise NotImplementedByWeightscope(f"positions from {self.limit:,} on are not implemented: {self.beyond}")
        frequencies, factor = self.scaling.frequencies(self.dim, self.theta, int(positions.max()) + 1)
        angles = positions.to(torch.float32)[..., None] * frequencies.to(positions.device)
        if positions.ndim > 1:
            axes = self._axes(len(frequencies), len(positions)).to(positions.device)
            angles = angles.gather(0, axes.expand(1, *angles.shape[1:]))[0]
        if self.backwards:
            angles = -angles
        return (angles.cos() * factor).to(dtype), (angles.sin() * factor).to(dtype)

    def turn(self, x: torch.Tensor, rotation: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        """X [heads, T, head_dim] with its first `dim` elements rotated."""
        return turned(x, rotation, interleaved=self.interleaved)

    @property
    def words(self) -> str:
        """What the rotation is, a sentence for people."""
        scaled = f", {self.scaling.words}" if self.scaling.words else ""
        pairs = "neighbours" if self.interleaved else "halves"
        way = ", backwards" if self.backwards else ""
        return f"RoPE rotates {self.dim} dimensions of each head{way}, pairing {pairs}, theta {self.theta:g}{scaled}."

    def _axes(self, pairs: int, axes: int) -> torch.Tensor:
        """Which axis each pair turns by, [dim/2]."""
        import torch

        if sum(self.sections) != pairs or len(self.sections) != axes:
            raise NotImplementedByWeightscope(f"positions with {axes} axes need an mrope_section")
        if not self.alternating:
            return torch.repeat_interleave(torch.arange(axes), torch.tensor(self.sections))
        turns = torch.zeros(pairs, dtype=torch.long)
        for axis in range(1, axes):
            turns[axis : self.sections[axis] * axes : axes] = axis
        return turns


def turned(x: torch.Tensor, rotation: tuple[torch.Tensor, torch.Tensor], *, interleaved: bool = False) -> torch.Tensor:
    """X [heads, T, head_dim], its first elements rotated by cosines and sines [T, dim/2]; the rest as they are."""
    import torch

    cos, sin = rotation
    half = cos.shape[-1]
    moving, rest = x[..., : 2 * half], (x[..., 2 * half :],) if x.shape[-1] > 2 * half else ()
    a, b = (moving[..., 0::2], moving[..., 1::2]) if interleaved else (moving[..., :half], moving[..., half:])
    return torch.cat((a * cos - b * sin, b * cos + a * sin, *rest), dim=-1)
