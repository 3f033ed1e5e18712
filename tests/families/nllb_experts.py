"""NLLB's experts as transformers 4 mixes them: 5.23 takes the router's mask of ones and zeros for experts' numbers.

So its own model uses experts 0 and 1 alone, whatever the router says. The tables of tiny models call `mend`: the
oracle is transformers' class with this one function as version 4.57 has it (`NllbMoeSparseMLP.forward`).
"""

from __future__ import annotations

from typing import Any

import torch
from transformers.models.nllb_moe.modeling_nllb_moe import NllbMoeExperts


def mixed(self: Any, hidden: torch.Tensor, router_mask: torch.Tensor, router_probs: torch.Tensor) -> torch.Tensor:
    """Each expert on the tokens of which it has a share, times the share and what its dropout left in training."""
    del router_mask
    out = torch.zeros_like(hidden)
    for number in range(self.num_experts):
        chosen = router_probs[:, number].bool()
        share = router_probs[chosen, number, None]
        out[chosen] += self[f"expert_{number}"](hidden[chosen]) * (1 - self.moe_token_dropout) * share
    return out


def mend() -> None:
    """Have transformers' class compute so."""
    NllbMoeExperts.forward = mixed
