"""ChatGLM2 and 3, GLM-4 (arXiv 2406.12793) and CodeGeeX2. Source: `ChatGLMConfig`, published with its code."""

from __future__ import annotations

from typing import Any

from weightscope.components.attention.rope import Rope
from weightscope.components.buffers import Buffers
from weightscope.components.decoder import CausalLM
from weightscope.components.embedding import Head
from weightscope.config import Config, Nullable
from weightscope.errors import UndeclaredError
from weightscope.families.common.dims import depth_of
from weightscope.families.common.layout import Names, attention, refuse, sequential, swiglu
from weightscope.families.registry import family
from weightscope.roles import Role
from weightscope.storage.linear import Linear

CHATGLM: dict[str, Any] = {
    "padded_vocab_size": 65024,
    "ffn_hidden_size": 13696,
    "kv_channels": 128,
    "layernorm_epsilon": 1e-5,
    "rmsnorm": True,
    "add_bias_linear": False,
    "add_qkv_bias": False,
    "multi_query_attention": False,
    "multi_query_group_num": 1,
    "rope_ratio": Nullable(float, 1),
    "tie_word_embeddings": False,
}
NEEDS = ("hidden_size", "num_layers", "num_attention_heads")
QKV = (Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ)
NAMES = Names(embedding="embedding.word_embeddings", layers="encoder.layers", final_norm="encoder.final_layernorm")
# ChatGLM-6B, GLM-4V and what changes the maths or the tensors.
OTHERS = ("inner_hidden_size", "position_encoding_2d", "vision_config", "pre_seq_len", "quantization_bit")
REFUSED = (*OTHERS, "interleaved_qkv", "apply_residual_connection_post_layernorm")
TOLD_APART = "ChatGLM2 slows positions by rope_ratio, ChatGLM3 raises theta by it, and the config does not say which"


@family("chatglm", roots=("transformer",), defaults=CHATGLM, needs=NEEDS)
def chatglm(config: Config, root: str) -> CausalLM:
    """Half of each head turns, in neighbouring pairs; rows of `dense_h_to_4h` are all gates, then all ups."""
    refuse(config, "ChatGLM", REFUSED)
    if not config.get("post_layer_norm", True) or config.task == "SequenceClassification":
        raise UndeclaredError("ChatGLM as a classifier or without a final norm is not declared", where=config.source)
    width, heads, head_dim = (config[k] for k in ("hidden_size", "num_attention_heads", "kv_channels"))
    vocabulary, ratio = config["padded_vocab_size"], config["rope_ratio"] or 1
    grouped, bias = config["multi_query_attention"], config["add_bias_linear"]
    rope = Rope(dim=int(head_dim // 2), theta=10000.0 * ratio, interleaved=True)
    return sequential(
        config,
        root,
        NAMES,
        vocabulary=vocabulary,
        width=width,
        depth=depth_of(config, "num_layers"),
        eps=config["layernorm_epsilon"],
        rms=config["rmsnorm"],
        attention=attention(
            "self_attention",
            Linear("query_key_value", *QKV, bias=bias or config["add_qkv_bias"], groups=1 if grouped else heads),
            Linear("dense", Role.O_PROJ, bias=bias),
            width=width,
            heads=heads,
            kv_heads=config["multi_query_group_num"] if grouped else heads,
            head_dim=head_dim,
            rope=rope,
        ),
        feed_forward=swiglu(
            "mlp",
            Linear("dense_h_to_4h", Role.GATE_PROJ, Role.UP_PROJ, bias=bias),
            Linear("dense_4h_to_h", Role.DOWN_PROJ, bias=bias),
            width=width,
            inner=config["ffn_hidden_size"],
        ),
        head=Head(name=f"{root}.output_layer", vocabulary=vocabulary, width=width, tied=config["tie_word_embeddings"]),
        extras=(Buffers(name=f"{root}.rotary_pos_emb", items=(rope.table("inv_freq"),)),),
        refused=TOLD_APART if ratio != 1 and vocabulary == CHATGLM["padded_vocab_size"] else "",
    )
