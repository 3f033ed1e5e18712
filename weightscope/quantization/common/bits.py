"""Integers of a few bits packed into wider words, unpacked without a loop over rows.

Legend: N packed words, M integers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

WORD = 32


def unpack(words: torch.Tensor, bits: int, count: int | None = None) -> torch.Tensor:
    """Integers [..., M] out of 32-bit words [..., N], the lowest bits first, as one stream: M = N · 32 / bits.

    Where `bits` does not divide 32, an integer may lie across two words. `count` cuts what only fills the last word.
    """
    import torch

    words = words.view(torch.int32)
    mask = (1 << bits) - 1
    if WORD % bits == 0:
        shifts = torch.arange(0, WORD, bits, dtype=torch.int32, device=words.device)
        found = ((words.unsqueeze(-1) >> shifts) & mask).flatten(-2)
    else:
        total = words.shape[-1] * WORD // bits
        starts = torch.arange(total, device=words.device) * bits
        first, shift = starts // WORD, (starts % WORD).to(torch.int32)
        low = (words[..., first] >> shift) & mask
        # What lies in the next word: a shift by 32 is undefined, so those within one word take none of it.
        inside = WORD - shift
        after = words[..., (first + 1).clamp(max=words.shape[-1] - 1)] << inside.clamp(max=WORD - 1)
        crossing = inside < bits
        keep = torch.where(crossing, (1 << inside.clamp(max=bits)) - 1, mask).to(torch.int32)
        found = torch.where(crossing, (low & keep) | (after & mask & ~keep), low)
    return found if count is None else found[..., :count]


def unpack_down(words: torch.Tensor, bits: int, count: int | None = None) -> torch.Tensor:
    """The same of words [N, C] that hold their integers along the first dimension: [M, C]."""
    import torch

    if WORD % bits:
        return unpack(words.T, bits, count).T
    shifts = torch.arange(0, WORD, bits, dtype=torch.int32, device=words.device)
    found = ((words.view(torch.int32).unsqueeze(1) >> shifts[:, None]) & ((1 << bits) - 1)).flatten(0, 1)
    return found if count is None else found[:count]


def nibbles(packed: torch.Tensor, *, high_first: bool = False) -> torch.Tensor:
    """Two integers of 4 bits [..., 2N] out of each byte [..., N]; the lower half comes first unless told otherwise."""
    import torch

    halves = (packed.view(torch.uint8) & 0x0F, packed.view(torch.uint8) >> 4)
    return torch.stack(halves[::-1] if high_first else halves, dim=-1).flatten(-2)
