"""How far the logits of two models are apart on the same tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightscope.analyses.diff.result import ForwardDiff

if TYPE_CHECKING:
    import torch


def compare_logits(a: torch.Tensor, b: torch.Tensor, tokens: tuple[int, ...], prompt: str | None = None) -> ForwardDiff:
    """Logits [tokens, vocabulary] of both, over the vocabulary that both have."""
    import torch

    size = min(a.shape[-1], b.shape[-1])
    a, b = a[:, :size].double(), b[:, :size].double()
    apart = a - b
    log_a, log_b = a.log_softmax(-1), b.log_softmax(-1)
    rms = float(a.square().mean().sqrt())
    divergence = (log_a.exp() * (log_a - log_b)).sum(-1)
    return ForwardDiff(
        tokens=tokens,
        prompt=prompt,
        vocabulary=size,
        largest=float(apart.abs().max()) / rms if rms else float(torch.count_nonzero(apart) > 0),
        nmse=float(apart.square().sum() / a.square().sum()) if rms else float(torch.count_nonzero(apart) > 0),
        kl=max(0.0, float(divergence.mean())),
        top1=float((a.argmax(-1) == b.argmax(-1)).double().mean()),
    )
