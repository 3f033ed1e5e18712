"""The names that torch.save writes into a pickle, and the tensors and storages that they stand for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import prod
from typing import Protocol, TypeGuard

import msgspec

from weightscope.checkpoint.dtypes import DTYPE_BITS, TORCH_NAMES
from weightscope.checkpoint.entry import TensorEntry
from weightscope.checkpoint.pickle_machine import SAVE_AGAIN, Global, Inert, Machine, malformed
from weightscope.errors import NotImplementedByWeightscope, Where

MAX_DIMENSIONS = 64
MAX_SIZE = 1 << 63

# `_dtype_to_storage_type_map` in torch/storage.py (2.13); newer element types are saved as untyped bytes.
STORAGES = {
    "DoubleStorage": "F64",
    "FloatStorage": "F32",
    "HalfStorage": "F16",
    "LongStorage": "I64",
    "IntStorage": "I32",
    "ShortStorage": "I16",
    "CharStorage": "I8",
    "ByteStorage": "U8",
    "BoolStorage": "BOOL",
    "BFloat16Storage": "BF16",
    "ComplexDoubleStorage": "C128",
    "ComplexFloatStorage": "C64",
    "UntypedStorage": "U8",
}
# Element types that torch has and no reader of ours: fine as a value, not as a tensor's.
OTHER_DTYPES = (
    "float4_e2m1fn_x2", "bits8", "bits16", "bits1x8", "bits2x4", "bits4x2",
    "qint8", "quint8", "qint32", "quint4x2", "quint2x4",
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in range(1, 8)),
)  # fmt: skip

# Quantization schemes, which stand in settings beside the weights.
SCHEMES = (
    "per_tensor_affine", "per_tensor_symmetric", "per_channel_affine", "per_channel_symmetric",
    "per_channel_affine_float_qparams",
)  # fmt: skip

# What torch.save writes for tensors that are more than a strided view of a storage, and what to call them.
UNSUPPORTED = {
    "torch._utils._rebuild_qtensor": "a quantized tensor",
    "torch._utils._rebuild_sparse_tensor": "a sparse tensor",
    "torch._utils._rebuild_sparse_csr_tensor": "a sparse tensor",
    "torch._utils._rebuild_nested_tensor": "a nested tensor",
    "torch._utils._rebuild_wrapper_subclass": "a tensor subclass",
    "torch._utils._rebuild_meta_tensor_no_storage": "a tensor on the meta device, which has no values",
    "torch._utils._rebuild_device_tensor_from_numpy": "a tensor of a device without storages",
    "torch._utils._rebuild_device_tensor_from_cpu_tensor": "a tensor of a device without storages",
    "torch._utils._rebuild_xla_tensor": "an XLA tensor",
    **{f"torch.{name}Storage": "a quantized tensor" for name in ("QInt8", "QInt32", "QUInt8", "QUInt4x2", "QUInt2x4")},
}


class Storage(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """`bytes` bytes of the block that the file keeps under `key`, from its byte `skip` on."""

    key: str
    dtype: str
    bytes: int
    skip: int = 0


class StoredTensor(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A strided view of a storage, in elements, as the pickle states it: not yet held against the storage's size."""

    storage: Storage
    dtype: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many elements it has."""
        return prod(self.shape)


class Block(msgspec.Struct, frozen=True, gc=False):
    """Where in the file the bytes of one storage key lie."""

    start: int
    bytes: int


class Saved(Protocol):
    """An opened file: the object that it holds, and where it keeps the storages that the object's tensors use."""

    @property
    def top(self) -> object:
        """The object that was saved."""
        ...

    @property
    def passed_over(self) -> dict[str, str]:
        """What was saved beside tensors and plain values and is not looked at: what it is, and where it was met."""
        ...

    def blocks(self, keys: Iterable[str]) -> dict[str, Block]:
        """Where each storage lies."""
        ...


