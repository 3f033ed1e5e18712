"""The contract of a storage item, and the description of a stored tensor that it yields."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from math import prod
from typing import TYPE_CHECKING, Protocol

import msgspec

from weightscope.roles import Role
from weightscope.sizes import Shape, Size

if TYPE_CHECKING:
    import torch

Sizes = Mapping[Role, Shape]
# What is read of a matrix's bounds (`clipped.py`) has the matrix's role before this.
BOUNDS_END = ".bounds"


class Kind(StrEnum):
    """What a stored tensor is: a learned weight or bias, a buffer, a scale of a quantized weight, or another's copy."""

    __repr__ = str.__repr__

    WEIGHT = "weight"
    BIAS = "bias"
    BUFFER = "buffer"
    SCALE = "scale"
    COPY = "copy"


class Scheme(Protocol):
    """How one quantized weight is stored: its tensors, and how they become the weight again."""

    @property
    def name(self) -> str:
        """The method's name, for people and in JSON."""
        ...

    @property
    def rowwise(self) -> bool:
        """Whether some rows of a weight are given by the same rows of those of its tensors that have as many."""
        ...

    @property
    def words(self) -> str:
        """The method with its settings, for people."""
        ...

    @property
    def formula(self) -> str:
        """How the weight follows from what is stored, one line of maths: `w = q · scale + bias`."""
        ...

    @property
    def packing(self) -> str:
        """How the codes lie in the packed tensor, for people; empty where each weight is an element of its own."""
        ...

    def parts(self, name: str) -> tuple[str, ...]:
        """The names of the tensors that stand for the weight of that name, the packed weight first."""
        ...

    def expand(self, stored: Stored) -> tuple[Stored, ...]:
        """The tensors that stand for one weight, in the order of `parts`, with the element types each may have."""
        ...

    def read(self, name: str, raw: Callable[[str], torch.Tensor]) -> torch.Tensor:
        """The float32 weight that the tensors stand for, in its stored orientation.

        Raises:
            NotImplementedByWeightscope: the method is only named and counted here.
        """
        ...


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """What a value of a scale may be, held by `check --values`; limits are inclusive, NaN and infinity never right.

    `words` say what the values are ("scales"), `why` what one beyond the limits means.
    """

    least: float | None = None
    most: float | None = None
    zero: bool = True
    words: str = "scales"
    why: str = ""


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """One stored tensor of a declaration.

    `shape` is the shape on disk. `parts` gives the elements of the logical weight that go to each role; they add up
    to another number than the shape's product only where a quantization scheme packs several weights into one element.
    A scale's parts are the roles of the weight that it scales.

    `scheme` is set on the tensors of a quantized weight, `dtypes` are the element types that they may have (any where
    empty), `bounds` the values, `also` other shapes that mean the same (a scale for each row may have one dimension or
    two). The shape of an `opaque` tensor is not known: its length depends on what is stored in it, or a method stores
    it that is not implemented. A `transposed` matrix is (in, out): methods pack it as (out, in). A `computed` one need
    not be stored and counts all the same, because code makes the same values (Marian's sines and cosines). `layout`
    says how the roles lie in the tensor, where a container (GGUF) has them otherwise than the architecture.
    """

    name: str
    shape: Shape
    parts: tuple[tuple[Role, int], ...]
    kind: Kind = Kind.WEIGHT
    optional: bool = False
    dtypes: frozenset[str] = frozenset()
    scheme: Scheme | None = None
    bounds: Bounds | None = None
    also: tuple[Shape, ...] = ()
    opaque: bool = False
    transposed: bool = False
    layout: str | None = None
    computed: bool = False

    @property
    def elements(self) -> int:
        """Elements on disk."""
        return int(prod(self.shape))

    @property
    def upright(self) -> tuple[Size, Size]:
        """The sizes (out, in) of a matrix."""
        rows, columns = self.shape[::-1] if self.transposed else self.shape
        return rows, columns

    @property
    def logical(self) -> int:
        """Weights that the tensor stands for."""
        return sum(count for _, count in self.parts)


class Scope(Protocol):
    """Where a storage item reads from: full names to matrices, quantization already undone."""

    def tensor(self, name: str) -> torch.Tensor:
        """The tensor in its stored layout."""
        ...

    def has(self, name: str) -> bool:
        """Whether the checkpoint holds it."""
        ...


class StorageItem(Protocol):
    """A place on disk that holds one or more roles."""

    @property
    def roles(self) -> tuple[Role, ...]:
        """The roles held here, in the order of their rows."""
        ...

    def tensors(self, prefix: str, sizes: Sizes) -> Iterator[Stored]:
        """The tensors under `prefix`, given the logical shape of each role."""
        ...

    def read(self, prefix: str, sizes: Sizes, scope: Scope) -> dict[str, torch.Tensor]:
        """Each role's matrix as (out, in), keyed by role, and its bias by `role.bias`."""
        ...

    def layout(self, sizes: Sizes) -> str:
        """How the roles lie in the tensor, for people; empty where it is one role's matrix as it is."""
        ...


def join(prefix: str, name: str) -> str:
    """Two parts of a dotted module path; either may be empty."""
    return f"{prefix}.{name}" if prefix and name else prefix or name
