"""Matrices on disk: Linear (out, in), Conv1D (in, out), and several roles fused into one tensor."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import TYPE_CHECKING

from weightscope.roles import Role
from weightscope.sizes import Shape, Size
from weightscope.storage.base import Kind, Scope, Sizes, Stored, join
from weightscope.storage.record import Record

if TYPE_CHECKING:
    import torch


class Linear(Record):
    """`torch.nn.Linear`: `weight` (out, in) and, with `bias`, `bias` (out).

    Several roles are fused along the rows. `groups` says in how many equal groups the rows come, each holding its
    share of every role in turn: 1 concatenates the roles (Phi-3's `qkv_proj`), the number of heads interleaves them
    per head (GPT-NeoX), the number of key/value heads per key/value group (Falcon). An `optional` one is not used.
    """

    __slots__ = ("bias", "groups", "name", "optional", "roles")
    _transposed = False
    # What is between the module's name and `weight` or `bias`, and what the matrix is called.
    _joint = "."
    _leaf = "weight"

    def __init__(self, name: str, *roles: Role, bias: bool = False, groups: int = 1, optional: bool = False) -> None:
        self.name = name
        self.roles = roles
        self.bias = bias
        self.groups = groups
        self.optional = optional

    def tensors(self, prefix: str, sizes: Sizes) -> Iterator[Stored]:
        """`weight` in its stored orientation, then `bias`."""
        path = join(prefix, self.name)
        rows, columns = self._rows(sizes), sizes[self.roles[0]][1]
        yield Stored(
            name=f"{path}{self._joint}{self._leaf}",
            shape=self._oriented(rows, columns),
            parts=tuple((role, int(prod(sizes[role]))) for role in self.roles),
            optional=self.optional,
            transposed=self._transposed,
        )
        if self.bias:
            parts = tuple((role, int(sizes[role][0])) for role in self.roles)
            yield Stored(
                name=f"{path}{self._joint}bias", shape=(rows,), parts=parts, kind=Kind.BIAS, optional=self.optional
            )

    def read(self, prefix: str, sizes: Sizes, scope: Scope) -> dict[str, torch.Tensor]:
        """The inverse of `tensors`: role -> (out, in), `role.bias` -> (out)."""
        path = join(prefix, self.name)
        if self.optional and not scope.has(f"{path}{self._joint}{self._leaf}"):
            return {}
        found = self._split(self._upright(scope.tensor(f"{path}{self._joint}{self._leaf}")), sizes)
        matrices: dict[str, torch.Tensor] = {str(role): matrix for role, matrix in found.items()}
        if self.bias:
            biases = self._split(scope.tensor(f"{path}{self._joint}bias"), sizes)
            matrices |= {f"{role}.bias": bias for role, bias in biases.items()}
        return matrices

    def layout(self, sizes: Sizes) -> str:
        """How the roles lie in the tensor, for people; empty where it is one role's matrix as it is."""
        if len(self.roles) == 1:
            return ""
        shares = ", ".join(f"{int(sizes[role][0]) // self.groups:,} of {role}" for role in self.roles)
        return f"rows are {shares}" + (f", and so on in {self.groups:,} groups" if self.groups > 1 else "")

    def _rows(self, sizes: Sizes) -> Size:
        rows = sizes[self.roles[0]][0]
        for role in self.roles[1:]:
            rows = rows + sizes[role][0]
        return rows

    def _split(self, tensor: torch.Tensor, sizes: Sizes) -> dict[Role, torch.Tensor]:
        if len(self.roles) == 1:
            return {self.roles[0]: tensor}
        import torch

        shares = [int(sizes[role][0]) // self.groups for role in self.roles]
        grouped = tensor.reshape(self.groups, sum(shares), *tensor.shape[1:])
        pieces = torch.split(grouped, shares, dim=1)
        return {role: piece.flatten(0, 1) for role, piece in zip(self.roles, pieces, strict=True)}

    def _oriented(self, rows: Size, columns: Size) -> Shape:
        return rows, columns

    def _upright(self, weight: torch.Tensor) -> torch.Tensor:
        return weight


class Conv1D(Linear):
    """GPT-2's `transformers.pytorch_utils.Conv1D`: the same maths as Linear with `weight` stored (in, out)."""

    _transposed = True

    def layout(self, sizes: Sizes) -> str:
        """The same of columns."""
        fused = super().layout(sizes).replace("rows", "columns")
        return "stored (in, out): the pass transposes it" + (f"; {fused}" if fused else "")

    def _oriented(self, rows: Size, columns: Size) -> Shape:
        return columns, rows

    def _upright(self, weight: torch.Tensor) -> torch.Tensor:
        return weight.T


class InProjection(Linear):
    """`torch.nn.MultiheadAttention`'s own matrix, a parameter and no module: `in_proj_weight` and `in_proj_bias`."""

    _joint = "_"


class TurnedParameter(Conv1D):
    """A matrix stored (in, out) that is a parameter and no module: Gemma 3's `mm_input_projection_weight`."""

    _joint = "_"


class NamedParameter(Conv1D):
    """The same under a name of its own: Florence-2's `image_projection`."""

    _joint = _leaf = ""


class SecondConv1D(Conv1D):
    """A second such matrix in the same module, `weight_1`: ERNIE 4.5 VL's router of images."""

    _leaf = "weight_1"


# The name that torch gives to a parameter which others are added to.
PARAMETRIZED = "parametrizations.weight.original"


class Parametrized(Linear):
    """`torch.nn.Linear` whose weight torch has parametrized: what is added to it lies beside it."""

    _leaf = PARAMETRIZED
