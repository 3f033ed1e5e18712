"""From the tensors of an adapter and its settings to what it does to the weights of its base."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from weightscope.adapters import adalora, boft, ia3, loha, lokr, lora, mlx, oft, parameters, prompts, tokens, vera
from weightscope.adapters.common.change import Change, Fault, Module, Read
from weightscope.adapters.common.settings import ADALORA, Settings
from weightscope.adapters.common.spelling import place_of
from weightscope.adapters.saved import Replaced
from weightscope.brief import brief
from weightscope.checkpoint.entry import TensorEntry
from weightscope.roles import Role
from weightscope.storage.base import Kind

# A method reads a module that has one of its parts; the first that does.
METHODS: tuple[tuple[Mapping[str, Role], Callable[[Module, Settings], Read]], ...] = (
    (adalora.PARTS, adalora.read),
    (ia3.PARTS, ia3.read),
    (loha.PARTS, loha.read),
    (lokr.PARTS, lokr.read),
    (vera.PARTS, vera.read),
    (oft.PARTS, oft.read),
    (boft.PARTS, boft.read),
    (tokens.PARTS, tokens.read),
    (prompts.PARTS, prompts.read),
    (mlx.PARTS, mlx.read),
    (lora.PARTS, lora.read),
)
# Parts that all modules have in common.
SHARED = vera.SHARED
ROLES = SHARED | {part: role for parts, _ in METHODS for part, role in parts.items()}
# What is stored and was not trained: an alpha, a rank, random matrices.
UNTRAINED = {"alpha", "ranknum", *SHARED}
SAVED, TUNED, FROZEN, ORIGINAL = "saved", "tuned", "frozen", "original"
# Of these methods more is trained than is stored: an encoder makes the vectors, and is left behind.
ENCODED = {"p_tuning"}


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """What a tensor of an adapter is: `part` of what changes `module`; a tensor of the base has no `role` here.

    A `frozen` one is the base's own and was not trained.
    """

    module: str
    part: str
    role: Role | None
    kind: Kind

    @property
    def known(self) -> bool:
        """Whether a method knows it, or it is a tensor of the base."""
        return self.role is not Role.UNKNOWN


class Adapter(msgspec.Struct, frozen=True, kw_only=True):
    """An adapter as its files tell it. `faults` say what is wrong with it in itself."""

    settings: Settings
    tensors: Mapping[str, Held]
    changes: tuple[Change, ...]
    faults: tuple[Fault, ...] = ()

    __repr__ = brief

    @property
    def modules(self) -> tuple[str, ...]:
        """The base's modules that a method of adapters changes, in the order of the file."""
        own = (held.module for held in self.tensors.values() if held.role and held.module)
        return tuple(dict.fromkeys(own))

    @property
    def prompts(self) -> bool:
        """Whether it puts vectors before the text."""
        return any(held.role is Role.PROMPT_EMBEDDING for held in self.tensors.values())


def read_adapter(entries: Mapping[str, TensorEntry], settings: Settings) -> Adapter:
    """What each tensor is, and what they do together."""
    modules: dict[tuple[str, int], dict[str, str]] = {}
    shared: dict[str, str] = {}
    tensors: dict[str, Held] = {}
    whole: list[Change] = []
    for name, entry in entries.items():
        module, part, depth = place_of(name)
        if part == ORIGINAL:
            tensors[name] = Held(module=module, part=part, role=None, kind=Kind.COPY)
        elif not settings.known:
            tensors[name] = Held(module="", part=part, role=Role.UNKNOWN, kind=Kind.WEIGHT)
        elif part in (SAVED, TUNED, FROZEN):
            change = _whole(name, module, part, entry, settings)
            tensors[name] = Held(module=module, part=part, role=None, kind=_kind(module, change))
            whole.append(change)
        elif part in SHARED:
            tensors[name] = _held("", part)
            shared[part] = name
        else:
            tensors[name] = _held(parameters.parameter_of(module, depth, settings) or module, part)
            modules.setdefault((module, depth), {})[part] = name
    shapes = {name: entry.shape for name, entry in entries.items()}
    reads = [_read(module, depth, parts | shared, shapes, settings) for (module, depth), parts in modules.items()]
    return Adapter(
        settings=settings,
        tensors=tensors,
        # What stands in the place of a weight comes before what is added to it.
        changes=(*whole, *(change for read in reads for change in read.changes)),
        faults=tuple(fault for read in reads for fault in read.faults),
    )


def _held(module: str, part: str) -> Held:
    kind = Kind.BUFFER if part in UNTRAINED else Kind.BIAS if part.endswith(".bias") else Kind.WEIGHT
    return Held(module=module, part=part, role=ROLES.get(part, Role.UNKNOWN), kind=kind)


def _read(
    module: str, depth: int, parts: Mapping[str, str], shapes: Mapping[str, tuple[int, ...]], settings: Settings
) -> Read:
    if parameter := parameters.parameter_of(module, depth, settings):
        return parameters.read(Module(name=parameter, parts=parts, shapes=shapes), settings)
    if settings.method == ADALORA and {"A", "B"} & parts.keys():
        # Without its singular values it looks like LoRA.
        return adalora.read(Module(name=module, parts=parts, shapes=shapes), settings)
    for own, read in METHODS:
        if own.keys() & parts.keys():
            return read(Module(name=module, parts=parts, shapes=shapes), settings)
    return Read()


def _whole(name: str, module: str, part: str, entry: TensorEntry, settings: Settings) -> Replaced:
    """A tensor of the base: a module or a bias that was trained, or a table that was kept."""
    is_bias = module.endswith(".bias")
    named = part == SAVED and any(f".{saved}." in f".{module}." for saved in settings.saved)
    trained = part == TUNED or named or (is_bias and settings.bias != "none")
    return Replaced(weight=module, tensor=name, shape=entry.shape, trained=trained)


def _kind(module: str, change: Replaced) -> Kind:
    if not change.trained:
        return Kind.COPY
    return Kind.BIAS if module.endswith(".bias") else Kind.WEIGHT


def encoded(settings: Settings) -> bool:
    """Whether more was trained than is stored."""
    return settings.method in ENCODED
