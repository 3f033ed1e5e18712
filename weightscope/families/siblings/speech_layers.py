"""Parts of wav2vec 2.0 and its kin: convolutions over samples and frames, attention, layers."""

from __future__ import annotations

from msgspec.structs import replace

from weightscope.components.attention import Segments
from weightscope.components.audio.adapters import FrameAdapter, GatedConvolution
from weightscope.components.audio.positional_convolution import PositionalConvolution
from weightscope.components.audio.sample_convolutions import ChannelNorm, SampleConvolution, SampleConvolutions
from weightscope.components.base import Component, Repeat
from weightscope.components.batch_norm import BatchNorm
from weightscope.components.decoder import Block
from weightscope.components.norm import LayerNorm
from weightscope.components.projection import Projection
from weightscope.config import Config
from weightscope.families.common import Dims, layer_norms
from weightscope.families.common.causal_lm import numbered
from weightscope.families.common.dims import depth_of
from weightscope.families.common.encoders import post_norm_block
from weightscope.families.common.numbers import sizes
from weightscope.families.common.parts import linears, mlp, self_attention
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.kernel import Kernel
from weightscope.storage.weight_normed import WeightNormed

PROJECTIONS = {"k_proj": Role.K_PROJ, "v_proj": Role.V_PROJ, "q_proj": Role.Q_PROJ, "out_proj": Role.O_PROJ}
# Of norms whose class does not read the config's.
EPS = 1e-5


def sample_convolutions(config: Config) -> SampleConvolutions:
    """As many as `conv_dim` lists; the first alone has a norm of each channel, or each has one of each frame.

    Raises:
        ConfigError: the lists are not of positive numbers, or not as long as each other.
        UndeclaredError: another `feat_extract_norm`.
    """
    outputs, kernels, strides = (sizes(config, key) for key in ("conv_dim", "conv_kernel", "conv_stride"))
    if not len(outputs) == len(kernels) == len(strides):
        raise config.error(
            f"conv_dim lists {len(outputs)} convolutions, conv_kernel {len(kernels)} and conv_stride {len(strides)}"
        )
    kind = config["feat_extract_norm"]
    if kind not in ("group", "layer"):
        raise config.undeclared(f"the feat_extract_norm {kind!r:.60} is not declared")

    def norm(i: int) -> ChannelNorm | LayerNorm | None:
        if kind == "layer":
            return LayerNorm(name="layer_norm", role=Role.NORM, size=outputs[i], eps=EPS)
        return ChannelNorm(name="layer_norm", size=outputs[i], eps=EPS) if i == 0 else None

    def layer(i: int) -> SampleConvolution:
        return SampleConvolution(
            inputs=outputs[i - 1] if i else Size(1),
            outputs=outputs[i],
            kernel=kernels[i],
            stride=strides[i],
            bias=config["conv_bias"],
            activation=config["feat_extract_activation"],
            norm=norm(i),
        )

    repeats = numbered("conv_layers", len(outputs), layer)
    return SampleConvolutions(name="feature_extractor", layers=tuple(replace(repeat, of="part") for repeat in repeats))


def positions(config: Config, width: Size, leaves: tuple[str, str], *, batch_normed: bool) -> PositionalConvolution:
    """A kernel under a weight norm, or `batch_normed` a plain one after a norm of the batch."""
    plain = Kernel("conv", Role.CONVOLUTION, bias=True, last=False)
    return PositionalConvolution(
        name="encoder.pos_conv_embed",
        item=plain if batch_normed else WeightNormed("conv", Role.CONVOLUTION, leaves),
        width=width,
        kernel=config["num_conv_pos_embeddings"],
        groups=config["num_conv_pos_embedding_groups"],
        activation=config["feat_extract_activation"],
        norm=BatchNorm(name="batch_norm", size=width) if batch_normed else None,
    )


def frame_adapter(config: Config, width: Size) -> FrameAdapter:
    """As many convolutions as `num_adapter_layers`, after a matrix where `output_hidden_size` is another width."""
    outputs = config["output_hidden_size"] or width
    wider = outputs != width
    child = GatedConvolution(width=outputs, kernel=config["adapter_kernel_size"], stride=config["adapter_stride"])
    return FrameAdapter(
        name="adapter",
        project=Projection(name="proj", inputs=width, outputs=outputs, bias=True) if wider else None,
        norm=LayerNorm(name="proj_layer_norm", role=Role.NORM, size=outputs, eps=EPS) if wider else None,
        layers=Repeat(name="layers", indices=range(depth_of(config, "num_adapter_layers")), child=child, of="part"),
    )


def attention(config: Config, s: Dims) -> Component:
    """All frames of a clip see each other; transformers obeys `is_causal` first."""
    sees = Segments("clip", causal=bool(config["is_causal"]), what="frames")
    return self_attention(s, linears(PROJECTIONS, bias=True), name="attention", sees=sees)


def block(config: Config, s: Dims, attention: Component, *, after: tuple[Component, ...] = ()) -> Block:
    """Norms act on the sums, or in a `do_stable_layer_norm` model before each half; `after` is in those alone."""
    norm = layer_norms(config["layer_norm_eps"])
    feed_forward = mlp(
        s.width, config["intermediate_size"], config["hidden_act"], name="feed_forward",
        names=("intermediate_dense", "output_dense"), bias=True,
    )  # fmt: skip
    if not config["do_stable_layer_norm"]:
        names = ("layer_norm", "final_layer_norm")
        return post_norm_block(norm, s.width, names, attention=attention, feed_forward=feed_forward)
    return Block(
        input_norm=norm("layer_norm", Role.INPUT_NORM, s.width),
        attention=attention,
        feed_forward_norm=norm("final_layer_norm", Role.PRE_FEEDFORWARD_NORM, s.width),
        feed_forward=feed_forward,
        after=after,
    )
