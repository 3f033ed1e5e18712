"""A.X K1 (SK Telecom 2026): DeepSeek-V3 with a norm after each mixture. Source: `AXK1Config` of transformers."""

from weightscope.components.base import Repeat
from weightscope.components.decoder import Block, CausalLM
from weightscope.components.unused import Unused
from weightscope.config import Config, Nullable
from weightscope.families.common import causal_lm, rms_norms, rotary
from weightscope.families.common.mixtures import LATENT_ROOTS, STACKED, spelling
from weightscope.families.common.parts import gated_mlp
from weightscope.families.registry import family
from weightscope.families.siblings.deepseek import (
    DEEPSEEK,
    deepseek_mixture,
    first_dense,
    latent_attention,
    turns_in_part,
)
from weightscope.roles import Role
from weightscope.storage.base import join

AXK1 = DEEPSEEK | {
    "vocab_size": 163840, "num_attention_heads": 64, "n_shared_experts": 1, "n_routed_experts": 192, "n_group": 8,
    "topk_group": 4, "q_lora_rank": 1536, "max_position_embeddings": 32768, "first_k_dense_replace": 1,
    "mlp_layer_types": Nullable(list),
}  # fmt: skip
# No key of the class.
del AXK1["num_nextn_predict_layers"]
# Without the corrections that transformers' class has.
PUBLISHED = "model, as published"
ROOTS = (*LATENT_ROOTS, PUBLISHED)


@family("axk1", roots=ROOTS, defaults=AXK1, attribute_map={"num_local_experts": "n_routed_experts"})
def axk1(config: Config, root: str) -> CausalLM:
    """The norm lies beside the mixture on disk, and within it in memory; published dense layers have one, unused."""
    prefix, stacked = ("model", None) if root == PUBLISHED else spelling(root)
    width, norm = config["hidden_size"], rms_norms(config["rms_norm_eps"])
    rope = rotary(config, config["qk_rope_head_dim"], interleaved=config["rope_interleave"])
    attention, mixes = latent_attention(config, rope, root=root), first_dense(config)
    mixed = deepseek_mixture(config, stacked=stacked, correction=root != PUBLISHED)
    dense = gated_mlp(config, "mlp")
    name = "mlp.post_mlp_layernorm" if root == STACKED else "post_mlp_layernorm"

    def layer(i: int) -> Block:
        return Block(
            input_norm=norm("input_layernorm", Role.INPUT_NORM, width),
            attention=attention,
            feed_forward_norm=norm("post_attention_layernorm", Role.POST_ATTENTION_NORM, width),
            feed_forward=mixed if mixes[i] else dense,
            feed_forward_out_norm=norm(name, Role.POST_FEEDFORWARD_NORM, width) if mixes[i] else None,
        )

    unused = Repeat(
        name=join(prefix, "layers"),
        indices=tuple(i for i, is_mixed in enumerate(mixes) if not is_mixed),
        child=Unused(name="post_mlp_layernorm", shapes=(("weight", (width,)),)),
    )
    final_norm, refused = norm("norm", Role.FINAL_NORM, width), turns_in_part(config, rope, "A.X K1")
    return causal_lm(config, prefix, layer, final_norm=final_norm, extras=(unused,), refused=refused)
