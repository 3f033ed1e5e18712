"""GPT-2 (Radford et al. 2019). Source: `GPT2Config` and OpenAI's checkpoints, whose names have no root."""

from __future__ import annotations

from typing import Any

from weightscope.components.attention import Attention
from weightscope.components.base import Repeat
from weightscope.components.decoder import Block, CausalLM, Decoder
from weightscope.components.embedding import Embedding
from weightscope.components.mlp import MLP
from weightscope.components.norm import LayerNorm
from weightscope.components.windows import depth_of
from weightscope.config import Config, Nullable
from weightscope.errors import UndeclaredError
from weightscope.families.common.parts import head
from weightscope.families.registry import family
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.linear import Conv1D
from weightscope.storage.plain import Buffer

GPT2: dict[str, Any] = {
    "vocab_size": 50257,
    "n_positions": 1024,
    "n_embd": 768,
    "n_layer": 12,
    "n_head": 12,
    "n_inner": Nullable(int),
    "activation_function": "gelu_new",
    "layer_norm_epsilon": 1e-5,
    "tie_word_embeddings": True,
    "add_cross_attention": False,
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
}
ALIASES = {
    "n_embd": "hidden_size",
    "n_positions": "max_position_embeddings",
    "n_head": "num_attention_heads",
    "n_layer": "num_hidden_layers",
}


@family(
    "gpt2",
    roots=("transformer", ""),
    defaults=GPT2,
    aliases=ALIASES,
    needs=("vocab_size", "n_positions", "n_embd", "n_layer", "n_head"),
)
def gpt2(config: Config, root: str) -> CausalLM:
    """Conv1D matrices are stored (in, out); old checkpoints carry the causal mask as a buffer `bias`."""
    if config["add_cross_attention"]:
        raise UndeclaredError("GPT-2 with add_cross_attention is not declared", where=config.source)
    width, heads, eps, positions = (config[k] for k in ("n_embd", "n_head", "layer_norm_epsilon", "n_positions"))
    mask = (Size(1), Size(1), positions, positions)
    scale = (width // heads) ** -0.5 if config["scale_attn_weights"] else 1.0

    def block(layer: int) -> Block:
        return Block(
            input_norm=LayerNorm(name="ln_1", role=Role.INPUT_NORM, size=width, eps=eps),
            attention=Attention(
                name="attn",
                items=(
                    Conv1D("c_attn", Role.Q_PROJ, Role.K_PROJ, Role.V_PROJ, bias=True),
                    Conv1D("c_proj", Role.O_PROJ, bias=True),
                    Buffer("bias", Role.CAUSAL_MASK, mask),
                    Buffer("masked_bias", Role.CAUSAL_MASK, ()),
                ),
                width=width,
                heads=heads,
                kv_heads=heads,
                head_dim=width // heads,
                scale=scale / (layer + 1) if config["scale_attn_by_inverse_layer_idx"] else scale,
            ),
            feed_forward_norm=LayerNorm(name="ln_2", role=Role.POST_ATTENTION_NORM, size=width, eps=eps),
            feed_forward=MLP(
                name="mlp",
                items=(Conv1D("c_fc", Role.UP_PROJ, bias=True), Conv1D("c_proj", Role.DOWN_PROJ, bias=True)),
                width=width,
                inner=config["n_inner"] or width * 4,
                activation=config["activation_function"],
            ),
        )

    return CausalLM(
        decoder=Decoder(
            name=root,
            embedding=Embedding(name="wte", rows=config["vocab_size"], width=width),
            positions=Embedding(name="wpe", role=Role.POSITION_EMBEDDING, rows=positions, width=width),
            blocks=tuple(Repeat(name="h", indices=layers, child=block(layers[0])) for layers in _alike(config)),
            final_norm=LayerNorm(name="ln_f", role=Role.FINAL_NORM, size=width, eps=eps),
            depth=config["n_layer"],
        ),
        head=head(config, root, width=width, tagger="classifier"),
    )


def _alike(config: Config) -> list[range]:
    """The layers that compute alike: all of them, or with `scale_attn_by_inverse_layer_idx` each for itself."""
    depth = depth_of(config, "n_layer")
    if config["scale_attn_by_inverse_layer_idx"]:
        return [range(layer, layer + 1) for layer in range(depth)]
    return [range(depth)] if depth else []
