"""What Zamba and Zamba2 have in common: recurrent layers, some of which a block enters that they share."""

from __future__ import annotations

from collections.abc import Callable

from weightscope.components.attention.heads import Heads
from weightscope.components.attention.rope import Rope
from weightscope.components.attention.scores import Scores
from weightscope.components.attention.softmax import Attention
from weightscope.components.base import Component
from weightscope.components.mixers import MixerBlock
from weightscope.components.shared import Borrowed, HybridLayer, LowRank, SharedBlock
from weightscope.config import Config
from weightscope.families.common import rms_norms, visible
from weightscope.families.common.layer_types import EARLIER, LINEAR, layer_types
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import StorageItem

HYBRID = "hybrid"
# Makes the block that is stored in the layer of one number and used in that of another, both among the hybrid ones.
SharedAt = Callable[[int, int], SharedBlock]
# transformers 5 shares nothing where the head is not tied: each hybrid layer has a block of its own.
ONCE = "each block once"
ROOTS = ("model", "", f"model, {ONCE}", ONCE)


def attention_width(config: Config) -> Size:
    """Twice the model's unless told otherwise: x and the token's embedding side by side."""
    stated: Size | None = config["attention_hidden_size"]
    return stated or config["hidden_size"] * 2


def shared_attention(config: Config, projections: tuple[StorageItem, ...], positions: Rope | None = None) -> Attention:
    """Its heads are twice as wide as the model has room for, and scores are scaled by half of that."""
    count, size = config["num_attention_heads"], config["attention_head_dim"]
    size = size or config["hidden_size"] * 2 // count
    keys = config["num_key_value_heads"]
    return Attention(
        name="self_attn",
        projections=projections,
        width=attention_width(config),
        out_width=config["hidden_size"],
        heads=Heads(count=count, keys=count if keys is None else keys, size=size),
        positions=positions,
        sees=visible(config),
        scores=Scores(scale=(size / 2) ** -0.5),
    )


def shared_block(
    config: Config, name: str, attention: Attention, feed_forward: Component, adapters: tuple[LowRank, ...] = ()
) -> SharedBlock:
    """The block under the name that it has in a layer."""
    norm, width = rms_norms(config["rms_norm_eps"]), config["hidden_size"]
    return SharedBlock(
        name=name,
        width=width,
        input_norm=norm("input_layernorm", Role.INPUT_NORM, attention_width(config)),
        attention=attention,
        feed_forward_norm=norm("pre_ff_layernorm", Role.PRE_FEEDFORWARD_NORM, width),
        feed_forward=feed_forward,
        adapters=adapters,
    )


def prefix_of(root: str) -> str:
    """The decoder's prefix."""
    return "model" if root.startswith("model") else ""


def kinds_of(config: Config, default: Callable[[int], str]) -> list[str]:
    """Which layers a shared block enters; the classes take every other kind for a recurrent layer."""
    listed = config["layers_block_type"] or ()
    others = {EARLIER.get(kind, kind): LINEAR for kind in listed if isinstance(kind, str)}
    return layer_types(config, default, key="layers_block_type", known=others | {LINEAR: LINEAR, HYBRID: HYBRID})


def zamba_layers(
    config: Config, root: str, kinds: list[str], mixer: Component, shared: SharedAt, *, blocks: int = 1
) -> Callable[[int], Component]:
    """What layer i is; of so many `blocks` the hybrid layers take one after the other, and the first store them."""
    apart = ONCE not in root and not config["tie_word_embeddings"]
    norm, width = rms_norms(config["rms_norm_eps"]), config["hidden_size"]
    hybrids = [i for i, kind in enumerate(kinds) if kind == HYBRID]
    entered = norm("input_layernorm", Role.INPUT_NORM, width)

    def layer(i: int) -> Component:
        if kinds[i] == LINEAR:
            return MixerBlock(norm=entered, mixer=mixer)
        number = hybrids.index(i)
        owner = number % blocks
        block = shared(owner, number)
        return HybridLayer(
            block=block if apart or owner == number else Borrowed(part=block, owner=hybrids[owner]),
            width=width,
            mixer=MixerBlock(name="mamba_decoder", norm=entered, mixer=mixer),
        )

    return layer
