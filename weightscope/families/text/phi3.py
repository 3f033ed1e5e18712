"""Phi-3 and Phi-4 (arXiv 2404.14219): Llama with q, k, v and gate, up fused. Source: `Phi3Config` of transformers."""

from weightscope.components.decoder import CausalLM
from weightscope.config import Config
from weightscope.families.registry import family
from weightscope.families.siblings.phi3 import PHI3, phi3_decoder


@family("phi3", roots=("model", ""), defaults=PHI3)
def phi3(config: Config, root: str) -> CausalLM:
    """Each layer has two fused matrices."""
    return phi3_decoder(config, root)
