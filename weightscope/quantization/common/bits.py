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


def unpack_down(words: torch.Tensor, bits: int, count: int) -> torch.Tensor:
    """Integers [count, C] out of words [N, C] that hold them along the first dimension."""
    import torch

    out = torch.empty((count, words.shape[1]), dtype=torch.int32, device=words.device)
    unpack_down_into(out, words, bits)
    return out


def unpack_down_into(out: torch.Tensor, words: torch.Tensor, bits: int) -> None:
    """Fill `out` [M, C] with the integers that words [N, C] hold along the first dimension, N = ⌈M · bits / 32⌉.

    Each 32 integers fill `bits` words; these are done for all such blocks at once, one place after the other.
    """
    import torch

    rows, columns = out.shape
    blocks, mask = -(-rows // WORD), (1 << bits) - 1
    whole = rows % WORD == 0
    target = out if whole else torch.empty((blocks * WORD, columns), dtype=out.dtype, device=out.device)
    padded = torch.nn.functional.pad(words, (0, 0, 0, blocks * bits - len(words))) if not whole else words
    stream, places = padded.view(blocks, bits, columns), target.view(blocks, WORD, columns)
    for place in range(WORD):
        word, shift = divmod(place * bits, WORD)
        code = stream[:, word] >> shift
        if shift + bits > WORD:
            code &= (1 << (WORD - shift)) - 1
            code |= stream[:, word + 1] << (WORD - shift)
        places[:, place] = code.bitwise_and_(mask)
    if not whole:
        out.copy_(target[:rows])


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
