"""ChatGLM2 and 3, GLM-4 (arXiv 2406.12793) and CodeGeeX2. Source: `ChatGLMConfig`, published with its code."""

from weightscope.components.attention import Attention, Heads, Rope
from weightscope.components.buffers import Buffers
from weightscope.components.decoder import CausalLM, Decoder
from weightscope.components.embedding import Embedding, Head
from weightscope.config import Config
from weightscope.families.common import depth_of, layer_norms, numbered, rms_norms
from weightscope.families.common.parts import fused_gated_mlp, pre_norm_block
from weightscope.families.common.refusals import not_computed, refuse
from weightscope.families.registry import family
from weightscope.families.siblings.chatglm import CHATGLM, CHATGLM_OTHERS
from weightscope.roles import Role
from weightscope.storage.linear import Linear

NEEDS = ("hidden_size", "num_layers", "num_attention_heads")
COMPUTED = {"interleaved_qkv": False, "apply_residual_connection_post_layernorm": False}
TOLD_APART = (
    "rope_ratio divides positions in ChatGLM2 and multiplies theta in ChatGLM3; the config does not say which one it is"
)


@family("chatglm", roots=("transformer",), defaults=CHATGLM | CHATGLM_OTHERS, needs=NEEDS)
def chatglm(config: Config, root: str) -> CausalLM:
    """Half of each head turns, in neighbouring pairs; rows of `dense_h_to_4h` are all gates, then all ups.

    Published configs name the class without a head, and the head is there.
    """
    refuse(config, "ChatGLM", CHATGLM_OTHERS)
    if not config["post_layer_norm"] or config.task == "SequenceClassification":
        raise config.undeclared("ChatGLM as a classifier or without a final norm is not declared")
    width, count, rows = config["hidden_size"], config["num_attention_heads"], config["padded_vocab_size"]
    bias, grouped, ratio = config["add_bias_linear"], config["multi_query_attention"], config["rope_ratio"] or 1
    qkv_bias, keys = bias or config["add_qkv_bias"], config["multi_query_group_num"] if grouped else count
    heads = Heads(count=count, keys=keys, size=config["kv_channels"])
    rope = Rope(dim=int(heads.size // 2), theta=10000.0 * ratio, interleaved=True)
    norm = (rms_norms if config["rmsnorm"] else layer_norms)(config["layernorm_epsilon"])
    qkv = (Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ)
    attention = Attention(
        name="self_attention",
        projections=(
            Linear("query_key_value", *qkv, bias=qkv_bias, groups=1 if grouped else count),
            Linear("dense", Role.O_PROJ, bias=bias),
        ),
        width=width,
        heads=heads,
        positions=rope,
    )
    names, inner = ("dense_h_to_4h", "dense_4h_to_h"), config["ffn_hidden_size"]
    mlp = fused_gated_mlp(config, "mlp", inner=inner, bias=bias, activation="silu", names=names)
    block, depth = pre_norm_block(norm, width, attention=attention, feed_forward=mlp), depth_of(config, "num_layers")
    decoder = Decoder(
        name=root,
        embedding=Embedding(name="embedding.word_embeddings", rows=rows, width=width),
        blocks=numbered("encoder.layers", depth, lambda _: block),
        final_norm=norm("encoder.final_layernorm", Role.FINAL_NORM, width),
        depth=depth,
    )
    unclear = ratio != 1 and rows == CHATGLM["padded_vocab_size"]
    return CausalLM(
        decoder=decoder,
        head=Head(name=f"{root}.output_layer", vocabulary=rows, width=width, tied=config["tie_word_embeddings"]),
        extras=(Buffers(name=f"{root}.rotary_pos_emb", items=(rope.table("inv_freq"),)),),
        refused=TOLD_APART if unclear else not_computed(config, "ChatGLM", COMPUTED),
    )
