"""Hunyuan, the dense ones (Tencent 2025): norms after the rotation. Source: `HunYuanDenseV1Config` of transformers."""

from weightscope.components.decoder import CausalLM
from weightscope.config import Config
from weightscope.families.common import LLAMA, Dims, causal_lm, rms_norms
from weightscope.families.common.parts import gated_mlp, pre_norm_block
from weightscope.families.registry import family
from weightscope.families.siblings.hunyuan import hunyuan_attention, hunyuan_rope
from weightscope.roles import Role

HUNYUAN = LLAMA | {"vocab_size": 290943, "rms_norm_eps": 1e-5}


@family("hunyuan_v1_dense", roots=("model", ""), defaults=HUNYUAN)
def hunyuan_v1_dense(config: Config, root: str) -> CausalLM:
    """Each head's query and key are normed once they are rotated."""
    s, norm = Dims.of(config), rms_norms(config["rms_norm_eps"])
    attention = hunyuan_attention(config, s, hunyuan_rope(config, s))
    block = pre_norm_block(norm, s.width, attention=attention, feed_forward=gated_mlp(config, "mlp"))
    return causal_lm(config, root, lambda _: block, final_norm=norm("norm", Role.FINAL_NORM, s.width))
