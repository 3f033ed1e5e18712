"""GPTs of Megatron-Core, under the names that Megatron-LM trains and saves them with.

Their settings are in the checkpoint; `families/megatron_args.py` says them in these keys. Source: Megatron-LM
`megatron/core/models/gpt/` and `megatron/core/transformer/attention.py`.
"""

from functools import partial

from weightscope.components.attention import Attention
from weightscope.components.attention.norms import NO_NORMS
from weightscope.components.decoder import Block, CausalLM
from weightscope.config import Config
from weightscope.families.common import Dims, Output, causal_lm, rotary, token_embedding
from weightscope.families.common.parts import head_norms
from weightscope.families.registry import family
from weightscope.families.siblings.gpt import learned_positions
from weightscope.families.siblings.megatron import MEGATRON, matrices, mixture, norm_of
from weightscope.roles import Role
from weightscope.storage.linear import Linear


@family("megatron_gpt", roots=("",), defaults=MEGATRON)
def megatron_gpt(config: Config, root: str) -> CausalLM:
    """Rows of `linear_qkv` come in groups: the queries that share a key, the key, the value.

    Transformer Engine keeps a norm beside the matrix that it goes before.
    """
    s, learned, sparse = Dims.of(config), config["learned_positions"], config["num_local_experts"] is not None
    norm = partial(norm_of, config)
    within = partial(norm_of, config, leaves=("layer_norm_weight", "layer_norm_bias"))
    of_attention, of_mlp = norm("input_layernorm", Role.INPUT_NORM, s.width), ("pre_mlp_layernorm", norm)
    if config["norms_in_matrices"]:
        of_attention = within("self_attention.linear_qkv", Role.INPUT_NORM, s.width)
        of_mlp = of_mlp if sparse else ("mlp.linear_fc1", within)
    attention = Attention(
        name="self_attention",
        projections=(
            Linear("linear_qkv", Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ, bias=config["qkv_bias"], groups=s.heads.keys),
            Linear("linear_proj", Role.O_PROJ, bias=config["attention_bias"]),
        ),
        width=s.width,
        heads=s.heads,
        positions=None if learned else rotary(config, s.head_dim, interleaved=config["rotary_interleaved"]),
        norms=head_norms(norm, s.head_dim, ("q_layernorm", "k_layernorm")) if config["qk_layernorm"] else NO_NORMS,
    )
    block = Block(
        input_norm=of_attention,
        attention=attention,
        feed_forward_norm=of_mlp[1](of_mlp[0], Role.POST_ATTENTION_NORM, s.width),
        feed_forward=mixture(config, s.width) if sparse else matrices(config, "mlp"),
    )
    table = learned_positions("embedding.position_embeddings", config["max_position_embeddings"], s.width)
    return causal_lm(
        config,
        root,
        lambda _: block,
        embedding=token_embedding(config, "embedding.word_embeddings"),
        positions=table if learned else None,
        layers="decoder.layers",
        final_norm=norm("decoder.final_layernorm", Role.FINAL_NORM, s.width),
        output=Output(name="output_layer"),
    )
