"""softmax(q·kᵀ · scale + bias)·v in memory that does not grow with the square of the length."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

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
    alibi: Alibi | None = None,
    sinks: torch.Tensor | None = None,
    chunk: int | None = None,
    allowed: torch.Tensor | None = None,
) -> torch.Tensor:
    """Attention of q [H, T, d] over k [kv heads, T, d] and v [kv heads, T, e] to [H, T, e].

    Heads share keys in consecutive groups. `window` is how many positions a token sees, itself included; `softcap`
    bounds the scores: cap · tanh(scores / cap). `sinks` [H] are scores that take their share and give nothing
    (gpt-oss). Beyond the start of its own `chunk` a token sees nothing (Llama 4), and of `allowed` [T, T] only what is
    true.
    """
    import torch

    heads, length = q.shape[:2]
    window, chunk = (None if span is None or span >= length else span for span in (window, chunk))
    special = (window, chunk, softcap, alibi, sinks, allowed)
    if all(part is None for part in special) and q.shape[-1] == v.shape[-1]:
        # torch's own kernel, which keeps no scores either.
        fused = torch.nn.functional.scaled_dot_product_attention
        return fused(q[None], k[None], v[None], is_causal=causal, scale=scale, enable_gqa=len(k) < heads)[0]
    step = max(1, SCORES // max(heads * length, 1))
    # A group's queries lie one after another, so that its keys are multiplied once and never repeated.
    grouped = (q * scale).unflatten(0, (len(k), -1))  # type: ignore[no-untyped-call]
    out = q.new_empty(heads, length, v.shape[-1])
    for start in range(0, length, step):
        stop = min(start + step, length)
        first = max(0, start - window + 1) if window is not None and causal else 0
        first = max(first, start // chunk * chunk) if chunk is not None else first
        last = stop if causal else length
        queries = grouped[:, :, start:stop].flatten(1, 2)
        scores = torch.bmm(queries, k[:, first:last].transpose(1, 2)).reshape(heads, stop - start, last - first)
        if softcap:
            scores = torch.tanh(scores / softcap) * softcap
        distance = torch.arange(start, stop, device=q.device)[:, None] - torch.arange(first, last, device=q.device)
        if alibi:
            scores = scores + alibi.bias(distance, first, last)
        if causal and (stop - start > 1 or window is not None):
            hidden = distance < 0
            if window is not None:
                hidden |= distance >= window
            scores = scores.masked_fill_(hidden, -math.inf)
        if chunk is not None:
            places = torch.arange(length, device=q.device) // chunk
            scores = scores.masked_fill_(places[start:stop, None] != places[first:last], -math.inf)
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


class Alibi(msgspec.Struct, frozen=True, kw_only=True):
    """What is taken from a score for the distance (Press et al. 2022, arXiv 2108.12409): slope · distance, by head.

    `scale` multiplies it as it does the scores. One that is `rounded` is computed in bfloat16 from the key's place
    alone, as Falcon computes it: softmax sees only differences, but not what rounding took.
    """

    heads: int
    most: int = 8
    scale: float = 1.0
    rounded: bool = False

    @property
    def slopes(self) -> tuple[float, ...]:
        """A power of two n has 2^(-most/n), 2^(-2·most/n), …; what is beyond it every other slope of twice as many."""
        under = 1 << (self.heads.bit_length() - 1)
        return (*self._falling(under), *self._falling(2 * under)[::2])[: self.heads]

    def _falling(self, count: int) -> tuple[float, ...]:
        return tuple(2.0 ** (-self.most * (i + 1) / count) for i in range(count))

    def bias(self, distance: torch.Tensor, first: int, last: int) -> torch.Tensor:
        """What is added to scores [H, queries, keys], by the `distance` of each pair; keys are `first` to `last`."""
        import torch

        slopes = torch.tensor(self.slopes, device=distance.device)[:, None, None]
        if self.rounded:
            places = torch.arange(first, last, device=distance.device)
            return (slopes.bfloat16() * places).float() * self.scale
        return -slopes * distance * self.scale


class Temperature(msgspec.Struct, frozen=True, kw_only=True):
    """1 + share · log(1 + ⌊position / every⌋): queries grow with their position (Llama 4's scaling, in Ministral 3).

    Positions count from `first`.
    """

    share: float
    every: int
    first: int = 0

    def of(self, positions: torch.Tensor) -> torch.Tensor:
        """The factor of each position [T]."""
        import torch

        return 1 + self.share * torch.log(1 + torch.floor((positions + self.first) / self.every))
