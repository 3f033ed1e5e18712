"""Integers of a few bits packed into wider words, unpacked without a loop over rows.

Legend: N packed words, M integers.
"""

from __future__ import annotations

from math import gcd
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

WORD, BYTE = 32, 8


def unpack(words: torch.Tensor, bits: int, count: int | None = None) -> torch.Tensor:
    """Integers [..., M] out of 32-bit words [..., N], the lowest bits first, as one stream: M = N · 32 / bits.

    Where `bits` does not divide 32, an integer may lie across two words. `count` cuts what only fills the last word.
    """
    import torch

    words = words.view(torch.int32)
    if WORD % bits == 0:
        shifts = torch.arange(0, WORD, bits, dtype=torch.int32, device=words.device)
        found = ((words.unsqueeze(-1) >> shifts) & ((1 << bits) - 1)).flatten(-2)
    else:
        found = _across(words.contiguous().view(torch.uint8), bits)[..., : words.shape[-1] * WORD // bits]
    return found if count is None else found[..., :count]


def unpack_down(words: torch.Tensor, bits: int, count: int | None = None) -> torch.Tensor:
    """The same of words [N, C] that hold their integers along the first dimension: [M, C]."""
    import torch

    if WORD % bits:
        return unpack(words.T, bits, count).T
    shifts = torch.arange(0, WORD, bits, dtype=torch.int32, device=words.device)
    found = ((words.view(torch.int32).unsqueeze(1) >> shifts[:, None]) & ((1 << bits) - 1)).flatten(0, 1)
    return found if count is None else found[:count]


def _across(stream: torch.Tensor, bits: int) -> torch.Tensor:
    """Integers of a width that meets the ends of bytes only every few of them, which are joined into one number."""
    import torch

    together = bits // gcd(bits, BYTE)
    dtype = torch.int32 if together * BYTE < WORD else torch.int64
    padded = torch.nn.functional.pad(stream, (0, -stream.shape[-1] % together))
    padded = padded.reshape(*stream.shape[:-1], -1, together)
    joined = padded[..., 0].to(dtype)
    for place in range(1, together):
        joined |= padded[..., place].to(dtype) << (BYTE * place)
    shifts = torch.arange(0, together * BYTE, bits, dtype=dtype, device=stream.device)
    found: torch.Tensor = ((joined.unsqueeze(-1) >> shifts) & ((1 << bits) - 1)).flatten(-2).to(torch.int32)
    return found


def nibbles(packed: torch.Tensor, *, high_first: bool = False) -> torch.Tensor:
    """Two integers of 4 bits [..., 2N] out of each byte [..., N]; the lower half comes first unless told otherwise."""
    import torch

    halves = (packed.view(torch.uint8) & 0x0F, packed.view(torch.uint8) >> 4)
    return torch.stack(halves[::-1] if high_first else halves, dim=-1).flatten(-2)
