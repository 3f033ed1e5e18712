"""Experts stacked into one tensor: the expert is its first dimension, or the slowest part of its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod
from typing import TYPE_CHECKING, Protocol

from weightscope.roles import Role
from weightscope.sizes import Size
from weightscope.storage.base import Kind, Scope, Sizes, Stored, join
from weightscope.storage.record import Record

if TYPE_CHECKING:
    import torch


class Rows(Protocol):
    """A scope that reads some entries of a tensor's first dimension."""

    def rows(self, name: str, index: slice) -> torch.Tensor:
        """Those entries, quantization undone."""
        ...


class Stacked(Record):
    """The matrices of all experts for one or more roles; sizes are (experts, out, in).

    An expert's part is (out, in), or (in, out) where `transposed`. Several roles are fused along out: one after the
    other, or row by row in turn where `alternating` (gpt-oss). `flat` tensors have two dimensions, the experts one
    after another along the first (DBRX). `bias` is the name of the vectors (experts, out).
    """

    __slots__ = ("alternating", "bias", "flat", "name", "roles", "transposed")

    def __init__(
        self,
        name: str,
        *roles: Role,
        bias: str | None = None,
        transposed: bool = False,
        alternating: bool = False,
        flat: bool = False,
    ) -> None:
        self.name = name
        self.roles = roles
        self.bias = bias
        self.transposed = transposed
        self.alternating = alternating
        self.flat = flat

    def tensors(self, prefix: str, sizes: Sizes) -> Iterator[Stored]:
        """The matrices in their stored orientation, then the biases."""
        experts, rows, columns = self._whole(sizes)
        first, second = (columns, rows) if self.transposed else (rows, columns)
        yield Stored(
            name=join(prefix, self.name),
            shape=(experts * first, second) if self.flat else (experts, first, second),
            parts=tuple((role, int(prod(sizes[role]))) for role in self.roles),
        )
        if self.bias:
            parts = tuple((role, int(experts * sizes[role][1])) for role in self.roles)
            yield Stored(name=join(prefix, self.bias), shape=(experts, rows), parts=parts, kind=Kind.BIAS)

    def read(self, prefix: str, sizes: Sizes, scope: Scope) -> dict[str, torch.Tensor]:
        """Role -> (experts, out, in), `role.bias` -> (experts, out)."""
        return self._read(prefix, sizes, scope.tensor)

    def read_one(self, prefix: str, sizes: Sizes, scope: Rows, expert: int) -> dict[str, torch.Tensor]:
        """One expert's matrices, role -> (out, in), and biases, `role.bias` -> (out); nothing else is read."""
        parts = dict(self.rows_of(prefix, sizes, expert))
        found = self._read(prefix, sizes, lambda name: scope.rows(name, parts[name]))
        return {key: tensor[0] for key, tensor in found.items()}

    def rows_of(self, prefix: str, sizes: Sizes, expert: int) -> Iterator[tuple[str, slice]]:
        """Where one expert's part lies: full names, and entries of the first dimension."""
        _, rows, columns = self._whole(sizes)
        step = int(columns if self.transposed else rows) if self.flat else 1
        yield join(prefix, self.name), slice(expert * step, (expert + 1) * step)
        if self.bias:
            yield join(prefix, self.bias), slice(expert, expert + 1)

    def layout(self, sizes: Sizes) -> str:
        """Where an expert's matrix lies, and how the roles share it."""
        experts = int(sizes[self.roles[0]][0])
        place = f"the matrices of {experts:,} experts " + (
            "one below another" if self.flat else "along the first dimension"
        )
        order = ", each (in, out)" if self.transposed else ""
        names = " and ".join(self.roles)
        turns = (
            f"; {names} " + ("take turns" if self.alternating else "one after another") if len(self.roles) > 1 else ""
        )
        return place + order + turns

    def _read(self, prefix: str, sizes: Sizes, get: Callable[[str], torch.Tensor]) -> dict[str, torch.Tensor]:
        _, rows, columns = self._whole(sizes)
        stored = get(join(prefix, self.name))
        if self.flat:
            stored = stored.unflatten(0, (-1, int(columns if self.transposed else rows)))  # type: ignore[no-untyped-call]
        upright = stored.transpose(1, 2) if self.transposed else stored
        found = {str(role): part for role, part in self._split(upright, sizes).items()}
        if self.bias:
            biases = self._split(get(join(prefix, self.bias)), sizes)
            found |= {f"{role}.bias": part for role, part in biases.items()}
        return found

    def _split(self, tensor: torch.Tensor, sizes: Sizes) -> dict[Role, torch.Tensor]:
        """The roles' rows, dimension 1."""
        if self.alternating:
            return {role: tensor[:, place :: len(self.roles)] for place, role in enumerate(self.roles)}
        shares = [int(sizes[role][1]) for role in self.roles]
        return dict(zip(self.roles, tensor.split(shares, dim=1), strict=True))  # type: ignore[no-untyped-call]

    def _whole(self, sizes: Sizes) -> tuple[Size, Size, Size]:
        """Experts, rows of all roles together, columns."""
        experts, rows, columns = sizes[self.roles[0]]
        for role in self.roles[1:]:
            rows = rows + sizes[role][1]
        return experts, rows, columns
