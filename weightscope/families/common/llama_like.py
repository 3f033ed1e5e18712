"""A decoder laid out as Llama's: what most families are but for a setting or two."""

from __future__ import annotations

from collections.abc import Callable

from weightscope.components.attention import Attention
from weightscope.components.base import Component, Repeat
from weightscope.components.decoder import Block, CausalLM, Decoder
from weightscope.components.embedding import Embedding
from weightscope.components.norm import RMSNorm
from weightscope.components.rope import Rope
from weightscope.components.windows import by_window
from weightscope.config import Config
from weightscope.families.common.parts import four_projections, gated_mlp, head
from weightscope.roles import Role
from weightscope.storage.linear import Linear


def decoder(
    config: Config,
    root: str,
    *,
    projections: tuple[Linear, ...] | None = None,
    head_norms: bool = False,
    feed_forward: Component | None = None,
    slides: Callable[[int], bool] | None = None,
    norm_names: tuple[str, str] = ("input_layernorm", "post_attention_layernorm"),
    longrope: tuple[str, ...] = (),
) -> CausalLM:
    """A Llama-like model: RMS norms before each half, rotary attention with grouped heads, `feed_forward`.

    `projections` are the attention's, four without bias unless told otherwise.
    `head_norms` puts an RMS norm on each head's query and key; `slides` says which layers see only a window, without
    it none does; `longrope` are other names of that scaling.
    """
    width, heads, eps = config["hidden_size"], config["num_attention_heads"], config["rms_norm_eps"]
    head_dim = config["head_dim"] or width // heads
    rope = Rope.of(config, head_dim, longrope=longrope)
    head_norm = (("q_norm", Role.Q_NORM), ("k_norm", Role.K_NORM)) if head_norms else ()

    def block(window: int | None) -> Block:
        return Block(
            input_norm=RMSNorm(name=norm_names[0], role=Role.INPUT_NORM, size=width, eps=eps),
            attention=Attention(
                name="self_attn",
                items=(*(projections or four_projections()), rope.table("rotary_emb.inv_freq")),
                width=width,
                heads=heads,
                kv_heads=config["num_key_value_heads"] or heads,
                head_dim=head_dim,
                rope=rope,
                norms=tuple(RMSNorm(name=name, role=role, size=head_dim, eps=eps) for name, role in head_norm),
                window=window,
            ),
            feed_forward_norm=RMSNorm(name=norm_names[1], role=Role.POST_ATTENTION_NORM, size=width, eps=eps),
            feed_forward=feed_forward or gated_mlp(config, "mlp"),
        )

    return CausalLM(
        decoder=Decoder(
            name=root,
            embedding=Embedding(name="embed_tokens", rows=config["vocab_size"], width=width),
            blocks=tuple(
                Repeat(name="layers", indices=layers, child=block(window))
                for layers, window in by_window(config, slides)
            ),
            final_norm=RMSNorm(name="norm", role=Role.FINAL_NORM, size=width, eps=eps),
            depth=config["num_hidden_layers"],
        ),
        head=head(config, root),
    )
