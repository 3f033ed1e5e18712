"""A decoder laid out as Llama's: what most families are but for a setting or two."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from weightscope.components.attention.rope import Rope
from weightscope.components.attention.softmax_old import Attention
from weightscope.components.base import Component, Indices, Repeat
from weightscope.components.decoder import Block, CausalLM, Decoder
from weightscope.components.embedding import Embedding
from weightscope.components.norm import Norm, NumberedNorms
from weightscope.config import Config
from weightscope.families.common.parts import four_projections, gated_mlp, head, rms_norms
from weightscope.families.common.rotary import rotary
from weightscope.families.common.windows import alike, by_window
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import StorageItem

NOTHING: Mapping[str, Any] = MappingProxyType({})


def decoder(
    config: Config,
    root: str,
    *,
    projections: tuple[StorageItem, ...] | None = None,
    head_norms: bool | tuple[Norm | NumberedNorms, ...] = False,
    feed_forward: Component | None = None,
    slides: Callable[[int], bool] | None = None,
    norm_names: tuple[str | None, str | None] = ("input_layernorm", "post_attention_layernorm"),
    longrope: tuple[str, ...] = (),
    out_norm_names: tuple[str | None, str | None] = (None, None),
    final_norm: str = "norm",
    norm: Callable[[str, Role, Size], Norm] | None = None,
    interleaved: bool = False,
    ropes: Callable[[int, int | None], Rope | None] | None = None,
    attention: Mapping[str, Any] = NOTHING,
    block: Mapping[str, Any] = NOTHING,
    embedding_scale: float = 1.0,
    heads: Mapping[str, Any] = NOTHING,
    mixer: Component | None = None,
) -> CausalLM:
    """A Llama-like model: RMS norms before each half, rotary attention with grouped heads, `feed_forward`.

    `projections` are the attention's, four without bias unless told otherwise. `head_norms` puts a norm on each head's
    query and key, or is what is put there; `slides` says which layers see only a window, without it none does;
    `longrope` are other names of that scaling. `norm_names` are the norms before each half, `out_norm_names` those
    after; `norm` makes them. `ropes` gives the rotation of a layer with its window, where layers differ in it.
    `attention`, `block` and `heads` are further settings of these parts; `mixer` stands in attention's place.
    """
    width, count = config["hidden_size"], config["num_attention_heads"]
    head_dim = config.get("head_dim") or width // count
    names = dict.fromkeys(longrope, "longrope")
    rope = None if ropes else rotary(config, head_dim, named=names, interleaved=interleaved)
    norm = norm or rms_norms(config["rms_norm_eps"])
    if isinstance(head_norms, bool):
        pair = (("q_norm", Role.Q_NORM), ("k_norm", Role.K_NORM)) if head_norms else ()
        head_norms = tuple(norm(name, role, head_dim) for name, role in pair)
    items = projections or four_projections()
    before, after = norm_names, out_norm_names

    def layer(window: int | None, turned: Rope | None) -> Block:
        return Block(
            input_norm=norm(before[0], Role.INPUT_NORM, width) if before[0] else None,
            attention=mixer
            or Attention(
                name="self_attn",
                items=(*items, rope.table("rotary_emb.inv_freq")) if rope else items,
                width=width,
                heads=count,
                kv_heads=config["num_key_value_heads"] or count,
                head_dim=head_dim,
                rope=turned,
                norms=head_norms,
                window=window,
                **attention,
            ),
            attention_out_norm=norm(after[0], Role.POST_ATTENTION_NORM, width) if after[0] else None,
            feed_forward_norm=norm(before[1], _second(after), width) if before[1] else None,
            feed_forward=feed_forward or gated_mlp(config, "mlp"),
            feed_forward_out_norm=norm(after[1], Role.POST_FEEDFORWARD_NORM, width) if after[1] else None,
            **block,
        )

    return CausalLM(
        decoder=Decoder(
            name=root,
            embedding=Embedding(name="embed_tokens", rows=config["vocab_size"], width=width, scale=embedding_scale),
            blocks=tuple(
                Repeat(name="layers", indices=indices, child=layer(window, turned))
                for indices, window, turned in _kinds(config, slides, ropes or (lambda *_: rope))
            ),
            final_norm=norm(final_norm, Role.FINAL_NORM, width),
            depth=config["num_hidden_layers"],
        ),
        head=head(config, root, **heads),
    )


def _second(after: tuple[str | None, str | None]) -> Role:
    """The role of the norm before the second half: it is also the one after attention, unless there is another."""
    return Role.PRE_FEEDFORWARD_NORM if after[0] else Role.POST_ATTENTION_NORM


def _kinds(
    config: Config, slides: Callable[[int], bool] | None, ropes: Callable[[int, int | None], Rope | None]
) -> Iterator[tuple[Indices, int | None, Rope | None]]:
    """The layers that share a window and a rotation."""
    for layers, window in by_window(config, slides):
        turns = {layer: ropes(layer, window) for layer in layers}
        marks = {layer: id(turn) for layer, turn in turns.items()}
        for indices, _ in alike(layers, marks.__getitem__):
            yield indices, window, turns[indices[0]]