class Storages:
    """Answers the pickle's references to storages: one key is one storage, however often it is named."""

    def __init__(self) -> None:
        self.by_key: dict[str, Storage] = {}

    def __call__(self, machine: Machine, identity: object) -> Storage:
        """The storage that an identity names."""
        if not isinstance(identity, tuple) or len(identity) not in (5, 6) or identity[0] not in ("storage", b"storage"):
            machine.fail("refers to something that is not a storage")
        kind, key, _, count, view = (*identity[1:], None)[:5]
        dtype = _storage_dtype(kind)
        if dtype is None or type(key) is not str or not _is_size(count):
            machine.fail("describes an invalid storage")
        width = DTYPE_BITS[dtype] // 8
        storage = Storage(key=key, dtype=dtype, bytes=count * width)
        known = self.by_key.setdefault(key, storage)
        if known != storage and (known.bytes or storage.bytes):
            machine.fail(f"describes storage {key!r} twice, differently")
        if view is None:
            return storage
        return _view(machine, storage, view, width)


def _view(machine: Machine, storage: Storage, view: object, width: int) -> Storage:
    """A part of a storage as one of its own, which torch before 0.4 had."""
    if not isinstance(view, tuple) or len(view) != 3 or not _is_size(view[1]) or not _is_size(view[2]):
        machine.fail("describes an invalid storage")
    skip, length = view[1] * width, view[2] * width
    if skip + length > storage.bytes:
        machine.fail(f"describes a part of storage {storage.key!r} that reaches beyond it")
    return Storage(key=storage.key, dtype=storage.dtype, bytes=length, skip=skip)


def _storage_dtype(kind: object) -> str | None:
    return kind.dtype if isinstance(kind, Global) and kind.name.endswith("Storage") else None


def _is_size(value: object) -> TypeGuard[int]:
    return type(value) is int and 0 <= value < MAX_SIZE


def _sizes(machine: Machine, value: object) -> tuple[int, ...]:
    if type(value) is not tuple or len(value) > MAX_DIMENSIONS:
        machine.fail("gives a tensor an invalid shape")
    for size in value:
        if type(size) is not int or not 0 <= size < MAX_SIZE:
            machine.fail("gives a tensor an invalid size or stride")
    return value


def _tensor(
    machine: Machine, storage: object, offset: object, shape: object, strides: object, dtype: str | None, bits: object
) -> StoredTensor:
    if type(storage) is not Storage or type(offset) is not int or not 0 <= offset < MAX_SIZE:
        machine.fail("builds a tensor from something other than a storage and an offset")
    shape, strides = _sizes(machine, shape), _sizes(machine, strides)
    if len(shape) != len(strides):
        machine.fail(f"gives a tensor {len(shape)} sizes and {len(strides)} strides")
    if isinstance(bits, dict) and (bits.get("conj") or bits.get("neg")):
        raise NotImplementedByWeightscope(
            "holds a lazily conjugated or negated tensor, whose values are not the stored ones",
            where=machine.where,
            hint="save its resolve_conj().resolve_neg()",
        )
    return StoredTensor(storage=storage, dtype=dtype or storage.dtype, offset=offset, shape=shape, strides=strides)


def tensor_of(m: Machine, storage: object, offset: object, shape: object, strides: object) -> StoredTensor:
    """A tensor of its storage's element type, checked to be possible."""
    return _tensor(m, storage, offset, shape, strides, None, None)


def _tensor_v2(
    m: Machine, storage: object, offset: object, shape: object, strides: object, _grad: object, _hooks: object,
    bits: object = None,
) -> StoredTensor:  # fmt: skip
    return _tensor(m, storage, offset, shape, strides, None, bits)


def _tensor_v3(
    m: Machine, storage: object, offset: object, shape: object, strides: object, _grad: object, _hooks: object,
    dtype: object, bits: object = None,
) -> StoredTensor:  # fmt: skip
    if not isinstance(dtype, Global) or dtype.name.endswith("Storage"):
        raise TypeError(dtype)
    if dtype.name.removeprefix("torch.") in OTHER_DTYPES:
        raise NotImplementedByWeightscope(
            f"holds a tensor of {dtype.name}, which weightscope does not read", where=m.where, hint=SAVE_AGAIN
        )
    if dtype.dtype is None:
        raise TypeError(dtype)
    return _tensor(m, storage, offset, shape, strides, dtype.dtype, bits)


