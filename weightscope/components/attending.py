"""softmax(q·kᵀ · scale + bias)·v in memory that does not grow with the square of the length."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

# Scores held at a time: 64 MB of float32.
SCORES = 1 << 24


def attend(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    scale: float,
    causal: bool = True,
    window: int | None = None,
    softcap: float | None = None,
    slopes: torch.Tensor | None = None,
    sinks: torch.Tensor | None = None,
    allowed: torch.Tensor | None = None,
) -> torch.Tensor:
    """Attention of q [H, T, d] over k [kv heads, T, d] and v [kv heads, T, e] to [H, T, e].

    Heads share keys in consecutive groups. `window` is how many positions a token sees, itself included; `softcap`
    bounds the scores: cap · tanh(scores / cap); `slopes` [H] are ALiBi's.
    `sinks` [H] are scores that take their share and give nothing (gpt-oss). Of `allowed` [T, T] those that are not true
    are not seen.
    """
    import torch

    heads, length = q.shape[:2]
    step = max(1, SCORES // max(heads * length, 1))
    # A group's queries lie one after another, so that its keys are multiplied once and never repeated.
    grouped = (q * scale).unflatten(0, (len(k), -1))  # type: ignore[no-untyped-call]
    out = q.new_empty(heads, length, v.shape[-1])
    for start in range(0, length, step):
        stop = min(start + step, length)
        first = max(0, start - window + 1) if window is not None else 0
        last = stop if causal else length
        queries = grouped[:, :, start:stop].flatten(1, 2)
        scores = torch.bmm(queries, k[:, first:last].transpose(1, 2)).reshape(heads, stop - start, last - first)
        if softcap:
            scores = torch.tanh(scores / softcap) * softcap
        distance = torch.arange(start, stop, device=q.device)[:, None] - torch.arange(first, last, device=q.device)
        if slopes is not None:
            scores = scores - slopes[:, None, None] * distance
        if causal and (stop - start > 1 or window is not None):
            hidden = distance < 0
            if window is not None:
                hidden |= distance >= window
            scores = scores.masked_fill_(hidden, -math.inf)
        if allowed is not None:
            scores = scores.masked_fill_(~allowed[start:stop, first:last], -math.inf)
        if sinks is not None:
            scores = torch.cat((scores, sinks[:, None, None].expand(-1, stop - start, 1)), dim=-1)
        shares = torch.softmax(scores, dim=-1, dtype=torch.promote_types(q.dtype, torch.float32)).to(q.dtype)
        if sinks is not None:
            shares = shares[..., :-1]
        shares = shares.reshape(len(k), -1, last - first)
        out[:, start:stop] = torch.bmm(shares, v[:, first:last]).reshape(heads, stop - start, -1)
    return out


def alibi_slopes(heads: int) -> list[float]:
    """ALiBi's slopes (Press et al. 2022, arXiv 2108.12409), as BLOOM takes them for any number of heads.

    A power of two n has 2^(-8/n), 2^(-16/n), …; what is beyond the largest power takes every other slope of twice it.
    """
    power = 1 << (heads.bit_length() - 1)
    slopes = [2.0 ** (-8 * (i + 1) / power) for i in range(power)]
    return slopes + [2.0 ** (-4 * (2 * i + 1) / power) for i in range(heads - power)]
