"""AdaLoRA (Zhang et al. 2023): B·diag(E)·A, its ranks decided while training; counted, not computed."""

from __future__ import annotations

from weightscope.adapters.common.change import Module, Read
from weightscope.adapters.common.settings import Settings
from weightscope.roles import Role

PARTS = {"E": Role.LORA_E, "ranknum": Role.LORA_ALPHA}


def read(module: Module, settings: Settings) -> Read:
    """No change that is computed; what is torn is said."""
    del settings
    return Read(faults=module.lacking(A="lora_A", B="lora_B", E="lora_E"))
