"""compressed-tensors' arguments and formats as schemes.

Source: compressed_tensors/quantization/quant_args.py and compressors/.
"""

from __future__ import annotations

from collections.abc import Mapping

from weightscope.config import Config
from weightscope.errors import UndeclaredError
from weightscope.quantization.common.beside import EXPONENT_DTYPES
from weightscope.quantization.common.grain import Grain
from weightscope.quantization.common.packed_fp4 import PackedFP4
from weightscope.quantization.common.packed_integers import PackedIntegers
from weightscope.quantization.common.scaled import INT8, Scaled
from weightscope.storage.base import Scheme

NAME = "compressed-tensors"
E4M3 = frozenset({"F8_E4M3"})
PLAIN_ELEMENTS = ("naive-quantized", "int-quantized", "float-quantized")
PACKED_FP4 = ("nvfp4-pack-quantized", "mxfp4-pack-quantized")
# Columns in the order of their activations; a bare true meant the same.
ORDERED = ("group", "dynamic", True)


def scheme_of(config: Config, group: Mapping[str, object], overall: object) -> Scheme | None:
    """The scheme of one of the config's groups; None where it leaves weights as they are.

    `overall` is the format of all groups that have none of their own.

    Raises:
        ConfigError: arguments that the library does not write.
        UndeclaredError: ones that are not implemented.
    """
    weights = group.get("weights")
    if weights is None:
        return None
    if not isinstance(weights, dict):
        raise config.error(f"weights of a config group are {weights!r:.60}, not an object")
    bits, kind = weights.get("num_bits", 8), str(weights.get("type", "int")).lower()
    if type(bits) is not int or not 0 < bits <= 32 or kind not in ("int", "float"):
        raise config.error(f"weights of a config group have {bits!r:.20} bits of type {kind!r:.20}")
    grain = _grain(config, weights)
    own = group.get("format")
    stated = own if own is not None else None if overall == "mixed-precision" else overall
    found = _usual(bits, kind, weights, group) if stated is None else str(stated)
    activations = _activations(group)
    zeros = weights.get("symmetric", True) is False
    scheme: Scheme | None = None
    if found in PLAIN_ELEMENTS and (bits, kind) == (8, "float") and not zeros:
        scheme = Scaled(name=NAME, title="FP8", grain=grain, elements=E4M3, activations=activations)
    elif found in PLAIN_ELEMENTS and kind == "int" and bits <= 8:
        zero = "weight_zero_point" if zeros else ""
        title = f"int{bits}"
        scheme = Scaled(name=NAME, title=title, grain=grain, elements=INT8, zero=zero, activations=activations)
    elif found == "pack-quantized" and kind == "int" and bits <= 8 and (not zeros or grain.rows == 1):
        ordered = weights.get("actorder") in ORDERED and grain.columns > 0
        scheme = PackedIntegers(name=NAME, bits=bits, grain=grain, zeros=zeros, ordered=ordered)
    elif found == "mxfp8-quantized" and (bits, kind) == (8, "float") and not zeros:
        scheme = Scaled(
            name=NAME, title="MXFP8", grain=grain, elements=E4M3, scales=EXPONENT_DTYPES, activations=activations
        )
    elif found in PACKED_FP4 and (bits, kind) == (4, "float") and not zeros and grain.rows == 1 and grain.columns:
        exponents = found.startswith("mx")
        scheme = PackedFP4(
            name=NAME,
            title="MXFP4" if exponents else "NVFP4",
            group=grain.columns,
            exponents=exponents,
            whole="weight_global_scale" if weights.get("strategy") == "tensor_group" else "",
            divides=True,
            activations=activations,
        )
    if scheme is None:
        sides = "" if not zeros else ", asymmetric"
        raise UndeclaredError(
            f"{NAME} format {found!r:.40} with {kind}s of {bits} bits{sides} in {grain.words} is not implemented",
            where=config.source,
        )
    return scheme


def _grain(config: Config, weights: Mapping[str, object]) -> Grain:
    """Which weights share a scale."""
    size, block = weights.get("group_size"), weights.get("block_structure")
    if size is not None and (type(size) is not int or (size < 1 and size != -1)):
        raise config.error(f"group_size is {size!r:.40}, not a number above zero")
    groups = size if isinstance(size, int) and size > 0 else 0
    strategy = weights.get("strategy")
    if strategy is None:
        strategy = "tensor" if size is None else "group" if groups else "channel"
    if isinstance(block, str):
        block = [int(part) if part.isdecimal() and len(part) < 10 else part for part in block.split("x")]
    blocks = isinstance(block, list) and len(block) == 2 and all(type(n) is int and n > 0 for n in block)
    if strategy in ("group", "tensor_group") and groups:
        return Grain(1, groups)
    if strategy == "block" and isinstance(block, list) and blocks:
        return Grain(*block)
    if strategy in ("tensor", "channel"):
        return Grain(1) if strategy == "channel" else Grain()
    raise config.error(f"strategy {strategy!r:.40} lacks the sizes that it needs")


def _usual(bits: int, kind: str, weights: Mapping[str, object], group: Mapping[str, object]) -> str:
    """The format that the library takes for a group that states none."""
    size = weights.get("group_size")
    if (bits, kind) == (4, "float"):
        return "mxfp4-pack-quantized" if size == 32 else "nvfp4-pack-quantized"
    if (bits, kind) == (6, "float"):
        return "mxfp6-pack-quantized"
    if (bits, kind, size) == (8, "float", 32) and "uint8" in str(weights.get("scale_dtype")):
        return "mxfp8-quantized"
    inputs = group.get("input_activations")
    if kind == "float" or inputs is not None:
        return f"{kind}-quantized"
    return "pack-quantized"


def _activations(group: Mapping[str, object]) -> tuple[str, ...]:
    """The last parts of the names of scales of what comes into a module and out of it."""
    found = []
    for key, leaf in (("input_activations", "input"), ("output_activations", "output")):
        arguments = group.get(key)
        if not isinstance(arguments, dict):
            continue
        if arguments.get("dynamic") in (False, None):
            found.append(f"{leaf}_scale")
        if arguments.get("strategy") == "tensor_group":
            found.append(f"{leaf}_global_scale")
    return tuple(found)
