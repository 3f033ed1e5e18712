"""What a module's tensors tell of compressed-tensors' scheme, without a config."""

from __future__ import annotations

from collections.abc import Mapping

from weightscope.checkpoint.entry import TensorEntry
from weightscope.quantization.common.bits import WORD
from weightscope.quantization.common.compressed_formats import NAME
from weightscope.quantization.common.grain import Grain
from weightscope.quantization.common.grains import grain_of
from weightscope.quantization.common.method import SCALES, Told
from weightscope.quantization.common.packed_fp4 import PackedFP4
from weightscope.quantization.common.packed_integers import PackedIntegers
from weightscope.quantization.common.scaled import INT8, Scaled

Found = Mapping[str, TensorEntry]
Shape = tuple[int, ...]


def recognize(found: Found, shape: Shape | None, settings: Mapping[str, object]) -> Told | None:
    """Packed integers, packed 4-bit floats or int8; 8-bit floats tell the same under every method's name.

    Of packed integers the columns' number is no shape of theirs: it is that of a declared weight, or what the settings
    tell.
    """
    scale = found.get(".weight_scale")
    if scale is None:
        return None
    packed = found.get(".weight_packed")
    if packed is None:
        told = _plain(found, scale)
    elif packed.dtype == "U8":
        told = _fp4(found, packed, scale)
    else:
        declared = shape or _shape_of(packed, scale, settings)
        told = _integers(found, packed, scale, declared) if declared else None
    return told if told and (shape is None or told.shape == shape) else None


def _shape_of(packed: TensorEntry, scale: TensorEntry, settings: Mapping[str, object]) -> Shape | None:
    """The shape of a weight that no family declares, where all groups of the settings have one width and size."""
    groups = settings.get("config_groups")
    listed = groups.values() if isinstance(groups, dict) else ()
    weights = [
        group["weights"] for group in listed if isinstance(group, dict) and isinstance(group.get("weights"), dict)
    ]
    told = {(repr(found.get("num_bits")), repr(found.get("group_size"))) for found in weights}
    if len(told) != 1 or len(packed.shape) != 2:
        return None
    bits, size = weights[0].get("num_bits"), weights[0].get("group_size")
    if type(bits) is not int or not 0 < bits <= 8:
        return None
    columns = packed.shape[1] * WORD // bits
    if type(size) is int and size > 0 and len(scale.shape) == 2:
        columns = min(columns, scale.shape[1] * size)
    return packed.shape[0], columns


def _plain(found: Found, scale: TensorEntry) -> Told | None:
    weight = found.get(".weight")
    if weight is None or weight.dtype not in INT8 or scale.dtype not in SCALES:
        return None
    grain = grain_of(weight.shape, scale.shape)
    zero = "weight_zero_point" if ".weight_zero_point" in found else ""
    scheme = Scaled(name=NAME, title="int8", grain=grain, elements=INT8, zero=zero) if grain else None
    return Told(scheme=scheme, shape=weight.shape) if scheme else None


def _fp4(found: Found, packed: TensorEntry, scale: TensorEntry) -> Told | None:
    exponents = scale.dtype in ("U8", "F8_E8M0")
    if len(packed.shape) != 2 or len(scale.shape) != 2 or not (exponents or scale.dtype == "F8_E4M3"):
        return None
    rows, columns, groups = packed.shape[0], packed.shape[1] * 2, scale.shape[1]
    whole = "weight_global_scale" if ".weight_global_scale" in found else ""
    group = 32 if exponents else 16
    # NVFP4 has a scale of all, MXFP4 has none.
    if scale.shape[0] != rows or groups != -(-columns // group) or bool(whole) is exponents:
        return None
    scheme = PackedFP4(
        name=NAME,
        title="MXFP4" if exponents else "NVFP4",
        group=group,
        exponents=exponents,
        whole=whole,
        divides=True,
    )
    return Told(scheme=scheme, shape=(rows, columns))


def _integers(found: Found, packed: TensorEntry, scale: TensorEntry, shape: Shape) -> Told | None:
    if packed.dtype != "I32" or len(packed.shape) != 2 or len(shape) != 2 or ".weight_shape" not in found:
        return None
    words, columns = packed.shape[1], shape[1]
    widths = [bits for bits in range(1, 9) if -(-columns * bits // WORD) == words]
    if len(widths) != 1:
        return None
    groups = scale.shape[1] if len(scale.shape) == 2 else 1
    if scale.shape in ((shape[0], 1), (shape[0],)):
        grain = Grain(1)
    elif groups and scale.shape == (shape[0], groups) and columns % groups == 0:
        grain = Grain(1, columns // groups)
    else:
        return None
    scheme = PackedIntegers(
        name=NAME,
        bits=widths[0],
        grain=grain,
        zeros=".weight_zero_point" in found,
        ordered=".weight_g_idx" in found,
    )
    return Told(scheme=scheme, shape=shape)
