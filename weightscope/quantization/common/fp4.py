"""4-bit floats (E2M1) and exponents of one byte (E8M0): OCP Microscaling Formats (MX) 1.0, section 5.3."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from weightscope.quantization.common.bits import nibbles
from weightscope.quantization.common.float8 import to_float32
from weightscope.quantization.common.slabs import by_slabs, rows_of

if TYPE_CHECKING:
    import torch

# What the first 8 codes of E2M1 stand for; the fourth bit is the sign.
VALUES = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
E2M1 = (*VALUES, *(-value for value in VALUES))


def e2m1(packed: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
    """Float32 weights [..., 2N] of codes in bytes [..., N], the lower half of a byte first, times float32 scales.

    Scales [..., G] are those of groups of 2N / G consecutive weights.

    Raises:
        ValueError: rows of packed codes and of scales are not equally many, or groups do not divide a row.
    """
    import torch

    shape = (*packed.shape[:-1], packed.shape[-1] * 2)
    if scales.shape[:-1] != packed.shape[:-1] or not scales.shape[-1] or shape[-1] % scales.shape[-1]:
        raise ValueError(f"codes for {list(shape)} weights have scales of {list(scales.shape)}")
    codes, factors = rows_of(packed.view(torch.uint8)), rows_of(scales)
    table = pairs(E2M1) if packed.device.type == "cpu" else None

    def fill(rows: slice, out: torch.Tensor) -> None:
        if table is None:
            out.copy_(torch.tensor(E2M1, device=packed.device)[nibbles(codes[rows]).int()])
        else:
            torch.index_select(table, 0, codes[rows].int().view(-1), out=out.view(torch.int64).view(-1))
        scaled(out, factors[rows])

    return by_slabs(shape, packed.device, fill)


def e8m0(exponents: torch.Tensor) -> torch.Tensor:
    """Float32 powers of two [...] of bytes [...]: 2^(byte - 127); 255 is NaN."""
    import torch

    return to_float32(exponents.view(torch.float8_e8m0fnu))


def scaled(values: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
    """Values [..., G · n] times the scale [..., G] of their group, in place."""
    values.unflatten(-1, (scales.shape[-1], -1)).mul_(scales.unsqueeze(-1))  # type: ignore[no-untyped-call]
    return values


@lru_cache(maxsize=8)
def pairs(values: tuple[float, ...]) -> torch.Tensor:
    """The two float32 values of each of the 256 bytes, side by side as one number of 64 bits."""
    import torch

    both = torch.tensor(values)[nibbles(torch.arange(256, dtype=torch.uint8)[:, None]).int()]
    return both.view(torch.int64).flatten()
