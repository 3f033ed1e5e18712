"""MobileNetV5-300M, Gemma 3n's vision tower, as timm names it: named and counted, its maths is not implemented.

Source: `mobilenetv5_300m_enc` of timm 1.0.
"""

from __future__ import annotations

from collections.abc import Iterator

from weightscope.components.base import Component
from weightscope.components.outline import Outline
from weightscope.roles import Role, Section
from weightscope.sizes import Size
from weightscope.storage.kernel import Kernel
from weightscope.storage.plain import Plain

# What the last stages' features are joined to, and the width that comes out.
JOINED, INNER, WIDTH = 640 + 1280, 3840, 2048
# Of each stage's bottlenecks: channels in and out, kernels before and within (0 for none), channels within.
EDGES = ((64, 128, 256), (128, 128, 512), (128, 128, 512))
SECOND = ((128, 256, 3, 5, 768), *((256, 256, kernel, 0, 1024) for kernel in (5, 3, 5, 3)))
THIRD = ((256, 640, 5, 5, 1536), *((640, 640, 5, 0, 2560),) * 7, (640, 640, 0, 0, 640))
FOURTH = ((640, 1280, 5, 5, 3840),)
# Then attention and a bottleneck in turns: width, queries, keys, channels within, how often; a kernel on the keys.
THIRD_TURNS, FOURTH_TURNS = (640, 768, 64, 1280, 14), (1280, 1536, 96, 2560, 19)
KEY_KERNEL = 3


def mobilenet_v5(name: str) -> Outline:
    """A stem, four stages of blocks, and what joins the features of the last two."""
    stages = (
        [_edge(*sizes) for sizes in EDGES],
        [_bottleneck(*sizes) for sizes in SECOND],
        [*(_bottleneck(*sizes) for sizes in THIRD), *_turns(*THIRD_TURNS, kernel=KEY_KERNEL)],
        [*(_bottleneck(*sizes) for sizes in FOURTH), *_turns(*FOURTH_TURNS, kernel=0)],
    )
    blocks = [
        _named(f"blocks.{stage}.{number}", *parts)
        for stage, found in enumerate(stages)
        for number, parts in enumerate(found)
    ]
    join = _named("msfa.ffn", *_pair("pw_exp", JOINED, INNER), *_pair("pw_proj", INNER, WIDTH))
    return Outline(
        name=name,
        section=Section.VISION,
        line="vision MobileNetV5-300M, whose maths is not implemented",
        inside=(
            _named("conv_stem", _kernel("conv", 3, 64, 3, bias=True), _norm("bn", 64)),
            *blocks,
            join,
            _norm("msfa.norm", WIDTH),
        ),
    )


def _named(name: str, *parts: Component) -> Outline:
    return Outline(name=name, inside=parts)


def _kernel(name: str, taken: int, made: int, side: int = 1, *, bias: bool = False) -> Outline:
    shape = (Size(made), Size(taken), Size(side), Size(side))
    return Outline(name=name, items=(Kernel("", Role.CONVOLUTION, bias=bias),), shapes=((Role.CONVOLUTION, shape),))


def _norm(name: str, size: int) -> Outline:
    return Outline(name=name, items=(Plain("", Role.NORM),), shapes=((Role.NORM, (Size(size),)),))


def _pair(name: str, taken: int, made: int, side: int = 1) -> tuple[Outline, Outline]:
    """A convolution and its norm."""
    return _kernel(f"{name}.conv", taken, made, side), _norm(f"{name}.bn", made)


def _scale(width: int) -> Outline:
    return Outline(
        name="layer_scale",
        items=(Plain("", Role.LAYER_SCALE, leaf="gamma"),),
        shapes=((Role.LAYER_SCALE, (Size(width),)),),
    )


def _edge(taken: int, made: int, inner: int) -> tuple[Outline, ...]:
    return (
        _kernel("conv_exp", taken, inner, 3),
        _norm("bn1", inner),
        _kernel("conv_pwl", inner, made),
        _norm("bn2", made),
    )


def _bottleneck(taken: int, made: int, start: int, within: int, inner: int) -> tuple[Outline, ...]:
    """Convolutions of single channels stand before and within, where they have a kernel."""
    return (
        *(_pair("dw_start", 1, taken, start) if start else ()),
        *_pair("pw_exp", taken, inner),
        *(_pair("dw_mid", 1, inner, within) if within else ()),
        *_pair("pw_proj", inner, made),
        _scale(made),
    )


def _turns(
    width: int, queries: int, keys: int, inner: int, count: int, *, kernel: int
) -> Iterator[tuple[Outline, ...]]:
    """All queries share one head of keys and one of values."""
    shrunk = (_kernel("down_conv", 1, width, kernel), _norm("norm", width)) if kernel else ()
    attention = _named(
        "attn",
        _kernel("query.proj", width, queries),
        _named("key", *shrunk, _kernel("proj", width, keys)),
        _named("value", *shrunk, _kernel("proj", width, keys)),
        _kernel("output.proj", queries, width),
    )
    for _ in range(count):
        yield _norm("norm", width), attention, _scale(width)
        yield _bottleneck(width, width, 0, 0, inner)
