"""Llama 4 (Meta 2025): layers that see a chunk rotate, the others do not. Source: `Llama4TextConfig`."""

from weightscope.components.attention import NO_NORMS, Chunk, RotatedNorms, Scores, Temperature
from weightscope.components.decoder import Block, CausalLM
from weightscope.components.feed_forward.moe import MixtureOfExperts
from weightscope.components.feed_forward.routing import Routing
from weightscope.config import Config, Nullable
from weightscope.families.common import LLAMA, Dims, causal_lm, rms_norms, rotary, visible
from weightscope.families.common.layer_types import FULL, layer_types, rotating
from weightscope.families.common.parts import four_projections, gated_mlp, pre_norm_block, self_attention
from weightscope.families.registry import family
from weightscope.families.siblings.llama4_experts import STACKS, USUAL
from weightscope.roles import Role

LLAMA4_TEXT = LLAMA | {
    "vocab_size": 202048, "hidden_size": 5120, "intermediate_size": 8192, "intermediate_size_mlp": 16384,
    "num_hidden_layers": 48, "num_attention_heads": 40, "num_key_value_heads": Nullable(int, 8),
    "head_dim": Nullable(int, 128), "rms_norm_eps": 1e-5, "max_position_embeddings": 131072, "rope_theta": 500000.0,
    "num_experts_per_tok": 1, "num_local_experts": 16, "moe_layers": Nullable(list), "interleave_moe_layer_step": 1,
    "use_qk_norm": True, "no_rope_layers": Nullable(list), "no_rope_layer_interval": 4,
    "attention_chunk_size": Nullable(int, 8192), "layer_types": Nullable(list), "attn_temperature_tuning": True,
    "floor_scale": 8192, "attn_scale": 0.1,
}  # fmt: skip
CHUNKED = "chunked_attention"


@family("llama4_text", roots=("model", "", *STACKS), defaults=LLAMA4_TEXT)
def llama4_text(config: Config, root: str) -> CausalLM:
    """Rotated queries and keys have norms without weights; the queries of other layers grow with their position."""
    s, norm, bias = Dims.of(config), rms_norms(config["rms_norm_eps"]), config["attention_bias"]
    rope, rotates = rotary(config, s.head_dim, interleaved=True, steps="complex"), rotating(config)
    kinds = layer_types(config, lambda i: CHUNKED if rotates[i] else FULL, known={CHUNKED: CHUNKED, FULL: FULL})
    step, listed, chunk = config["interleave_moe_layer_step"], config["moe_layers"], config["attention_chunk_size"]
    plain = rms_norms(config["rms_norm_eps"], weighted=False)
    q, k = (plain("qk_norm", role, s.head_dim) for role in (Role.Q_NORM, Role.K_NORM))
    dense = gated_mlp(config, "feed_forward", inner=config["intermediate_size_mlp"])
    late = Temperature(share=config["attn_scale"], every=int(config["floor_scale"]), first=1)

    def layer(i: int) -> Block:
        attention = self_attention(
            s,
            four_projections(qkv_bias=bias, o_bias=bias),
            norms=RotatedNorms(query=q, key=k) if rotates[i] and config["use_qk_norm"] else NO_NORMS,
            positions=rope if rotates[i] else None,
            sees=Chunk(int(chunk)) if kinds[i] == CHUNKED and chunk else visible(config),
            scores=Scores(temperature=late if config["attn_temperature_tuning"] and not rotates[i] else None),
        )
        mixed = (i + 1) % step == 0 if listed is None else i in listed
        return pre_norm_block(norm, s.width, attention=attention, feed_forward=mixture if mixed else dense)

    mixture = MixtureOfExperts(
        name="feed_forward",
        width=s.width,
        experts=config["num_local_experts"],
        chosen=config["num_experts_per_tok"],
        expert=gated_mlp(config, ""),
        routing=Routing(score="sigmoid", normalize=False, early=True),
        shared=gated_mlp(config, "shared_expert"),
        stacked=STACKS.get(root, USUAL),
        router="router",
    )
    prefix = "model" if root in STACKS else root
    return causal_lm(config, prefix, layer, final_norm=norm("norm", Role.FINAL_NORM, s.width))
