"""StableLM (arXiv 2402.17834): Llama with layer norms. Sources: `StableLmConfig`; the first `StableLMEpochConfig`."""

from weightscope.components.attention import NO_NORMS, HeadNorms, Heads
from weightscope.components.decoder import Block, CausalLM
from weightscope.components.norm import NumberedNorms
from weightscope.config import Config, Nullable
from weightscope.families.common import ROTARY, Dims, causal_lm, depth_of, layer_norms, rotary
from weightscope.families.common.parts import four_projections, gated_mlp, self_attention
from weightscope.families.common.refusals import require
from weightscope.families.registry import family
from weightscope.roles import Role

SIZES = ROTARY | {
    "vocab_size": 50304, "hidden_size": 2560, "intermediate_size": 6912, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": 32, "hidden_act": "silu", "max_position_embeddings": 4096,
    "use_qkv_bias": False, "qk_layernorm": False, "use_parallel_residual": False,
}  # fmt: skip
STABLELM = SIZES | {"layer_norm_eps": 1e-5, "partial_rotary_factor": 0.25, "head_dim": Nullable(int)}
EPOCH = SIZES | {"norm_eps": 1e-5, "rope_pct": 0.25, "rotary_scaling_factor": 1.0}
# The first code ignores them, or has no such settings.
ONLY = {"rotary_scaling_factor": 1.0, "hidden_act": "silu", "use_parallel_residual": False, "qk_layernorm": False}


@family("stablelm", roots=("model", ""), defaults=STABLELM)
def stablelm(config: Config, root: str) -> CausalLM:
    """Only the rotation reads `head_dim`, and `is_causal` does not reach the layers of transformers' class."""
    return _decoder(config, root, eps=config["layer_norm_eps"], turned=config["head_dim"])


@family("stablelm_epoch", roots=("model", ""), defaults=EPOCH)
def stablelm_epoch(config: Config, root: str) -> CausalLM:
    """As first published, under other keys."""
    require(config, "stablelm_epoch", ONLY)
    return _decoder(config, root, eps=config["norm_eps"], turned=None)


def _decoder(config: Config, root: str, *, eps: float, turned: int | None) -> CausalLM:
    """With `use_parallel_residual` both halves share the first norm."""
    width, count, norm = config["hidden_size"], config["num_attention_heads"], layer_norms(eps)
    beside = bool(config["use_parallel_residual"])
    heads = Heads(count=count, keys=config["num_key_value_heads"], size=width // count, even=True)
    s = Dims(width=width, depth=depth_of(config), heads=heads)
    block = Block(
        input_norm=norm("input_layernorm", Role.INPUT_NORM, s.width),
        attention=self_attention(
            s,
            four_projections(qkv_bias=config["use_qkv_bias"]),
            norms=_head_norms(s, eps) if config["qk_layernorm"] else NO_NORMS,
            positions=rotary(config, turned or s.head_dim, steps="apart"),
        ),
        feed_forward_norm=None if beside else norm("post_attention_layernorm", Role.POST_ATTENTION_NORM, s.width),
        feed_forward=gated_mlp(config, "mlp"),
        parallel=beside,
    )
    return causal_lm(config, root, lambda _: block, final_norm=norm("norm", Role.FINAL_NORM, s.width))


def _head_norms(s: Dims, eps: float) -> HeadNorms:
    """`qk_layernorm`: a norm for each head, without a bias."""
    norm, q, k = layer_norms(eps, bias=False), Role.Q_NORM, Role.K_NORM
    return HeadNorms(
        query=NumberedNorms(name="q_layernorm", role=q, heads=s.heads.count, norm=norm("", q, s.head_dim)),
        key=NumberedNorms(name="k_layernorm", role=k, heads=s.heads.keys, norm=norm("", k, s.head_dim)),
    )
