"""The tensors beside a quantized weight: their names, and what their values may be."""

from __future__ import annotations

from msgspec.structs import replace

from weightscope.quantization.common.method import SCALES
from weightscope.sizes import Shape, Size
from weightscope.storage.base import Bounds, Kind, Stored

# A scale is the largest weight over the largest code: far below these limits, however a model was trained.
WEIGHT_SCALE = Bounds(
    least=0, most=1e3, zero=False, why="a zero scale was never filled; one this large is probably inverted"
)
# Bytes of exponents, 255 being NaN, or the same as floats.
EXPONENTS = Bounds(least=0, most=254, words="exponents", why="255 stands for NaN")
ACTIVATION_SCALE = Bounds(least=0, words="scales of activations")
BYTES = frozenset({"U8"})
EXPONENT_DTYPES = frozenset({"U8", "F8_E8M0"})
ONE: Shape = (Size(1),)


def beside(name: str, leaf: str) -> str:
    """The name of what stands beside a weight: `a.weight` and `weight_scale` give `a.weight_scale`.

    A weight that is a module's own parameter (`experts.up_proj`) has it behind its name: `experts.up_proj_scale`.
    """
    if name.endswith(".weight"):
        return f"{name.removesuffix('weight')}{leaf}"
    return name if leaf == "weight" else f"{name}_{leaf.removeprefix('weight_')}"


def scales(
    stored: Stored,
    leaf: str,
    shape: Shape,
    *,
    dtypes: frozenset[str] = SCALES,
    bounds: Bounds | None = WEIGHT_SCALE,
    also: tuple[Shape, ...] = (),
    optional: bool = False,
) -> Stored:
    """What stands beside a weight under that leaf."""
    return replace(
        stored,
        name=beside(stored.name, leaf),
        shape=shape,
        kind=Kind.SCALE,
        dtypes=dtypes,
        bounds=bounds,
        also=also,
        optional=optional,
    )


def activation_scales(stored: Stored, *leaves: str) -> tuple[Stored, ...]:
    """Scales of what comes into or out of a module, one number or one for each stacked expert; a writer may leave
    them out.
    """
    experts = stored.shape[:-2]
    also: tuple[Shape, ...] = ((), ONE, (*experts, Size(1)))
    return tuple(
        scales(stored, leaf, experts or ONE, bounds=ACTIVATION_SCALE, also=also, optional=True) for leaf in leaves
    )
