"""Rotation by two axes: half of each head's pairs turn by the one, half by the other (Qwen2-VL, arXiv 2409.12191)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from weightscope.components.attention.positions import Positions
from weightscope.components.attention.rope import turned

if TYPE_CHECKING:
    import torch

    from weightscope.components.running import At


class Axial(Positions, frozen=True, kw_only=True):
    """Rotation of all `dim` elements of a head by positions of two axes, half of the pairs by each.

    The pairs of the row come first, or `alternating` column and row in turns (Kimi-VL). Both axes have the same
    frequencies, or where `divided` every other one of a longer list (Pixtral). Pairs are halves of a head, or
    neighbours where `interleaved` (Llama 4). The halves of `apart` heads are each turned by itself, the first by the
    first axis (Gemma 4).
    """

    dim: int
    theta: float = 10000.0
    alternating: bool = False
    divided: bool = False
    interleaved: bool = False
    apart: bool = False
    turns: ClassVar[bool] = True

    @property
    def neighbours(self) -> int:
        return self.dim if self.interleaved else 0

    def turned(self, x: torch.Tensor, at: At) -> torch.Tensor:
        return self.turn(x, at.rotation(self))

    def rotation(self, positions: torch.Tensor, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
        """Cosines and sines [N, dim/2] of positions [2, N]."""
        import torch

        rows, columns = self._frequencies(positions.device)
        by_row, by_column = (
            positions[axis].float()[:, None] * frequencies for axis, frequencies in enumerate((rows, columns))
        )
        if self.alternating:
            both = torch.stack((by_column, by_row), dim=-1).flatten(1)
        else:
            both = torch.cat((by_row, by_column), dim=-1)
        return both.cos().to(dtype), both.sin().to(dtype)

    def turn(self, x: torch.Tensor, rotation: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        """X [heads, N, head_dim] rotated."""
        if not self.apart:
            return turned(x, rotation, interleaved=self.interleaved)
        import torch

        cos, sin = (part.chunk(2, dim=-1) for part in rotation)
        halves = zip(x.chunk(2, dim=-1), cos, sin, strict=True)
        return torch.cat([turned(half, by) for half, *by in halves], dim=-1)  # type: ignore[arg-type]

    @property
    def words(self) -> str:
        """What the rotation is, a sentence for people."""
        pairs = "neighbours" if self.interleaved else "quarters" if self.apart else "halves"
        return f"RoPE rotates {self.dim} dimensions of each head by two axes, pairing {pairs}, theta {self.theta:g}."

    def _frequencies(self, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """Those of the row and those of the column, [dim/4] each."""
        import torch

        over = self.dim if self.divided else self.dim // 2
        frequencies = (1.0 / self.theta ** (torch.arange(0, over, 2, dtype=torch.float32) / over)).to(device)
        return (frequencies[0::2], frequencies[1::2]) if self.divided else (frequencies, frequencies)


class AxialFilm(Axial, frozen=True, kw_only=True):
    """Rotation by time, row and column, as many pairs by each; what is left over does not turn (MiniMax-M3).

    Pictures have no time: the pairs that turn by it stand still.
    """

    @property
    def _turning(self) -> int:
        """Elements of a head that turn by one axis."""
        return 2 * (self.dim // 6)

    def rotation(self, positions: torch.Tensor, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
        import torch

        rows, columns = positions.float()
        steps = torch.arange(0, self._turning, 2, dtype=torch.float32, device=positions.device)
        frequencies = 1.0 / self.theta ** (steps / self._turning)
        angles = [axis[:, None] * frequencies for axis in (torch.zeros_like(rows), rows, columns)]
        by_all = torch.cat(angles, dim=-1)
        return by_all.cos().to(dtype), by_all.sin().to(dtype)

    @property
    def words(self) -> str:
        turning = 3 * self._turning
        return f"RoPE rotates {turning} dimensions of each head by three axes, pairing halves, theta {self.theta:g}."
