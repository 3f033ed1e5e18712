"""What nearly every family is built from: dimensions, norms, rotation, what a token sees, the model as a whole.

`parts`, `layer_types`, `mixtures` and what fewer need are imported from their own files.
"""

from weightscope.families.common.causal_lm import Output, causal_lm, numbered, token_embedding
from weightscope.families.common.defaults import COHERE, DECODER, GRANITE, LLAMA, MISTRAL, QWEN2, ROTARY
from weightscope.families.common.dims import Dims, depth_of
from weightscope.families.common.layer_types import visible
from weightscope.families.common.norms import layer_norms, rms_norms
from weightscope.families.common.rotary import rotary

__all__ = [
    "COHERE", "DECODER", "GRANITE", "LLAMA", "MISTRAL", "QWEN2", "ROTARY", "Dims", "Output",
    "causal_lm", "depth_of", "layer_norms", "numbered", "rms_norms", "rotary", "token_embedding", "visible",
]  # fmt: skip
