"""4-bit floats (E2M1) and exponents of one byte (E8M0): OCP Microscaling Formats (MX) 1.0, section 5.3."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightscope.quantization.common.bits import nibbles

if TYPE_CHECKING:
    import torch

# What the first 8 codes of E2M1 stand for; the fourth bit is the sign.
VALUES = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
EXPONENT_BIAS = 127


def e2m1(packed: torch.Tensor) -> torch.Tensor:
    """Float32 values [..., 2N] of the codes in bytes [..., N], the lower half of a byte first."""
    import torch

    table = torch.tensor([*VALUES, *(-value for value in VALUES)], device=packed.device)
    return table[nibbles(packed).int()]


def e8m0(exponents: torch.Tensor) -> torch.Tensor:
    """Float32 powers of two [...] of bytes [...]: 2^(byte - 127); 255 is NaN."""
    import torch

    exponents = exponents.view(torch.uint8)
    ones = torch.ones(exponents.shape, device=exponents.device)
    return torch.ldexp(ones, exponents.to(torch.int32) - EXPONENT_BIAS).masked_fill(exponents == 255, torch.nan)


def scaled(values: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
    """Values [..., G · n] times the scale [..., G] of their group, in place."""
    values.unflatten(-1, (scales.shape[-1], -1)).mul_(scales.unsqueeze(-1))  # type: ignore[no-untyped-call]
    return values
