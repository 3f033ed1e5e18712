"""Feed-forward layers; mixtures of them are in `moe`, which not every model needs."""

from weightscope.components.feed_forward.mlp import MLP, GatedMLP

__all__ = ["MLP", "GatedMLP"]
