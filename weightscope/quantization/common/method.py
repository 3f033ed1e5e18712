"""The contract of a quantization method: module → scheme, under the settings of one config."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import msgspec

from weightscope.roles import Role
from weightscope.storage.base import Kind, Scheme, Stored

# What scales and zero points have that are plain numbers.
SCALES = frozenset({"F32", "F16", "BF16"})
# Norms that may have a row for each head.
HEAD_NORMS = frozenset({Role.Q_NORM, Role.K_NORM})


class Method(Protocol):
    """A method with its settings. A file in `quantization/` has `method(config, settings)`, which returns one."""

    @property
    def name(self) -> str:
        """What configs call it."""
        ...

    @property
    def missing(self) -> str:
        """What of these settings is not implemented, in words; empty where all of it is."""
        ...

    @property
    def silent(self) -> bool:
        """Whether its writers leave modules plain and the config does not say so."""
        ...

    def scheme(self, stored: Stored, module: str) -> Scheme | None:
        """How the weight of the module is stored; None where it is plain, or its scheme is not implemented.

        `stored` is the weight before quantization, its name a template for all modules like this one.
        """
        ...

    def singles_out(self, template: str) -> bool:
        """Whether modules of that template may differ within a layer, expert by expert."""
        ...


@runtime_checkable
class Varied(Protocol):
    """A method whose writers store the same in several ways that its settings do not tell apart."""

    def variants(self, said: Scheme) -> tuple[Scheme, ...]:
        """The ways, for a module of which the settings say `said`; the first that the files fit is taken."""
        ...


class Unimplemented(msgspec.Struct, frozen=True, kw_only=True):
    """A method that is only named: its tensors are recognized in the files, and counted by the declaration."""

    name: str
    missing: str
    silent: bool = True

    def scheme(self, stored: Stored, module: str) -> Scheme | None:
        """None: the files tell which modules are quantized."""
        del stored, module
        return None

    def singles_out(self, template: str) -> bool:
        """No module differs from the others."""
        del template
        return False


def variants_of(method: object, said: Scheme) -> tuple[Scheme, ...]:
    """The ways in which a method's writers store what its settings say; none unless it has several."""
    return method.variants(said) if isinstance(method, Varied) else ()


Dims = tuple[int, ...]


@runtime_checkable
class Texted(Protocol):
    """A scheme with a text beside the codes, which says once more what settings and declaration say."""

    def check_text(self, name: str, read: Callable[[str, int], bytes], shape: Callable[[str], Dims]) -> None:
        """Raise a CheckpointError if the text of that weight says otherwise.

        `read` gives the bytes of a tensor, up to so many, and `shape` a tensor's dimensions.
        """
        ...


def as_texted(scheme: object) -> Texted | None:
    """The scheme, if it has a text."""
    return scheme if isinstance(scheme, Texted) else None


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What the tensors of one module tell of its weight: how it is stored, and its shape before quantization."""

    scheme: Scheme
    shape: tuple[int, ...]


def is_candidate(stored: Stored) -> bool:
    """Whether a method may quantize it at all: a weight that is no vector."""
    return stored.kind is Kind.WEIGHT and len(stored.shape) > 1


def is_matrix(stored: Stored) -> bool:
    """A module's matrix, not what lies beside modules (Mamba's A) or a norm's weights for each head (Cohere's)."""
    is_weight = stored.kind is Kind.WEIGHT and stored.parts[0][0] not in HEAD_NORMS
    return is_weight and len(stored.shape) == 2 and stored.name.endswith(".weight")


def is_stack(stored: Stored) -> bool:
    """The matrices of several experts or heads under the name of a module's matrix, [experts, out, in]."""
    return stored.kind is Kind.WEIGHT and len(stored.shape) == 3 and stored.name.endswith(".weight")


def module_of(name: str) -> str:
    """The module whose weight has that name; a weight that is a module's own parameter stands for itself."""
    return name.removesuffix(".weight")
