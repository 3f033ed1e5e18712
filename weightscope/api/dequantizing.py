"""The matrix that a quantized weight stands for, read from the tensors that stand for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from weightscope.checkpoint.array_types import need_torch
from weightscope.checkpoint.reader import Checkpoint
from weightscope.checkpoint.values import load_torch, need_here
from weightscope.errors import CheckpointError, UsageError
from weightscope.quantization.common.dequantizing import dequantized
from weightscope.quantization.common.marks import mark_of
from weightscope.storage.base import Scheme

if TYPE_CHECKING:
    import numpy as np
    import torch


class Quantized(msgspec.Struct, frozen=True, kw_only=True):
    """One of the tensors of a quantized weight; `weight` is the name that the weight has before quantization."""

    scheme: Scheme
    weight: str
    tensor: str
    checkpoint: Checkpoint

    @classmethod
    def of(cls, name: str, scheme: Scheme, checkpoint: Checkpoint) -> Quantized:
        """The weight that a tensor of that name is a part of."""
        mark = mark_of(name)
        module = mark[0] if mark else name.removesuffix(".weight")
        known = (f"{module}.weight", module, name)
        weight = next((weight for weight in known if name in scheme.parts(weight)), name)
        return cls(scheme=scheme, weight=weight, tensor=name, checkpoint=checkpoint)

    def numpy(self, index: Any = ...) -> np.ndarray[Any, Any]:
        """The float32 weight, or `weight[index]` of it, in the shape that it has before quantization.

        Raises:
            UsageError: the tensor is a scale of the weight, not the weight.
            NotImplementedByWeightscope: the method is only named and counted.
            WeightscopeError: torch is not installed.
            CheckpointError: a tensor of the weight is not there, or does not fit the others.
        """
        packed = self.scheme.parts(self.weight)[0]
        if self.tensor != packed:
            raise UsageError(f"{self.tensor} is a scale of a quantized weight", hint=f"dequantize {packed} instead")
        need_torch(", or read the values as they are stored")
        weight: np.ndarray[Any, Any] = dequantized(self.scheme, self.weight, self._raw)[index].numpy()
        return weight

    def _raw(self, name: str) -> torch.Tensor:
        entry = self.checkpoint.tensors.get(name)
        if entry is None:
            raise CheckpointError(
                f"{self.tensor} cannot be dequantized: {name} is in no file",
                where=self.checkpoint.path,
                hint="`weightscope check` says what else is missing",
                code="missing-tensor",
            )
        need_here(self.checkpoint.files, entry)
        return load_torch(self.checkpoint.files, entry)
