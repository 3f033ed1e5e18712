"""From the bytes of a block type to float32, some at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightscope.checkpoint.blocks import grid_types, legacy, super_blocks
from weightscope.checkpoint.dtypes import BLOCKS

if TYPE_CHECKING:
    from weightscope.checkpoint.blocks.parts import Bytes, Floats

READERS = {
    "Q1_0": legacy.q1_0,
    "Q2_0": legacy.q2_0,
    "Q4_0": legacy.q4_0,
    "Q4_1": legacy.q4_1,
    "Q5_0": legacy.q5_0,
    "Q5_1": legacy.q5_1,
    "Q8_0": legacy.q8_0,
    "Q8_1": legacy.q8_1,
    "TQ1_0": legacy.tq1_0,
    "TQ2_0": legacy.tq2_0,
    "MXFP4": legacy.mxfp4,
    "NVFP4": legacy.nvfp4,
    "Q2_K": super_blocks.q2_k,
    "Q3_K": super_blocks.q3_k,
    "Q4_K": super_blocks.q4_k,
    "Q5_K": super_blocks.q5_k,
    "Q6_K": super_blocks.q6_k,
    "Q8_K": super_blocks.q8_k,
    "IQ1_S": grid_types.iq1_s,
    "IQ1_M": grid_types.iq1_m,
    "IQ2_XXS": grid_types.iq2_xxs,
    "IQ2_XS": grid_types.iq2_xs,
    "IQ2_S": grid_types.iq2_s,
    "IQ3_XXS": grid_types.iq3_xxs,
    "IQ3_S": grid_types.iq3_s,
    "IQ4_NL": grid_types.iq4_nl,
    "IQ4_XS": grid_types.iq4_xs,
}
# Weights that are decoded at once: what stays in the cache of a core is read from it again.
AT_ONCE = 1 << 17


def decode(dtype: str, raw: Bytes, out: Floats) -> None:
    """Write the weights of whole blocks, uint8 [bytes], into `out`, float32 [weights]."""
    import numpy as np

    block, read = BLOCKS[dtype], READERS[dtype]
    blocks, weights = raw.reshape(-1, block.bytes), out.reshape(-1, block.weights)
    step = max(1, AT_ONCE // block.weights)
    # A scale may be infinite or no number; `check --values` says so.
    with np.errstate(all="ignore"):
        for start in range(0, len(blocks), step):
            weights[start : start + step] = read(blocks[start : start + step])
