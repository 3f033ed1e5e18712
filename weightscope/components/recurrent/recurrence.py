"""Recurrences over the sequence that several mixers share, computed in chunks so that memory does not grow with it.

Shapes: T tokens, H heads, G groups of heads, C channels, n elements of a key or state, p elements of a value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

# Tokens whose states, or pairs, are held at a time.
STEPS = 16
CHUNK = 64


def selective_scan(
    x: torch.Tensor, dt: torch.Tensor, a: torch.Tensor, b: torch.Tensor, c: torch.Tensor
) -> torch.Tensor:
    """Mamba's scan (arXiv 2312.00752, section 3): h = exp(dt·a) ⊙ h + dt·b·x, y = c·h, channel by channel.

    x and dt are [T, C], a is [C, n], b and c are [T, n]; y is [T, C].
    """
    import torch

    state = torch.zeros_like(a)
    out = torch.empty_like(x)
    for start in range(0, len(x), STEPS):
        part = slice(start, start + STEPS)
        kept = torch.exp(dt[part, :, None] * a)
        states = (dt[part] * x[part])[:, :, None] * b[part, None, :]
        for step in range(len(states)):
            state = states[step].addcmul_(kept[step], state)
        out[part] = torch.matmul(states, c[part, :, None])[..., 0]
    return out


def fading_sum(kept: torch.Tensor, added: torch.Tensor) -> torch.Tensor:
    """H = kept ⊙ h + added, both [T, C]: Griffin's recurrence (arXiv 2402.19427, section 2.4)."""
    import torch

    state = torch.zeros_like(added[0])
    out = torch.empty_like(added)
    for token in range(len(added)):
        state = out[token] = torch.addcmul(added[token], kept[token], state)
    return out


def fading_mean(decay: torch.Tensor, first: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """RWKV's mean of the values so far (arXiv 2305.13048, section 3.1.2), channel by channel.

    A value's weight is exp(k), fading by `decay` for each later token; the token's own is exp(first + k). decay, at
    most 0, and first are [C], k and v are [T, C].
    """
    import torch

    # Sums are kept divided by exp(most), so that no exponential overflows.
    total, weight, most = torch.zeros_like(decay), torch.zeros_like(decay), torch.full_like(decay, -1e38)
    out = torch.empty_like(v)
    for token in range(len(v)):
        key, value = k[token], v[token]
        high = torch.maximum(most, first + key)
        past, own = torch.exp(most - high), torch.exp(first + key - high)
        out[token] = (past * total + own * value) / (past * weight + own)
        high = torch.maximum(most + decay, key)
        past, own = torch.exp(most + decay - high), torch.exp(key - high)
        total, weight, most = past * total + own * value, past * weight + own, high
    return out


def decayed_attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, decay: torch.Tensor) -> torch.Tensor:
    """S = exp(decay)·S + k·vᵀ, y = q·S: linear attention whose past fades by a factor for each head and token.

    q and k are [G, T, n], v is [H, T, p], decay is [H, T] and at most 0; consecutive heads share a group's q and k;
    y is [H, T, p]. Within a chunk this is attention without softmax; what came before it is one state a head (the
    duality of arXiv 2405.21060, section 6).
    """
    import torch

    shared = len(v) // len(k)
    state = v.new_zeros(len(v), k.shape[-1], v.shape[-1])
    out = torch.empty_like(v)
    for start in range(0, v.shape[1], CHUNK):
        part = slice(start, start + CHUNK)
        queries, keys = (x[:, part].repeat_interleave(shared, dim=0) for x in (q, k))
        faded = decay[:, part].cumsum(-1)
        # How much of what each token wrote is left when another reads it.
        left = (faded[:, :, None] - faded[:, None, :]).tril().exp().tril()
        scores = torch.bmm(queries, keys.transpose(1, 2)) * left
        out[:, part] = torch.bmm(scores, v[:, part]) + torch.bmm(queries * faded.exp()[..., None], state)
        written = keys * (faded[:, -1:] - faded).exp()[..., None]
        state = state * faded[:, -1, None, None].exp() + torch.bmm(written.transpose(1, 2), v[:, part])
    return out


def delta_rule(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, decay: torch.Tensor, rate: torch.Tensor
) -> torch.Tensor:
    """The gated delta rule (arXiv 2412.06464, section 3): S = exp(decay) ⊙ S, S += k·(rate·(v - k·S))ᵀ, y = q·S.

    A token corrects what the faded state recalls for its key, instead of adding to it. q and k are [T, H, n], v is
    [T, H, p], rate is [T, H]; decay is [T, H, n], or [T, H, 1] where all elements of a key fade alike; y is [T, H, p].
    """
    import torch

    state = v.new_zeros(v.shape[1], k.shape[-1], v.shape[-1])
    out = torch.empty_like(v)
    for token in range(len(v)):
        state = state * decay[token].exp()[..., None]
        key = k[token, :, None, :]
        recalled = torch.bmm(key, state)[:, 0]
        correction = rate[token, :, None] * (v[token] - recalled)
        state = torch.baddbmm(state, key.transpose(1, 2), correction[:, None, :])
        out[token] = torch.bmm(q[token, :, None, :], state)[:, 0]
    return out
