"""Phi 1, 1.5 and 2 (arXiv 2309.05463): attention beside the MLP after one layer norm. Source: `PhiConfig`."""

from weightscope.components.attention import NO_NORMS
from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import ROTARY, Dims, Output, causal_lm, layer_norms, rotary, visible
from weightscope.families.common.parts import head_norms, linears, mlp, self_attention
from weightscope.families.registry import family
from weightscope.roles import Role

PHI = ROTARY | {
    "vocab_size": 51200, "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 24,
    "num_attention_heads": 32, "num_key_value_heads": Nullable(int), "head_dim": Nullable(int),
    "hidden_act": "gelu_new", "layer_norm_eps": 1e-5, "partial_rotary_factor": 0.5, "qk_layernorm": False,
}  # fmt: skip
FOUR = {"q_proj": Role.Q_PROJ, "k_proj": Role.K_PROJ, "v_proj": Role.V_PROJ, "dense": Role.O_PROJ}


@family("phi", roots=("model", ""), defaults=PHI)
def phi(config: Config, root: str) -> CausalLM:
    """All matrices have a bias, the head too; the output projection is called dense."""
    s, norm = Dims.of(config), layer_norms(config["layer_norm_eps"])
    normed, inner = s.width // s.heads.count, config["intermediate_size"]
    norms = head_norms(norm, normed, ("q_layernorm", "k_layernorm"))
    attention = self_attention(
        s,
        linears(FOUR, bias=True),
        norms=norms if config["qk_layernorm"] else NO_NORMS,
        positions=rotary(config, s.head_dim, steps="apart"),
        sees=visible(config),
    )
    block = Block(
        input_norm=norm("input_layernorm", Role.INPUT_NORM, s.width),
        attention=attention,
        feed_forward_norm=None,
        feed_forward=mlp(s.width, inner, config["hidden_act"], names=("fc1", "fc2"), bias=True),
        parallel=True,
    )
    final_norm = norm("final_layernorm", Role.FINAL_NORM, s.width)
    return causal_lm(config, root, lambda _: block, final_norm=final_norm, output=Output(bias=True))