def _parameter(machine: Machine, tensor: object, _grad: object, _hooks: object, _state: object = None) -> StoredTensor:
    if type(tensor) is not StoredTensor:
        machine.fail("builds a parameter from something that is not a tensor")
    return tensor


def _from_type(machine: Machine, rebuild: object, kind: object, arguments: object, _state: object = None) -> object:
    """A tensor that carries Python attributes, which say nothing of its values."""
    if not isinstance(rebuild, Global) or not isinstance(kind, Global) or rebuild.name not in _REBUILD:
        raise TypeError(rebuild)
    return machine.call(rebuild, arguments)


def _size(_: Machine, sizes: object = ()) -> tuple[object, ...]:
    if type(sizes) is list and len(sizes) <= MAX_DIMENSIONS:
        return tuple(sizes)
    if type(sizes) is not tuple:
        raise TypeError(sizes)
    return sizes


def _device(_: Machine, _kind: object, _index: object = None) -> Inert:
    return Inert("torch.device")


def _layout(_: Machine, _name: object) -> Inert:
    return Inert("torch.layout")


_REBUILD: dict[str, Callable[..., object]] = {
    "torch._utils._rebuild_tensor": tensor_of,
    "torch._utils._rebuild_tensor_v2": _tensor_v2,
    "torch._utils._rebuild_tensor_v3": _tensor_v3,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
}

# What torch writes today; names without a function may only stand as a value.
OBJECTS: dict[str, Global] = {
    entry.name: entry
    for entry in (
        *(Global(name, make) for name, make in _REBUILD.items()),
        *(Global(f"torch.{name}", dtype=dtype) for name, dtype in STORAGES.items()),
        Global("torch.storage.UntypedStorage", dtype="U8"),
        Global("torch.storage._UntypedStorage", dtype="U8"),
        Global("torch.storage.TypedStorage"),
        *(Global(f"torch.{name}", dtype=dtype) for name, dtype in TORCH_NAMES.items()),
        *(Global(f"torch.{name}") for name in OTHER_DTYPES),
        Global("torch.Size", _size),
        Global("torch.device", _device),
        Global("torch.serialization._get_layout", _layout),
        *(Global(f"torch.{name}") for name in SCHEMES),
        Global("torch.nn.parameter.Buffer"),
        Global("torch._tensor._rebuild_from_type_v2", _from_type),
    )
}


def place(name: str, tensor: StoredTensor, block: Block, where: Where) -> TensorEntry:
    """The tensor's entry: its bytes' place in the file, after making sure that its storage has them."""
    storage = tensor.storage
    if storage.skip + storage.bytes > block.bytes:
        malformed(f"storage {storage.key!r} of {name!r} has {block.bytes:,} bytes, not {storage.bytes:,}", where)
    width = DTYPE_BITS[tensor.dtype] // 8
    count = prod(tensor.shape)
    begin = end = min(tensor.offset * width, storage.bytes)
    if count:
        last = sum([(size - 1) * stride for size, stride in zip(tensor.shape, tensor.strides, strict=True)])
        begin, end = tensor.offset * width, (tensor.offset + last + 1) * width
    if end > storage.bytes or count >= MAX_SIZE:
        malformed(f"tensor {name!r} reaches beyond the {storage.bytes:,} bytes of its storage {storage.key!r}", where)
    start = block.start + storage.skip
    contiguous = not count or _is_contiguous(tensor.shape, tensor.strides)
    return TensorEntry(tensor.dtype, tensor.shape, (start + begin, start + end), None if contiguous else tensor.strides)


def _is_contiguous(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    expected = 1
    for size, stride in zip(reversed(shape), reversed(strides), strict=True):
        if size != 1:
            if stride != expected:
                return False
            expected *= size
    return True
