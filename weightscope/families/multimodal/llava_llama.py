"""LLaVA's own layout (https://github.com/haotian-liu/LLaVA) with Llama, Mistral and Qwen2.

Text alone is computed: the original's image token, -200, is none of the vocabulary.
"""

from __future__ import annotations

from weightscope.components.decoder import CausalLM
from weightscope.config import Config
from weightscope.families.registry import family
from weightscope.families.siblings.llava_original import APART, ORIGINAL, USUAL, WITHIN, original

ROOTS = (USUAL, WITHIN, APART)
NEEDS = ("mm_vision_tower", "hidden_size", "num_hidden_layers")


@family("llava_llama", roots=ROOTS, parts=(USUAL, APART), defaults=ORIGINAL, needs=NEEDS)
def llava_llama(config: Config, root: str) -> CausalLM:
    """As versions 1.2 to 1.6 write it; earlier and some later ones say `llava`."""
    return original(config, root, "llama")


@family("llava_mistral", roots=ROOTS, parts=(USUAL, APART), defaults=ORIGINAL, needs=NEEDS)
def llava_mistral(config: Config, root: str) -> CausalLM:
    """LLaVA 1.6 with Mistral."""
    return original(config, root, "mistral")


@family("llava_qwen", roots=ROOTS, parts=(USUAL, APART), defaults=ORIGINAL, needs=NEEDS)
def llava_qwen(config: Config, root: str) -> CausalLM:
    """LLaVA-NeXT and LLaVA-OneVision with Qwen2."""
    return original(config, root, "qwen2")
