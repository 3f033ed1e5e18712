"""What is Llama in all but name, published with code of its own: InternLM, openPangu, XVERSE.

Sources: `InternLMConfig` (internlm-chat-7b, internlm-20b), `PanguEmbeddedConfig`, `XverseConfig`.
"""

from weightscope.components.attention import Rope, Scaling
from weightscope.components.decoder import CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import LLAMA, Dims, causal_lm, rms_norms, rotary
from weightscope.families.common.parts import four_projections, gated_mlp, pre_norm_block, self_attention
from weightscope.families.common.refusals import refuse
from weightscope.families.registry import family
from weightscope.roles import Role

INTERNLM = LLAMA | {"vocab_size": 103168, "bias": True, "rotary": Nullable(dict)}
ROTARY = {"type": "origin", "base": 10000.0, "scaling_factor": 1.0}
PANGU = LLAMA | {
    "vocab_size": 153376, "intermediate_size": 12800, "num_hidden_layers": 34, "num_key_value_heads": 8, "bias": True,
    "max_position_embeddings": 32768, "rms_norm_eps": 1e-5, "rope_theta": 16000000.0,
}  # fmt: skip
XVERSE = LLAMA | {
    "vocab_size": 100278, "hidden_size": 5120, "intermediate_size": 13824, "num_hidden_layers": 40,
    "num_attention_heads": 40, "max_position_embeddings": 8192, "bias": False, "quantization_bit": Nullable(int),
}  # fmt: skip


@family("internlm", roots=("model", ""), defaults=INTERNLM)
def internlm(config: Config, root: str) -> CausalLM:
    """`bias` is on all four projections; `rotary` says theta, and whether it grows with the length."""
    said = config.nested("rotary").with_defaults(ROTARY) if config["rotary"] else None
    size = Dims.of(config).head_dim
    return _decoder(config, root, bias=config["bias"], rope=_rope(config, said, size) if said else rotary(config, size))


@family("PanguEmbedded", roots=("model", ""), defaults=PANGU)
def pangu_embedded(config: Config, root: str) -> CausalLM:
    """`bias` is on all four projections."""
    return _decoder(config, root, bias=config["bias"], rope=rotary(config, Dims.of(config).head_dim))


@family("xverse", roots=("model", ""), defaults=XVERSE)
def xverse(config: Config, root: str) -> CausalLM:
    """No biases."""
    refuse(config, "XVERSE", ("bias", "attention_bias", "quantization_bit"))
    return _decoder(config, root, bias=False, rope=rotary(config, Dims.of(config).head_dim))


def _decoder(config: Config, root: str, *, bias: bool, rope: Rope) -> CausalLM:
    s, norm = Dims.of(config, even=True), rms_norms(config["rms_norm_eps"])
    attention = self_attention(s, four_projections(qkv_bias=bias, o_bias=bias), positions=rope)
    block = pre_norm_block(norm, s.width, attention=attention, feed_forward=gated_mlp(config, "mlp"))
    return causal_lm(config, root, lambda _: block, final_norm=norm("norm", Role.FINAL_NORM, s.width))


def _rope(config: Config, said: Config, size: int) -> Rope:
    kind, theta = said["type"], float(said["base"])
    if kind == "origin":
        return Rope(dim=int(size), theta=theta)
    if kind != "dynamic":
        raise config.undeclared(f"InternLM with the rotary type {kind!r:.60} is not declared")
    settings = (("factor", said["scaling_factor"]),)
    scaling = Scaling(kind="dynamic", settings=settings, context=config["max_position_embeddings"])
    return Rope(dim=int(size), theta=theta, scaling=scaling)
