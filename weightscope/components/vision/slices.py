"""How prompts of MiniCPM-V write images that are cut into slices (arXiv 2408.01800)."""

from __future__ import annotations

from collections.abc import Sequence

from weightscope.components.runnable import Inputs
from weightscope.components.sense import Layout, whole_numbers
from weightscope.errors import NotImplementedByWeightscope, UsageError

# Into how many rows and columns of slices each image is cut besides the whole, (0, 0) for none.
GRIDS = "grids"


def sliced(inputs: Inputs, counts: Sequence[int], source: str) -> Sequence[Layout]:
    """The layout of each image; `counts` are the vectors of each slice, which the input `source` tells.

    Raises:
        NotImplementedByWeightscope: `grids` is missing: nothing tells which slices are of one image.
        UsageError: `grids` tells another number of slices.
    """
    if GRIDS not in inputs:
        raise NotImplementedByWeightscope(
            f"how a prompt of MiniCPM-V writes its images is not implemented without {GRIDS}",
            hint="give the processor's input_ids as --tokens",
        )
    flat, rest = whole_numbers(inputs, GRIDS), list(counts)
    grids = list(zip(flat[::2], flat[1::2], strict=False))
    wrong = len(flat) % 2 or any(grid != (0, 0) and min(grid) < 1 for grid in grids)
    if wrong or sum(1 + rows * columns for rows, columns in grids) != len(counts):
        raise UsageError(f"{GRIDS} tells another number of slices than the {len(counts):,} of {source}")
    found = []
    for number, (rows, columns) in enumerate(grids):
        own, rest = rest[: 1 + rows * columns], rest[1 + rows * columns :]
        found.append(_layout(number, columns, own))
    return found


def _layout(number: int, columns: int, counts: Sequence[int]) -> Layout:
    """The whole image, which has the first of `counts`, after its number; then its slices, each row on a line."""
    slices: list[int | str] = []
    for place, count in enumerate(counts[1:]):
        slices += ["\n"] if place and not place % columns else []
        slices += ["<slice>", count, "</slice>"]
    return (f"<image_id>{number}</image_id><image>", counts[0], "</image>", *slices)
