"""BitNet b1.58 (arXiv 2504.12285): Llama with a norm before the last matrix of each half. Source: `BitNetConfig`."""

from weightscope.components.decoder import CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import LLAMA, Dims, causal_lm, rms_norms, rotary, visible
from weightscope.families.common.parts import four_projections, gated_mlp, pre_norm_block, self_attention
from weightscope.families.registry import family
from weightscope.roles import Role

BITNET = LLAMA | {
    "vocab_size": 128256, "hidden_size": 2560, "intermediate_size": 6912, "num_hidden_layers": 30,
    "num_attention_heads": 20, "num_key_value_heads": Nullable(int, 5), "hidden_act": "relu2", "rms_norm_eps": 1e-5,
    "rope_theta": 500000.0, "quantization_config": Nullable(dict),
}  # fmt: skip
# Published so beside the packed model, for training.
ONLINE = "BitNet with quantization_mode 'online' rounds weights and activations as it computes"


@family("bitnet", roots=("model", ""), defaults=BITNET)
def bitnet(config: Config, root: str) -> CausalLM:
    """All heads side by side are normed before `o_proj`, and the MLP's product before `down_proj`."""
    s, norm, bias = Dims.of(config), rms_norms(config["rms_norm_eps"]), config["attention_bias"]
    attention = self_attention(
        s,
        four_projections(qkv_bias=bias, o_bias=bias),
        positions=rotary(config, s.head_dim),
        sees=visible(config),
        out_norm=norm("attn_sub_norm", Role.SUB_NORM, s.width),
    )
    inner_norm = norm("ffn_sub_norm", Role.SUB_NORM, config["intermediate_size"])
    mlp = gated_mlp(config, "mlp", norm=inner_norm)
    block = pre_norm_block(norm, s.width, attention=attention, feed_forward=mlp)
    rounded = (config["quantization_config"] or {}).get("quantization_mode") == "online"
    return causal_lm(
        config,
        root,
        lambda _: block,
        final_norm=norm("norm", Role.FINAL_NORM, s.width),
        refused=ONLINE if rounded else "",
    )
