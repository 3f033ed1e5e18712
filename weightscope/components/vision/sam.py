"""SAM's image encoder: attention within windows, learned biases by distance, and a neck (arXiv 2304.02643)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from weightscope.components.attention.attend import SCORES
from weightscope.components.base import Component, Repeat
from weightscope.components.decoder import run_layers
from weightscope.components.norm import LayerNorm
from weightscope.components.running import At, linear
from weightscope.components.vision.blocks import depth_of
from weightscope.components.vision.convolved import Convolved
from weightscope.roles import Role, Section
from weightscope.sizes import Size
from weightscope.storage.base import Sizes, StorageItem
from weightscope.storage.kernel import Kernel
from weightscope.storage.linear import Linear
from weightscope.storage.plain import Plain

if TYPE_CHECKING:
    import torch


class WindowAttention(Component, frozen=True, kw_only=True):
    """Patches see those of their own window of `size` × `size`, and what pads the grid of `side` × `side` to windows.

    A score gets what the query makes of the row and of the column that lie between.
    """

    name: str
    width: Size
    count: Size
    side: Size
    size: Size
    bias: bool
    relative: bool

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

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Patches [images · side², width], row by row, to the same."""
        import torch

        weights, side, size = at.weights(self), int(self.side), int(self.size)
        more = -side % size
        grid = torch.nn.functional.pad(x.reshape(-1, side, side, x.shape[-1]), (0, 0, 0, more, 0, more))
        across = (side + more) // size
        windows = grid.reshape(-1, across, size, across, size, x.shape[-1]).transpose(2, 3).flatten(0, 2)
        flat = windows.flatten(1, 2)
        heads = int(self.count)
        q, k, v = (
            linear(flat, weights, role).unflatten(-1, (heads, -1)).transpose(1, 2).flatten(0, 1)  # type: ignore[no-untyped-call]
            for role in (Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ)
        )
        parts = zip(self._parts(q), self._parts(k), self._parts(v), strict=True)
        mixed = torch.cat([self._mixed(asked, keys, values, weights) for asked, keys, values in parts])
        mixed = mixed.unflatten(0, (-1, heads)).transpose(1, 2).flatten(2)  # type: ignore[no-untyped-call]
        back = mixed.reshape(-1, across, across, size, size, x.shape[-1]).transpose(2, 3)
        whole = back.reshape(-1, side + more, side + more, x.shape[-1])[:, :side, :side]
        return linear(whole.reshape(x.shape), weights, Role.O_PROJ)

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


class SquarePatches(Component, frozen=True, kw_only=True):
    """A convolution of stride `patch`, and learned positions by row and column where there are any."""

    width: Size
    channels: Size
    side: Size
    patch: Size
    placed: bool

    @property
    def stored(self) -> Iterable[StorageItem]:
        yield Kernel("patch_embed.projection", Role.PATCH_EMBEDDING, bias=True)
        if self.placed:
            yield Plain("pos_embed", Role.POSITION_EMBEDDING, leaf="")

    def sizes(self) -> Sizes:
        return {
            Role.PATCH_EMBEDDING: (self.width, self.channels, self.patch, self.patch),
            Role.POSITION_EMBEDDING: (Size(1), self.side, self.side, self.width),
        }

    def equation(self, x: str = "pixels") -> str:
        return f"patch_embedding ∗ {x} + bias" + (" + position_embedding" if self.placed else "")

    def terms(self) -> Mapping[Role, str]:
        patch = int(self.patch)
        return {
            Role.PATCH_EMBEDDING: f"patch_embedding ∗ pixels   a vector for each {patch} × {patch} pixels",
            Role.POSITION_EMBEDDING: "position_embedding[row, column] is added to each vector",
        }

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Pixels [images, channels, height, width] to [images · side², width], row by row."""
        import torch

        weights = at.weights(self)
        kernel, bias = weights[Role.PATCH_EMBEDDING], weights[f"{Role.PATCH_EMBEDDING}.bias"]
        vectors = torch.nn.functional.conv2d(x, kernel, bias, stride=int(self.patch)).permute(0, 2, 3, 1)
        return (vectors + weights[Role.POSITION_EMBEDDING] if self.placed else vectors).flatten(0, 2)


class Neck(Component, frozen=True, kw_only=True):
    """Two convolutions, each before a norm of the channels."""

    name: str
    first: Convolved
    first_norm: LayerNorm
    second: Convolved
    second_norm: LayerNorm

    def children(self) -> Iterable[Component]:
        return self.first, self.first_norm, self.second, self.second_norm

    def equation(self, x: str = "x") -> str:
        return f"norm({self.second.equation(f'norm({self.first.equation(x)})')})"

    def forward(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """[images, width, rows, columns] to [images, channels, rows, columns]."""
        for convolution, norm in ((self.first, self.first_norm), (self.second, self.second_norm)):
            x = at.call(norm, at.call(convolution, x).movedim(1, -1)).movedim(-1, 1)
        return x


class SamEncoder(Component, frozen=True, kw_only=True):
    """Patches through the blocks and the neck to a map of features."""

    name: str
    image: Size
    patches: SquarePatches
    blocks: tuple[Repeat, ...]
    neck: Neck
    section: Section | None = Section.VISION

    @property
    def glance(self) -> str:
        depth = depth_of(self.blocks)
        patches = self.patches
        return f"vision {depth} layers of {patches.width:,}, {self.image:,} px in patches of {patches.patch}"

    def children(self) -> Iterable[Component]:
        return self.patches, *self.blocks, self.neck

    def features(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Pixels [images, channels, image, image] to [images, channels of the neck, side, side]."""
        return self.maps(x, at, None)[0]

    def maps(self, x: torch.Tensor, at: At, layer: int | None) -> tuple[torch.Tensor, torch.Tensor]:
        """The same, and what leaves a layer, or without one the last, [images, width, side, side]."""
        at = at.labelled("vision")
        side = int(self.patches.side)
        hidden = at.call(self.patches, x)
        at.stage("patch embedding", self.patches.equation(), hidden)
        found: dict[int, torch.Tensor] = {}

        def tap(number: int, out: torch.Tensor) -> None:
            if number == layer:
                found[number] = out

        hidden = run_layers(self.blocks, hidden, at.apart(segments={}), tap=tap)
        square, tapped = (
            some.reshape(len(x), side, side, -1).movedim(-1, 1)
            for some in (hidden, hidden if layer is None else found[layer])
        )
        made = at.call(self.neck, square)
        at.stage("neck", self.neck.equation(), made.movedim(1, -1).flatten(0, 2))
        return made, tapped
