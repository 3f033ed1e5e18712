"""Images as grids of patches, several in one sequence: where each patch lies, and who sees whom.

Of a grid (t, h, w) the patches come frame by frame, and within a frame by squares of `merge` × `merge` that later
become one token (Qwen2-VL, arXiv 2409.12191). Legend: N patches of all images, M = N / merge² merged ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

Grid = tuple[int, int, int]


def frames(grids: Sequence[Grid]) -> list[int]:
    """How many patches each frame has."""
    return [height * width for count, height, width in grids for _ in range(count)]


def places(grids: Sequence[Grid], merge: int) -> torch.Tensor:
    """Row and column of each patch, [2, N]."""
    import torch

    found = []
    for count, height, width in grids:
        rows = torch.arange(height)[:, None].expand(height, width)
        columns = torch.arange(width)[None, :].expand(height, width)
        both = torch.stack((_in_squares(rows, merge), _in_squares(columns, merge)))
        found.append(both.repeat(1, count))
    return torch.cat(found, dim=1)


def by_squares(grids: Sequence[Grid], merge: int) -> torch.Tensor:
    """The order [M · merge²] that puts patches which come row by row into squares; what fills no square is left out."""
    import torch

    found, first = [], 0
    for count, height, width in grids:
        for frame in torch.arange(count * height * width).view(count, height, width) + first:
            whole = frame[: height // merge * merge, : width // merge * merge]
            found.append(_in_squares(whole, merge))
        first += count * height * width
    return torch.cat(found)


def windows(grids: Sequence[Grid], merge: int, size: int) -> tuple[torch.Tensor, list[int]]:
    """The merged patches window by window, as an order [M], and how many patches each window has.

    A window is `size` × `size` merged patches; at the edges of an image it is smaller.
    """
    import torch

    order, lengths, first = [], [], 0
    for count, height, width in grids:
        rows, columns = height // merge, width // merge
        for frame in torch.arange(count * rows * columns).view(count, rows, columns) + first:
            for band in frame.split(size, dim=0):
                for window in band.split(size, dim=1):
                    order.append(window.flatten())
                    lengths.append(window.numel() * merge * merge)
        first += count * rows * columns
    return torch.cat(order), lengths


def token_positions(tokens: torch.Tensor, image_token: int, grids: Sequence[Grid], merge: int) -> torch.Tensor:
    """Positions [3, T] by time, row and column: text counts on in all three, an image takes as many as its longer side.

    The places of an image's tokens are consecutive, or apart where its frames are; each image begins where the text
    before it ended.
    """
    import torch

    parts: list[torch.Tensor] = []
    at, position, images = 0, 0, iter(grids)
    ids = tokens.tolist()
    while at < len(ids):
        if ids[at] != image_token:
            parts.append(torch.full((3, 1), position))
            at, position = at + 1, position + 1
            continue
        count, height, width = next(images)
        rows, columns = height // merge, width // merge
        axes = torch.meshgrid(torch.arange(count), torch.arange(rows), torch.arange(columns), indexing="ij")
        parts.append(torch.stack(axes).flatten(1) + position)
        at, position = at + count * rows * columns, position + max(rows, columns)
    return torch.cat(parts, dim=1)


def _in_squares(grid: torch.Tensor, merge: int) -> torch.Tensor:
    """The cells [h, w] as a sequence [h · w], square by square."""
    height, width = grid.shape
    squares = grid.reshape(height // merge, merge, width // merge, merge)
    return squares.transpose(1, 2).flatten()
