"""Names of values that people keep beside their weights and that only hold data: each becomes an inert marker.

Nothing here is imported or called. A name is listed only if its object, made by Python itself, would hold data and do
nothing else. What could run, import, open or look up something is not listed, and stays `unsafe-pickle`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from weightscope.checkpoint.pickle_machine import Global, Inert, Machine, Made
from weightscope.checkpoint.pickles import make_mapping

# What a command line was told: attributes and no behaviour. Megatron-LM's say how many ranks there were.
NAMESPACE = "argparse.Namespace"

_WIDTHS = ("8", "16", "32", "64")
_NUMPY_TYPES = (
    "bool", "bool_", "str_", "bytes_", "void", "object_", "datetime64", "timedelta64", "longlong", "ulonglong",
    "float16", "float32", "float64", "longdouble", "complex64", "complex128", "clongdouble",
    *(f"int{width}" for width in _WIDTHS), *(f"uint{width}" for width in _WIDTHS),
)  # fmt: skip
_NUMPY_DTYPES = (
    "Bool", "Str", "Bytes", "Void", "Object", "DateTime64", "TimeDelta64", "LongLong", "ULongLong",
    "Float16", "Float32", "Float64", "LongDouble", "Complex64", "Complex128", "CLongDouble",
    *(f"Int{width}" for width in _WIDTHS), *(f"UInt{width}" for width in _WIDTHS),
)  # fmt: skip
# NumPy 2 renamed `numpy.core`; files of both are about.
_NUMPY_CORES = ("numpy.core", "numpy._core")
_LIGHTNING = (
    "pytorch_lightning.utilities.parsing", "lightning.pytorch.utilities.parsing",
    "lightning_fabric.utilities.data", "lightning.fabric.utilities.data",
)  # fmt: skip
_CALLBACKS = ("ModelCheckpoint", "EarlyStopping", "LearningRateMonitor", "StochasticWeightAveraging")

# What it is in words -> the names that make it, or that it is made of.
_MADE: dict[str, tuple[str, ...]] = {
    # Numbers and arrays: the bytes are in the pickle.
    "NumPy values": (
        "numpy.dtype",
        *(f"{core}.multiarray.{maker}" for core in _NUMPY_CORES for maker in ("_reconstruct", "scalar")),
        *(f"{core}.numeric._frombuffer" for core in _NUMPY_CORES),
    ),
    # States of NumPy's random generators: numbers too.
    "NumPy random states": (
        *(f"numpy.random._pickle.__{maker}_ctor" for maker in ("generator", "bit_generator", "randomstate")),
        "numpy.random.bit_generator.__pyx_unpickle_SeedSequence",
    ),
    # Attributes and no behaviour: what a script was told.
    "types.SimpleNamespace": ("types.SimpleNamespace",),
    # A path as text: making one opens nothing.
    "pathlib paths": tuple(
        f"pathlib{part}.{name}"
        for part in ("", "._local")
        for name in ("Path", "PosixPath", "WindowsPath", "PurePath", "PurePosixPath", "PureWindowsPath")
    ),
    # Times and exact numbers of the standard library: immutable values. Zones that are looked up by name are not here.
    "dates and times": tuple(f"datetime.{name}" for name in ("datetime", "date", "time", "timedelta", "timezone")),
    "decimal numbers and fractions": ("decimal.Decimal", "fractions.Fraction"),
    "uuid.UUID": ("uuid.UUID",),
    # Bytes that stand in the pickle, as Transformer Engine keeps its `_extra_state`. No file is opened.
    "bytes in memory": ("_io.BytesIO", "io.BytesIO"),
    # Trees of settings. Their `${...}` are text until somebody asks omegaconf to resolve them.
    "omegaconf settings": (
        "omegaconf.dictconfig.DictConfig", "omegaconf.listconfig.ListConfig",
        "omegaconf.base.ContainerMetadata", "omegaconf.base.Metadata",
        *(f"omegaconf.nodes.{kind}Node"
          for kind in ("Any", "String", "Integer", "Float", "Boolean", "Bytes", "Path", "Enum", "Union", "Value")),
    ),
    # Wrappers of a dict or of several.
    "collections.ChainMap": ("collections.ChainMap",),
    "collections.UserDict": ("collections.UserDict", "UserDict.UserDict", "UserDict.IterableUserDict"),
    "collections.UserList": ("collections.UserList", "UserList.UserList"),
    # Numbers that a trainer scales by, and where its flat vectors begin and end.
    "Megatron settings": (
        "signal.Signals",
        *(f"megatron.{place}.enums.ModelType" for place in ("model", "core")),
        *(f"megatron.{place}.enums.{name}"
          for place in ("model", "core.transformer")
          for name in ("AttnBackend", "AttnMaskType", "AttnType", "LayerType", "PositionEmbeddingType")),
        "megatron.core.rerun_state_machine.RerunMode", "megatron.core.rerun_state_machine.RerunState",
    ),
    "DeepSpeed settings": (
        "deepspeed.runtime.zero.config.ZeroStageEnum", "deepspeed.utils.tensor_fragment.fragment_address",
        *(f"deepspeed.runtime.fp16.loss_scaler.{name}" for name in ("LossScaler", "DynamicLossScaler")),
    ),
}  # fmt: skip

# Classes that stand as values or keys and are never called.
_VALUES = (
    "numpy.ndarray",
    *(f"numpy.{name}" for name in _NUMPY_TYPES),
    *(f"numpy.dtypes.{name}DType" for name in _NUMPY_DTYPES),
    "numpy.random._mt19937.MT19937", "numpy.random._pcg64.PCG64", "numpy.random._pcg64.PCG64DXSM",
    "numpy.random._philox.Philox", "numpy.random._sfc64.SFC64", "numpy.random.bit_generator.SeedSequence",
    "typing.Any",
    # The keys of callbacks' states in Lightning before 1.5.
    *(f"pytorch_lightning.callbacks.{module}.{name}"
      for name, module in zip(_CALLBACKS, ("model_checkpoint", "early_stopping", "lr_monitor", "stochastic_weight_avg"),
                              strict=True)),
)  # fmt: skip


def _passed_over(machine: Machine, *_arguments: object, kind: str) -> Inert:
    return machine.pass_over(kind)


def _namespace(machine: Machine, *arguments: object) -> Made:
    machine.pass_over(NAMESPACE)
    return Made(NAMESPACE, arguments)


def _reconstructed(machine: Machine, made: object, base: object, state: object) -> object:
    """What protocols 0 and 1 write for an object of a class in Python: `copyreg._reconstructor(class, base, state)`."""
    if not isinstance(made, Global) or not isinstance(base, Global):
        raise TypeError(made)
    return machine.call(made, () if state is None else (state,))


def _new(machine: Machine, made: object, *arguments: object) -> object:
    """`copyreg.__newobj__(class, *arguments)`, which calls the class."""
    return machine.call(made, arguments)


def _deque(machine: Machine, items: object = (), _length: object = None) -> list[object]:
    if not isinstance(items, list | tuple):
        raise TypeError(items)
    machine.copying(8 * len(items))
    return list(items)


_MAKERS: dict[str, Callable[..., object]] = {
    NAMESPACE: _namespace,
    "collections.deque": _deque,
    # Lightning's settings: a dict whose keys are attributes too.
    **{f"{module}.AttributeDict": make_mapping for module in _LIGHTNING},
    **{f"{module}._reconstructor": _reconstructed for module in ("copyreg", "copy_reg")},
    **{f"{module}.__newobj__": _new for module in ("copyreg", "copy_reg")},
}

HARMLESS: dict[str, Global] = {
    **{name: Global(name, partial(_passed_over, kind=kind)) for kind, names in _MADE.items() for name in names},
    **{name: Global(name, make) for name, make in _MAKERS.items()},
    **{name: Global(name) for name in _VALUES},
}
