"""Attention within windows that every other layer shifts, and the merging of patches (Swin, arXiv 2103.14030).

Legend: W windows, N = size² places of a window, H heads, d elements of a head.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar

from weightscope.components.attention.attend import SCORES
from weightscope.components.attention.heads import Heads
from weightscope.components.attention.relative_grid import RelativeGrid
from weightscope.components.base import Component, Conflict
from weightscope.components.norm import Norm
from weightscope.components.running import At, linear
from weightscope.components.vision.plane import flattened, plane_of, raised
from weightscope.errors import UsageError
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.linear import Linear

if TYPE_CHECKING:
    import torch


class ShiftedWindows(Component, frozen=True, kw_only=True):
    """A patch sees those of its own window of `size` × `size`, and what pads the image to windows.

    Windows begin `shift` rows and columns later than at the corner; what is beyond the edge then wraps around, and sees
    its own side alone. `distances` add to scores.
    """

    name: str
    projections: tuple[StorageItem, ...]
    width: Size
    heads: Heads
    size: Size
    shift: int
    distances: RelativeGrid
    word: ClassVar[str] = "attention"

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (*self.projections, *self.distances.stored)

    def sizes(self) -> Sizes:
        square = (self.width, self.width)
        return {
            **dict.fromkeys((Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ, Role.O_PROJ), square),
            **self.distances.sizes(self.heads.count),
        }

    @property
    def glance(self) -> str:
        return f"{self.heads.words}, windows of {self.size:,} × {self.size:,}"

    def conflicts(self) -> Iterable[Conflict]:
        """A width that the heads do not share evenly."""
        if self.width % self.heads.count:
            yield Conflict(
                f"{self.width.text} {self.width:,} is not a multiple of {self.heads.count:,} heads", self.width.keys
            )

    def equation(self, x: str = "x") -> str:
        return f"o_proj·softmax(q·kᵀ/√{int(self.heads.size)} + relative_position)·v of {x}"

    def terms(self) -> Mapping[Role, str]:
        heads = f"in {int(self.heads.count)} heads of {int(self.heads.size)}"
        return {
            Role.Q_PROJ: f"q = q_proj·x   {heads}",
            Role.K_PROJ: f"k = k_proj·x   {heads}",
            Role.V_PROJ: f"v = v_proj·x   {heads}",
            Role.O_PROJ: "o_proj·[heads side by side]",
            Role.RELATIVE_POSITION: self.distances.term,
        }

    def notes(self, roles: Iterable[Role]) -> Iterable[str]:
        if {Role.Q_PROJ, Role.K_PROJ} & set(roles):
            shifted = f", shifted by {self.shift:,}" if self.shift else ""
            yield f"Attention mask: patches of its window of {self.size:,} × {self.size:,}{shifted}."
            yield self.distances.words

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Patches [rows · columns, width] to the same.

        Raises:
            UsageError: a side of the image is shorter than a window.
        """
        import torch

        rows, columns = plane_of(at)
        size = int(self.size)
        if min(rows, columns) < size:
            raise UsageError(
                f"the image is too small: {at.label or 'a layer'} has {rows:,} × {columns:,} patches in windows of "
                f"{size:,} × {size:,}"
            )
        # Where one window reaches from edge to edge, there is nothing to shift.
        shift = self.shift if min(rows, columns) > size else 0
        padded = torch.nn.functional.pad(raised(x, at), (0, 0, 0, -columns % size, 0, -rows % size))
        tall, wide = padded.shape[:2]
        windows = _windows(torch.roll(padded, (-shift, -shift), (0, 1)), size)
        mixed = self._mixed(windows, _sides(tall, wide, size, shift).to(x.device), at)
        whole = mixed.reshape(tall // size, wide // size, size, size, -1).transpose(1, 2).reshape(padded.shape)
        return torch.roll(whole, (shift, shift), (0, 1))[:rows, :columns].flatten(0, 1)

    def _mixed(self, windows: torch.Tensor, sides: torch.Tensor, at: At) -> torch.Tensor:
        """Attention of each window [W, N, width] to itself; `sides` [W, N] number what sees each other in it."""
        import torch

        weights = at.weights(self)
        bias = self.distances.made(weights, at).whole
        step = max(1, SCORES // bias.numel())
        found = []
        for some, side in zip(windows.split(step), sides.split(step), strict=True):  # type: ignore[no-untyped-call]
            q, k, v = (self.heads.split(linear(some, weights, r)) for r in (Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ))
            scores = (q * int(self.heads.size) ** -0.5) @ k.transpose(-1, -2) + bias
            scores = scores.masked_fill((side[:, :, None] != side[:, None, :])[:, None], -torch.inf)
            wide = torch.promote_types(q.dtype, torch.float32)
            shares = torch.softmax(scores, dim=-1, dtype=wide).to(q.dtype)
            found.append(linear((shares @ v).transpose(1, 2).flatten(2), weights, Role.O_PROJ))
        return torch.cat(found)


class PatchMerging(Component, frozen=True, kw_only=True):
    """reduction·norm([2 × 2 patches]); an odd side is padded with zeros."""

    name: str
    width: Size
    norm: Norm
    word: ClassVar[str] = "merged patches"

    @property
    def stored(self) -> Iterable[StorageItem]:
        return (Linear("reduction", Role.DOWNSAMPLE),)

    def sizes(self) -> Sizes:
        return {Role.DOWNSAMPLE: (self.width * 2, self.width * 4)}

    def equation(self, x: str = "x") -> str:
        return f"downsample·{self.norm.word}([2 × 2 of {x}])"

    def terms(self) -> Mapping[Role, str]:
        return {Role.DOWNSAMPLE: self.equation()}

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Patches [rows · columns, width] to a quarter as many, rounded up, [N, 2 · width]."""
        import torch

        rows, columns = plane_of(at)
        grid = torch.nn.functional.pad(raised(x, at), (0, 0, 0, columns % 2, 0, rows % 2))
        squares = torch.cat([grid[row::2, column::2] for column in (0, 1) for row in (0, 1)], dim=-1)
        return linear(at.call(self.norm, flattened(squares, at)), at.weights(self), Role.DOWNSAMPLE)


def _windows(x: torch.Tensor, size: int) -> torch.Tensor:
    """[rows, columns, width] as [W, N, width]."""
    rows, columns, width = x.shape
    return x.reshape(rows // size, size, columns // size, size, width).transpose(1, 2).reshape(-1, size**2, width)


def _sides(rows: int, columns: int, size: int, shift: int) -> torch.Tensor:
    """For each place of each window [W, N] from which side of an edge it comes."""
    import torch

    row, column = (torch.arange(length) >= length - shift for length in (rows, columns))
    return _windows((row[:, None].long() * 2 + column)[..., None], size)[..., 0]
