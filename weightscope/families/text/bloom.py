"""BLOOM (arXiv 2211.05100): ALiBi for positions, a norm after the embedding. Source: `BloomConfig` of transformers."""

from weightscope.components.attention.alibi import Alibi
from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config
from weightscope.families.common import DECODER, Dims, Output, causal_lm, layer_norms, token_embedding, visible
from weightscope.families.common.parts import mlp, self_attention
from weightscope.families.common.refusals import not_computed
from weightscope.families.registry import family
from weightscope.roles import Role
from weightscope.storage.linear import Linear

BLOOM = DECODER | {
    "vocab_size": 250880, "hidden_size": 64, "n_layer": 2, "n_head": 8, "layer_norm_epsilon": 1e-5,
    "apply_residual_connection_post_layernorm": False, "tie_word_embeddings": True,
}  # fmt: skip
# `n_embed` is how configs before transformers 4.20 spell it.
NAMES = {"n_embed": "hidden_size", "num_hidden_layers": "n_layer", "num_attention_heads": "n_head"}


@family("bloom", roots=("transformer", ""), defaults=BLOOM, attribute_map=NAMES)
def bloom(config: Config, root: str) -> CausalLM:
    """Rows of `query_key_value` are, head by head, its query, key and value; published without the root."""
    s, norm = Dims.of(config, even=True), layer_norms(config["layer_norm_epsilon"])
    count = s.heads.count
    block = Block(
        input_norm=norm("input_layernorm", Role.INPUT_NORM, s.width),
        attention=self_attention(
            s,
            (
                Linear("query_key_value", Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ, bias=True, groups=count),
                Linear("dense", Role.O_PROJ, bias=True),
            ),
            name="self_attention",
            positions=Alibi(heads=count),
            sees=visible(config),
        ),
        feed_forward_norm=norm("post_attention_layernorm", Role.POST_ATTENTION_NORM, s.width),
        feed_forward=mlp(s.width, None, "gelu_fast", names=("dense_h_to_4h", "dense_4h_to_h"), bias=True),
    )
    return causal_lm(
        config,
        root,
        lambda _: block,
        embedding=token_embedding(config, "word_embeddings"),
        embedding_norm=norm("word_embeddings_layernorm", Role.EMBEDDING_NORM, s.width),
        layers="h",
        final_norm=norm("ln_f", Role.FINAL_NORM, s.width),
        output=Output(classifier="classifier"),
        refused=not_computed(config, "BLOOM", {"apply_residual_connection_post_layernorm": False}),
    )
