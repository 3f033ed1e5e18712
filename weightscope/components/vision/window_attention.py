"""Attention of an image's patches within windows that do not overlap (SAM, arXiv 2304.02643; DaViT, 2204.03645)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from weightscope.components.attention.attend import SCORES
from weightscope.components.base import Component
from weightscope.components.running import At, linear
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.linear import Linear
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch


class WindowAttention(Component, frozen=True, kw_only=True):
    """Patches see those of their own window of `size` × `size`, and what pads the image to windows.

    Where `relative`, a score gets what the query makes of the row and of the column that lie between (SAM).
    """

    name: str
    width: Size
    count: Size
    size: Size
    bias: bool
    relative: bool = False

    @property
    def stored(self) -> Iterable[StorageItem]:
        yield Linear("qkv", Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ, bias=self.bias)
        yield Linear("proj", Role.O_PROJ, bias=True)
        if self.relative:
            yield Plain("rel_pos_h", Role.RELATIVE_ROWS, leaf="")
            yield Plain("rel_pos_w", Role.RELATIVE_COLUMNS, leaf="")

    def sizes(self) -> Sizes:
        square, relative = (self.width, self.width), (self.size * 2 - 1, self.width // self.count)
        return {
            **dict.fromkeys((Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ, Role.O_PROJ), square),
            Role.RELATIVE_ROWS: relative,
            Role.RELATIVE_COLUMNS: relative,
        }

    @property
    def word(self) -> str:
        """What a stage of it is called."""
        return "attention"

    def equation(self, x: str = "x") -> str:
        distance = " + q·relative_rowsᵀ + q·relative_columnsᵀ" if self.relative else ""
        return f"o_proj·softmax(q·kᵀ/√{int(self.width // self.count)}{distance})·v of {x}"

    def terms(self) -> Mapping[Role, str]:
        heads = f"in {int(self.count)} heads of {int(self.width // self.count)}"
        return {
            Role.Q_PROJ: f"q = q_proj·x   {heads}",
            Role.K_PROJ: f"k = k_proj·x   {heads}",
            Role.V_PROJ: f"v = v_proj·x   {heads}",
            Role.O_PROJ: "o_proj·[heads side by side]",
            Role.RELATIVE_ROWS: "q·relative_rows[rows between] is added to a score",
            Role.RELATIVE_COLUMNS: "q·relative_columns[columns between] is added to a score",
        }

    def windowed(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Patches [images, rows, columns, width] to [images · rows · columns, width]."""
        import torch

        weights, size, heads = at.weights(self), int(self.size), int(self.count)
        images, rows, columns, width = x.shape
        grid = torch.nn.functional.pad(x, (0, 0, 0, -columns % size, 0, -rows % size))
        down, across = grid.shape[1] // size, grid.shape[2] // size
        flat = grid.reshape(images, down, size, across, size, width).transpose(2, 3).reshape(-1, size**2, width)
        q, k, v = (
            linear(flat, weights, role).unflatten(-1, (heads, -1)).transpose(1, 2).flatten(0, 1)  # type: ignore[no-untyped-call]
            for role in (Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ)
        )
        parts = zip(self._parts(q), self._parts(k), self._parts(v), strict=True)
        mixed = torch.cat([self._mixed(asked, keys, values, weights) for asked, keys, values in parts])
        mixed = mixed.unflatten(0, (-1, heads)).transpose(1, 2).flatten(2)  # type: ignore[no-untyped-call]
        back = mixed.reshape(images, down, across, size, size, width).transpose(2, 3)
        whole = back.reshape(grid.shape)[:, :rows, :columns]
        return linear(whole.reshape(-1, width), weights, Role.O_PROJ)

    def _parts(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Windows and heads in parts whose scores fit into memory."""
        return x.split(max(1, SCORES // int(self.size) ** 4))  # type: ignore[no-untyped-call,no-any-return]

    def _mixed(
        self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, weights: Mapping[str, torch.Tensor]
    ) -> torch.Tensor:
        """Of windows and heads [B, size², d] the values mixed, [B, size², d]."""
        import torch

        size = int(self.size)
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(1, 2)
        if self.relative:
            places = torch.arange(size, device=q.device)
            between = places[:, None] - places[None, :] + size - 1
            asked = q.unflatten(1, (size, size))  # type: ignore[no-untyped-call]
            rows = torch.einsum("bhwc,hkc->bhwk", asked, weights[Role.RELATIVE_ROWS][between])
            columns = torch.einsum("bhwc,wkc->bhwk", asked, weights[Role.RELATIVE_COLUMNS][between])
            scores = scores + (rows[..., :, None] + columns[..., None, :]).reshape(scores.shape)
        wide = torch.promote_types(q.dtype, torch.float32)
        return torch.softmax(scores, dim=-1, dtype=wide).to(q.dtype) @ v
