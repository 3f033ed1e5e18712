"""Attention: what the projections store, and how positions, norms, masks and scores are composed."""

from weightscope.components.attention.frequencies import Scaling
from weightscope.components.attention.heads import Heads, SharedKeys
from weightscope.components.attention.norms import NO_NORMS, HeadNorms, QueryKeyNorms, RotatedNorms, WholeNorms
from weightscope.components.attention.rope import Rope
from weightscope.components.attention.scores import PLAIN, Scores, Temperature
from weightscope.components.attention.sees import CAUSAL, EVERYTHING, Around, Chunk, Sees, Segments, Window
from weightscope.components.attention.softmax import Attention

__all__ = [
    "CAUSAL", "EVERYTHING", "NO_NORMS", "PLAIN", "Around", "Attention", "Chunk", "HeadNorms", "Heads",
    "QueryKeyNorms", "Rope", "RotatedNorms", "Scaling", "Scores", "Sees", "Segments", "SharedKeys", "Temperature",
    "WholeNorms", "Window",
]  # fmt: skip
