"""Baichuan and Baichuan 2 (arXiv 2309.10305): Llama with q, k, v fused. Source: `BaichuanConfig`, both versions."""

from weightscope.components.attention.alibi import Alibi
from weightscope.components.decoder import CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import DECODER, Dims, Output, causal_lm, rms_norms, rotary
from weightscope.families.common.parts import gated_mlp, pre_norm_block, self_attention
from weightscope.families.registry import family
from weightscope.roles import Role
from weightscope.storage.linear import Linear

BAICHUAN = DECODER | {
    "vocab_size": 64000, "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32,
    "num_attention_heads": 32, "hidden_act": "silu", "rms_norm_eps": 1e-6, "max_position_embeddings": Nullable(int),
    "model_max_length": Nullable(int),
}  # fmt: skip
# Whether the head's rows are normalized: no key says it, and the two versions are known by their vocabularies.
NORMALIZED = {64000: False, 125696: True}
UNKNOWN = "Baichuan 2 normalizes its head, Baichuan does not, and neither has a vocabulary of {:,}"


@family("baichuan", roots=("model", ""), defaults=BAICHUAN)
def baichuan(config: Config, root: str) -> CausalLM:
    """7B turns queries and keys and has `max_position_embeddings`; 13B has ALiBi and `model_max_length` alone."""
    s, norm, vocabulary = Dims.of(config, even=True), rms_norms(config["rms_norm_eps"]), config["vocab_size"]
    turns = "max_position_embeddings" in config
    if not turns and "model_max_length" not in config:
        raise config.undeclared(
            "Baichuan without max_position_embeddings (rotary) or model_max_length (ALiBi) is not declared"
        )
    attention = self_attention(
        s,
        (Linear("W_pack", Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ), Linear("o_proj", Role.O_PROJ)),
        positions=rotary(config, s.head_dim) if turns else Alibi(heads=s.heads.count),
    )
    block = pre_norm_block(norm, s.width, attention=attention, feed_forward=gated_mlp(config, "mlp"))
    return causal_lm(
        config,
        root,
        lambda _: block,
        final_norm=norm("norm", Role.FINAL_NORM, s.width),
        output=Output(normalized=NORMALIZED.get(vocabulary, False)),
        refused="" if vocabulary in NORMALIZED else UNKNOWN.format(vocabulary),
    )
