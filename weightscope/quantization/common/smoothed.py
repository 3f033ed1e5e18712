"""A weight whose module multiplies its input by a vector first (AWQ, SmoothQuant), as ModelOpt stores it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from weightscope.quantization.common.beside import activation_scales, beside, scales
from weightscope.quantization.common.packed_fp4 import PackedFP4
from weightscope.quantization.common.packed_rows import PackedRows
from weightscope.quantization.common.scaled import Scaled
from weightscope.roles import Role
from weightscope.storage.base import Bounds, Stored

if TYPE_CHECKING:
    import torch

LEAF = "pre_quant_scale"
BOUNDS = Bounds(zero=False, words="scales of the input")
# What lies beside the projection that fills a cache.
CACHES = {Role.K_PROJ: "k_scale", Role.V_PROJ: "v_scale"}


class Smoothed(msgspec.Struct, frozen=True, kw_only=True):
    """`weight` as it is stored, and perhaps a vector [C] that its input is multiplied by; mostly it is fused elsewhere.

    `read` gives the weight alone. What a pass multiplies x by is the weight's columns times that vector.
    """

    weight: Scaled | PackedFP4 | PackedRows

    @property
    def name(self) -> str:
        """The method's name."""
        return self.weight.name

    @property
    def rowwise(self) -> bool:
        """As the weight's."""
        return self.weight.rowwise

    @property
    def words(self) -> str:
        """As the weight's."""
        return self.weight.words

    @property
    def formula(self) -> str:
        """As the weight's; where there is a vector, w acts on its product with x."""
        return f"{self.weight.formula}; w acts on x · {LEAF} where that is stored"

    @property
    def packing(self) -> str:
        """As the weight's."""
        return self.weight.packing

    def parts(self, name: str) -> tuple[str, ...]:
        """Those of the weight."""
        return self.weight.parts(name)

    def expand(self, stored: Stored) -> tuple[Stored, ...]:
        """Those of the weight, then the vector, and the scale of the cache of keys or values."""
        vector = scales(stored, LEAF, stored.shape[-1:], bounds=BOUNDS, optional=True)
        caches = [leaf for role, leaf in CACHES.items() if role in dict(stored.parts)]
        return *self.weight.expand(stored), vector, *activation_scales(stored, *caches)

    def read(self, name: str, raw: Callable[[str], torch.Tensor]) -> torch.Tensor:
        """The weight, without the vector."""
        return self.weight.read(name, raw)

    def multiplies_input(self, name: str) -> str:
        """The name of the vector."""
        return beside(name, LEAF)
