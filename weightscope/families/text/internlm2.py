"""InternLM2 (arXiv 2403.17297): Llama with q, k, v fused per key/value head, under Llama's original names.

Source: `InternLM2Config`, published with its code.
"""

from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import DECODER, Dims, Output, causal_lm, rms_norms, rotary, token_embedding
from weightscope.families.common.parts import gated_mlp, self_attention
from weightscope.families.registry import family
from weightscope.roles import Role
from weightscope.storage.linear import Linear

INTERNLM2 = DECODER | {
    "vocab_size": 103168, "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": Nullable(int), "hidden_act": "silu", "rms_norm_eps": 1e-6,
    "max_position_embeddings": 2048, "rope_theta": 10000.0, "rope_scaling": Nullable(dict), "bias": True,
}  # fmt: skip


@family("internlm2", roots=("model", ""), defaults=INTERNLM2)
def internlm2(config: Config, root: str) -> CausalLM:
    """Rows of `wqkv` are, for each key/value head, its queries, its key, its value."""
    s, norm, bias = Dims.of(config, even=True), rms_norms(config["rms_norm_eps"]), config["bias"]
    block = Block(
        input_norm=norm("attention_norm", Role.INPUT_NORM, s.width),
        attention=self_attention(
            s,
            (
                Linear("wqkv", Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ, bias=bias, groups=s.heads.keys),
                Linear("wo", Role.O_PROJ, bias=bias),
            ),
            name="attention",
            positions=rotary(config, s.head_dim),
        ),
        feed_forward_norm=norm("ffn_norm", Role.POST_ATTENTION_NORM, s.width),
        feed_forward=gated_mlp(config, "feed_forward", names=("w1", "w3", "w2")),
    )
    return causal_lm(
        config,
        root,
        lambda _: block,
        embedding=token_embedding(config, "tok_embeddings"),
        final_norm=norm("norm", Role.FINAL_NORM, s.width),
        output=Output(name="output"),
    )
