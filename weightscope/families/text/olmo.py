"""OLMo (arXiv 2402.00838): Llama with layer norms that have no weights. Source: `OlmoConfig` of transformers."""

from weightscope.components.decoder import CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import LLAMA, Dims, causal_lm, layer_norms, rotary, visible
from weightscope.families.common.parts import four_projections, gated_mlp, pre_norm_block, self_attention
from weightscope.families.registry import family
from weightscope.roles import Role

OLMO = LLAMA | {"vocab_size": 50304, "clip_qkv": Nullable(float)}


@family("olmo", roots=("model", ""), defaults=OLMO)
def olmo(config: Config, root: str) -> CausalLM:
    """Norms without weights, and queries, keys and values within `clip_qkv`."""
    s, norm, bias = Dims.of(config), layer_norms(1e-5, weighted=False, wide=1), config["attention_bias"]
    attention = self_attention(
        s,
        four_projections(qkv_bias=bias, o_bias=bias),
        positions=rotary(config, s.head_dim, steps="float32"),
        sees=visible(config),
        clip=config["clip_qkv"],
    )
    block = pre_norm_block(norm, s.width, attention=attention, feed_forward=gated_mlp(config, "mlp"))
    return causal_lm(config, root, lambda _: block, final_norm=norm("norm", Role.FINAL_NORM, s.width))
