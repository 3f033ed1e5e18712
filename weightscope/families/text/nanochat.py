"""nanochat (Karpathy 2025): norms without weights, a squared ReLU, bounded logits. Source: `NanoChatConfig`."""

from weightscope.components.attention import RotatedNorms
from weightscope.components.decoder import CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import LLAMA, Dims, Output, causal_lm, rms_norms, rotary, visible
from weightscope.families.common.parts import four_projections, mlp, pre_norm_block, self_attention
from weightscope.families.registry import family
from weightscope.roles import Role

NANOCHAT = LLAMA | {
    "vocab_size": 50304, "hidden_size": 768, "intermediate_size": 8192, "num_hidden_layers": 12,
    "num_attention_heads": 6, "hidden_act": "relu2", "final_logit_softcapping": Nullable(float, 15.0),
}  # fmt: skip


@family("nanochat", roots=("model", ""), defaults=NANOCHAT)
def nanochat(config: Config, root: str) -> CausalLM:
    """The rotation goes backwards and comes before the norms of queries and keys; a norm before the layers too."""
    s, bias = Dims.of(config), config["attention_bias"]
    norm = rms_norms(config["rms_norm_eps"], weighted=False)
    attention = self_attention(
        s,
        four_projections(qkv_bias=bias, o_bias=bias),
        positions=rotary(config, s.head_dim, backwards=True),
        norms=RotatedNorms(query=norm("q_norm", Role.Q_NORM, s.head_dim), key=norm("k_norm", Role.K_NORM, s.head_dim)),
        sees=visible(config),
    )
    feed_forward = mlp(s.width, config["intermediate_size"], config["hidden_act"], names=("fc1", "fc2"))
    block = pre_norm_block(norm, s.width, attention=attention, feed_forward=feed_forward)
    return causal_lm(
        config,
        root,
        lambda _: block,
        embedding_norm=norm("norm", Role.EMBEDDING_NORM, s.width),
        final_norm=norm("norm", Role.FINAL_NORM, s.width),
        output=Output(cap=config["final_logit_softcapping"]),
    )
