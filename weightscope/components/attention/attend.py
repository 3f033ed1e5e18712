"""softmax(q·kᵀ · scale + bias)·v in memory that does not grow with the square of the length.

Shapes: H query heads, G key heads, T tokens, d and e elements of a head's key and value.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

from weightscope.components.attention.sees import CAUSAL, Sees

if TYPE_CHECKING:
    import torch


class Bias(Protocol):
    """What positions add to scores."""

    def bias(self, queries: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
        """[H, queries, keys], by positions [queries, 1] and [keys]."""
        ...


# Scores held at a time: 64 MB of float32.
SCORES = 1 << 24


def fused_attention(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    is_causal: bool = False,
    scale: float | None = None,
    sees: torch.Tensor | None = None,
) -> torch.Tensor:
    """The same by torch's own kernel, which keeps no scores either; `sees` [T, N] is true where a token looks."""
    import torch

    kernel = torch.nn.functional.scaled_dot_product_attention
    grouped = len(k) < len(q)
    mask = None if sees is None else sees[None, None]
    out = kernel(q[None], k[None], v[None], attn_mask=mask, is_causal=is_causal, scale=scale, enable_gqa=grouped)[0]
    # Of a few tokens, the kernel for CPUs makes zeros of scores that are not numbers: broken weights would not show.
    # A sum that is a number has no other among its elements, and is quicker than a look at each.
    if not math.isnan(q.sum() + k.sum()):
        return out
    broken = torch.isnan(q).any(-1, keepdim=True) | torch.isnan(k).any()
    return out.masked_fill(broken, math.nan) if broken.any() else out


def attend(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    scale: float,
    sees: Sees = CAUSAL,
    cap: float | None = None,
    bias: Bias | None = None,
    sinks: torch.Tensor | None = None,
    allowed: torch.Tensor | None = None,
    together: torch.Tensor | None = None,
    past_windows: bool = False,
) -> torch.Tensor:
    """Attention of q [H, T, d] over k [G, T, d] and v [G, T, e] to [H, T, e].

    Heads share keys in consecutive groups. `cap` bounds the scores: cap · tanh(scores / cap). `sinks` [H] are scores
    that take their share and give nothing (gpt-oss). Of what it `sees`, a token sees only what is true in `allowed`
    [T, T]. Tokens of one number in `together` [T], from 0 on, also see later ones of that number, and
    where they reach `past_windows` all of it.
    """
    import torch

    heads, length = q.shape[:2]
    fused = sees.fused(length)
    special = (cap, bias, sinks, allowed, together)
    if fused is not None and all(part is None for part in special) and q.shape[-1] == v.shape[-1]:
        return fused_attention(q, k, v, is_causal=fused, scale=scale)
    step = max(1, SCORES // max(heads * length, 1))
    # A group's queries lie one after another, so that its keys are multiplied once and never repeated.
    grouped = (q * scale).unflatten(0, (len(k), -1))  # type: ignore[no-untyped-call]
    positions = torch.arange(length, device=q.device)
    out = q.new_empty(heads, length, v.shape[-1])
    for start in range(0, length, step):
        stop = min(start + step, length)
        first, last = sees.keys(start, stop, length) if together is None else (0, length)
        queries = grouped[:, :, start:stop].flatten(1, 2)
        scores = torch.bmm(queries, k[:, first:last].transpose(1, 2)).reshape(heads, stop - start, last - first)
        if cap:
            scores = torch.tanh(scores / cap) * cap
        ours, theirs = positions[start:stop, None], positions[first:last]
        if bias:
            scores = scores + bias.bias(ours, theirs)
        hidden = sees.hides(ours, theirs)
        if hidden is not None and together is not None:
            groups = together[start:stop, None]
            other = (groups != together) | (groups < 0)
            hidden &= other if past_windows else other | (theirs <= ours)
        if hidden is not None:
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
