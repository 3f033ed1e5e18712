"""Tensors and parameters as torch before 0.4 wrote them: made empty or around a tensor, and given a state after that.

Sources: `Tensor.__setstate__` in torch/_tensor.py, which reads both to this day: a state of four is a tensor's
(storage, offset, size, stride), one of five a Variable's (data, …), one of three (requires_grad, volatile, hooks).
"""

from __future__ import annotations

from functools import partial

import msgspec

from weightscope.checkpoint.pickle_machine import Global, Machine
from weightscope.checkpoint.pytorch_objects import STORAGES, Storage, StoredTensor, tensor_of

_UNSET = Storage(key="", dtype="F32", bytes=0)


def is_unset(tensor: StoredTensor) -> bool:
    """Whether the tensor was made empty and never given its storage."""
    return tensor.storage is _UNSET


def set_state(machine: Machine, target: object, state: object) -> None:
    """Fill a tensor that was made empty; other states say nothing of values."""
    if type(target) is not StoredTensor or not is_unset(target) or not isinstance(state, tuple):
        return
    if len(state) == 4:
        source: object = tensor_of(machine, *state)
    else:
        source = state[0] if len(state) == 5 else None
    if type(source) is StoredTensor:
        for field in StoredTensor.__struct_fields__:
            msgspec.structs.force_setattr(target, field, getattr(source, field))


def _empty(_: Machine, dtype: str = "F32") -> StoredTensor:
    return StoredTensor(storage=_UNSET, dtype=dtype, offset=0, shape=(0,), strides=(1,))


def _wrapped(machine: Machine, tensor: object = None, _requires_grad: object = None) -> StoredTensor:
    """A parameter or variable: the tensor in it."""
    if tensor is None:
        return _empty(machine)
    if type(tensor) is not StoredTensor:
        machine.fail("builds a parameter from something that is not a tensor")
    return tensor


_TYPES = {name.removesuffix("Storage"): dtype for name, dtype in STORAGES.items() if not name.startswith("Untyped")}

OLDER: dict[str, Global] = {
    entry.name: entry
    for entry in (
        *(
            Global(f"torch.{device}{name}Tensor", partial(_empty, dtype=dtype))
            for device in ("", "cuda.")
            for name, dtype in _TYPES.items()
        ),
        *(Global(f"torch.cuda.{name}Storage", dtype=dtype) for name, dtype in _TYPES.items()),
        Global("torch.Tensor", _empty),
        Global("torch.tensor._TensorBase"),
        Global("torch.nn.parameter.Parameter", _wrapped),
        Global("torch.autograd.variable.Variable", _wrapped),
    )
}
