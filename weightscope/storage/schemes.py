"""Quantization schemes: how a quantized weight lies on disk, chosen by the config and the same for every family."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from weightscope.config import Config
from weightscope.errors import UndeclaredError
from weightscope.storage.base import Stored
from weightscope.storage.block_fp8 import BlockFP8
from weightscope.storage.mlx import MLXAffine
from weightscope.storage.mxfp4 import MXFP4

if TYPE_CHECKING:
    import torch


class Scheme(Protocol):
    """A quantization scheme with its settings."""

    @property
    def name(self) -> str:
        """What the field calls it, for people."""
        ...

    @property
    def rowwise(self) -> bool:
        """Whether some rows of a weight are given by the same rows of its tensors."""
        ...

    def applies(self, stored: Stored) -> bool:
        """Whether tensors of this kind and role are quantized at all."""
        ...

    def converts(self, module: str) -> bool:
        """Whether the module of that full name is quantized, rather than left out by the config."""
        ...

    def expand(self, stored: Stored) -> tuple[Stored, ...]:
        """The tensors that stand for one weight, the packed weight first."""
        ...

    def parts(self, name: str) -> tuple[str, ...]:
        """The names of the tensors that stand for the weight of that name, the packed weight first."""
        ...

    def read(self, name: str, raw: Callable[[str], torch.Tensor]) -> torch.Tensor:
        """The float32 weight that the tensors stand for, in its stored orientation."""
        ...


def scheme_of(config: Config) -> Scheme | None:
    """The scheme that a config names, or None for weights stored as they are.

    Raises:
        UndeclaredError: a scheme that is not implemented, by name.
    """
    settings = _object(config, "quantization_config")
    if settings is not None and (method := settings.get("quant_method")):
        if method == "fp8" and settings.get("weight_block_size"):
            return BlockFP8.of(config, settings)
        if method == "mxfp4":
            return MXFP4.of(config, settings)
        raise UndeclaredError(f"quantization {method!r} is not implemented", where=config.source)
    settings = _object(config, "quantization") or settings
    if settings is None:
        return None
    if "bits" in settings and "group_size" in settings:
        return MLXAffine.of(config, settings)
    raise UndeclaredError("a quantization_config without quant_method is not understood", where=config.source)


def _object(config: Config, key: str) -> dict[str, Any] | None:
    """The settings at the top level or, in a vision-language model, within `text_config`."""
    value = config.data.get(key)
    if value is None and isinstance(text := config.data.get("text_config"), dict):
        value = text.get(key)
    if value is not None and not isinstance(value, dict):
        raise config.error(f"{key!r} is {value!r:.60}, not an object")
    return value or None
