"""TeleChat (arXiv 2401.03804) in the layout of 7B and 12B, after BLOOM's. Source: `TelechatConfig`."""

from math import ceil, log2

from weightscope.components.attention import Rope
from weightscope.components.decoder import CausalLM
from weightscope.components.feed_forward import GatedMLP
from weightscope.config import Config
from weightscope.families.common import DECODER, Dims, causal_lm, rms_norms, token_embedding
from weightscope.families.common.parts import pre_norm_block, self_attention
from weightscope.families.common.refusals import not_computed, refuse
from weightscope.families.registry import family
from weightscope.families.siblings.telechat_52b import telechat_52b
from weightscope.roles import Role
from weightscope.storage.linear import Linear

TELECHAT = DECODER | {
    "vocab_size": 160256, "hidden_size": 4096, "ffn_hidden_size": 12288, "n_layer": 30, "n_head": 32,
    "layer_norm_epsilon": 1e-5, "training_seqlen": 8192, "embed_layernorm": False,
    "apply_residual_connection_post_layernorm": False, "tie_word_embeddings": True,
}  # fmt: skip
NAMES = {"num_hidden_layers": "n_layer", "num_attention_heads": "n_head"}
NEEDS = ("vocab_size", "n_layer", "n_head")


@family("telechat", roots=("transformer", ""), defaults=TELECHAT, attribute_map=NAMES, needs=NEEDS)
def telechat(config: Config, root: str) -> CausalLM:
    """Rows of `key_value` are, head by head, its key and its value; 52B is another layout under the same type."""
    if "n_embd" in config:
        return telechat_52b(config, root)
    refuse(config, "TeleChat", ("embed_layernorm",))
    s, norm = Dims.of(config, even=True), rms_norms(config["layer_norm_epsilon"])
    attention = self_attention(
        s,
        (
            Linear("query", Role.Q_PROJ),
            Linear("key_value", Role.K_PROJ, Role.V_PROJ, groups=s.heads.count),
            Linear("dense", Role.O_PROJ, bias=True),
        ),
        name="self_attention",
        positions=_rope(int(config["training_seqlen"]), int(s.head_dim)),
    )
    gate, up = Linear("gate_proj", Role.GATE_PROJ), Linear("up_proj", Role.UP_PROJ)
    items, inner = (gate, up, Linear("down_proj", Role.DOWN_PROJ, bias=True)), config["ffn_hidden_size"]
    mlp = GatedMLP(name="mlp", items=items, width=s.width, inner=inner, activation="silu")
    block = pre_norm_block(norm, s.width, attention=attention, feed_forward=mlp)
    return causal_lm(
        config,
        root,
        lambda _: block,
        embedding=token_embedding(config, "word_embeddings"),
        layers="h",
        final_norm=norm("ln_f", Role.FINAL_NORM, s.width),
        refused=not_computed(config, "TeleChat", {"apply_residual_connection_post_layernorm": False}),
    )


def _rope(trained: int, dim: int) -> Rope:
    """Theta is raised once for the sequences that it was trained on, and again, in steps, for longer ones."""
    alpha = max(2 ** ceil(log2(max(trained, 1) / 4096) + 1) - 1, 1)
    theta = 10000.0 * alpha ** (dim / (dim - 2))
    return Rope(dim=dim, theta=theta, limit=trained, beyond="theta grows for sequences longer than training_seqlen")
