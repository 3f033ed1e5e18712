"""MPT (MosaicML 2023): ALiBi, and no bias anywhere. Source: `MptConfig` of transformers."""

from weightscope.components.attention import Scores
from weightscope.components.attention.alibi import Alibi
from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config, Nullable
from weightscope.families.common import DECODER, Dims, Output, causal_lm, layer_norms, token_embedding, visible
from weightscope.families.common.parts import mlp, self_attention
from weightscope.families.common.refusals import not_computed, require
from weightscope.families.registry import family
from weightscope.roles import Role
from weightscope.storage.linear import Linear

MPT = DECODER | {
    "d_model": 2048, "n_heads": 16, "n_layers": 24, "expansion_ratio": 4, "vocab_size": 50368,
    "layer_norm_epsilon": 1e-5, "logit_scale": Nullable(object), "no_bias": True,
    "norm_type": "low_precision_layernorm", "attn_config": Nullable(dict), "tie_word_embeddings": True,
}  # fmt: skip
ATTENTION = {
    "attn_type": "multihead_attention", "clip_qkv": Nullable(float), "softmax_scale": Nullable(float),
    "prefix_lm": False, "qk_ln": False, "alibi": True, "alibi_bias_max": 8,
}  # fmt: skip
COMPUTED = {"logit_scale": None, "norm_type": ("low_precision_layernorm", "layernorm")}
NAMES = {"hidden_size": "d_model", "num_attention_heads": "n_heads", "num_hidden_layers": "n_layers"}


@family("mpt", roots=("transformer", ""), defaults=MPT, attribute_map=NAMES)
def mpt(config: Config, root: str) -> CausalLM:
    """Rows of `Wqkv` are all queries, all keys, all values. MosaicML's code counts where transformers ignores a key."""
    inner = (config.nested("attn_config") if config["attn_config"] else Config({})).with_defaults(ATTENTION)
    s, norm = Dims.of(config), layer_norms(config["layer_norm_epsilon"], bias=False)
    if not s.width or s.width % s.heads.count:
        raise config.error(
            f"{s.width.text} {s.width:,} is not a multiple of {s.heads.count.text} {s.heads.count:,}, or is 0"
        )
    require(config, "MPT", {"expansion_ratio": 4, "no_bias": True})
    require(inner, "MPT", {"attn_type": "multihead_attention", "qk_ln": False, "alibi": True})
    block = Block(
        input_norm=norm("norm_1", Role.INPUT_NORM, s.width),
        attention=self_attention(
            s,
            (Linear("Wqkv", Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ), Linear("out_proj", Role.O_PROJ)),
            name="attn",
            positions=Alibi(heads=s.heads.count, most=inner["alibi_bias_max"]),
            sees=visible(config),
            scores=Scores(scale=inner["softmax_scale"]),
            clip=inner["clip_qkv"],
        ),
        feed_forward_norm=norm("norm_2", Role.POST_ATTENTION_NORM, s.width),
        feed_forward=mlp(s.width, None, "gelu", name="ffn"),
    )
    return causal_lm(
        config,
        root,
        lambda _: block,
        embedding=token_embedding(config, "wte"),
        layers="blocks",
        final_norm=norm("norm_f", Role.FINAL_NORM, s.width),
        output=Output(classifier="classifier"),
        refused=not_computed(config, "MPT", COMPUTED) or not_computed(inner, "MPT", {"prefix_lm": False}),
    )
