"""SAM's mask decoder: tokens and the image look at each other, then each mask is a product of both (arXiv 2304.02643).

Legend: T tokens, N places of the image, D width, M masks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightscope.components.base import Component, Repeat
from weightscope.components.embedding import Embedding
from weightscope.components.feed_forward.activations import activate
from weightscope.components.feed_forward.mlp import MLP
from weightscope.components.norm import Norm
from weightscope.components.running import At
from weightscope.components.vision.mask_parts import DeepMLP, Growing, Looking

if TYPE_CHECKING:
    import torch


class TwoWayBlock(Component, frozen=True, kw_only=True):
    """Tokens look at each other, then at the image; a feed-forward layer; then the image looks at the tokens.

    Positions are added to queries and keys each time; `first` leaves them out of the first step, and its sum.
    """

    first: bool
    itself: Looking
    at_image: Looking
    mlp: MLP
    at_tokens: Looking
    norms: tuple[Norm, Norm, Norm, Norm]

    def equation(self, x: str = "x") -> str:
        return f"tokens and image look at each other, of {x}"

    def both(
        self, tokens: torch.Tensor, image: torch.Tensor, token_places: torch.Tensor, image_places: torch.Tensor, at: At
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens [T, D] and image [N, D] to the same, by their positions."""
        asks = tokens if self.first else tokens + token_places
        mixed = self.itself.look(asks, asks, tokens, at.below(self.itself))
        tokens = at.call(self.norms[0], mixed if self.first else tokens + mixed)
        keys = image + image_places
        seen = self.at_image.look(tokens + token_places, keys, image, at.below(self.at_image))
        tokens = at.call(self.norms[1], tokens + seen)
        tokens = at.call(self.norms[2], tokens + at.call(self.mlp, tokens))
        seen = self.at_tokens.look(keys, tokens + token_places, tokens, at.below(self.at_tokens))
        return tokens, at.call(self.norms[3], image + seen)


class TwoWay(Component, frozen=True, kw_only=True):
    """The blocks, then the tokens look at the image once more."""

    name: str
    blocks: tuple[Repeat, ...]
    last: Looking
    norm: Norm

    def both(
        self, tokens: torch.Tensor, image: torch.Tensor, image_places: torch.Tensor, at: At
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens [T, D] and image [N, D] to the same; the tokens are their own positions."""
        places = tokens
        for repeat in self.blocks:
            assert isinstance(repeat.child, TwoWayBlock)
            for number in repeat.indices:
                below = at.below(repeat, number).labelled(f"mask decoder layer {number}")
                tokens, image = repeat.child.both(tokens, image, places, image_places, below)
                below.stage("tokens", repeat.child.equation(), tokens)
        seen = self.last.look(tokens + places, image + image_places, image, at.below(self.last))
        return at.call(self.norm, tokens + seen), image


class MaskDecoder(Component, frozen=True, kw_only=True):
    """A token for the score and one for each mask; the first mask is for when one alone is wanted, and not put out."""

    name: str
    side: int
    score_token: Embedding
    mask_tokens: Embedding
    transformer: TwoWay
    grow: Growing
    grow_norm: Norm
    grow_again: Growing
    mlps: Repeat
    score: DeepMLP

    def equation(self, x: str = "x") -> str:
        return f"mlp(token of a mask)·upscaled image, of {x}"

    def masks(
        self, prompt: torch.Tensor | None, image: torch.Tensor, places: torch.Tensor, at: At
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Masks [M, pixels], 4 · side a side, and their scores [1, M], of a prompt [K, D] and an image [N, D]."""
        import torch

        numbers = torch.arange(int(self.mask_tokens.rows), device=image.device)
        own = torch.cat((at.call(self.score_token, numbers[:1]), at.call(self.mask_tokens, numbers)))
        tokens = own if prompt is None else torch.cat((own, prompt))
        tokens, seen = self.transformer.both(tokens, image, places, at.below(self.transformer))
        square = seen.T.reshape(1, -1, self.side, self.side)
        grown = at.call(self.grow_norm, at.call(self.grow, square).movedim(1, -1)).movedim(-1, 1)
        wide = activate("gelu", at.call(self.grow_again, activate("gelu", grown)))[0].flatten(1)
        rows = [
            self.mlps.child.forward(tokens[1 + number][None], at.below(self.mlps, number))
            for number in self.mlps.indices
        ]
        return (torch.cat(rows) @ wide)[1:], at.call(self.score, tokens[:1])[:, 1:]
