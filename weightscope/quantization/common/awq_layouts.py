"""How AWQ's kernels want their codes to lie.

Shapes: I inputs, O outputs of a Linear.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightscope.quantization.common.bits import nibbles

if TYPE_CHECKING:
    import torch

BITS, MASK = 4, 15
# Which 4 bits of a 32-bit word hold each of 8 outputs: the word has them in the order 0, 2, 4, 6, 1, 3, 5, 7.
PLACES = (0, 4, 1, 5, 2, 6, 3, 7)
# gemv_fast: codes of 4 rows share a word, in stretches of 64 inputs.
ROWS, STRETCH = 4, 64


def gemm_codes(packed: torch.Tensor, out: torch.Tensor) -> None:
    """Fill `out` [I, O] with the codes of words [I, ⌈O / 8⌉]."""
    import torch

    shifts = torch.tensor(PLACES, dtype=torch.int32, device=packed.device) * BITS
    codes = (packed.unsqueeze(-1) >> shifts).bitwise_and_(MASK).flatten(1)
    out.copy_(codes[:, : out.shape[1]])


def gemv_fast_codes(packed: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """Codes [O, I], a byte each, of 16-bit words [O / 4, I], by undoing what `pack_intweight` does, step by step.

    Raises:
        ValueError: sizes that the kernel does not have.
    """
    if rows % ROWS or columns % STRETCH:
        raise ValueError(f"gemv_fast has no matrices of {rows} × {columns}")
    codes = nibbles(packed.contiguous())
    # Four rows were interleaved; then, in each 8, even ones came first; in each 32, pairs were taken in turn.
    codes = codes.reshape(rows // ROWS, columns // STRETCH, ROWS, STRETCH).transpose(1, 2).reshape(rows, columns)
    codes = codes.reshape(rows, columns // 8, 2, 4).transpose(2, 3)
    codes = codes.reshape(rows, columns // 32, 4, 4, 2).transpose(2, 3)
    return codes.reshape(rows, columns)


def zeros_width(columns: int, group: int) -> int:
    """Words of zero points a row that gemv pads to: AutoAWQ's `calculate_zeros_width`."""
    multiple = {32: 4, 64: 2}.get(group, 1)
    width = -(-(columns // group) // 8)
    return -(-width // multiple) * multiple
