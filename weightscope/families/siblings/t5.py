"""A stack of T5's layers: RMS norms before, no biases, scores that are not scaled, relative positions."""

from __future__ import annotations

from weightscope.components.attention import CAUSAL, EVERYTHING, Attention, Heads
from weightscope.components.attention.relative import Relative
from weightscope.components.attention.scores import Scores
from weightscope.components.base import Component
from weightscope.components.decoder import Block
from weightscope.components.embedding import Embedding
from weightscope.components.halves import SOURCE, CrossBlock, Stack
from weightscope.config import Config
from weightscope.families.common import depth_of, numbered, rms_norms
from weightscope.families.common.parts import gated_mlp, linears, mlp
from weightscope.roles import Role

PROJECTIONS = {"q": Role.Q_PROJ, "k": Role.K_PROJ, "v": Role.V_PROJ, "o": Role.O_PROJ}
UNSCALED = Scores(scale=1.0)


def table(config: Config) -> Embedding:
    """The one table of tokens."""
    return Embedding(name="shared", rows=config["vocab_size"], width=config["d_model"])


def stack(config: Config, name: str, *, writes: bool, everywhere: bool) -> Stack:
    """The encoder, or the decoder, which `writes`; relative positions in each layer where `everywhere`."""
    width, norm = config["d_model"], rms_norms(config["layer_norm_epsilon"])
    depth = depth_of(config, "num_layers")
    if writes and config["num_decoder_layers"] is not None:
        depth = depth_of(config, "num_decoder_layers")
    heads = Heads(count=config["num_heads"], keys=config["num_heads"], size=config["d_kv"])

    def attention(name: str, positions: Relative | None, source: str = "") -> Attention:
        return Attention(
            name=name,
            projections=linears(PROJECTIONS),
            width=width,
            heads=heads,
            positions=positions,
            sees=CAUSAL if writes and not source else EVERYTHING,
            scores=UNSCALED,
            source=source,
        )

    def layer(i: int) -> Block:
        positions = Relative(
            buckets=config["relative_attention_num_buckets"],
            farthest=config["relative_attention_max_distance"],
            both=not writes,
            table="relative_attention_bias" if everywhere or i == 0 else "",
            group=name,
        )
        own, last = attention("layer.0.SelfAttention", positions), 2 if writes else 1
        before = norm("layer.0.layer_norm", Role.INPUT_NORM, width)
        fed = norm(f"layer.{last}.layer_norm", Role.POST_ATTENTION_NORM, width)
        feed = feed_forward(config, f"layer.{last}.DenseReluDense")
        if not writes:
            return Block(input_norm=before, attention=own, feed_forward_norm=fed, feed_forward=feed)
        return CrossBlock(
            input_norm=before,
            attention=own,
            cross_norm=norm("layer.1.layer_norm", Role.CROSS_NORM, width),
            cross=attention("layer.1.EncDecAttention", None, SOURCE),
            feed_forward_norm=fed,
            feed_forward=feed,
        )

    return Stack(
        name=name,
        width=width,
        vocabulary=config["vocab_size"],
        blocks=numbered("block", depth, layer),
        depth=depth,
        final_norm=norm("final_layer_norm", Role.FINAL_NORM, width),
        label=name,
    )


def feed_forward(config: Config, name: str) -> Component:
    """Two matrices, or with a gate three, as `feed_forward_proj` says."""
    said: str = config["feed_forward_proj"]
    gate, _, activation = said.rpartition("-")
    if gate not in ("", "gated"):
        raise config.error(f"feed_forward_proj is {said!r:.60}, neither an activation nor gated-ACTIVATION")
    activation = "gelu_new" if said == "gated-gelu" else activation
    # What transformers 5 saves besides wins.
    activation = activation if config["dense_act_fn"] is None else config["dense_act_fn"]
    gated = bool(gate) if config["is_gated_act"] is None else config["is_gated_act"]
    if gated:
        return gated_mlp(config, name, inner=config["d_ff"], activation=activation, names=("wi_0", "wi_1", "wo"))
    return mlp(config["d_model"], config["d_ff"], activation, name=name, names=("wi", "wo"))
