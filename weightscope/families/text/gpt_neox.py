"""GPT-NeoX (arXiv 2204.06745) and Pythia: rotary attention beside the MLP. Source: `GPTNeoXConfig` of transformers."""

from weightscope.components.attention import Attention, Heads
from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import DECODER, Output, causal_lm, layer_norms, rotary, token_embedding, visible
from weightscope.families.common.parts import mlp
from weightscope.families.registry import family
from weightscope.families.siblings.gpt import causal_masks
from weightscope.roles import Role
from weightscope.storage.linear import Linear

GPT_NEOX = DECODER | {
    "vocab_size": 50432, "hidden_size": 6144, "num_hidden_layers": 44, "num_attention_heads": 64,
    "head_dim": Nullable(int), "intermediate_size": 24576, "hidden_act": "gelu", "rotary_pct": 0.25,
    "rotary_emb_base": 10000.0, "rope_scaling": Nullable(dict), "rope_parameters": Nullable(dict),
    "max_position_embeddings": 2048, "layer_norm_eps": 1e-5, "use_parallel_residual": True, "attention_bias": True,
}  # fmt: skip


# MLX's converter moves the head as well below its root.
BY_MLX = "model"


@family("gpt_neox", roots=("gpt_neox", "", BY_MLX), defaults=GPT_NEOX)
def gpt_neox(config: Config, root: str) -> CausalLM:
    """Rows of `query_key_value` are, head by head, its query, key and value. Only the rotation reads `head_dim`."""
    width, count, norm = config["hidden_size"], config["num_attention_heads"], layer_norms(config["layer_norm_eps"])
    size, inner, bias = width // count, config["intermediate_size"], config["attention_bias"]
    block = Block(
        input_norm=norm("input_layernorm", Role.INPUT_NORM, width),
        attention=Attention(
            name="attention",
            projections=(
                Linear("query_key_value", Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ, bias=bias, groups=count),
                Linear("dense", Role.O_PROJ, bias=bias),
                *causal_masks(config["max_position_embeddings"]),
            ),
            width=width,
            heads=Heads(count=count, keys=count, size=size, even=True),
            positions=rotary(config, config["head_dim"] or size),
            sees=visible(config),
        ),
        feed_forward_norm=norm("post_attention_layernorm", Role.POST_ATTENTION_NORM, width),
        feed_forward=mlp(width, inner, config["hidden_act"], names=("dense_h_to_4h", "dense_4h_to_h"), bias=True),
        parallel=config["use_parallel_residual"],
    )
    return causal_lm(
        config,
        root,
        lambda _: block,
        embedding=token_embedding(config, "embed_in"),
        layers="h" if root == BY_MLX else "layers",
        final_norm=norm("final_layer_norm", Role.FINAL_NORM, width),
        output=Output(name="model.embed_out" if root == BY_MLX else "embed_out", classifier="classifier"),
    )
