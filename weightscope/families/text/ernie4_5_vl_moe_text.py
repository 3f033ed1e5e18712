"""The language model of ERNIE 4.5 VL: experts for texts and for images. Source: `Ernie4_5_VLMoeTextConfig`."""

from msgspec.structs import asdict

from weightscope.components.attention.axes import TimeLastRope
from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import LLAMA, Dims, causal_lm, rms_norms, rotary, visible
from weightscope.families.common.layer_types import DENSE, MIXTURES, SPARSE, layer_types
from weightscope.families.common.mixtures import STACKED
from weightscope.families.common.parts import four_projections, gated_mlp, pre_norm_block, self_attention
from weightscope.families.registry import family
from weightscope.families.siblings.ernie_experts import mixture
from weightscope.roles import Role

ERNIE = LLAMA | {
    "vocab_size": 103424, "hidden_size": 2560, "intermediate_size": 12288, "num_hidden_layers": 28,
    "num_attention_heads": 20, "num_key_value_heads": Nullable(int, 4), "rms_norm_eps": 1e-5,
    "max_position_embeddings": 131072, "rope_theta": 500000.0, "tie_word_embeddings": True,
    "use_bias": Nullable(bool, False), "moe_intermediate_size": Nullable(list), "moe_k": Nullable(int, 6),
    "moe_num_experts": Nullable(int, 64), "moe_num_shared_experts": Nullable(int, 2),
    "moe_norm_min": Nullable(float, 1e-12), "mlp_layer_types": Nullable(list),
}  # fmt: skip
ATTRIBUTES = {"num_experts": "moe_num_experts", "num_experts_per_tok": "moe_k"}
SECTIONS = (22, 22, 20)


@family("ernie4_5_vl_moe_text", roots=("model", "", STACKED), defaults=ERNIE, attribute_map=ATTRIBUTES)
def ernie4_5_vl_moe_text(config: Config, root: str) -> CausalLM:
    """ERNIE 4.5's mixtures, twice; a rotation by rows and columns in turns, then by time."""
    s, norm, bias = Dims.of(config), rms_norms(config["rms_norm_eps"]), bool(config["use_bias"])
    rope = TimeLastRope(**asdict(rotary(config, s.head_dim, interleaved=True, sections=SECTIONS, steps="float32")))
    scaling, projections = rope.scaling.kind, four_projections(qkv_bias=bias, o_bias=bias)
    attention = self_attention(s, projections, positions=rope, sees=visible(config))
    kinds = layer_types(config, lambda i: SPARSE if i else DENSE, key="mlp_layer_types", known=MIXTURES)
    mixed, dense = mixture(config, root), gated_mlp(config, "mlp", bias=bias)

    def layer(i: int) -> Block:
        feed_forward = mixed if kinds[i] == SPARSE else dense
        return pre_norm_block(norm, s.width, attention=attention, feed_forward=feed_forward)

    return causal_lm(
        config,
        root.partition(",")[0],
        layer,
        final_norm=norm("norm", Role.FINAL_NORM, s.width),
        refused="" if scaling == "default" else f"ERNIE 4.5 VL with the rope scaling {scaling!r}",
    )
