"""What comes of an image's features: a head's scores or pixels, or the features and a pooled vector beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightscope.components.encoder_heads import EncoderHead, Of
from weightscope.components.running import At

if TYPE_CHECKING:
    import torch

WORDS: dict[Of, str] = {
    "first": "class vector",
    "marks": "both vectors",
    "patches": "patches",
    "mean": "mean(patches)",
    "first and mean": "[class vector | mean(patches)]",
}


def headed(head: EncoderHead, features: torch.Tensor, patches: torch.Tensor, at: At) -> torch.Tensor:
    """What comes out: what the head gives, or of a pooler, whose vector is only a stage, the features.

    Args:
        head: what acts on the features.
        features: of one image, [N, width].
        patches: those of its patches alone.
        at: the model's place.
    """
    made = at.call(head, _seen(head.of, features, patches))
    at.stage(head.word, head.equation(WORDS[head.of]), made)
    return features if head.pools else made


def _seen(of: Of, features: torch.Tensor, patches: torch.Tensor) -> torch.Tensor:
    """What a head acts on, [vectors, width]."""
    import torch

    match of:
        case "first":
            return features[:1]
        case "marks":
            return features[:2]
        case "patches":
            return patches
        case "mean":
            return patches.mean(0, keepdim=True)
        case "first and mean":
            return torch.cat((features[:1], patches.mean(0, keepdim=True)), dim=-1)
        case _:
            raise AssertionError(f"a head of an image's {of}")
