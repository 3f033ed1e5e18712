"""InternVL's vision encoder (arXiv 2312.14238) and projector, under transformers' names and under OpenGVLab's."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from weightscope.components.attention import NO_NORMS, Segments, WholeNorms
from weightscope.components.base import Repeat
from weightscope.components.decoder import Block
from weightscope.components.layer_scale import LayerScale
from weightscope.components.norm import Norm
from weightscope.components.projection import Projection
from weightscope.components.vision.merger import PatchMerger
from weightscope.components.vision.squares import ShuffledMerger
from weightscope.components.vision.vit_encoder import BatchedEmbedding, WholeNormEncoder
from weightscope.config import Config
from weightscope.families.common import Dims, layer_norms, rms_norms
from weightscope.families.common.parts import mlp, self_attention
from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import StorageItem


class Names(msgspec.Struct, frozen=True, kw_only=True):
    """Modules and parameters of the encoder; norms and scales before or of attention, then of the MLP."""

    class_vector: str
    kernel: str
    positions: str
    layers: str
    attention: str
    norms: tuple[str, str]
    scales: tuple[str, str]


def side_of(config: Config, key: str) -> Size:
    """A size that may be given once, or as height and width.

    Raises:
        UndeclaredError: the two differ.
        ConfigError: it is neither.
    """
    value = config[key]
    sides = list(value) if isinstance(value, list | tuple) else [value, value]
    if len(sides) != 2 or not all(type(side) in (int, Size) and side > 0 for side in sides):
        raise config.error(f"{key!r} is {value!r:.60}, not a size in pixels or two of them")
    if sides[0] != sides[1]:
        raise config.undeclared(f"a {key} of {sides[0]:,} × {sides[1]:,}, which is no square, is not declared")
    return Size(int(sides[0]), config.prefix + key)


def _norms(config: Config) -> Callable[[str, Role, Size], Norm]:
    kind, eps = config["norm_type"], config["layer_norm_eps"]
    if kind not in ("layer_norm", "rms_norm"):
        raise config.undeclared(f"the norm_type {kind!r:.60} is not declared")
    return layer_norms(eps) if kind == "layer_norm" else rms_norms(eps)


def encoder(
    config: Config,
    root: str,
    names: Names,
    projections: tuple[StorageItem, ...],
    *,
    normed: bool,
    last_norm: Norm | None = None,
) -> WholeNormEncoder:
    """The encoder; with `normed` queries and keys have norms over all heads."""
    s, norm = Dims.of(config, even=True), _norms(config)
    whole = rms_norms(1e-6)
    norms = WholeNorms(query=whole("q_norm", Role.Q_NORM, s.width), key=whole("k_norm", Role.K_NORM, s.width))
    block = Block(
        input_norm=norm(names.norms[0], Role.INPUT_NORM, s.width),
        attention=self_attention(
            s, projections, name=names.attention, sees=Segments("image"), norms=norms if normed else NO_NORMS
        ),
        attention_out_norm=LayerScale(parameter=names.scales[0], size=s.width),
        feed_forward_norm=norm(names.norms[1], Role.POST_ATTENTION_NORM, s.width),
        feed_forward=mlp(s.width, config["intermediate_size"], config["hidden_act"], names=("fc1", "fc2"), bias=True),
        feed_forward_out_norm=LayerScale(parameter=names.scales[1], size=s.width),
    )
    return WholeNormEncoder(
        name=root,
        patches=BatchedEmbedding(
            name="embeddings",
            width=s.width,
            channels=config["num_channels"],
            image=side_of(config, "image_size"),
            patch=side_of(config, "patch_size"),
            bias=True,
            kernel=names.kernel,
            class_parameter=names.class_vector,
            position_parameter=names.positions,
        ),
        pre_norm=None,
        blocks=(Repeat(name=names.layers, indices=range(s.depth), child=block),),
        post_norm=last_norm,
    )


def projector(
    config: Config, tower: WholeNormEncoder, outputs: Size, name: str, names: tuple[str, str, str], activation: str
) -> ShuffledMerger:
    """`downsample_ratio` of each side remain; norm, matrix, activation, matrix.

    Raises:
        ConfigError: a ratio that does not divide the image.
    """
    ratio = config["downsample_ratio"]
    merge = int(1 / ratio) if ratio else 0
    side = int(tower.patches.side)
    if merge < 1 or 1 / ratio != merge or side % merge:
        raise config.error(f"downsample_ratio is {ratio:g}, which does not divide {side:,} × {side:,} patches")
    inputs = tower.patches.width * merge**2
    merger = PatchMerger(
        name=name,
        norm=layer_norms(1e-5)(names[0], Role.PROJECTOR_NORM, inputs),
        first=Projection(name=names[1], inputs=inputs, outputs=outputs, bias=True),
        second=Projection(name=names[2], inputs=outputs, outputs=outputs, bias=True),
        activation=activation,
        square=merge**2,
        norms_squares=True,
    )
    return ShuffledMerger(side=side, merge=merge, merger=merger)
