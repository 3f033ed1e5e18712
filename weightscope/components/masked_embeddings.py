"""What enters ESM (Lin et al. 2023): tokens at the mask count nothing, and the others as in training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightscope.components.encoder import TokenEmbeddings
from weightscope.components.running import At

if TYPE_CHECKING:
    import torch

# In training 15 % of all tokens were chosen, and 80 % of these were masked.
TRAINED = 0.15 * 0.8


class MaskedEmbeddings(TokenEmbeddings, frozen=True, kw_only=True):
    """Rows of the token `mask` are 0, and all are scaled by the share of other tokens in training to that here."""

    mask: int

    def equation(self, x: str = "") -> str:
        return f"{super().equation(x)}, words · {1 - TRAINED:g}/(share of tokens that are not masked)"

    def looked_up(self, x: torch.Tensor, at: At) -> torch.Tensor:
        """Ids [T] to their vectors [T, D]."""
        masked = x == self.mask
        rows = super().looked_up(x, at).masked_fill(masked[:, None], 0)
        return rows * (1 - TRAINED) / (1 - masked.float().mean()).to(rows.dtype)
