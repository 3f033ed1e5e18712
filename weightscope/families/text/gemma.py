"""Gemma (arXiv 2403.08295): norms that multiply by 1 + w, scaled embeddings. Source: `GemmaConfig` of transformers."""

from math import sqrt

from weightscope.components.attention import EVERYTHING
from weightscope.components.decoder import CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import Dims, causal_lm, rms_norms, rotary, token_embedding, visible
from weightscope.families.common.parts import four_projections, gated_mlp, pre_norm_block, self_attention
from weightscope.families.registry import family
from weightscope.families.siblings.gemma import GEMMA
from weightscope.roles import Role


@family("gemma", roots=("model", ""), defaults=GEMMA | {"use_bidirectional_attention": Nullable(bool)})
def gemma(config: Config, root: str) -> CausalLM:
    """One norm before each half, as in Llama."""
    s, norm, bias = Dims.of(config), rms_norms(config["rms_norm_eps"], offset=1.0), config["attention_bias"]
    attention = self_attention(
        s,
        four_projections(qkv_bias=bias, o_bias=bias),
        positions=rotary(config, s.head_dim),
        sees=EVERYTHING if config["use_bidirectional_attention"] else visible(config),
    )
    # The published Gemma says "gelu" and means the tanh approximation, as its config class corrects it.
    named = config["hidden_act"]
    mlp = gated_mlp(config, "mlp", activation="gelu_pytorch_tanh" if named == "gelu" else named)
    block = pre_norm_block(norm, s.width, attention=attention, feed_forward=mlp)
    embedding, final_norm = token_embedding(config, scale=sqrt(s.width)), norm("norm", Role.FINAL_NORM, s.width)
    return causal_lm(config, root, lambda _: block, embedding=embedding, final_norm=final_norm)
