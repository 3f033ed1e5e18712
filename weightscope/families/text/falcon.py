"""Falcon (arXiv 2311.16867). Sources: `FalconConfig` of transformers; `RWConfig` of the first releases, 40B and 7B."""

from weightscope.components.attention import Attention, Heads
from weightscope.components.attention.alibi import Alibi
from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config
from weightscope.families.common import Output, causal_lm, layer_norms, rotary, token_embedding, visible
from weightscope.families.common.parts import mlp
from weightscope.families.registry import family
from weightscope.families.siblings.falcon import FALCON, RW, RW_MODEL
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.linear import Linear

NAMES = {"n_embed": "hidden_size"}
RW_NAMES = NAMES | {"n_layer": "num_hidden_layers", "n_head": "num_attention_heads", "n_head_kv": "num_kv_heads"}
UNRUN = "Falcon with these norms in this decoder architecture"


@family("falcon", roots=("transformer", ""), defaults=FALCON, attribute_map=NAMES)
@family("RefinedWeb", roots=("transformer", ""), defaults=RW, attribute_map=RW_NAMES)
@family("RefinedWebModel", roots=("transformer", ""), defaults=RW_MODEL, attribute_map=RW_NAMES)
def falcon(config: Config, root: str) -> CausalLM:
    """Rows of `query_key_value` come in groups: the queries that share a key, the key, the value.

    With `parallel_attn` both halves have the same norm, or in the new architecture each its own.
    """
    width, count, bias = config["hidden_size"], config["num_attention_heads"], config["bias"]
    size, grouped, beside = width // count, config["new_decoder_architecture"], bool(config["parallel_attn"])
    norm, norms, keys = layer_norms(config["layer_norm_epsilon"]), config["num_ln_in_parallel_attn"], count
    if grouped:
        keys, norms = config["num_kv_heads"] or count, 2 if norms is None else norms
    elif config["multi_query"]:
        keys = Size(1)
    # The norms before attention and MLP; without a second one both are fed from the first.
    first, second = "input_layernorm", "" if beside else "post_attention_layernorm"
    if beside and norms == 2:
        first, second = "ln_attn", "ln_mlp"
    alibi, inner = Alibi(heads=count, scale=size**-0.5, rounded=True), config["ffn_hidden_size"]
    runs = beside and norms in (1, 2) if grouped else not beside or norms != 2
    block = Block(
        input_norm=norm(first, Role.INPUT_NORM, width),
        attention=Attention(
            name="self_attention",
            projections=(
                Linear("query_key_value", Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ, bias=bias, groups=keys),
                Linear("dense", Role.O_PROJ, bias=bias),
            ),
            width=width,
            heads=Heads(count=count, keys=keys, size=size, even=True),
            positions=alibi if config["alibi"] else rotary(config, size),
            sees=visible(config),
        ),
        feed_forward_norm=norm(second, Role.POST_ATTENTION_NORM, width) if second else None,
        feed_forward=mlp(width, inner, config["activation"], names=("dense_h_to_4h", "dense_4h_to_h"), bias=bias),
        parallel=beside,
    )
    return causal_lm(
        config,
        root,
        lambda _: block,
        embedding=token_embedding(config, "word_embeddings"),
        layers="h",
        final_norm=norm("ln_f", Role.FINAL_NORM, width),
        output=Output(classifier="classifier"),
        refused="" if runs else UNRUN,
    )
