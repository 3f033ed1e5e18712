"""The language model of HunyuanOCR: the dense Hunyuan with positions of several axes. Source: `HunYuanVLTextConfig`."""

from weightscope.components.decoder import CausalLM
from weightscope.config import Config
from weightscope.families.common import LLAMA, Dims, causal_lm, rms_norms
from weightscope.families.common.parts import gated_mlp, pre_norm_block
from weightscope.families.registry import family
from weightscope.families.siblings.hunyuan import hunyuan_attention
from weightscope.families.siblings.hunyuan_axes import axes_rope
from weightscope.roles import Role

HUNYUAN = LLAMA | {"vocab_size": 290943, "rms_norm_eps": 1e-5, "tie_word_embeddings": True}
ATTRIBUTES = {"attention_head_dim": "head_dim", "org_vocab_size": "vocab_size"}


@family("hunyuan_vl_text", roots=("model", ""), defaults=HUNYUAN, attribute_map=ATTRIBUTES)
def hunyuan_vl_text(config: Config, root: str) -> CausalLM:
    """Without sections the class has no forward pass."""
    s, norm = Dims.of(config), rms_norms(config["rms_norm_eps"])
    rope = axes_rope(config, s)
    block = pre_norm_block(
        norm, s.width, attention=hunyuan_attention(config, s, rope), feed_forward=gated_mlp(config, "mlp")
    )
    return causal_lm(
        config,
        root,
        lambda _: block,
        final_norm=norm("norm", Role.FINAL_NORM, s.width),
        refused="" if rope.sections else "Hunyuan-VL without an mrope_section",
    )
