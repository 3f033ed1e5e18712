"""EXAONE 3 and 3.5 (arXiv 2408.03541, 2412.04862): Llama under GPT-2's names. Source: `ExaoneConfig` (remote code)."""

from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import ROTARY, Dims, causal_lm, rms_norms, rotary, token_embedding
from weightscope.families.common.parts import gated_mlp, linears, self_attention
from weightscope.families.registry import family
from weightscope.roles import Role

EXAONE = ROTARY | {
    "vocab_size": 102400, "hidden_size": 2048, "num_layers": 32, "num_attention_heads": 32,
    "num_key_value_heads": Nullable(int), "intermediate_size": Nullable(int), "activation_function": "silu",
    "layer_norm_epsilon": 1e-5, "tie_word_embeddings": True,
}  # fmt: skip
FOUR = {"q_proj": Role.Q_PROJ, "k_proj": Role.K_PROJ, "v_proj": Role.V_PROJ, "out_proj": Role.O_PROJ}


@family("exaone", roots=("transformer", ""), defaults=EXAONE, attribute_map={"num_hidden_layers": "num_layers"})
def exaone(config: Config, root: str) -> CausalLM:
    """`c_fc_0` is the gate; the MLP is four times as wide as the model where the config says no width."""
    s, norm, inner = Dims.of(config, even=True), rms_norms(config["layer_norm_epsilon"]), config["intermediate_size"]
    block = Block(
        input_norm=norm("ln_1", Role.INPUT_NORM, s.width),
        attention=self_attention(s, linears(FOUR), name="attn.attention", positions=rotary(config, s.head_dim)),
        feed_forward_norm=norm("ln_2", Role.POST_ATTENTION_NORM, s.width),
        feed_forward=gated_mlp(
            config,
            "mlp",
            inner=s.width * 4 if inner is None else inner,
            activation=config["activation_function"],
            names=("c_fc_0", "c_fc_1", "c_proj"),
        ),
    )
    return causal_lm(
        config,
        root,
        lambda _: block,
        embedding=token_embedding(config, "wte"),
        layers="h",
        final_norm=norm("ln_f", Role.FINAL_NORM, s.width),
    )
