"""Qwen, the first (arXiv 2309.16609): Llama under GPT-2's names. Source: `QWenConfig`, published with its code."""

from weightscope.components.attention import Attention, Heads
from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import DECODER, causal_lm, rms_norms, rotary, token_embedding
from weightscope.families.common.parts import gated_mlp
from weightscope.families.common.refusals import refuse
from weightscope.families.registry import family
from weightscope.roles import Role
from weightscope.storage.linear import Linear

QWEN = DECODER | {
    "vocab_size": 151936, "hidden_size": 4096, "intermediate_size": 22016, "num_hidden_layers": 32,
    "num_attention_heads": 32, "kv_channels": 128, "layer_norm_epsilon": 1e-6, "seq_length": 8192, "rotary_pct": 1.0,
    "rotary_emb_base": 10000.0, "use_dynamic_ntk": True, "use_logn_attn": True, "no_bias": True,
    "visual": Nullable(dict), "audio": Nullable(dict),
}  # fmt: skip
LONGER = "use_dynamic_ntk or use_logn_attn changes sequences longer than seq_length"


@family("qwen", roots=("transformer", ""), defaults=QWEN)
def qwen(config: Config, root: str) -> CausalLM:
    """`w2` is the gate and `w1` goes beside it; `intermediate_size` counts both."""
    # Under the same type: Qwen-VL and Qwen-Audio.
    refuse(config, "Qwen", ("visual", "audio"))
    width, count, size = config["hidden_size"], config["num_attention_heads"], config["kv_channels"]
    bias, inner = not config["no_bias"], config["intermediate_size"] // 2
    if count * size != width:
        raise config.undeclared("Qwen with kv_channels that do not make up hidden_size is not declared")
    bounded, norm = config["use_dynamic_ntk"] or config["use_logn_attn"], rms_norms(config["layer_norm_epsilon"])
    block = Block(
        input_norm=norm("ln_1", Role.INPUT_NORM, width),
        attention=Attention(
            name="attn",
            projections=(
                Linear("c_attn", Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ, bias=True),
                Linear("c_proj", Role.O_PROJ, bias=bias),
            ),
            width=width,
            heads=Heads(count=count, keys=count, size=size, even=True),
            positions=rotary(config, size, limit=int(config["seq_length"]) if bounded else None, beyond=LONGER),
        ),
        feed_forward_norm=norm("ln_2", Role.POST_ATTENTION_NORM, width),
        feed_forward=gated_mlp(config, "mlp", inner=inner, bias=bias, activation="silu", names=("w2", "w1", "c_proj")),
    )
    final_norm, table = norm("ln_f", Role.FINAL_NORM, width), token_embedding(config, "wte")
    return causal_lm(config, root, lambda _: block, final_norm=final_norm, embedding=table, layers="h")
