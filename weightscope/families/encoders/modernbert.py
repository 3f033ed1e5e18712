"""ModernBERT (arXiv 2412.13663). Source: `ModernBertConfig` of transformers."""

from __future__ import annotations

from weightscope.components.attention import Around
from weightscope.components.decoder import Block
from weightscope.components.encoder import Encoder, EncoderModel, TokenEmbeddings
from weightscope.config import Config
from weightscope.families.common import Dims, layer_norms, rotary
from weightscope.families.common.causal_lm import numbered
from weightscope.families.common.encoders import seen, table
from weightscope.families.common.layer_types import FULL, SLIDING, layer_types
from weightscope.families.common.parts import fused_gated_mlp, self_attention
from weightscope.families.common.refusals import refuse
from weightscope.families.registry import family
from weightscope.families.siblings.modernbert import MODERNBERT, heads
from weightscope.roles import Role
from weightscope.storage.linear import Linear


@family(
    "modernbert", roots=("model", ""), defaults=MODERNBERT, needs=("hidden_size", "num_hidden_layers")
)  # fmt: skip
def modernbert(config: Config, root: str) -> EncoderModel:
    """Norms before the halves; two of three layers see `local_attention` tokens around each and turn faster."""
    refuse(config, "ModernBERT", ("rope_scaling",))
    s, norm = Dims.of(config, even=True), layer_norms(config["norm_eps"], bias=config["norm_bias"])
    every, bias = config["global_attn_every_n_layers"], config["attention_bias"]
    kinds = layer_types(config, lambda i: SLIDING if i % every else FULL)
    ropes = {
        kind: rotary(config, s.head_dim, layers=kind, theta=config[key])
        for kind, key in ((FULL, "global_rope_theta"), (SLIDING, "local_rope_theta"))
    }
    whole = seen(config)
    # Of newer configs: half of what `local_attention` counts.
    reach = config["sliding_window"]
    near = Around(int(config["local_attention"] // 2 if reach is None else reach))

    def layer(i: int) -> Block:
        attention = self_attention(
            s,
            (Linear("Wqkv", Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ, bias=bias), Linear("Wo", Role.O_PROJ, bias=bias)),
            name="attn",
            positions=ropes[kinds[i]],
            sees=near if kinds[i] == SLIDING else whole,
        )
        return Block(
            input_norm=norm("attn_norm", Role.INPUT_NORM, s.width) if i else None,
            attention=attention,
            feed_forward_norm=norm("mlp_norm", Role.POST_ATTENTION_NORM, s.width),
            feed_forward=fused_gated_mlp(
                config, "mlp", bias=config["mlp_bias"], activation=config["hidden_activation"], names=("Wi", "Wo")
            ),
        )

    return EncoderModel(
        encoder=Encoder(
            name=root,
            embeddings=TokenEmbeddings(
                name="embeddings",
                words=table("tok_embeddings", Role.TOKEN_EMBEDDING, config["vocab_size"], s.width),
                norm=norm("norm", Role.EMBEDDING_NORM, s.width),
            ),
            blocks=numbered("layers", s.depth, layer),
            final_norm=norm("final_norm", Role.FINAL_NORM, s.width),
            depth=s.depth,
        ),
        heads=heads(config, s.width, norm),
    )
